#!/bin/bash
# Programs that were built with an older library run with this one: what it exports may grow, and changes in no other
# way. lib/libk8shsvc.abi is what the last release promised.
#
#     abi.sh LIBRARY SOURCE-DIRECTORY
#     abi.sh LIBRARY SOURCE-DIRECTORY --update     after an export was added
#
# Types that no exported function leads to are held by the static assertions of lib/api.

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
export LC_ALL=C

library=$1 dump=$2/lib/libk8shsvc.abi sym=$2/lib/libk8shsvc.sym suppressions=$2/lib/libk8shsvc.abignore

if [ "$3" = --update ]; then
        exec abidw --exported-interfaces-only --no-corpus-path --no-comp-dir-path --no-show-locs --no-elf-needed \
                --suppressions "$suppressions" --out-file "$dump" "$library"
fi

# What it says of a success is that other things have changed.
keeps_its_promise() {
        local found
        found=$(abidiff --no-added-syms --suppressions "$suppressions" "$dump" "$library" 2>&1) || echo "$found"
}

promises_every_export() {
        local name
        for name in $(sed '/local:/,$d' "$sym" | grep -o '[a-z_0-9]*;' | tr -d ';'); do
                grep -q "<elf-symbol name='$name' version='LIBK8SHSVC_" "$dump" || echo "not in it: $name"
        done
}

title="library: no export was removed or changed since lib/libk8shsvc.abi"
have abidiff "$title" && check "$title" keeps_its_promise
check "library: lib/libk8shsvc.abi has every export" promises_every_export
finish
