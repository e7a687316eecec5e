// micro-client is a go-micro client as its documentation has it. It knows nothing of Kubernetes:
//
//	micro-client --selector=static
//
// For each line "SERVICE COUNT" on its standard input it makes so many calls, which begin 3 ms after each other and
// do not wait for each other, and prints the addresses that answered, in one line. (Go joins lookups of a name that
// are made at the very same time: all of these would dial one address.)
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"go-micro.dev/v4"
	"go-micro.dev/v4/client"
	"go-micro.dev/v4/registry"
	"go-micro.dev/v4/selector"
	"go-micro.dev/v4/util/cmd"
)

// static does what the plugin selector/static of go-micro v4 does: a service's address is its name, with port 8080.
type static struct {
	selector.Selector
}

func (static) Init(...selector.Option) error { return nil }

func (static) Options() selector.Options { return selector.Options{} }

func (static) Select(service string, _ ...selector.SelectOption) (selector.Next, error) {
	node := &registry.Node{Id: service, Address: service + ":8080"}
	return func() (*registry.Node, error) { return node, nil }, nil
}

func (static) Mark(string, *registry.Node, error) {}

func (static) Reset(string) {}

func (static) Close() error { return nil }

func (static) String() string { return "static" }

func init() {
	cmd.DefaultSelectors["static"] = func(...selector.Option) selector.Selector { return static{} }
}

type Request struct{}

type Answer struct {
	Address string
}

func call(c client.Client, service string) string {
	var answer Answer
	if err := c.Call(context.Background(), c.NewRequest(service, "Pod.Where", &Request{}), &answer); err != nil {
		return "!" + strings.ReplaceAll(err.Error(), " ", "_")
	}
	return answer.Address
}

func main() {
	service := micro.NewService(micro.Name("client"))
	service.Init()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var name string
		var count int
		fmt.Sscan(lines.Text(), &name, &count)
		answers := make([]string, count)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i] = call(service.Client(), name) })
			time.Sleep(3 * time.Millisecond)
		}
		all.Wait()
		fmt.Println(strings.Join(answers, " "))
	}
}
