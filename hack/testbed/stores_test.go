package main

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"
)

// This signature was made by code that a real server accepts.
func TestSignatureIsStable(t *testing.T) {
	request, err := http.NewRequest(http.MethodPut, "http://127.0.0.1:20000/orbit", nil)
	if err != nil {
		t.Fatal(err)
	}
	signS3(request, "user", "secret", "us-east-1", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	const want = "AWS4-HMAC-SHA256 Credential=user/20260102/us-east-1/s3/aws4_request, " +
		"SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=5db5cec9aca95dcadb39ab5fb58a4d2c470e1035737dafe168d6f33f462ac0a5"
	if got := request.Header.Get("Authorization"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMySQLGreeting(t *testing.T) {
	for greeting, ok := range map[string]bool{
		"\x06\x00\x00\x00\x0a9.7.4": true,
		"\x06\x00\x00\x00\xffError": false, // too many connections, host blocked
		"\x06\x00\x00\x00\x0a9":     false, // cut off
		"":                          false,
	} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := l.Accept(); err == nil {
				c.Write([]byte(greeting))
				c.Close()
			}
		}()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := greetsMySQL(ctx, l.Addr().String()); (err == nil) != ok {
			t.Errorf("%q: %v", greeting, err)
		}
		cancel()
		l.Close()
	}
}

func TestMirrorIsTakenFromApt(t *testing.T) {
	const uris = `'https://other.example/repo/dists/stable/InRelease' other 0
'http://mirror.example/debian-security/dists/bookworm-security/InRelease' security 0
'http://mirror.example/debian/dists/bookworm/InRelease' main 0
`
	if got, err := mirrorOf(uris); err != nil || got != "http://mirror.example/debian" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := mirrorOf("'https://other.example/repo/dists/stable/InRelease' other 0\n"); err == nil {
		t.Error("found a mirror where there is none")
	}
}
