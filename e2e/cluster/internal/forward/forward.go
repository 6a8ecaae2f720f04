// Package forward makes shops reachable from the machine: each Gateway's Service gets a port on
// 127.0.0.1 and ::1, and connections to it are forwarded to the Service.
package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"storefront.dev/cluster/internal/layout"
)

// GatewayLabel marks the Service of a Gateway's data plane, as the standard says.
const GatewayLabel = "gateway.networking.k8s.io/gateway-name"

// firstPort is where the search for a free port begins, by service port.
var firstPort = map[int32]int{80: 8080, 443: 8443}

const (
	ports          = 200 // how many ports are tried
	maxConnections = 1024
	dialTimeout    = 5 * time.Second
	// A gateway may be replaced under us; a fresh connection is tried again this long.
	dialPatience = 5 * time.Second
)

// Port is one forwarded port, as recorded in ports.json.
type Port struct {
	Namespace string `json:"namespace"`
	Gateway   string `json:"gateway"`
	Port      int32  `json:"port"`
	Host      int    `json:"host"`   // port on 127.0.0.1 and ::1
	Target    string `json:"target"` // cluster IP and port
	Since     string `json:"since"`  // creation of the Service: the oldest is the first shop
}

func (p Port) same(o Port) bool {
	return p.Namespace == o.Namespace && p.Gateway == o.Gateway && p.Port == o.Port
}

// File is where the forwarder records its ports, so that a gateway keeps its URL.
func File(c *layout.Cluster) string { return c.Path("ports.json") }

// Read returns the recorded ports, oldest gateway first.
func Read(path string) []Port {
	var all []Port
	if raw, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(raw, &all)
	}
	slices.SortStableFunc(all, func(a, b Port) int {
		switch {
		case a.Since < b.Since:
			return -1
		case a.Since > b.Since:
			return 1
		}
		return 0
	})
	return all
}

type forwarder struct {
	file      string
	mu        sync.Mutex
	recorded  []Port
	listeners map[string]*listener
	slots     chan struct{}
}

// listener is one port of the loopback addresses.
type listener struct {
	all    []net.Listener
	mu     sync.Mutex
	target string
}

// listen opens a port of 127.0.0.1, and of ::1 where the machine has it: `localhost` means either. A port that
// somebody else has on one of them is taken.
func listen(port int) (*listener, error) {
	first, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	second, err := net.Listen("tcp6", fmt.Sprintf("[::1]:%d", port))
	switch {
	case err == nil:
		return &listener{all: []net.Listener{first, second}}, nil
	case errors.Is(err, syscall.EADDRINUSE):
		first.Close()
		return nil, err
	}
	return &listener{all: []net.Listener{first}}, nil
}

func (l *listener) port() int { return l.all[0].Addr().(*net.TCPAddr).Port }

func (l *listener) Close() {
	for _, open := range l.all {
		open.Close()
	}
}

// Run forwards until the context ends.
func Run(ctx context.Context, client kubernetes.Interface, file string) error {
	f := &forwarder{
		file: file, recorded: Read(file),
		listeners: map[string]*listener{},
		slots:     make(chan struct{}, maxConnections),
	}
	informer := informers.NewSharedInformerFactory(client, 10*time.Minute).Core().V1().Services().Informer()
	update := func(object any) {
		if service, ok := object.(*core.Service); ok {
			f.serve(service)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    update,
		UpdateFunc: func(_, object any) { update(object) },
		DeleteFunc: func(object any) {
			if unknown, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = unknown.Obj
			}
			if service, ok := object.(*core.Service); ok {
				f.forget(service)
			}
		},
	})
	if err != nil {
		return err
	}
	log.Print("watching the Services of Gateways")
	informer.Run(ctx.Done())
	return ctx.Err()
}

