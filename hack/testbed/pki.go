package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority is a certificate authority of a testbed's own, made anew at every start.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// Certificate is the authority's certificate in PEM.
	Certificate []byte
}

// Identity is a certificate with its key, both in PEM.
type Identity struct {
	Certificate []byte
	Key         []byte
}

// A testbed lives for days, not years; its certificates may live longer than anyone leaves one running.
const certificateLife = 365 * 24 * time.Hour

// newAuthority makes a certificate authority.
func newAuthority(commonName string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificateTemplate(pkix.Name{CommonName: commonName})
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{certificate: certificate, key: key, Certificate: encodeCertificate(der)}, nil
}

// server makes a server's certificate for host names and addresses. It serves as a client's too:
// etcd speaks to itself with its own.
func (a *Authority) server(commonName string, hosts ...string) (Identity, error) {
	template, err := certificateTemplate(pkix.Name{CommonName: commonName})
	if err != nil {
		return Identity{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	return a.sign(template)
}

// client makes a client's certificate. Kubernetes reads the user from the common name and the
// groups from the organizations.
func (a *Authority) client(user string, groups ...string) (Identity, error) {
	template, err := certificateTemplate(pkix.Name{CommonName: user, Organization: groups})
	if err != nil {
		return Identity{}, err
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.sign(template)
}

func (a *Authority) sign(template *x509.Certificate) (Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		return Identity{}, err
	}
	encoded, err := encodeKey(key)
	return Identity{Certificate: encodeCertificate(der), Key: encoded}, err
}

// save writes the authority as NAME.crt and NAME.key.
func (a *Authority) save(dir, name string) error {
	key, err := encodeKey(a.key)
	if err != nil {
		return err
	}
	return Identity{Certificate: a.Certificate, Key: key}.save(dir, name)
}

// loadAuthority reads what save wrote.
func loadAuthority(dir, name string) (*Authority, error) {
	certificate, err := os.ReadFile(filepath.Join(dir, name+".crt"))
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(filepath.Join(dir, name+".key"))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	private, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s.key is not an ECDSA key", name)
	}
	return &Authority{certificate: pair.Leaf, key: private, Certificate: certificate}, nil
}

// save writes the identity as NAME.crt and NAME.key, readable by their owner only.
func (i Identity) save(dir, name string) error {
	return errors.Join(
		writeFile(filepath.Join(dir, name+".crt"), i.Certificate),
		writeFile(filepath.Join(dir, name+".key"), i.Key),
	)
}

// newSigningKeys makes the key pair that service account tokens are signed and verified with.
func newSigningKeys() (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if private, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func certificateTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // clocks of containers and virtual machines differ a little
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

func encodeCertificate(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
