#!/bin/bash
# What people read: spelling, manual pages, references to other pages.
#
#     text.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/tap.sh"
cd "$1" || exit 1
folders=(README.md .github .ci lib nss cached packaging tests)

# A reader has the repository and nothing else: a page that is named in it is in it.
named_pages_exist() {
        local file page
        grep -rIoE --exclude-dir='corpus-*' '[A-Za-z0-9_:/.-]+\.md\b|design[ ]section' "${folders[@]}" | sort -u |
                while IFS=: read -r file page; do
                        [[ $page == https:* ]] || [ -n "$(find "${folders[@]}" -path "*${page##*../}" -print -quit)" ] ||
                                echo "$file: there is no $page"
                done
}

check "every page that is named is in the repository" named_pages_exist
title="codespell knows every word"
have codespell "$title" && check "$title" codespell "${folders[@]}"
title="mandoc finds nothing in the manual pages"
have mandoc "$title" && check "$title" mandoc -T lint -W warning packaging/man/*
finish
