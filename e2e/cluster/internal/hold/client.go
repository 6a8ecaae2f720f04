package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"storefront.dev/cluster/internal/layout"
)

// Apply tells the node's init which components to run; see supervisor.apply.
func Apply(n layout.Node, wanted []Component) ([]Status, error) {
	body, err := json.Marshal(wanted)
	if err != nil {
		return nil, err
	}
	return call(n, http.MethodPut, body)
}

// Ask returns what the node's init runs.
func Ask(n layout.Node) ([]Status, error) { return call(n, http.MethodGet, nil) }

// Await waits until the node's init answers.
func Await(n layout.Node, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for {
		_, err := Ask(n)
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("init of %s does not answer: %w", n, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func call(n layout.Node, method string, body []byte) ([]Status, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", n.Socket())
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	request, err := http.NewRequest(method, "http://init/components", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("init of %s: %s: %s", n, response.Status, answer)
	}
	var statuses []Status
	return statuses, json.Unmarshal(answer, &statuses)
}
