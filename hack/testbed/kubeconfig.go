package main

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// kubeconfig is access to one API server for one user, with all certificates inside, so that the
// file can be moved or put into a Secret as it is.
func kubeconfig(cluster, server, user string, authority []byte, identity Identity) []byte {
	encoded := base64.StdEncoding.EncodeToString
	values := strings.NewReplacer(
		"CLUSTER", strconv.Quote(cluster),
		"CONTEXT", strconv.Quote(user+"@"+cluster),
		"SERVER", strconv.Quote(server),
		"USER", strconv.Quote(user),
		"AUTHORITY", encoded(authority),
		"CERTIFICATE", encoded(identity.Certificate),
		"KEY", encoded(identity.Key),
	)
	return []byte(values.Replace(`apiVersion: v1
kind: Config
clusters:
- name: CLUSTER
  cluster:
    server: SERVER
    certificate-authority-data: AUTHORITY
users:
- name: USER
  user:
    client-certificate-data: CERTIFICATE
    client-key-data: KEY
contexts:
- name: CONTEXT
  context:
    cluster: CLUSTER
    user: USER
current-context: CONTEXT
`))
}
