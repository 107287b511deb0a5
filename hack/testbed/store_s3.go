package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

const (
	s3Name           = "s3"
	s3User           = "orbit"
	s3Bucket         = "orbit"
	awsRegion        = "us-east-1"
	versitygwVersion = "v1.8.0"
)

// versitygwArtifact is a real S3 server over a folder of files.
func versitygwArtifact() Artifact {
	return goInstalled("versitygw", versitygwVersion, "github.com/versity/versitygw/cmd/versitygw",
		"-X main.Version="+versitygwVersion, 90*time.Second)
}

// s3Store is an S3 server with one bucket.
func s3Store(part Part, record Record, program string) Store {
	port, secret := record.Ports[s3Name], record.Secrets[s3Name]
	endpoint := "http://" + loopback(port)
	bucket := endpoint + "/" + s3Bucket
	return Store{
		Component: Component{
			Name:    s3Name,
			Version: "versitygw " + versitygwVersion,
			Port:    port,
			Command: []string{program, "--port", loopback(port), "--region", awsRegion, "--keep-alive", "--quiet",
				"--access-log", part.Path("s3", "access.log"), "posix", part.Path("s3", "buckets")},
			Environment: []string{"ROOT_ACCESS_KEY=" + s3User, "ROOT_SECRET_KEY=" + secret},
			Ready: func(ctx context.Context) error {
				status, err := askS3(ctx, http.MethodHead, bucket, secret)
				if err == nil && status == http.StatusNotFound {
					_, err = askS3(ctx, http.MethodPut, bucket, secret)
					if err == nil {
						status, err = askS3(ctx, http.MethodHead, bucket, secret)
					}
				}
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("%s answers %d", bucket, status)
				}
				return err
			},
			Grace: 10 * time.Second,
		},
		Prepare: func(context.Context) error { return part.makeFolder("s3", "buckets") },
		Variables: []string{
			"ORBIT_TEST_S3_ENDPOINT=" + endpoint,
			"ORBIT_TEST_S3_BUCKET=" + s3Bucket,
			"ORBIT_TEST_S3_ACCESS_LOG=" + part.Path("s3", "access.log"),
			"AWS_ACCESS_KEY_ID=" + s3User,
			"AWS_SECRET_ACCESS_KEY=" + secret,
			"AWS_REGION=" + awsRegion,
			"AWS_DEFAULT_REGION=" + awsRegion, // the name that Python's SDK reads
			"AWS_EC2_METADATA_DISABLED=true",  // or SDKs look for credentials on the network
		},
		PIDVariable: "ORBIT_TEST_S3_PID",
	}
}

// askS3 sends a signed request without a body and returns the status of the answer.
func askS3(ctx context.Context, method, url, secret string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, err
	}
	signS3(request, s3User, secret, awsRegion, time.Now().UTC())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// goInstalled is a program that its own module builds, at a version of its own.
func goInstalled(name, version, pkg, linkerFlags string, usually time.Duration) Artifact {
	return Artifact{
		Name:    name,
		Version: version,
		How:     "installing " + pkg,
		Usually: usually,
		Make: func(ctx context.Context, out string, log *os.File) error {
			dir, remove, err := workshop(out)
			if err != nil {
				return err
			}
			defer remove()
			environment := append(goEnvironment(dir), "GOBIN="+dir)
			install := command(ctx, log, environment, "go", "install", "-trimpath", "-ldflags", "-s -w "+linkerFlags, pkg+"@"+version)
			install.Dir = dir
			if err := install.Run(); err != nil {
				return err
			}
			return os.Rename(filepath.Join(dir, name), out)
		},
	}
}
