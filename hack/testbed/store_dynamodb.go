package main

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

const (
	dynamoDBName = "dynamodb"
	motoVersion  = "5.2.5"
)

// motoRequirements pins moto and everything that it needs to serve DynamoDB's protocol.
//
//go:embed moto-requirements.txt
var motoRequirements []byte

// serveMoto is the program that serves it. It says why moto's own will not do.
//
//go:embed serve_moto.py
var serveMoto []byte

// motoArtifact is the moto server in a virtual environment of its own.
func motoArtifact() Artifact {
	return Artifact{
		Name:    "moto",
		Version: motoVersion,
		How:     "installing the Python packages of the moto server into a virtual environment",
		Usually: 20 * time.Second,
		Folder:  true,
		Make: func(ctx context.Context, out string, log *os.File) error {
			// Debian packs the module that makes virtual environments apart.
			if command(ctx, log, nil, "python3", "-c", "import venv, ensurepip").Run() != nil {
				if err := installPackages(ctx, log, "python3-venv"); err != nil {
					return err
				}
			}
			if err := command(ctx, log, nil, "python3", "-m", "venv", out).Run(); err != nil {
				return err
			}
			requirements := filepath.Join(out, "requirements.txt")
			if err := os.WriteFile(requirements, motoRequirements, 0o644); err != nil {
				return err
			}
			return command(ctx, log, nil, filepath.Join(out, "bin", "python"), "-m", "pip", "install",
				"--disable-pip-version-check", "--no-deps", "--requirement", requirements).Run()
		},
	}
}

// dynamoDBStore speaks DynamoDB's protocol. It keeps its data in memory: pause it rather than stop
// it when the data has to survive.
func dynamoDBStore(part Part, record Record, folder string) Store {
	port := record.Ports[dynamoDBName]
	endpoint := "http://" + loopback(port)
	program := part.Path(dynamoDBName, "serve_moto.py")
	return Store{
		Component: Component{
			Name:    dynamoDBName,
			Version: "moto " + motoVersion,
			Port:    port,
			Command: []string{filepath.Join(folder, "bin", "python"), program, strconv.Itoa(port)},
			Ready:   func(ctx context.Context) error { return answers(ctx, endpoint+"/moto-api/") },
			Grace:   2 * time.Second,
		},
		Prepare: func(context.Context) error {
			if err := part.makeFolder(dynamoDBName); err != nil {
				return err
			}
			return os.WriteFile(program, serveMoto, 0o600)
		},
		Variables:   []string{"ORBIT_TEST_DYNAMODB_ENDPOINT=" + endpoint},
		PIDVariable: "ORBIT_TEST_DYNAMODB_PID",
	}
}

// answers wants a plain 200 from a URL.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, response.Status)
	}
	return nil
}
