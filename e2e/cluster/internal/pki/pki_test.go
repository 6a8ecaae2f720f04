package pki

import (
	"crypto/x509"
	"os"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"storefront.dev/cluster/internal/layout"
)

func cluster(t *testing.T) *layout.Cluster {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	return &layout.Cluster{Name: "test", Index: 3, Nodes: 1}
}

func TestEveryCertificateIsSignedByTheAuthority(t *testing.T) {
	c := cluster(t)
	if err := Ensure(c); err != nil {
		t.Fatal(err)
	}
	authority, err := loadAuthority(c.Path("pki"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(authority.certificate)
	for _, identity := range Identities(c) {
		der, err := readPEM(c.Path("pki", identity.File+".crt"))
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
		if _, err := certificate.Verify(options); err != nil {
			t.Errorf("%s: %v", identity.User, err)
		}
	}
}

func TestTheKubeconfigNamesTheApiServerAndHoldsItsCertificates(t *testing.T) {
	c := cluster(t)
	if err := Ensure(c); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != c.APIServer() || len(config.CertData) == 0 || len(config.CAData) == 0 {
		t.Fatalf("%+v", config)
	}
}

func TestASecondRunChangesNothingAndALostAuthorityRenewsEverything(t *testing.T) {
	c := cluster(t)
	read := func() string {
		if err := Ensure(c); err != nil {
			t.Fatal(err)
		}
		raw, err := os.ReadFile(c.Path("pki", "apiserver.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	first := read()
	if read() != first {
		t.Fatal("a second run made another certificate")
	}
	if err := os.Remove(c.Path("pki", "ca.key")); err != nil {
		t.Fatal(err)
	}
	if read() == first {
		t.Fatal("a certificate of the lost authority stayed")
	}
}
