// grpc-client is a gRPC client that dials a name:
//
//	grpc-client TARGET [POLICY]
//
// For each number on its standard input it makes so many calls, one after the other over its one channel, and prints
// the addresses that answered, in one line.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func call(channel *grpc.ClientConn) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var answer wrapperspb.StringValue
	if err := channel.Invoke(ctx, "/test.Pod/Where", &emptypb.Empty{}, &answer); err != nil {
		return "!" + status.Code(err).String()
	}
	return answer.Value
}

func main() {
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if len(os.Args) > 2 {
		config := fmt.Sprintf(`{"loadBalancingConfig": [{%q: {}}]}`, os.Args[2])
		options = append(options, grpc.WithDefaultServiceConfig(config))
	}
	channel, err := grpc.NewClient(os.Args[1], options...)
	if err != nil {
		log.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		count, err := strconv.Atoi(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		answers := make([]string, count)
		for i := range answers {
			answers[i] = call(channel)
		}
		fmt.Println(strings.Join(answers, " "))
	}
}
