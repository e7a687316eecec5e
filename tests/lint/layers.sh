#!/bin/bash
# Data moves one way: who may include whom, read from the includes. CONTRIBUTING.md explains the table.
#
#     layers.sh SOURCE-DIRECTORY

# shellcheck disable=SC2317 # the checks are called by their names
here=$(dirname "$(readlink -f "$0")")
# shellcheck source=tap.sh
. "$here/tap.sh"
export LC_ALL=C

cd "$1" || exit 1

# What the files of a folder may include besides their own folder: folders or single headers, written from
# the root of lib/ or cached/. The last row that fits counts; subfolders of a row's folder belong to it.
table() {
        cat <<'ROWS'
lib/table
lib/read                table
lib/write               table read
lib/answer              table read
lib/k8shsvc.c           table read answer k8shsvc.h
nss                     table read answer
cached/base             table
cached/config           table base answer
cached/model            table base answer/target.h
cached/wire             table base answer/target.h model/finding.h
cached/source           table base answer/target.h model wire source/source.h
cached/source/fallback.c  base source/source.h
cached/publish          table base model read write
cached/registration.c   table base config source model publish
cached/registration.h   table base config source model publish
cached/registry.c       table base config source model publish registration.h
cached/registry.h       table base config source model publish
cached/main.c           table read write answer base config source model publish daemon.h registry.h
cached/daemon.c         table read write answer base config source model publish daemon.h registry.h
cached/daemon.h         base
ROWS
}

# The headers of libc and of the kernel that lib/ and nss/ may include.
libc_headers='(linux|sys|netinet|arpa|asm|bits)/[a-z0-9_/.-]+\.h|(assert|ctype|endian|errno|fcntl|inttypes|limits'
libc_headers+='|netdb|nss|poll|resolv|sched|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|string'
libc_headers+='|strings|syscall|time|unistd)\.h'

sources() {
        find "$@" -name '*.[ch]' | sort
}

# FILE HEADER of each include with quotes.
quoted_includes() {
        sources "$@" | xargs grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]+"' |
                sed -E 's/^([^:]*):[^"]*"([^"]+)"/\1 \2/'
}

# Which row of the table a file belongs to: the longest that it begins with.
includes_by_the_table() {
        quoted_includes "$1" | awk -v root="$1" '
                NR == FNR { place[NR] = $1; allowed[NR] = " " $0 " "; sub(/^ [^ ]+/, "", allowed[NR]); rows = NR; next }
                {
                        best = 0
                        for (i = 1; i <= rows; i++)
                                if (($1 == place[i] || index($1, place[i] "/") == 1) && length(place[i]) > length(place[best]))
                                        best = i
                        if (!best) { print $1 ": no row of the table is for it"; next }
                        own = $1; sub(/^[^\/]*\//, "", own); sub(/\/?[^\/]*$/, "", own)
                        # a source owns its own folder, not all of source/
                        top = own; if (top !~ /^source\//) sub(/\/.*/, "", top); else { split(top, t, "/"); top = t[1] "/" t[2] }
                        header = $2
                        if (top != "" && top != "source" && (index(header, top "/") == 1)) next
                        own_header = $1; sub(/^[^\/]*\//, "", own_header); sub(/\.c$/, ".h", own_header)
                        if (header == own_header) next
                        if (root == "nss" && header !~ /\//) next
                        n = split(allowed[best], a, " ")
                        for (i = 1; i <= n; i++)
                                if (header == a[i] || (a[i] !~ /\.h$/ && index(header, a[i] "/") == 1)) next
                        print $1 ": \"" header "\" is none of:" allowed[best]
                }' <(table) -
}

# A header is found where it is said to be: from the root of lib/ or cached/, nss/ alone by its name.
includes_from_the_root() {
        local file header
        while read -r file header; do
                [ -e "lib/$header" ] || [ -e "${file%%/*}/$header" ] || echo "$file: no \"$header\" below lib/ or ${file%%/*}/"
        done < <(quoted_includes "$1")
}

# A module is a .c and its .h. tsort prints a circle on stderr and fails.
no_circle() {
        quoted_includes lib nss cached | sed -E 's/^(lib|cached|nss)\///; s/\.[ch] / /; s/\.[ch]$//' |
                tsort 2>&1 >/dev/null
}

includes_only_libc() {
        sources "$1" | xargs grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]+<' |
                grep -vE "<($libc_headers)>"
        true
}

# no_word PATTERN FOLDER...: what a stage must not know or do.
no_word() {
        local pattern=$1
        shift
        sources "$@" | xargs grep -nHE "$pattern"
        true
}

has_sources() {
        [ "$(sources "$1" | wc -l)" -gt 0 ] || echo "no source file in $1: this test looks at nothing"
}

# FOLDER PATTERN-OF-HEADER: nobody else includes it.
only_user() {
        quoted_includes lib nss cached | awk -v folder="$1/" -v header="$2" '$2 ~ header && index($1, folder) != 1 && $1 !~ /^lib\/write\//'
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
        check "$folder/ includes what the table allows" includes_by_the_table "$folder"
        check "$folder/ writes includes from the root" includes_from_the_root "$folder"
done
check "no module includes itself by way of others" no_circle
check "lib/ includes nothing but libc otherwise" includes_only_libc lib
check "nss/ includes nothing but libc otherwise" includes_only_libc nss
check "only cached/publish includes lib/write" only_user cached/publish '^write/'
check "cached/model and cached/wire know no event loop" no_word 'systemd/sd-' cached/model cached/wire
check "lib/ and nss/ read no environment variable" no_word '\b(secure_)?getenv\b' lib nss
check "the readers allocate nothing" no_word '\b(malloc|calloc|realloc|strdup|asprintf|alloca)[[:space:]]*\(' \
        lib/table lib/read lib/answer nss
check "lib/ and nss/ have no thread-local variable" no_word '\b(__thread|_Thread_local|thread_local)\b' lib nss
check "the public header compiles alone, as C99 and as C++" public_header_alone
finish
