#!/bin/bash
# Data moves one way: who may include whom, read from the includes. .github/CONTRIBUTING.md says why.
#
#     layers.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
export LC_ALL=C

cd "$1" || exit 1

# What a folder's files, or a single module, may include besides itself: folders or single headers, written from
# the root of lib/ or cached/, headers without their ".h".
table() {
        cat <<'ROWS'
lib/table
lib/read                table
lib/write               table read
lib/answer              table read
lib/k8shsvc
lib/api                 table read answer k8shsvc
nss                     table read answer nss-pack
cached/base             table
cached/config           table base answer
cached/model            table base answer/target
cached/wire             table base answer/target model/finding
cached/source/source    table base answer/target model
cached/source/static    table base answer/target model source/source
cached/source/fallback  table base source/source
cached/source/dns       table base answer/target model wire source/source
cached/source/kube      table base answer/target model wire source/source
cached/publish          table base model read write
cached/view             table base read answer
cached/ctl              table base answer read config view model source wire cluster registration
cached/registration     table base config source model publish
cached/registry         table base config source model publish registration
cached/cluster          table base config source
cached/status           table base read answer view
cached/daemon           table base config source model publish registry cluster status
cached/main             table base config daemon
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

# A file's row is the one that begins with its folder or with its own name.
includes_by_the_table() {
        quoted_includes lib nss cached | awk '
                function is_in(path, place) { return index(path, place "/") == 1 || index(path, place ".") == 1 }
                NR == FNR { rows[$1] = $0; next }
                {
                        row = ""
                        for (place in rows)
                                if (is_in($1, place))
                                        row = rows[place]
                        n = split(row, allowed, " ")
                        sub("^[^/]*/", "", allowed[1])
                        for (i = 1; i <= n; i++)
                                if (is_in($2, allowed[i]))
                                        next
                        print $1 ": \"" $2 "\" is not in its row: " (row ? row : "there is none")
                }' <(table) -
}

# A module is a .c and its .h. tsort says what goes in a circle, and fails.
no_circle() {
        quoted_includes lib nss cached | sed -E 's/^(lib|cached|nss)\///; s/\.[ch] / /; s/\.[ch]$//' | tsort >/dev/null
}

includes_only_libc() {
        sources "$@" | xargs grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]+<' |
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

only_publish_writes() {
        quoted_includes lib nss cached | grep ' write/' | grep -vE '^(lib/write|cached/publish)/'
        true
}

# Nor by way of another header: the compiler names all that it has read.
no_event_loop() {
        cc -M -D_GNU_SOURCE -Ilib -Icached "$@" | grep -oE '[^ ]*systemd/sd-[^ ]*' | sort -u
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

check "every module includes what the table allows" includes_by_the_table
check "no module includes itself by way of others" no_circle
check "lib/ and nss/ include nothing but libc otherwise" includes_only_libc lib nss
check "only cached/publish includes lib/write" only_publish_writes
check "cached/model and cached/wire know no event loop" no_event_loop cached/model/*.c cached/wire/*.c
check "lib/ and nss/ read no environment variable" no_word '\b(secure_)?getenv\b' lib nss
check "lib/ and nss/ have no thread-local variable" no_word '\b(__thread|_Thread_local|thread_local)\b' lib nss
check "the readers allocate nothing" no_word '\b(malloc|calloc|realloc|reallocarray|strn?dup|v?asprintf|alloca)[[:space:]]*\(' \
        lib/table lib/read lib/answer lib/api/[!h]*.c nss
check "the public header compiles alone, as C99 and as C++" public_header_alone
finish
