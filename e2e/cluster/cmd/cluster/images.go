package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"storefront.dev/cluster/internal/components"
	"storefront.dev/cluster/internal/hold"
	"storefront.dev/cluster/internal/layout"
)

// image is a line of the index that e2e/images/build.sh writes. The reference ends in a
// hash of the image's inputs, so a reference that containerd knows need not be loaded again.
type image struct{ name, reference, archive string }

func index() ([]image, error) {
	path := filepath.Join(layout.CacheRoot(), "images", "index.tsv")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("no images are built yet (e2e/images/build.sh does it): %w", err)
	}
	var all []image
	for line := range strings.Lines(string(raw)) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: a line is not `name<TAB>reference<TAB>archive`: %q", path, line)
		}
		all = append(all, image{fields[0], fields[1], fields[2]})
	}
	return all, nil
}

func clusterImages() (components.Images, error) {
	all, err := index()
	if err != nil {
		return components.Images{}, err
	}
	references := map[string]string{}
	for _, image := range all {
		references[image.name] = image.reference
	}
	for _, needed := range []string{"pause", "coredns"} {
		if references[needed] == "" {
			return components.Images{}, fmt.Errorf("the image %s is not built: run e2e/images/build.sh %s", needed, needed)
		}
	}
	return components.Images{Pause: references["pause"], CoreDNS: references["coredns"]}, nil
}

// loadImages is `cluster load-image`.
func loadImages(o options) error {
	c, err := load(o.name)
	if err != nil {
		return err
	}
	for _, archive := range o.args {
		if err := importArchive(c.Node(1), archive); err != nil {
			return err
		}
	}
	if len(o.args) > 0 {
		return nil
	}
	all, err := index()
	if err != nil {
		return err
	}
	var references []string
	for _, image := range all {
		references = append(references, image.reference)
	}
	if err := loadReferences(c, references); err != nil {
		return err
	}
	return tagRelease(c.Node(1), all)
}

// tagRelease gives all images of this state one tag in common: the operator is told one tag
// for everything that it starts.
func tagRelease(n layout.Node, all []image) error {
	raw, err := os.ReadFile(filepath.Join(layout.CacheRoot(), "images", "release"))
	if err != nil {
		return err
	}
	present, err := presentImages(n)
	if err != nil {
		return err
	}
	for _, image := range all {
		repository, _, _ := strings.Cut(image.reference, ":")
		tagged := repository + ":" + strings.TrimSpace(string(raw))
		if present[tagged] {
			continue
		}
		if _, err := ctr(n, "images", "tag", image.reference, tagged); err != nil {
			return err
		}
	}
	return nil
}

// loadReferences imports those of the built images that the node does not have.
func loadReferences(c *layout.Cluster, references []string) error {
	all, err := index()
	if err != nil {
		return err
	}
	node := c.Node(1)
	present, err := presentImages(node)
	if err != nil {
		return err
	}
	for _, reference := range references {
		if present[reference] {
			continue
		}
		for _, image := range all {
			if image.reference != reference {
				continue
			}
			began := time.Now()
			if err := importArchive(node, image.archive); err != nil {
				return err
			}
			fmt.Printf("    loaded %-37s %6.1f s\n", image.name, time.Since(began).Seconds())
		}
	}
	return nil
}

// presentImages waits for containerd, which may have been started this very second.
func presentImages(n layout.Node) (map[string]bool, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		output, err := ctr(n, "images", "ls", "-q")
		if err == nil {
			present := map[string]bool{}
			for _, reference := range strings.Fields(output) {
				present[reference] = true
			}
			return present, nil
		}
		if time.Now().After(deadline) {
			return nil, err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func importArchive(n layout.Node, archive string) error {
	absolute, err := filepath.Abs(archive)
	if err != nil {
		return err
	}
	_, err = ctr(n, "images", "import", absolute)
	return err
}

// ctr runs containerd's own client in the node's view of the file system, where its socket is.
func ctr(n layout.Node, arguments ...string) (string, error) {
	init, alive := hold.Daemon(n).Find()
	if !alive {
		return "", fmt.Errorf("node %s is not running; `cluster up --name %s` brings it back", n, n.Cluster.Name)
	}
	enter := []string{"--target", fmt.Sprint(init.PID), "--mount", "ctr", "--namespace", "k8s.io"}
	command := exec.Command("nsenter", append(enter, arguments...)...)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("ctr %s: %s (%w)", strings.Join(arguments, " "), strings.TrimSpace(stderr.String()), err)
	}
	return stdout.String(), nil
}
