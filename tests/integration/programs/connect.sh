# shellcheck shell=bash
# connect.sh NAME PORT COUNT: a connection by bash's /dev/tcp, COUNT times.

for ((i = 0; i < $3; i++)); do
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        exec 3>&-
done
