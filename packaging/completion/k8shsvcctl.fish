# fish completion of k8shsvcctl

function __k8shsvcctl_services
    k8shsvcctl list 2>/dev/null | string split -f1 \t
end

function __k8shsvcctl_needs_command
    test (count (commandline -opc)) -eq 1
end

function __k8shsvcctl_is
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

complete -c k8shsvcctl -f
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a status -d 'say how table, daemon and services are'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a list -d 'list the registered services'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a show -d 'show a service with all that is known of its endpoints'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a resolve -d 'print the addresses of a target, a line for each'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a watch -d 'print changes as they happen, or run a command'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a add -d 'register a service with the running daemon'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a remove -d 'take back what add has registered'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a explain -d 'say what getaddrinfo() returns here, and why'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a spread -d 'make real lookups and draw which address came first'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a diff -d 'compare the table with what the sources say now'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a doctor -d 'look for what keeps programs from their answers'
complete -c k8shsvcctl -n __k8shsvcctl_needs_command -a version -d 'print the version'
complete -c k8shsvcctl -n '__k8shsvcctl_is show resolve watch remove explain spread diff' -a '(__k8shsvcctl_services)'
complete -c k8shsvcctl -n 'not __k8shsvcctl_needs_command' -l json -d 'print one JSON value'
complete -c k8shsvcctl -n '__k8shsvcctl_is status' -l ready -d 'fail while a service waits for its first answer'
complete -c k8shsvcctl -n '__k8shsvcctl_is resolve' -l format -x -d 'a line for each endpoint'
complete -c k8shsvcctl -n '__k8shsvcctl_is watch' -l exec -x -d 'run a command after each change'
complete -c k8shsvcctl -n '__k8shsvcctl_is watch' -l wait -x -d 'join changes: MIN[:MAX]'
complete -c k8shsvcctl -n '__k8shsvcctl_is add remove' -l persist -d 'the file below /etc'
complete -c k8shsvcctl -n '__k8shsvcctl_is spread' -l count -x -d 'number of lookups'
complete -c k8shsvcctl -n '__k8shsvcctl_is doctor' -l pid -x -a '(__fish_complete_pids)' -d 'look with the eyes of a process'
