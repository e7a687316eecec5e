// pods is what runs in the tests' pods: on each of their addresses a go-micro service, "Pod.Where" on port 8080,
// and a gRPC service, "/test.Pod/Where" on port 9090. Both answer with the pod's address.
//
// It reads lines from its standard input, "up ADDRESS" and "down ADDRESS", and says "ok" when that is done. A pod
// that goes down closes its connections.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strings"
	"time"

	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/server"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Pod is the handler of both services.
type Pod struct {
	address string
}

type Request struct{}

type Answer struct {
	Address string
}

// Where is go-micro's. It takes so long that calls which begin one after the other need a connection each.
func (p *Pod) Where(_ context.Context, _ *Request, answer *Answer) error {
	time.Sleep(300 * time.Millisecond)
	answer.Address = p.address
	return nil
}

func where(service any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	if err := decode(&emptypb.Empty{}); err != nil {
		return nil, err
	}
	return wrapperspb.String(service.(*Pod).address), nil
}

var description = grpc.ServiceDesc{
	ServiceName: "test.Pod",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: "Where", Handler: where}},
}

type running struct {
	micro server.Server
	grpc  *grpc.Server
}

func up(address string) (running, error) {
	pod := &Pod{address}
	micro := server.NewServer(server.Name("pod"), server.Address(net.JoinHostPort(address, "8080")),
		server.Registry(registry.NewMemoryRegistry()))
	if err := micro.Handle(micro.NewHandler(pod)); err != nil {
		return running{}, err
	}
	if err := micro.Start(); err != nil {
		return running{}, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "9090"))
	if err != nil {
		return running{}, err
	}
	server := grpc.NewServer()
	server.RegisterService(&description, pod)
	go server.Serve(listener)
	return running{micro, server}, nil
}

func main() {
	pods := map[string]running{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		command, address, _ := strings.Cut(lines.Text(), " ")
		switch command {
		case "up":
			pod, err := up(address)
			if err != nil {
				log.Fatal(err)
			}
			pods[address] = pod
		case "down":
			pods[address].grpc.Stop()
			if err := pods[address].micro.Stop(); err != nil {
				log.Fatal(err)
			}
			delete(pods, address)
		}
		fmt.Println("ok")
	}
}
