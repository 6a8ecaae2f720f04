package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"storefront.dev/cluster/internal/forward"
	"storefront.dev/cluster/internal/hold"
)

// status prints what runs and fails when something does not, so that scripts can ask.
func status(o options) error {
	c, err := load(o.name)
	if err != nil {
		return err
	}
	families := "IPv4 only"
	if c.IPv6 {
		families = "IPv4 and IPv6"
	}
	fmt.Printf("cluster %s  %s  API server %s  kubeconfig %s\n", c.Name, families, c.APIServer(), c.Kubeconfig())
	var problems []string
	say := func(name string, fine bool, detail string) {
		state := "running"
		if !fine {
			state = "DOWN"
			problems = append(problems, name)
		}
		fmt.Printf("  %-24s %-8s %s\n", name, state, detail)
	}
	for _, daemon := range hostDaemons(c) {
		record, alive := daemon.Find()
		say(daemon.Args[0], alive, pid(record.PID))
	}
	node := c.Node(1)
	init, alive := hold.Daemon(node).Find()
	say(node.Name()+" init", alive, pid(init.PID))
	units, err := hold.Ask(node)
	if err != nil {
		say(node.Name()+" components", false, err.Error())
	}
	for _, unit := range units {
		detail := fmt.Sprintf("for %s, restarts %d", time.Since(unit.Since).Round(time.Second), unit.Restarts)
		say(unit.Name, unit.PID > 0, detail)
	}
	if client, err := connect(c); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for _, problem := range unready(ctx, client, node) {
			say("not ready", false, problem)
		}
	}
	for _, port := range forward.Read(forward.File(c)) {
		fmt.Printf("  %-24s %s\n", port.Namespace+"/"+port.Gateway, url(c, port))
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s; `cluster up --name %s` brings it back", strings.Join(problems, ", "), c.Name)
	}
	return nil
}

func pid(number int) string {
	if number == 0 {
		return ""
	}
	return "pid " + strconv.Itoa(number)
}

// killPod is `cluster kill-pod [--namespace ns] [--container name] POD`: what `kill -9`
// does to a process, which kubectl cannot do to an image without a shell.
func killPod(o options) error {
	if len(o.args) != 1 {
		return errors.New("name one pod")
	}
	c, err := load(o.name)
	if err != nil {
		return err
	}
	client, err := connect(c)
	if err != nil {
		return err
	}
	pod, err := client.CoreV1().Pods(o.namespace).Get(context.Background(), o.args[0], meta.GetOptions{})
	if err != nil {
		return err
	}
	for _, container := range pod.Status.ContainerStatuses {
		if o.container != "" && o.container != container.Name {
			continue
		}
		_, id, found := strings.Cut(container.ContainerID, "://")
		if !found || container.State.Running == nil {
			return fmt.Errorf("container %s of %s/%s is not running", container.Name, o.namespace, pod.Name)
		}
		return killContainer(c.Node(1).CgroupRoot(), id)
	}
	return fmt.Errorf("pod %s/%s has no container %q", o.namespace, pod.Name, o.container)
}

// killContainer sends SIGKILL to every process of the container's cgroup, as a crash of
// the whole container would look. The pods of a node are below its own cgroup only.
func killContainer(root, id string) error {
	output, err := exec.Command("find", "/sys/fs/cgroup", "-type", "d", "-path", "*"+root+"/*", "-name", id).Output()
	if err != nil {
		return fmt.Errorf("find the cgroup of container %s: %w", id, err)
	}
	killed := map[int]bool{}
	for _, dir := range strings.Fields(string(output)) {
		raw, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for _, line := range strings.Fields(string(raw)) {
			number, err := strconv.Atoi(line)
			if err != nil || number <= 1 || killed[number] {
				continue
			}
			if err := syscall.Kill(number, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				return err
			}
			killed[number] = true
		}
	}
	if len(killed) == 0 {
		return fmt.Errorf("container %s has no process any more", id)
	}
	return nil
}
