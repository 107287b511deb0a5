// Answer is what the test runs in a pod: it answers, and tells what it gets itself from elsewhere.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) > 1 { // run in the pod by exec
		fmt.Println("executed", os.Args[1])
		return
	}
	// Whose certificate it is, is not what this is about.
	client := http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the pod answers") })
	http.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		response, err := client.Get(r.URL.Query().Get("url"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})
	fmt.Println("the pod listens")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
