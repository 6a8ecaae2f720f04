package network

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"storefront.dev/cluster/internal/layout"
)

func lines(all [][]string) []string {
	var lines []string
	for _, arguments := range all {
		lines = append(lines, strings.Join(arguments, " "))
	}
	return lines
}

func TestTheHostReachesPodsAndServicesOfBothFamiliesThroughTheNode(t *testing.T) {
	both := &layout.Cluster{Name: "both", Index: 2, IPv6: true}
	if got, want := lines(routes(both.Node(1))), []string{
		"route replace 10.202.1.0/24 via 10.89.2.11 dev sf2",
		"route replace 10.152.0.0/16 via 10.89.2.11 dev sf2",
		"route replace fd5a:89c4:e117:8201::/64 via fd5a:89c4:e117:102::b dev sf2",
		"route replace fd5a:89c4:e117:202::/112 via fd5a:89c4:e117:102::b dev sf2",
	}; !slices.Equal(got, want) {
		t.Errorf("routes:\n%s", strings.Join(got, "\n"))
	}
	if got, want := lines(node(both.Node(1))), []string{
		"link set lo up",
		"addr replace 10.89.2.11/24 dev eth0",
		"addr replace fd5a:89c4:e117:102::b/64 dev eth0 nodad",
		"link set eth0 up",
		"route replace unreachable default",
		"-6 route replace unreachable default",
	}; !slices.Equal(got, want) {
		t.Errorf("node:\n%s", strings.Join(got, "\n"))
	}
	one := &layout.Cluster{Name: "one", Index: 2}
	for _, line := range slices.Concat(lines(routes(one.Node(1))), lines(node(one.Node(1)))) {
		if strings.Contains(line, "fd5a") || strings.Contains(line, "-6") {
			t.Errorf("without IPv6: %s", line)
		}
	}
}

func TestOneLineSaysWhyAClusterHasNoIPv6AndOneThatNeedsItIsRefusedWithoutIt(t *testing.T) {
	both, one := &layout.Cluster{Name: "both", IPv6: true}, &layout.Cluster{Name: "one"}
	lack := errors.New("IPv6 is disabled")
	if line, err := Families(both, nil); line != "" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := Families(one, lack); line != "IPv4 only: IPv6 is disabled" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := Families(one, nil); !strings.HasPrefix(line, "IPv4 only: ") || strings.Contains(line, "\n") || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	if line, err := Families(both, lack); line != "" || !errors.Is(err, lack) || !strings.Contains(err.Error(), "cluster down --name both") {
		t.Errorf("%q, %v", line, err)
	}
}
