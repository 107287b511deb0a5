package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"
)

// modeVariable makes the test binary act as the worker itself, so that tests
// meet a real process behind a real sandbox without building another binary.
const modeVariable = "ORBIT_RENDERER_TEST_MODE"

func TestMain(m *testing.M) {
	if run, ok := modes[os.Getenv(modeVariable)]; ok {
		run()
		return
	}
	os.Exit(m.Run())
}

// modes are what the test binary can be beside a test.
var modes = map[string]func(){"worker": main}

// process is a worker process.
type process struct {
	cmd *exec.Cmd
	in  *bufio.Writer
	// stdin is closed to end the worker.
	stdin interface{ Close() error }
	out   *bufio.Reader
	log   *bytes.Buffer
}

// startWorker starts a worker process, which the test's end kills.
func startWorker(t testing.TB, args ...string) *process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable, args...)
	cmd.Env = []string{modeVariable + "=worker", "TZ=America/New_York"}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd, in: bufio.NewWriter(stdin), stdin: stdin, out: bufio.NewReader(stdout), log: new(bytes.Buffer)}
	cmd.Stderr = p.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return p
}

// send writes one request.
func (p *process) send(t testing.TB, body []byte) {
	t.Helper()
	if err := writeFrame(p.in, body); err != nil {
		t.Fatal(err)
	}
	if err := p.in.Flush(); err != nil {
		t.Fatal(err)
	}
}

// reply is any reply.
type reply struct {
	renderReply
	Version  *string           `json:"version"`
	Versions map[string]string `json:"versions"`
	Sandbox  bool              `json:"sandbox"`
	Error    *fault            `json:"error"`
}

// receive reads one reply.
func (p *process) receive(t testing.TB) *reply {
	t.Helper()
	body, err := readFrame(p.out)
	if err != nil {
		t.Fatalf("no reply: %v\n%s", err, p.log)
	}
	return decode(t, body)
}

// call sends one request and reads its reply.
func (p *process) call(t testing.TB, req any) *reply {
	t.Helper()
	p.send(t, marshal(t, req))
	return p.receive(t)
}

// ask answers one request within the test process.
func ask(t testing.TB, req any) *reply {
	t.Helper()
	body, err := encode((&worker{}).answer(marshal(t, req)))
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, body)
}

func decode(t testing.TB, body []byte) *reply {
	t.Helper()
	var r reply
	if err := json.Unmarshal(body, &r); err != nil {
		t.Fatalf("%v: %.200s", err, body)
	}
	if r.OK == (r.Error != nil) {
		t.Fatalf("neither a result nor an error: %.200s", body)
	}
	return &r
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// object literals in requests
type m = map[string]any

// renderOf is a request to render a chart, with some fields changed.
func renderOf(chart []byte, changes ...m) m {
	req := m{
		"op": "render", "chart": chart, "manifests": nil,
		"release":     m{"name": "web", "namespace": "shop-prod"},
		"kubeVersion": "1.36.3", "apiVersions": []string{}, "values": m{},
	}
	for _, change := range changes {
		for key, value := range change {
			req[key] = value
		}
	}
	return req
}

// renderOfText is a request to customize manifests.
func renderOfText(manifests string, kustomization any) m {
	return renderOf(nil, m{"manifests": manifests, "kustomization": kustomization})
}

// entry is a file of a chart made in a test.
type entry struct{ name, text string }

// chartOf packs a chart named web from a few files. Chart.yaml is added unless
// it is given.
func chartOf(t testing.TB, files ...entry) []byte {
	t.Helper()
	if !slices.ContainsFunc(files, func(e entry) bool { return e.name == "Chart.yaml" }) {
		files = append([]entry{{"Chart.yaml", "apiVersion: v2\nname: web\nversion: 0.1.0\n"}}, files...)
	}
	for i := range files {
		files[i].name = "web/" + files[i].name
	}
	return archiveOf(t, files...)
}

// archiveOf packs a gzipped tar archive with the same bytes for the same files.
func archiveOf(t testing.TB, files ...entry) []byte {
	t.Helper()
	var packed bytes.Buffer
	zipped := gzip.NewWriter(&packed)
	tw := tar.NewWriter(zipped)
	for _, file := range files {
		if err := tw.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.text)), ModTime: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(file.text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, closer := range []interface{ Close() error }{tw, zipped} {
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return packed.Bytes()
}

// chartFrom packs a chart from a directory.
func chartFrom(t testing.TB, dir string) []byte {
	t.Helper()
	var files []entry
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(filepath.Dir(dir), path)
		files = append(files, entry{filepath.ToSlash(name), string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].name < files[j].name })
	return archiveOf(t, files...)
}

// wantFault checks an error reply: its reason, its place ("file:line") and
// words that its message must have.
func wantFault(t *testing.T, r *reply, reason, place string, words ...string) {
	t.Helper()
	if r.Error == nil {
		t.Fatalf("want %s, got a result:\n%s", reason, r.Manifest)
	}
	if r.Error.Reason != reason {
		t.Errorf("reason %s, want %s: %s", r.Error.Reason, reason, r.Error.Message)
	}
	got := r.Error.File
	if r.Error.Line > 0 {
		got += ":" + strconv.Itoa(r.Error.Line)
	}
	if got != place {
		t.Errorf("place %q, want %q: %s", got, place, r.Error.Message)
	}
	for _, word := range words {
		if !strings.Contains(r.Error.Message, word) {
			t.Errorf("the message lacks %q: %s", word, r.Error.Message)
		}
	}
	if len(r.Error.Message) > maxMessage {
		t.Errorf("the message is %d bytes long", len(r.Error.Message))
	}
}

func TestPing(t *testing.T) {
	w := startWorker(t)
	r := w.call(t, m{"op": "ping"})
	want := map[string]string{"renderer": outputVersion, "helm": helmVersion, "kustomize": kustomizeVersion}
	for key, value := range want {
		if r.Versions[key] != value {
			t.Errorf("%s is %q, want %q", key, r.Versions[key], value)
		}
	}
	if !r.Sandbox {
		t.Error("the worker does not say that it is sandboxed")
	}
}

// The constants that replies carry must not lag behind go.mod.
func TestVersionsAreThoseOfTheModule(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"helm.sh/helm/v4 " + helmVersion + "\n",
		"sigs.k8s.io/kustomize/api v0.21.2\n", // of kustomizeVersion
	} {
		if !strings.Contains(string(text), line) {
			t.Errorf("go.mod lacks %q: change the version constants with it, and raise outputVersion", line)
		}
	}
}

