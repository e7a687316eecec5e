#!/bin/bash
# Where `meson install` puts things, by what meson says without building them.
#
#     install.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
cd "$1" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -r "$work"' EXIT

# configure NAME OPTION...: a build directory of that name, what meson printed in NAME.log
configure() {
        local name=$1
        shift
        meson setup "$work/$name" -Dtests=false "$@" >"$work/$name.log" 2>&1 || tail "$work/$name.log"
}

# The paths of all files that are installed, each in a line.
installed() {
        meson introspect --installed "$work/$1" | python3 -c 'import json, sys; print(*json.load(sys.stdin).values(), sep="\n")'
}

stays_below_its_prefix() {
        configure own --prefix="$work/my 100% own" -Drundir="/run/a table"
        installed own | grep -v "^$work/my 100% own/"
        installed own | grep '/lib/systemd/system/k8shsvcd.service$' >/dev/null || echo "no unit"
}

quotes_blanks() {
        local unit=$work/own/packaging/k8shsvcd.service
        grep -qxF "ExecStart=\"$work/my 100%% own/sbin/k8shsvcd\"" "$unit" || grep ExecStart= "$unit"
        grep -qxF 'RuntimeDirectory="a table"' "$unit" || grep RuntimeDirectory= "$unit"
}

obeys_unitdir() {
        configure unitdir --prefix=/usr -Dunitdir=/lib/systemd/system
        installed unitdir | grep -x /lib/systemd/system/k8shsvcd.service >/dev/null || installed unitdir | grep service
}

says_that_there_is_no_unit() {
        configure elsewhere -Drundir=/var/lib/k8shsvc
        installed elsewhere | grep -e service -e sysusers
        grep -q 'WARNING: no systemd unit' "$work/elsewhere.log" || echo "not a word about it"
}

# Needs systemd 250; the packages' tests ask the running one.
is_sandboxed() {
        systemd-analyze security --offline=true --threshold=13 "$work/unitdir/packaging/k8shsvcd.service" >"$work/security.log" 2>&1 ||
                grep -e '✗' -e Overall "$work/security.log"
}

check "a prefix of one's own: everything is installed below it" stays_below_its_prefix
check "blanks in prefix and rundir are quoted in the unit" quotes_blanks
check "-Dunitdir= moves the unit" obeys_unitdir
title="the unit's exposure is 1.3 at most"
have systemd-analyze "$title" && check "$title" is_sandboxed
check "a rundir outside of /run: no unit, and a warning" says_that_there_is_no_unit
finish
