package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func contains(data []byte, text string) bool { return bytes.Contains(data, []byte(text)) }

func mustAuthority(t *testing.T, name string) *Authority {
	t.Helper()
	ca, err := newAuthority(name)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func pool(ca *Authority) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Certificate)
	return roots
}

// A server and a client with certificates of one authority speak with each other, and the server
// sees user and groups.
func TestMutualTLS(t *testing.T) {
	ca := mustAuthority(t, "test")
	identity, err := ca.server("server", "localhost", "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	serverPair, err := tls.X509KeyPair(identity.Certificate, identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		subject := r.TLS.PeerCertificates[0].Subject
		io.WriteString(w, subject.CommonName)
		slices.Sort(subject.Organization) // a set in the certificate
		if !slices.Equal(subject.Organization, []string{"developers", "testers"}) {
			t.Errorf("groups: %v", subject.Organization)
		}
	}))
	server.TLS = &tls.Config{
		Certificates: []tls.Certificate{serverPair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool(ca),
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes that fail on purpose
	server.StartTLS()
	defer server.Close()

	get := func(roots *x509.CertPool, by *Authority) (string, error) {
		identity, err := by.client("maria@shop.example", "developers", "testers")
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(identity.Certificate, identity.Key)
		if err != nil {
			t.Fatal(err)
		}
		client := http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		}}
		response, err := client.Get(server.URL)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	if user, err := get(pool(ca), ca); err != nil || user != "maria@shop.example" {
		t.Errorf("user %q, %v", user, err)
	}
	other := mustAuthority(t, "other")
	if _, err := get(pool(ca), other); err == nil {
		t.Error("a client of another authority got in")
	}
	if _, err := get(pool(other), ca); err == nil {
		t.Error("a server of another authority was trusted")
	}
}

func TestAuthoritySurvivesBeingSaved(t *testing.T) {
	dir := t.TempDir()
	ca := mustAuthority(t, "test")
	if err := ca.save(dir, "ca"); err != nil {
		t.Fatal(err)
	}
	loaded, err := loadAuthority(dir, "ca")
	if err != nil {
		t.Fatal(err)
	}
	identity, err := loaded.client("somebody")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(identity.Certificate, identity.Key)
	if err != nil {
		t.Fatal(err)
	}
	options := x509.VerifyOptions{Roots: pool(ca), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := pair.Leaf.Verify(options); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the key's mode is %o", info.Mode().Perm())
	}
}
