# bash completion of k8shsvcctl

# What whoever writes the table calls a service must not be run by this shell: `compgen -W` expands its words.
_k8shsvcctl_services() {
        k8shsvcctl list 2>/dev/null | cut -f1 | grep -x '[a-z0-9._-]*'
}

_k8shsvcctl() {
        local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words

        COMPREPLY=()
        if [ "$COMP_CWORD" -eq 1 ]; then
                words='status list show resolve watch add remove explain spread diff doctor version --help'
        elif [ "$previous" = --pid ]; then
                words=$(cd /proc && printf '%s\n' [0-9]*)
        elif [[ $previous = --@(format|exec|wait|count) ]]; then
                return
        elif [[ $current = -* ]]; then
                words=--json
                case $command in
                status) words+=' --ready' ;;
                resolve) words+=' --format' ;;
                watch) words+=' --exec --wait' ;;
                add | remove) words+=' --persist' ;;
                spread) words+=' --count' ;;
                doctor) words+=' --pid' ;;
                esac
        elif [[ $command = @(show|resolve|watch|remove|explain|spread|diff) ]]; then
                words=$(_k8shsvcctl_services)
        fi
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _k8shsvcctl k8shsvcctl
