#!/bin/bash
# Data moves one way: nss -> lib, cached -> lib, never sideways or back. Read from the includes.
#
#     layers.sh SOURCE-DIRECTORY

# shellcheck disable=SC2317 # the checks are called by their names
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tap.sh
. "$here/tap.sh"
export LC_ALL=C

cd "$1" || exit 1

# The headers of libc and of the kernel that lib/ and nss/ may include.
libc_headers='(linux|sys|netinet|arpa|asm|bits)/[a-z0-9_/.-]+\.h|(assert|ctype|endian|errno|fcntl|inttypes|limits'
libc_headers+='|netdb|nss|poll|resolv|sched|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string'
libc_headers+='|strings|syscall|time|unistd)\.h'

sources() {
        find "$1" -name '*.[ch]' | sort
}

# FILE:LINE:HEADER of each include with quotes.
quoted_includes() {
        sources "$1" | xargs grep -nHoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' |
                sed -E 's/#[[:space:]]*include[[:space:]]+"([^"]+)"/\1/; s/[[:space:]]//g'
}

# Headers with quotes come from one of the given folders, and are named without a path.
includes_only_from() {
        local folder=$1 file line header found place
        shift
        while IFS=: read -r file line header; do
                found=
                for place in "$@"; do
                        [ -e "$place/$header" ] && found=yes
                done
                case $header in
                */*) found= ;;
                esac
                [ -n "$found" ] || echo "$file:$line: \"$header\" is not of: $*"
        done < <(quoted_includes "$folder")
}

includes_only_libc() {
        sources "$1" | xargs grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]+<' |
                grep -vE "<($libc_headers)>"
        true
}

# A stage of lib/ must not know its users.
no_word() {
        local folder=$1 pattern=$2
        sources "$folder" | xargs grep -nHE "$pattern"
        true
}

has_sources() {
        [ "$(sources "$1" | wc -l)" -gt 0 ] || echo "no source file in $1: this test looks at nothing"
}

public_header_alone() {
        local directory
        directory=$(mktemp -d) || return
        echo '#include "k8shsvc.h"' | tee "$directory/t.c" "$directory/t.cc" >/dev/null
        cc -std=c99 -Wall -Wextra -pedantic -Werror -Ilib -fsyntax-only "$directory/t.c"
        # clang comes without the headers of C++, and needs none here.
        if command -v g++ >/dev/null; then
                g++ -Wall -Wextra -pedantic -Werror -Ilib -fsyntax-only "$directory/t.cc"
        else
                clang++ -nostdinc++ -Wall -Wextra -pedantic -Werror -Ilib -fsyntax-only "$directory/t.cc"
        fi
        rm -r "$directory"
}

for folder in lib nss cached; do
        check "$folder/: there are sources to look at" has_sources "$folder"
done
check "lib/ includes its own headers" includes_only_from lib lib
check "lib/ includes nothing but libc otherwise" includes_only_libc lib
check "nss/ includes its own headers and those of lib/" includes_only_from nss nss lib
check "nss/ includes nothing but libc otherwise" includes_only_libc nss
check "cached/ includes its own headers and those of lib/" includes_only_from cached cached lib
check "lib/ reads no environment variable" no_word lib '\b(secure_)?getenv\b'
check "nss/ reads no environment variable" no_word nss '\b(secure_)?getenv\b'
check "nss/ allocates nothing" no_word nss '\b(malloc|calloc|realloc|strdup|asprintf|alloca)[[:space:]]*\('
check "lib/ has no thread-local variable" no_word lib '\b(__thread|_Thread_local|thread_local)\b'
check "nss/ has no thread-local variable" no_word nss '\b(__thread|_Thread_local|thread_local)\b'
check "the public header compiles alone, as C99 and as C++" public_header_alone
finish
