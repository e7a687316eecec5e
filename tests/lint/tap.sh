# shellcheck shell=bash
# TAP for shell scripts: `check TITLE COMMAND...` passes when the command finds nothing wrong, that is,
# when it prints nothing and succeeds; what it prints says what is wrong. `have PROGRAM TITLE` skips a check
# whose program is not installed. `finish` ends the script.

n_checks=0
n_failed=0

check() {
        local title=$1 found status
        shift
        n_checks=$((n_checks + 1))
        found=$("$@" 2>&1)
        status=$?
        if [ -z "$found" ] && [ "$status" -eq 0 ]; then
                echo "ok $n_checks - $title"
                return
        fi
        n_failed=$((n_failed + 1))
        echo "not ok $n_checks - $title"
        # On stderr, which meson shows.
        printf '%s\n' "${found:-status $status}" | sed 's/^/# /' >&2
}

skip() {
        n_checks=$((n_checks + 1))
        echo "ok $n_checks - $1 # SKIP $2"
}

have() {
        command -v "$1" >/dev/null && return
        skip "$2" "$1 is not installed"
        return 1
}

finish() {
        echo "1..$n_checks"
        [ "$n_failed" -eq 0 ]
        exit
}
