#!/bin/bash
# packaging/nsswitch, which edits the hosts line wherever k8shsvc is installed: every kind of line, and every file that it
# must leave alone.
#
#     test-nsswitch.sh SOURCE-DIRECTORY

here=$(dirname "$(readlink -f "$0")")
. "$here/../lint/tap.sh"
script=$(readlink -f "$1")/packaging/nsswitch
root=$(mktemp -d) || exit 1
trap 'rm -rf "$root"' EXIT
conf=$root/etc/nsswitch.conf

# BEFORE|AFTER of `add`: Debian, Ubuntu, Fedora, Arch, openSUSE, and what people write.
added() {
        cat <<'ROWS'
hosts: files dns|hosts: files k8shsvc dns
hosts:          files dns|hosts:          files k8shsvc dns
hosts:          files mdns4_minimal [NOTFOUND=return] dns|hosts:          files k8shsvc mdns4_minimal [NOTFOUND=return] dns
hosts:          files mdns4_minimal [NOTFOUND=return] dns mymachines|hosts:          files k8shsvc mdns4_minimal [NOTFOUND=return] dns mymachines
hosts:          files myhostname resolve [!UNAVAIL=return] dns|hosts:          files k8shsvc myhostname resolve [!UNAVAIL=return] dns
hosts:      files dns myhostname|hosts:      files k8shsvc dns myhostname
hosts: mymachines resolve [!UNAVAIL=return] files myhostname dns|hosts: mymachines k8shsvc resolve [!UNAVAIL=return] files myhostname dns
hosts: resolve[!UNAVAIL=return] files dns|hosts: k8shsvc resolve[!UNAVAIL=return] files dns
hosts: db files nis dns|hosts: db files k8shsvc nis dns
hosts: dns files|hosts: k8shsvc dns files
hosts: dns|hosts: k8shsvc dns
hosts: files|hosts: files k8shsvc
hosts: files [SUCCESS=return] dns|hosts: files [SUCCESS=return] k8shsvc dns
hosts: files [NOTFOUND=continue] dns|hosts: files [NOTFOUND=continue] k8shsvc dns
hosts: myhostname [NOTFOUND=return] files dns|hosts: k8shsvc myhostname [NOTFOUND=return] files dns
hosts: nis [TRYAGAIN=continue] mdns4 dns|hosts: nis [TRYAGAIN=continue] k8shsvc mdns4 dns
hosts:files dns|hosts:files k8shsvc dns
 hosts:	files	dns| hosts:	files k8shsvc	dns
hosts: files dns # no mdns|hosts: files k8shsvc dns # no mdns
hosts: files dns # k8shsvc|hosts: files k8shsvc dns # k8shsvc
hosts: k8shsvc files dns|hosts: k8shsvc files dns
hosts: files dns k8shsvc [NOTFOUND=return]|hosts: files dns k8shsvc [NOTFOUND=return]
hosts: files k8shsvc2 dns|hosts: files k8shsvc k8shsvc2 dns
ROWS
}

# BEFORE|AFTER of `remove`
removed() {
        cat <<'ROWS'
hosts:          files k8shsvc dns|hosts:          files dns
hosts: files k8shsvc  dns|hosts: files  dns
hosts:   k8shsvc files dns|hosts:   files dns
hosts: files k8shsvc [NOTFOUND=return] dns|hosts: files dns
hosts: k8shsvc[NOTFOUND=return] files dns|hosts: files dns
hosts: files k8shsvc|hosts: files
hosts: k8shsvc files k8shsvc dns # k8shsvc|hosts: files dns # k8shsvc
hosts: k8shsvc k8shsvc dns|hosts: dns
hosts: files dns|hosts: files dns
hosts: files k8shsvc2 dns|hosts: files k8shsvc2 dns
hosts: files k8shsvc [NOTFOUND=return]dns|hosts: files dns
hosts: files [NOTFOUND=continue]dns|hosts: files [NOTFOUND=continue]dns
ROWS
}

