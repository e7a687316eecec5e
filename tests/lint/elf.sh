#!/bin/bash
# What the linker made of the module and the library: they are loaded into every process of a machine,
# so they show nothing but their interface, need nothing but libc, and run on glibc 2.28.
#
#     elf.sh MODULE MODULE.SYM LIBRARY LIBRARY.SYM [MAX-MODULE-BYTES]

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
export LC_ALL=C

module=$1 module_sym=$2 library=$3 library_sym=$4 max_bytes=${5:-0}

exported() {
        nm -D --defined-only "$1" | awk '{ print $3 }' | sed 's/@.*//' | sort -u
}

# The names between `global:` and `local:` of a version script.
listed() {
        sed -e 's:/\*.*\*/::' -e '/local:/,$d' "$1" | grep -o '[A-Za-z_][A-Za-z0-9_]*;' | tr -d ';' | sort -u
}

exports_are_listed() {
        [ -n "$(listed "$2")" ] || echo "no names in $2"
        diff <(listed "$2") <(exported "$1" | grep -v '^LIBK8SHSVC')
}

exports_are_tested() {
        local name
        for name in $(listed "$1"); do
                grep -q "\b$name(" "$here/../unit/api/test-exports.c" || echo "not called: $name"
        done
}

exports_are_documented() {
        local name root=$here/../..
        for name in $(listed "$1"); do
                grep -q "^ \* $name() - " "$root/lib/k8shsvc.h" || echo "not in k8shsvc.h: $name"
                grep -q "^\.Nm $name\b" "$root"/packaging/man/*.3 || echo "no manual page: $name"
        done
}

names_begin_with() {
        exported "$1" | grep -v -e "^$2" -e '^LIBK8SHSVC'
        true
}

has_hosts_functions() {
        local name
        for name in gethostbyname4_r gethostbyname3_r gethostbyname2_r gethostbyname_r gethostbyaddr2_r gethostbyaddr_r; do
                exported "$1" | grep -qx "_nss_k8shsvc_$name" || echo "missing: $name"
        done
        # A module with getcanonname_r was half of CVE-2023-4806.
        exported "$1" | grep getcanonname_r
        true
}

# On arm64, libc's guard of stacks is a variable of its loader.
needs_only_libc() {
        readelf -dW "$1" | awk '/\(NEEDED\)/ && !/\[libc\.so\.6\]|\[ld-linux-aarch64\.so\.1\]/'
        readelf -dW "$1" | grep -q '\[libc\.so\.6\]' || echo "not even libc"
}

no_tls() {
        readelf -lW "$1" | grep -w TLS
        nm -D "$1" | grep -w __tls_get_addr
        true
}

# The newest version comes last in a version sort: is that 2.28?
no_newer_symbols() {
        objdump -T "$1" | grep -o 'GLIBC_[0-9.]*' | sort -u | while read -r version; do
                [ "$(printf '%s\n' "$version" GLIBC_2.28 | sort -V | tail -n 1)" = GLIBC_2.28 ] ||
                        objdump -T "$1" | grep -w "$version"
        done
}

soname_is() {
        readelf -dW "$1" | grep -q "(SONAME).*\[$2\]" || readelf -dW "$1" | grep SONAME
}

has_flag() {
        readelf -dW "$1" | grep -q "FLAGS.*\b$2\b" || echo "no $2"
}

no_writable_code() {
        readelf -dW "$1" | grep TEXTREL
        readelf -lW "$1" | awk '$1 == "GNU_STACK" && $7 ~ /E/'
        readelf -lW "$1" | awk '$1 == "LOAD" && /RWE/'
        true
}

no_search_path() {
        readelf -dW "$1" | grep -e RPATH -e RUNPATH
        true
}

# Nothing that allocates, locks, prints, reads the environment, ends the process or touches signals.
calls_nothing_forbidden() {
        nm -D --undefined-only "$1" | awk '{ print $2 }' | sed 's/@.*//' |
                grep -x -e '.*alloc' -e free -e '.*printf.*' -e puts -e fopen -e '.*getenv' -e 'pthread_.*' \
                        -e abort -e exit -e _exit -e __assert_fail -e raise -e 'sig.*' -e '.*syslog.*' \
                        -e __cxa_atexit -e atexit -e socket -e connect -e open -e openat -e 'str.*cpy' -e 'dlopen'
        true
}

# As it is installed: without symbols for debuggers.
is_small() {
        local stripped size
        stripped=$(mktemp) || return
        objcopy --strip-all "$1" "$stripped"
        size=$(stat -c %s "$stripped")
        rm -f "$stripped"
        [ "$size" -le "$2" ] || echo "$size bytes, more than $2"
}

check "module: exports exactly what its version script lists" exports_are_listed "$module" "$module_sym"
check "module: every export begins with _nss_k8shsvc_" names_begin_with "$module" _nss_k8shsvc_
check "module: the six functions of hosts lookups, and no getcanonname_r" has_hosts_functions "$module"
check "module: needs libc.so.6 and nothing else" needs_only_libc "$module"
check "module: no thread-local storage" no_tls "$module"
check "module: no symbol newer than GLIBC_2.28" no_newer_symbols "$module"
check "module: SONAME libnss_k8shsvc.so.2" soname_is "$module" libnss_k8shsvc.so.2
check "module: is never unloaded (NODELETE)" has_flag "$module" NODELETE
check "module: is bound at load (NOW)" has_flag "$module" NOW
check "module: no code can be written, no data executed" no_writable_code "$module"
check "module: no RPATH or RUNPATH" no_search_path "$module"
check "module: does not allocate, lock, print, exit, read the environment" calls_nothing_forbidden "$module"
[ "$max_bytes" -eq 0 ] || check "module: at most $max_bytes bytes" is_small "$module" "$max_bytes"
check "library: exports exactly what its version script lists" exports_are_listed "$library" "$library_sym"
check "library: every export is called by tests/unit/api/test-exports.c" exports_are_tested "$library_sym"
check "library: every export is described in k8shsvc.h and in a manual page" exports_are_documented "$library_sym"
check "library: every export begins with k8shsvc_" names_begin_with "$library" k8shsvc_
check "library: needs libc.so.6 and nothing else" needs_only_libc "$library"
check "library: no thread-local storage" no_tls "$library"
check "library: no symbol newer than GLIBC_2.28" no_newer_symbols "$library"
check "library: SONAME libk8shsvc.so.0" soname_is "$library" libk8shsvc.so.0
check "library: is never unloaded (NODELETE)" has_flag "$library" NODELETE
check "library: no code can be written, no data executed" no_writable_code "$library"
check "library: no RPATH or RUNPATH" no_search_path "$library"
finish
