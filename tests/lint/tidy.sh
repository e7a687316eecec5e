#!/bin/bash
# clang-tidy finds nothing in the sources of module, library and daemon. .clang-tidy says what it looks for.
#
#     tidy.sh SOURCE-DIRECTORY BUILD-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
build=$(readlink -f "$2")
cd "$1" || exit 1

# The build's own commands, without the options of gcc that are an error to clang.
commands=$(mktemp -d) || exit 1
trap 'rm -r "$commands"' EXIT
sed 's/ -fno-reorder-blocks-and-partition//; s/ -ffat-lto-objects//' "$build/compile_commands.json" >"$commands/compile_commands.json" || exit 1

tidy() {
        find lib nss cached -name '*.c' -print0 | xargs -0 -P "$(nproc)" -n 4 \
                clang-tidy -p "$commands" --quiet --extra-arg=-Wno-unknown-warning-option 2>/dev/null
}

title="clang-tidy finds nothing"
have clang-tidy "$title" && check "$title" tidy
finish