# Lines that no rule fits
unknown() {
        cat <<'ROWS'
hosts:
hosts: compat
hosts: files [NOTFOUND=return] dns
hosts: files [!UNAVAIL=return] dns
hosts: files [SUCCESS=merge] dns
hosts: files [NOTFOUND=return dns
hosts: [NOTFOUND=return] files dns
passwd: files
#hosts: files dns
hosts : files dns
ROWS
}

empty_root() {
        find "$root" -mindepth 1 -delete
        mkdir "$root/etc"
}

# nsswitch_is LINE: with something before it and after it
nsswitch_is() {
        empty_root && printf '# top\npasswd: files\n\n%s\nnetworks: files\n\n' "$1" >"$conf"
}

is_line() {
        local found
        found=$(printf '# top\npasswd: files\n\n%s\nnetworks: files\n\n.' "$1")
        [ "$(cat "$conf" && echo .)" = "$found" ] || diff <(printf '%s' "${found%.}") "$conf"
}

# turns COMMAND BEFORE AFTER: with the shells that systems have as sh; the second time changes and says nothing
turns() {
        local shell said
        for shell in dash bash; do
                command -v "$shell" >/dev/null || continue
                nsswitch_is "$2"
                said=$("$shell" "$script" "$1" "$root") || echo "status $?"
                [ "$2" = "$3" ] || [ -n "$said" ] || echo "not a word"
                is_line "$3"
                "$shell" "$script" "$1" "$root" || echo "status $?"
                is_line "$3"
        done
}

# What `add` has put in, `remove` takes out again, and nothing else.
comes_back() {
        nsswitch_is "$1"
        sh "$script" add "$root" >/dev/null
        sh "$script" remove "$root" >/dev/null
        is_line "$1"
}

# complains COMMAND: one line on stderr that says what to do, status 0, the file as it was
complains() {
        local before after said
        before=$(stat -c '%i %Y' "$conf" 2>&1)
        said=$(sh "$script" "$1" "$root" 2>&1 >/dev/null) || echo "status $?"
        after=$(stat -c '%i %Y' "$conf" 2>&1)
        [ "$before" = "$after" ] || echo "the file has changed"
        [ "$(wc -l <<<"$said")" -eq 1 ] && [[ $said == *"stays as it is: "*"hosts line by hand"* ]] || echo "said: $said"
        compgen -G "$root/etc/*k8shsvc-new"
        true
}

leaves_unknown() {
        nsswitch_is "$1"
        complains add
        is_line "$1"
}

leaves_what_would_be_empty() {
        nsswitch_is "$1"
        complains remove
        is_line "$1"
}

keeps_the_end() {
        empty_root && printf 'hosts: files dns' >"$conf"
        sh "$script" add "$root" >/dev/null
        [ "$(cat "$conf" && echo .)" = "hosts: files k8shsvc dns." ] || cat -A "$conf"
        sh "$script" remove "$root" >/dev/null
        [ "$(cat "$conf" && echo .)" = "hosts: files dns." ] || cat -A "$conf"
}

leaves_two_lines() {
        nsswitch_is $'hosts: files dns\nhosts: files'
        complains add
}

leaves_missing() {
        empty_root
        complains add
        [ ! -e "$conf" ] || echo "it was made"
        sh "$script" remove "$root"
}

leaves_circle() {
        empty_root && ln -s nsswitch.conf "$conf"
        complains add
}

in_namespace() {
        unshare --mount true 2>/dev/null
}

leaves_read_only() {
        nsswitch_is "hosts: files dns"
        export -f complains
        export root conf script
        # shellcheck disable=SC2016 # the inner shell expands them
        unshare --mount bash -c 'mount --bind "$root" "$root" && mount -o remount,ro,bind "$root" && complains add'
        # shellcheck disable=SC2016
        unshare --mount bash -c 'mount --bind "$conf" "$conf" && complains add'
        is_line "hosts: files dns"
}

leaves_diverted() {
        nsswitch_is "hosts: files dns"
        mkdir -p "$root/var/lib/dpkg/info"
        touch "$root/var/lib/dpkg/status"
        dpkg-divert --quiet --root "$root" --local --no-rename --divert /etc/nsswitch.conf.site --add /etc/nsswitch.conf
        complains add
}

keeps_the_rest() {
        nsswitch_is "hosts: files dns"
        mv "$conf" "$root/etc/site.conf" && chmod 640 "$root/etc/site.conf" && ln -s /etc/site.conf "$conf"
        sh "$script" add "$root" >/dev/null
        [ "$(readlink "$conf")" = /etc/site.conf ] || echo "the link is gone"
        [ "$(stat -c %a "$root/etc/site.conf")" = 640 ] || echo "another mode"
        grep -qx "hosts: files k8shsvc dns" "$root/etc/site.conf" || cat "$root/etc/site.conf"
        [ "$(ls "$root/etc")" = $'nsswitch.conf\nsite.conf' ] || ls "$root/etc"
}

# Links of a root are to be read in it; those of directories, which the shell follows, must not lead out of it.
stays_inside() {
        local outside=$root.outside link
        for link in "$outside" ../"${outside##*/}"; do
                empty_root && mkdir -p "$outside" && printf 'hosts: files dns\n' >"$outside/nsswitch.conf"
                rmdir "$root"/etc && ln -s "$link" "$root/etc"
                [[ $(sh "$script" add "$root" 2>&1) == *"leads out of"* ]] || echo "not a word"
                grep -qx "hosts: files dns" "$outside/nsswitch.conf" || echo "it was changed"
        done
        rm -r "$outside"
}

# Nobody writes to it, so that who reads it waits.
leaves_fifo() {
        empty_root && mkfifo "$conf"
        complains add
        timeout 10 sh "$script" remove "$root" || echo "it waits"
}

leaves_the_links_target() {
        nsswitch_is "hosts: files dns"
        echo mine >"$root/etc/mine" && ln -s mine "$conf.k8shsvc-new"
        sh "$script" add "$root" >/dev/null
        is_line "hosts: files k8shsvc dns"
        [ ! -L "$conf" ] && grep -qx mine "$root/etc/mine" || echo "it was overwritten"
}

# ---- authselect: a stand-in that makes nsswitch.conf of a profile and of user-nsswitch.conf ----

# authselect_is PROFILE: `user` takes the hosts line from user-nsswitch.conf, `own` has its own
authselect_is() {
        empty_root && mkdir "$root/etc/authselect" "$root/bin"
        printf 'hosts: files myhostname resolve [!UNAVAIL=return] dns\n' >"$root/etc/authselect/user-nsswitch.conf"
        cat >"$root/bin/authselect" <<-END
		#!/bin/sh
		case \$1 in
		check) exit ${2-0} ;;
		apply-changes)
		        [ $1 = own ] && echo "hosts: files dns" >/etc/authselect/nsswitch.conf && exit
		        cp /etc/authselect/user-nsswitch.conf /etc/authselect/nsswitch.conf ;;
		esac
	END
        chmod 755 "$root/bin/authselect"
        cp "$root/etc/authselect/user-nsswitch.conf" "$root/etc/authselect/nsswitch.conf"
        [ "$1" != own ] || echo "hosts: files dns" >"$root/etc/authselect/nsswitch.conf"
        ln -s /etc/authselect/nsswitch.conf "$conf"
}

