package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"storefront.dev/cluster/internal/components"
	"storefront.dev/cluster/internal/forward"
	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
)

func connect(c *layout.Cluster) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	config.UserAgent = "storefront-cluster"
	return kubernetes.NewForConfig(config)
}

// kubectl runs our own build of it, with input on its standard input. What it remembers of
// the API goes with the cluster; by itself it would write below ~/.kube.
func kubectl(c *layout.Cluster, input string, arguments ...string) error {
	binary, err := components.Binary()
	if err != nil {
		return err
	}
	command := exec.Command(binary, append([]string{"kubectl", "--kubeconfig=" + c.Kubeconfig(), "--cache-dir=" + c.Path("kubectl")}, arguments...)...)
	command.Stdin = strings.NewReader(input)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("kubectl %s: %s (%w)", strings.Join(arguments, " "), strings.TrimSpace(string(output)), err)
	}
	return nil
}

// unready names what the cluster itself still waits for.
func unready(ctx context.Context, client kubernetes.Interface, n layout.Node) []string {
	problems := append(flapping(n), stale(ctx, client, n)...)
	node, err := client.CoreV1().Nodes().Get(ctx, n.Name(), meta.GetOptions{})
	switch {
	case err != nil:
		problems = append(problems, err.Error())
	case !nodeReady(node):
		problems = append(problems, "node "+n.Name()+" is not ready")
	}
	dns, err := client.AppsV1().Deployments("kube-system").Get(ctx, "coredns", meta.GetOptions{})
	switch {
	case err != nil:
		problems = append(problems, err.Error())
	case dns.Status.AvailableReplicas == 0 || dns.Status.ObservedGeneration < dns.Generation:
		problems = append(problems, "CoreDNS is not available")
	}
	return problems
}

// flapping names components that do not run, or came back only a moment ago.
func flapping(n layout.Node) []string {
	units, err := hold.Ask(n)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	for _, unit := range units {
		if unit.PID == 0 || (unit.Restarts > 0 && time.Since(unit.Since) < 3*time.Second) {
			problems = append(problems, unit.Name+" does not stay up, see "+n.Cluster.Log(unit.Name))
		}
	}
	return problems
}

// stale counts containers that the API server still shows as they were before the node's
// init started: after a crash or a reboot the kubelet needs some seconds to start them anew,
// and until then every status is outdated.
func stale(ctx context.Context, client kubernetes.Interface, n layout.Node) []string {
	record, err := os.Stat(hold.Daemon(n).PIDFile)
	if err != nil {
		return []string{err.Error()}
	}
	booted := record.ModTime().Truncate(time.Second)
	pods, err := client.CoreV1().Pods("").List(ctx, meta.ListOptions{FieldSelector: "spec.nodeName=" + n.Name()})
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	for _, pod := range pods.Items {
		// One that was evicted, or that ended, is not started anew.
		if pod.Status.Phase == core.PodFailed || pod.Status.Phase == core.PodSucceeded {
			continue
		}
		if slices.ContainsFunc(pod.Status.ContainerStatuses, func(c core.ContainerStatus) bool {
			return past(pod.Spec.RestartPolicy, c, booted)
		}) {
			problems = append(problems, pod.Namespace+"/"+pod.Name+" has not been started anew")
		}
	}
	return problems
}

// past reports whether a container still has to be started for the first time since the node's
// init was. Until the kubelet looks it is shown as running; then as ended, and then as being
// made. One that ended for good, or that cannot be started, is nothing to wait for.
func past(policy core.RestartPolicy, c core.ContainerStatus, booted time.Time) bool {
	before := func(started meta.Time) bool { return started.Time.Before(booted) }
	if running := c.State.Running; running != nil {
		return before(running.StartedAt)
	}
	if policy != core.RestartPolicyAlways {
		return false
	}
	if ended := c.State.Terminated; ended != nil {
		return before(ended.StartedAt)
	}
	last, waiting := c.LastTerminationState.Terminated, c.State.Waiting
	return last != nil && before(last.StartedAt) && waiting != nil && waiting.Reason == "ContainerCreating"
}

func nodeReady(node *core.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == core.NodeReady {
			return condition.Status == core.ConditionTrue
		}
	}
	return false
}

// printURL is `cluster url`.
func printURL(o options) error {
	c, err := load(o.name)
	if err != nil {
		return err
	}
	for _, port := range forward.Read(forward.File(c)) {
		if (o.gateway == "" || o.gateway == port.Gateway) && (o.namespace == "" || o.namespace == port.Namespace) {
			fmt.Println(url(c, port))
			return nil
		}
	}
	return fmt.Errorf("cluster %q has no gateway yet; watch it come: kubectl --kubeconfig %s get gateways -A", o.name, c.Kubeconfig())
}

// url is by address where the Gateway accepts any host, because not every program resolves names below localhost.
// Elsewhere the host name of the Gateway's listener is needed; browsers and curl send such names to 127.0.0.1.
func url(c *layout.Cluster, port forward.Port) string {
	host := "127.0.0.1"
	if name := listenerHost(c, port); name != "" && !strings.HasPrefix(name, "*") {
		host = name
	}
	if port.Port == 443 {
		return fmt.Sprintf("https://%s:%d/", host, port.Host)
	}
	return fmt.Sprintf("http://%s:%d/", host, port.Host)
}

// listenerHost is the name of the first listener on the port, or nothing when one of them accepts any.
func listenerHost(c *layout.Cluster, port forward.Port) string {
	client, err := connect(c)
	if err != nil {
		return ""
	}
	path := fmt.Sprintf("/apis/gateway.networking.k8s.io/v1/namespaces/%s/gateways/%s", port.Namespace, port.Gateway)
	raw, err := client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(context.Background())
	if err != nil {
		return ""
	}
	var gateway struct {
		Spec struct {
			Listeners []struct {
				Port     int32
				Hostname string
			}
		}
	}
	if err := json.Unmarshal(raw, &gateway); err != nil {
		fmt.Fprintf(os.Stderr, "read gateway %s/%s: %v\n", port.Namespace, port.Gateway, err)
	}
	host := ""
	for _, listener := range gateway.Spec.Listeners {
		if listener.Port != port.Port {
			continue
		}
		if listener.Hostname == "" {
			return ""
		}
		if host == "" {
			host = listener.Hostname
		}
	}
	return host
}