func TestRequests(t *testing.T) {
	for _, test := range []struct {
		name string
		body string
		word string
	}{
		{"not JSON", "hello", "cannot be read"},
		{"empty", "", "cannot be read"},
		{"unknown operation", `{"op":"dance"}`, "dance"},
		{"no operation", `{}`, "no operation"},
		{"unknown field", `{"op":"ping","chrat":""}`, "chrat"},
		{"wrong type", `{"op":"render","chart":5}`, "chart"},
		{"chart not base64", `{"op":"render","chart":"%%"}`, "base64"},
		{"no release", `{"op":"render","manifests":""}`, "release name"},
		{"bad release", `{"op":"render","manifests":"","release":{"name":"A_b","namespace":"x"}}`, "A_b"},
		{"no namespace", `{"op":"render","manifests":"","release":{"name":"web"}}`, "namespace"},
		{"bad namespace", `{"op":"render","manifests":"","release":{"name":"web","namespace":"../x"}}`, "namespace"},
		{"nothing to render", `{"op":"render","release":{"name":"web","namespace":"x"}}`, "exactly one"},
		{"too much to render", `{"op":"render","chart":"","manifests":"","release":{"name":"web","namespace":"x"}}`, "exactly one"},
		{"bad kubeVersion", `{"op":"render","chart":"CHART","kubeVersion":"new","release":{"name":"web","namespace":"x"}}`, "kubeVersion"},
	} {
		t.Run(test.name, func(t *testing.T) {
			packed := marshal(t, chartOf(t))
			body := strings.ReplaceAll(test.body, `"CHART"`, string(packed))
			encoded, err := encode((&worker{}).answer([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			wantFault(t, decode(t, encoded), reasonRequestInvalid, "", test.word)
		})
	}
}

// A worker goes on after an error, and ends when its input does.
func TestWorkerLivesOnAfterErrors(t *testing.T) {
	w := startWorker(t)
	w.send(t, []byte("{"))
	wantFault(t, w.receive(t), reasonRequestInvalid, "")
	wantFault(t, w.call(t, renderOf([]byte("no chart"))), reasonChartInvalid, "")
	good := renderOf(chartOf(t, entry{"templates/a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"}))
	if r := w.call(t, good); !r.OK {
		t.Fatal(r.Error)
	}
	_ = w.stdin.Close()
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("the worker ended with %v\n%s", err, w.log)
	}
}

func TestValuesMustBeAnObject(t *testing.T) {
	wantFault(t, ask(t, renderOf(chartOf(t), m{"values": []int{1}})), reasonValuesInvalid, "", "object")
	if r := ask(t, renderOf(chartOf(t), m{"values": nil})); !r.OK {
		t.Error(r.Error)
	}
}

func TestEmptyResult(t *testing.T) {
	for name, req := range map[string]m{
		"chart without templates": renderOf(chartOf(t)),
		"no manifests":            renderOfText("", nil),
		"only comments":           renderOfText("# nothing\n---\n", nil),
	} {
		t.Run(name, func(t *testing.T) {
			r := ask(t, req)
			if !r.OK {
				t.Fatal(r.Error)
			}
			if r.Manifest != "" || r.Objects == nil || len(r.Objects) != 0 || r.Images == nil || len(r.Images) != 0 {
				t.Errorf("got %+v", r.renderReply)
			}
		})
	}
}
