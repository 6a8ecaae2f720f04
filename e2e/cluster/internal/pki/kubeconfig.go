package pki

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"

	"storefront.dev/cluster/internal/layout"
)

// writeKubeconfig writes <user>.kubeconfig with everything inside, so that the file works
// wherever it is copied to. The administrator's is the one that the user gets.
func writeKubeconfig(c *layout.Cluster, user string) error {
	encoded := map[string]string{}
	for _, file := range []string{"ca.crt", user + ".crt", user + ".key"} {
		raw, err := os.ReadFile(c.Path("pki", file))
		if err != nil {
			return err
		}
		encoded[file] = base64.StdEncoding.EncodeToString(raw)
	}
	name := "storefront-" + c.Name
	content := fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster: {server: "%[2]s", certificate-authority-data: %[3]s}
users:
- name: %[4]s
  user: {client-certificate-data: %[5]s, client-key-data: %[6]s}
contexts:
- name: %[1]s
  context: {cluster: %[1]s, user: %[4]s}
current-context: %[1]s
`, name, c.APIServer(), encoded["ca.crt"], user, encoded[user+".crt"], encoded[user+".key"])
	path := Kubeconfig(c, user)
	if current, err := os.ReadFile(path); err == nil && bytes.Equal(current, content) {
		return nil
	}
	return layout.WriteFile(path, content, 0o600)
}

// Kubeconfig is the path of a user's kubeconfig.
func Kubeconfig(c *layout.Cluster, user string) string {
	if user == "admin" {
		return c.Kubeconfig()
	}
	return c.Path("pki", user+".kubeconfig")
}
