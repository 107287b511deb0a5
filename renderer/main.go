// Command orbit-renderer renders Helm charts and kustomizations for the
// operator. It is a long-lived worker that answers one request at a time over
// standard input and output, from real Helm and Kustomize libraries kept warm.
//
// A message is a 4-byte big-endian length and as many bytes of JSON, at most
// 64 MiB. Standard error is for logs. The worker trusts nothing it is sent:
// before it reads the first request it gives up the network, the file system
// and the right to execute anything, and bounds its memory. It never stops a
// request by itself: whoever started it kills it when a request takes too long
// and starts another.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	// Templates that name a time zone get it on every machine.
	_ "time/tzdata"

	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
)

const (
	// outputVersion is raised whenever equal input gives other bytes than
	// before, a new version of a library included.
	outputVersion = "2"
	// helmVersion is the version of the Helm library.
	helmVersion = "v4.3.1"
	// kustomizeVersion is the release of kustomize with the same library.
	kustomizeVersion = "v5.8.2"
)

// Bounds on memory. The collector works hard to stay below the first; a request
// that needs more than the second is refused, after which the worker exits; the
// kernel grants no more than the third.
const (
	memorySoft   = 512 << 20
	memoryRefuse = 640 << 20
	memoryHard   = 1 << 30
)

func main() {
	noSandbox := flag.Bool("no-sandbox", false, "run without the sandbox; only for kernels without seccomp")
	flag.Parse()

	// Nothing may depend on the environment or on the machine's time zone.
	os.Clearenv()
	time.Local = time.UTC
	log.SetFlags(0)
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))

	// No library can break the protocol by printing.
	out := os.Stdout
	os.Stdout = os.Stderr

	runtime.GOMAXPROCS(min(runtime.NumCPU(), 2))
	debug.SetMemoryLimit(memorySoft)
	debug.SetGCPercent(300)
	debug.SetMaxStack(256 << 20)
	if err := warmUp(); err != nil {
		log.Fatalf("the renderer cannot render: %s", err)
	}

	if err := boundMemory(memoryHard); err != nil {
		log.Fatal(err)
	}
	if *noSandbox {
		log.Print("WARNING: running without sandbox: a hostile chart can reach whatever this process can")
	} else if err := enterSandbox(); err != nil {
		log.Fatalf("the sandbox cannot be set up: %s (on a kernel without seccomp, --no-sandbox runs without it)", err)
	}

	w := &worker{in: bufio.NewReader(os.Stdin), out: bufio.NewWriter(out), parent: os.Getppid(), sandboxed: !*noSandbox}
	if err := w.serve(); err != nil {
		log.Fatal(err)
	}
}

// worker answers requests, one at a time.
type worker struct {
	in        io.Reader
	parent    int
	sandboxed bool

	// mu guards out and lets one reply out per request: the watch may answer
	// in place of a request that needs too much memory.
	mu  sync.Mutex
	out *bufio.Writer
}

// serve answers requests until the input ends.
func (w *worker) serve() error {
	for {
		body, err := readFrame(w.in)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errFrameTooLarge):
			if err := w.reply(replyFor(faultf(reasonTooLarge, "the request is longer than %d MiB", maxFrame>>20), "")); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		stop := make(chan struct{})
		go w.watch(stop)
		answer := w.answer(body)
		close(stop)
		if err := w.reply(answer); err != nil {
			return err
		}
	}
}

// reply writes one message.
func (w *worker) reply(answer any) error {
	body, err := encode(answer)
	if err != nil {
		body, err = encode(replyFor(err, reasonManifestInvalid))
	}
	if err != nil {
		return err
	}
	if len(body) > maxFrame {
		if body, err = encode(replyFor(faultf(reasonTooLarge, "the result is %d MiB with all its files; at most %d MiB are allowed", len(body)>>20, maxFrame>>20), "")); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := writeFrame(w.out, body); err != nil {
		return fmt.Errorf("the reply cannot be written: %w", err)
	}
	return w.out.Flush()
}

// encode writes JSON with sorted keys and without HTML escapes.
func encode(answer any) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(answer)
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), err
}

// watch looks after one request that is under way. It refuses one that needs
// too much memory, so that its author learns why, and ends the process when
// the one who started it is gone: an endless template would never notice.
func (w *worker) watch(stop <-chan struct{}) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if os.Getppid() != w.parent {
			log.Print("the parent process is gone")
			os.Exit(1)
		}
		metrics.Read(samples)
		if samples[0].Value.Uint64()+samples[1].Value.Uint64() < memoryRefuse {
			continue
		}
		body, err := encode(replyFor(faultf(reasonTooLarge,
			"rendering needs more than %d MiB of memory; look for a range that is too long, for templates that include themselves, or for a chart that is too large", memoryRefuse>>20), ""))
		w.mu.Lock() // never given back: the request must not answer as well
		select {
		case <-stop:
			w.mu.Unlock()
			return
		default:
		}
		if err == nil && writeFrame(w.out, body) == nil {
			_ = w.out.Flush()
		}
		log.Print("a request needs too much memory; this worker ends")
		os.Exit(1)
	}
}

