// Web is the demo's application: it says which version it is and how it was configured.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

// version is set when the program is linked.
var version = "unknown"

const address = ":8080"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "healthy" {
		os.Exit(healthy())
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, "web %s, LOG_LEVEL=%s\n", version, os.Getenv("LOG_LEVEL"))
	})
	log.Fatal(http.ListenAndServe(address, nil))
}

// healthy is what the image's HEALTHCHECK runs: exit code 0 when the server in the same container answers.
func healthy() int {
	response, err := http.Get("http://127.0.0.1" + address)
	if err != nil || response.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}
