// Package pki makes the cluster's certificates and kubeconfigs with Go's own crypto: one
// authority, one key pair per identity, all of them thrown away with the cluster.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"storefront.dev/cluster/internal/layout"
)

const lifetime = 10 * 365 * 24 * time.Hour

// Identity is the subject of a certificate.
type Identity struct {
	File     string // file name without extension
	User     string // common name
	Group    string // organisation; empty for none
	DNS      []string
	IPs      []string
	KubeUser bool // also write <File>.kubeconfig
}

// Identities lists every subject in the cluster that needs a certificate.
func Identities(c *layout.Cluster) []Identity {
	node := c.Node(1)
	return []Identity{
		{File: "apiserver", User: "kube-apiserver", IPs: []string{"127.0.0.1", c.APIServiceIP(), node.IP()}, DNS: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		{File: "admin", User: "admin", Group: "system:masters", KubeUser: true},
		{File: "controller-manager", User: "system:kube-controller-manager", KubeUser: true},
		{File: "scheduler", User: "system:kube-scheduler", KubeUser: true},
		{File: "proxy", User: "system:kube-proxy", KubeUser: true},
		{File: node.Name(), User: "system:node:" + node.Name(), Group: "system:nodes", DNS: []string{node.Name()}, IPs: []string{node.IP()}, KubeUser: true},
		{File: "kubelet-client", User: "kube-apiserver-kubelet-client", Group: "system:masters"},
		{File: "front-proxy", User: "front-proxy-client"},
	}
}

// Ensure writes what is missing below the cluster's pki folder, and the user's kubeconfig.
// Without a whole authority all is made anew, so
// that a crash half-way cannot leave pairs of two authorities.
func Ensure(c *layout.Cluster) error {
	dir := c.Path("pki")
	authority, err := loadAuthority(dir)
	if err != nil {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if authority, err = newAuthority(dir); err != nil {
			return fmt.Errorf("make the cluster's certificate authority: %w", err)
		}
	}
	for _, identity := range Identities(c) {
		if err := authority.ensure(c, identity); err != nil {
			return fmt.Errorf("make the certificate of %s: %w", identity.User, err)
		}
	}
	return ensureServiceAccountKey(dir)
}

type authority struct {
	dir         string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := blank("storefront-cluster-ca", "")
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	if err := writePair(dir, "ca", der, key); err != nil {
		return nil, err
	}
	return loadAuthority(dir)
}

func loadAuthority(dir string) (*authority, error) {
	certificate, err := readPEM(filepath.Join(dir, "ca.crt"))
	if err != nil {
		return nil, err
	}
	keyBytes, err := readPEM(filepath.Join(dir, "ca.key"))
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(keyBytes)
	if err != nil {
		return nil, err
	}
	return &authority{dir: dir, certificate: parsed, key: key}, nil
}

func (a *authority) ensure(c *layout.Cluster, identity Identity) error {
	if !exists(a.dir, identity.File+".crt") {
		if err := a.issue(identity); err != nil {
			return err
		}
	}
	if !identity.KubeUser {
		return nil
	}
	return writeKubeconfig(c, identity.File)
}

func (a *authority) issue(identity Identity) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := blank(identity.User, identity.Group)
	if err != nil {
		return err
	}
	template.DNSNames = identity.DNS
	for _, address := range identity.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(address))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePair(a.dir, identity.File, der, key)
}

func blank(user, group string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	subject := pkix.Name{CommonName: user}
	if group != "" {
		subject.Organization = []string{group}
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Hour), // a clock that steps back must not lock us out
		NotAfter:     time.Now().Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, nil
}

// ensureServiceAccountKey makes the pair that signs the pods' tokens.
func ensureServiceAccountKey(dir string) error {
	if exists(dir, "service-account.pub") {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, "service-account.key"), "EC PRIVATE KEY", private, 0o600); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, "service-account.pub"), "PUBLIC KEY", public, 0o644)
}

// writePair writes the key first: the certificate's presence means that the pair is whole.
func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(filepath.Join(dir, name+".key"), "EC PRIVATE KEY", private, 0o600); err != nil {
		return err
	}
	return writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der, 0o644)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	return layout.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}

func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	return block.Bytes, nil
}

func exists(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}