func (f *forwarder) serve(service *core.Service) {
	gateway := service.Labels[GatewayLabel]
	ip := service.Spec.ClusterIP
	if gateway == "" || ip == "" || ip == core.ClusterIPNone {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, port := range service.Spec.Ports {
		if _, wanted := firstPort[port.Port]; !wanted || port.Protocol != core.ProtocolTCP {
			continue
		}
		entry := Port{
			Namespace: service.Namespace, Gateway: gateway, Port: port.Port,
			Target: net.JoinHostPort(ip, fmt.Sprint(port.Port)),
			Since:  service.CreationTimestamp.UTC().Format(time.RFC3339),
		}
		if err := f.open(entry); err != nil {
			log.Printf("%s/%s port %d: %v", entry.Namespace, gateway, port.Port, err)
		}
	}
}

// open runs with the lock held.
func (f *forwarder) open(entry Port) error {
	key := fmt.Sprintf("%s/%s:%d", entry.Namespace, entry.Gateway, entry.Port)
	l, known := f.listeners[key]
	if !known {
		var err error
		if l, err = f.listen(entry); err != nil {
			return err
		}
		f.listeners[key] = l
		for _, open := range l.all {
			go f.accept(l, open)
		}
	}
	entry.Host = l.port()
	l.mu.Lock()
	l.target = entry.Target
	l.mu.Unlock()
	if slices.Contains(f.recorded, entry) {
		return nil
	}
	f.recorded = append(slices.DeleteFunc(f.recorded, entry.same), entry)
	log.Printf("127.0.0.1:%d -> %s (%s)", entry.Host, entry.Target, key)
	return f.record()
}

// listen prefers the port that this gateway had before; another's recorded port is left free.
func (f *forwarder) listen(entry Port) (*listener, error) {
	reserved := map[int]bool{}
	for _, other := range f.recorded {
		if !other.same(entry) {
			reserved[other.Host] = true
			continue
		}
		if open, err := listen(other.Host); err == nil {
			return open, nil
		}
	}
	first := firstPort[entry.Port]
	for port := first; port < first+ports; port++ {
		if reserved[port] {
			continue
		}
		if open, err := listen(port); err == nil {
			return open, nil
		}
	}
	return nil, fmt.Errorf("no free port on 127.0.0.1 and ::1 between %d and %d", first, first+ports-1)
}

func (f *forwarder) forget(service *core.Service) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gateway := service.Labels[GatewayLabel]
	for _, port := range service.Spec.Ports {
		key := fmt.Sprintf("%s/%s:%d", service.Namespace, gateway, port.Port)
		if l, known := f.listeners[key]; known {
			l.Close()
			delete(f.listeners, key)
		}
	}
	f.recorded = slices.DeleteFunc(f.recorded, func(p Port) bool {
		return p.Namespace == service.Namespace && p.Gateway == gateway
	})
	if err := f.record(); err != nil {
		log.Printf("record ports: %v", err)
	}
}

func (f *forwarder) record() error {
	raw, err := json.MarshalIndent(f.recorded, "", "  ")
	if err != nil {
		return err
	}
	return layout.WriteFile(f.file, raw, 0o644)
}

func (f *forwarder) accept(l *listener, open net.Listener) {
	for {
		connection, err := open.Accept()
		if err != nil {
			return
		}
		f.slots <- struct{}{}
		go func() {
			defer func() { <-f.slots }()
			l.mu.Lock()
			target := l.target
			l.mu.Unlock()
			pass(connection.(*net.TCPConn), target)
		}()
	}
}

// pass copies both ways and hands on each side's half-close.
func pass(client *net.TCPConn, target string) {
	defer client.Close()
	upstream, err := dial(target)
	if err != nil {
		log.Printf("%s: %v", target, err)
		return
	}
	defer upstream.Close()
	var both sync.WaitGroup
	for _, pair := range [][2]*net.TCPConn{{upstream, client}, {client, upstream}} {
		both.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			_ = pair[0].CloseWrite()
		})
	}
	both.Wait()
}

func dial(target string) (*net.TCPConn, error) {
	deadline := time.Now().Add(dialPatience)
	for {
		connection, err := net.DialTimeout("tcp", target, dialTimeout)
		if err == nil {
			return connection.(*net.TCPConn), nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}
