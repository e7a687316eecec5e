// Watches EndpointSlices as other clients do, and counts what that takes.
//
//	watchers SERVER CA TOKEN NAMESPACE CLIENTS SERVICES
//
// Each client is a program of its own as far as the API server knows, with its own connections: it watches each of
// SERVICES services by the label of its name, as kuberesolver does; with 0 it watches all slices of the cluster, as
// kube-proxy does. Prints a line when all are open; from then on for each line of its standard input one with the
// bytes that have come so far, TLS included.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

const group = "/apis/discovery.k8s.io/v1"

var received atomic.Int64

type countingConn struct{ net.Conn }

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	received.Add(int64(n))
	return n, err
}

func newClient(ca []byte) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return countingConn{conn}, err
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
}

// Returns when the answer has begun; the rest is read and forgotten.
func watch(client *http.Client, server, token, path, accept string, query url.Values) {
	query.Set("watch", "1")
	request, err := http.NewRequest("GET", server+path+"?"+query.Encode(), nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Accept", accept)
	response, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	if response.StatusCode != 200 {
		log.Fatal(response.Status)
	}
	go func() {
		_, err := io.Copy(io.Discard, response.Body)
		log.Fatal("a watch has ended: ", err)
	}()
}

func watchAll(client *http.Client, server, token, namespace string, services int) {
	if services == 0 {
		watch(client, server, token, group+"/endpointslices", "application/vnd.kubernetes.protobuf", url.Values{})
	}
	for i := range services {
		selector := fmt.Sprintf("kubernetes.io/service-name=service-%03d", i)
		watch(client, server, token, group+"/namespaces/"+namespace+"/endpointslices", "application/json",
			url.Values{"labelSelector": {selector}})
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return n
}

func main() {
	if len(os.Args) != 7 {
		log.Fatal("usage: watchers SERVER CA TOKEN NAMESPACE CLIENTS SERVICES")
	}
	ca, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	var open sync.WaitGroup
	for range number(os.Args[5]) {
		open.Go(func() { watchAll(newClient(ca), os.Args[1], os.Args[3], os.Args[4], number(os.Args[6])) })
	}
	open.Wait()
	fmt.Println("open")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(received.Load())
	}
}
