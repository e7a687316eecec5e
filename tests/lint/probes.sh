#!/bin/bash
# The probes of the module and the daemon (table/probe.h): those that the manual pages name, without semaphores.
#
#     probes.sh MODULE DAEMON

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
export LC_ALL=C

module=$1 daemon=$2

# The names of its probes, each once.
probes() {
        readelf -nW "$1" | awk '/Provider:/ { provider = $NF } /^ *Name:/ { print provider ":" $2 }' | sort -u
}

has_probes() {
        local file=$1
        shift
        diff <(printf '%s\n' "$@") <(probes "$file")
}

has_no_semaphore() {
        readelf -nW "$1" | grep Semaphore: | grep -v 'Semaphore: 0x0*$'
        true
}

check "module: lookup" has_probes "$module" k8shsvc:lookup
check "daemon: finding and publish" has_probes "$daemon" k8shsvc:finding k8shsvc:publish
check "no probe has a semaphore" has_no_semaphore "$module"
check "none of the daemon's, either" has_no_semaphore "$daemon"
finish
