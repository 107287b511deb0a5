package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// get asks one of the control plane's servers with a client certificate of ours, and wants a
// certain answer.
func (c ControlPlane) get(ctx context.Context, authority, client, url string, want int) error {
	trust, err := c.trust(authority, client)
	if err != nil {
		return err
	}
	_, err = ask(ctx, trust, url, want)
	return err
}

// trust is how to speak to a server whose certificate is one authority's, as one of its clients.
func (c ControlPlane) trust(authority, client string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.part.Path("pki", client+".crt"), c.part.Path("pki", client+".key"))
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(c.part.Path("pki", authority+".crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}

// ask gets what a server answers, which must be of a certain status.
func ask(ctx context.Context, trust *tls.Config, url string, want int) ([]byte, error) {
	return send(ctx, trust, http.MethodGet, url, nil, want)
}

// send sends a request, with a body in JSON if there is one, and wants an answer of a certain status.
func send(ctx context.Context, trust *tls.Config, method, url string, body []byte, want int) ([]byte, error) {
	transport := &http.Transport{TLSClientConfig: trust, DisableKeepAlives: true} // no proxy: the servers are on this machine
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", "orbit-testbed")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := (&http.Client{Transport: transport, Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if response.StatusCode != want {
		return nil, fmt.Errorf("%s answers %s: %s", url, response.Status, failures(string(answer)))
	}
	return answer, err
}

// healthy asks a server of this machine that has made its own certificate, for which nobody vouches.
func healthy(ctx context.Context, port int) error {
	_, err := ask(ctx, &tls.Config{InsecureSkipVerify: true}, "https://"+loopback(port)+"/healthz", http.StatusOK)
	return err
}

// failures keeps of a long list of checks those that failed, and leaves any other text as it is.
func failures(answer string) string {
	var failed []string
	for line := range strings.Lines(answer) {
		if strings.HasPrefix(line, "[-]") {
			failed = append(failed, strings.TrimSpace(line))
		}
	}
	if len(failed) == 0 {
		return strings.TrimSpace(answer)
	}
	return strings.Join(failed, ", ")
}