// request is any request: the fields of all operations, told apart by op.
type request struct {
	Op string `json:"op"`
	selectRequest
	renderRequest
}

// pingReply says which versions answer.
type pingReply struct {
	OK       bool              `json:"ok"`
	Versions map[string]string `json:"versions"`
	Sandbox  bool              `json:"sandbox"`
}

// internalError begins the message of a panic.
const internalError = "an internal error, which is a bug of the renderer or of a library: "

// answer handles one request. A panic in a library becomes an error reply.
func (w *worker) answer(body []byte) (reply any) {
	doing := reasonRequestInvalid
	defer func() {
		if r := recover(); r != nil {
			log.Printf("panic: %v\n%s", r, debug.Stack())
			reply = replyFor(faultf(doing, internalError+"%v", r), doing)
		}
	}()

	var req request
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&req); err != nil {
		return replyFor(faultf(reasonRequestInvalid, "the request cannot be read: %s", err), "")
	}
	switch req.Op {
	case "ping":
		return &pingReply{OK: true, Sandbox: w.sandboxed, Versions: map[string]string{
			"renderer": outputVersion, "helm": helmVersion, "kustomize": kustomizeVersion,
		}}
	case "select":
		doing = reasonRangeInvalid
		selected, err := selectVersion(&req.selectRequest)
		if err != nil {
			return replyFor(err, doing)
		}
		return selected
	case "render":
		rendered, err := render(&req.renderRequest, &doing)
		if err != nil {
			return replyFor(err, doing)
		}
		return rendered
	default:
		return replyFor(faultf(reasonRequestInvalid, "there is no operation %q; there are ping, select and render", req.Op), "")
	}
}

// renderRequest asks for a chart or manifests to be rendered.
type renderRequest struct {
	// Chart is a packaged chart; Manifests stands in its place. Exactly one
	// of them is given.
	Chart     []byte  `json:"chart"`
	Manifests *string `json:"manifests"`
	Release   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"release"`
	KubeVersion   string          `json:"kubeVersion"`
	APIVersions   []string        `json:"apiVersions"`
	Values        json.RawMessage `json:"values"`
	Kustomization *customizations `json:"kustomization"`

	// values is Values as Helm reads a values file: numbers are float64.
	values map[string]any
}

// renderReply is everything that rendering yields.
type renderReply struct {
	OK       bool              `json:"ok"`
	Manifest string            `json:"manifest"`
	Base     string            `json:"base"`
	Files    map[string]string `json:"files"`
	Objects  []object          `json:"objects"`
	Images   []string          `json:"images"`
	Notes    string            `json:"notes"`
}

// namespaceName is a DNS label.
var namespaceName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// render renders a chart, or takes manifests, and customizes the result. It
// keeps the reason for errors that carry none in doing.
func render(req *renderRequest, doing *string) (*renderReply, error) {
	if err := chartutil.ValidateReleaseName(req.Release.Name); err != nil {
		return nil, faultf(reasonRequestInvalid, "the release name %q: %s", req.Release.Name, err)
	}
	if !namespaceName.MatchString(req.Release.Namespace) {
		return nil, faultf(reasonRequestInvalid, "%q is not the name of a namespace", req.Release.Namespace)
	}
	if (req.Chart != nil) == (req.Manifests != nil) {
		return nil, faultf(reasonRequestInvalid, "exactly one of chart and manifests must be given")
	}
	req.values = map[string]any{}
	if len(req.Values) > 0 && string(req.Values) != "null" {
		if err := json.Unmarshal(req.Values, &req.values); err != nil {
			return nil, faultf(reasonValuesInvalid, "the values must be an object: %s", err)
		}
	}

	var base, notes string
	if req.Chart != nil {
		*doing = reasonTemplateFailed
		rendered, err := renderChart(req.Chart, req)
		if err != nil {
			return nil, err
		}
		base, notes = rendered.manifest, rendered.notes
	} else {
		base = *req.Manifests
		if len(base) > maxOutput {
			return nil, faultf(reasonTooLarge, "the manifests are %d MiB; at most %d MiB are allowed", len(base)>>20, maxOutput>>20)
		}
	}

	*doing = reasonKustomizeFailed
	result, err := customize(base, req.Release.Namespace, req.Kustomization)
	if err != nil {
		return nil, err
	}
	return &renderReply{
		OK: true, Manifest: result.manifest, Base: base, Files: result.files,
		Objects: result.objects, Images: result.images, Notes: strings.TrimSpace(notes),
	}, nil
}
