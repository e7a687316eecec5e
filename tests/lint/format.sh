#!/bin/bash
# The C sources are formatted as .clang-format says. Major versions of clang-format disagree: only the one
# that the tree is formatted with, Debian 12's, is asked.
#
#     format.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
cd "$1" || exit 1
wanted=14

formatted() {
        find lib nss cached tests -name '*.[ch]' -exec clang-format --dry-run -Werror {} +
}

title="clang-format changes nothing"
have clang-format "$title" || finish
version=$(clang-format --version | grep -oE 'version [0-9]+')
if [ "$version" = "version $wanted" ]; then
        check "$title" formatted
else
        skip "$title" "clang-format $wanted is needed, this is $version"
fi
finish
