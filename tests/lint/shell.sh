#!/bin/bash
# The shell scripts are what shellcheck likes; .shellcheckrc says where it errs.
#
#     shell.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
cd "$1" || exit 1

mapfile -t scripts < <(find .ci packaging tests -type f ! -path '*/corpus-*' \
        -exec awk 'FNR == 1 && (/^#!.*sh$/ || FILENAME ~ /\.sh$/) { print FILENAME }' {} +)

title="shellcheck finds nothing"
have shellcheck "$title" && check "$title" shellcheck "${scripts[@]}"
finish
