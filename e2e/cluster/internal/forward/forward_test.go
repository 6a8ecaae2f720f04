package forward

import (
	"io"
	"net"
	"testing"
)

func testForwarder(t *testing.T) *forwarder {
	t.Helper()
	f := &forwarder{file: t.TempDir() + "/ports.json", listeners: map[string]*listener{}, slots: make(chan struct{}, maxConnections)}
	t.Cleanup(func() {
		for _, l := range f.listeners {
			l.Close()
		}
	})
	return f
}

// echo answers every connection with what it reads, then ends its own side.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			connection, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(connection, connection); connection.Close() }()
		}
	}()
	return l.Addr().String()
}

// loopbacks are the addresses that `localhost` means on this machine.
func loopbacks() []net.IP {
	all := []net.IP{net.IPv4(127, 0, 0, 1)}
	if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		probe.Close()
		all = append(all, net.IPv6loopback)
	}
	return all
}

func TestBytesGoBothWaysAndAHalfCloseIsHandedOn(t *testing.T) {
	f := testForwarder(t)
	if err := f.open(Port{Namespace: "shops", Gateway: "demo", Port: 80, Target: echo(t)}); err != nil {
		t.Fatal(err)
	}
	recorded := Read(f.file)
	if len(recorded) != 1 || recorded[0].Host < 8080 {
		t.Fatalf("%+v", recorded)
	}
	for _, address := range loopbacks() {
		connection, err := net.DialTCP("tcp", nil, &net.TCPAddr{IP: address, Port: recorded[0].Host})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write([]byte("two coffees")); err != nil {
			t.Fatal(err)
		}
		if err := connection.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(connection)
		if err != nil || string(answer) != "two coffees" {
			t.Fatalf("%s: %q %v", address, answer, err)
		}
	}
}

func TestAPortThatIsTakenOnEitherAddressIsPassedOver(t *testing.T) {
	for _, address := range loopbacks() {
		taken, err := net.Listen("tcp", net.JoinHostPort(address.String(), "0"))
		if err != nil {
			t.Fatal(err)
		}
		if open, err := listen(taken.Addr().(*net.TCPAddr).Port); err == nil {
			open.Close()
			t.Errorf("%s is taken", taken.Addr())
		}
		taken.Close()
	}
}

func TestAGatewayKeepsItsPortAndATakenPortIsPassedOver(t *testing.T) {
	f := testForwarder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:8080")
	if err == nil {
		defer taken.Close()
	}
	a := Port{Namespace: "one", Gateway: "shop", Port: 80, Target: "127.0.0.1:1"}
	b := Port{Namespace: "two", Gateway: "shop", Port: 80, Target: "127.0.0.1:1"}
	for _, port := range []Port{a, b, a} {
		if err := f.open(port); err != nil {
			t.Fatal(err)
		}
	}
	first := Read(f.file)
	if len(first) != 2 || first[0].Host == first[1].Host || first[0].Host == 8080 || first[1].Host == 8080 {
		t.Fatalf("%+v", first)
	}
	for _, l := range f.listeners {
		l.Close()
	}
	// Started anew, in another order: the recorded ports stay with their gateways.
	f.listeners = map[string]*listener{}
	if err := f.open(b); err != nil {
		t.Fatal(err)
	}
	for _, port := range Read(f.file) {
		for _, before := range first {
			if port.same(before) && port.Host != before.Host {
				t.Fatalf("%+v moved to %d", before, port.Host)
			}
		}
	}
}
