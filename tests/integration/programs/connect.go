// connect NAME PORT COUNT: a connection by net.Dial, COUNT times.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
)

func main() {
	count, _ := strconv.Atoi(os.Args[3])
	for i := 0; i < count; i++ {
		connection, err := net.Dial("tcp", net.JoinHostPort(os.Args[1], os.Args[2]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		connection.Close()
	}
}