run_with_authselect() {
        # shellcheck disable=SC2016 # the inner shell expands them
        unshare --mount bash -c 'mount --bind "$1/etc" /etc && PATH=$1/bin:$PATH && sh "$2" "$3"' - "$root" "$script" "$1"
}

file_is() {
        [ "$(cat "$root/etc/authselect/$1")" = "$2" ] || cat "$root/etc/authselect/$1"
}

edits_user_conf() {
        authselect_is user
        run_with_authselect add >/dev/null
        file_is user-nsswitch.conf "hosts: files k8shsvc myhostname resolve [!UNAVAIL=return] dns"
        file_is nsswitch.conf "hosts: files k8shsvc myhostname resolve [!UNAVAIL=return] dns"
        run_with_authselect add
        run_with_authselect remove >/dev/null
        file_is nsswitch.conf "hosts: files myhostname resolve [!UNAVAIL=return] dns"
}

leaves_profile() {
        authselect_is own
        [[ $(run_with_authselect add 2>&1) == *"create-profile"*"by hand"* ]] || echo "not a word"
        file_is user-nsswitch.conf "hosts: files myhostname resolve [!UNAVAIL=return] dns"
        file_is nsswitch.conf "hosts: files dns"
        run_with_authselect remove
}

edits_both_files() {
        authselect_is user 1
        run_with_authselect add >/dev/null
        file_is user-nsswitch.conf "hosts: files k8shsvc myhostname resolve [!UNAVAIL=return] dns"
        file_is nsswitch.conf "hosts: files k8shsvc myhostname resolve [!UNAVAIL=return] dns"
}

refuses_misuse() {
        local arguments
        for arguments in "" "put" "add / /"; do
                # shellcheck disable=SC2086 # words
                sh "$script" $arguments 2>/dev/null
                [ $? -eq 2 ] || echo "not refused: $arguments"
        done
}

while IFS='|' read -r before after; do
        check "add: $before" turns add "$before" "$after"
        [[ $before == *k8shsvc* ]] || check "add and remove: $before" comes_back "$before"
done < <(added)
while IFS='|' read -r before after; do
        check "remove: $before" turns remove "$before" "$after"
done < <(removed)
check "add: where no blank follows an action" turns add "hosts: files [NOTFOUND=continue]dns" \
        "hosts: files [NOTFOUND=continue] k8shsvc dns"
check "add: a line that ends in CR LF" turns add $'hosts: files dns\r' $'hosts: files k8shsvc dns\r'
check "remove: a line that ends in CR LF" turns remove $'hosts: files k8shsvc\r' $'hosts: files\r'
check "add and remove: the last line has no end" keeps_the_end
for line in "hosts: k8shsvc" "hosts:k8shsvc [NOTFOUND=return] # all" $'hosts: k8shsvc\r'; do
        check "remove: nothing else would be asked, nothing changes: ${line%$'\r'}" leaves_what_would_be_empty "$line"
done
while read -r line; do
        check "no rule fits, nothing changes: $line" leaves_unknown "$line"
done < <(unknown)
check "two hosts lines: nothing changes" leaves_two_lines
check "no nsswitch.conf: none is made" leaves_missing
check "a link that leads to itself: nothing changes" leaves_circle
check "a link, an owner and a mode stay as they are" keeps_the_rest
check "a link that leads out of the root: nothing changes" stays_inside
check "a FIFO: nobody waits for it" leaves_fifo
check "a link under the name of the new file: what it leads to stays" leaves_the_links_target
check "misuse: status 2" refuses_misuse
have dpkg-divert "a diverted file: nothing changes" && check "a diverted file: nothing changes" leaves_diverted
if in_namespace; then
        check "a read-only file: nothing changes" leaves_read_only
        check "authselect: user-nsswitch.conf is edited and applied" edits_user_conf
        check "authselect with a hosts line of its own: nothing changes" leaves_profile
        check "authselect installed and not in charge: both files are edited" edits_both_files
else
        skip "a read-only file, authselect" "no mount namespace can be made"
fi
finish
