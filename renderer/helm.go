package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"slices"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
	"sigs.k8s.io/yaml"
)

// Bounds on a chart. The totals cover the archives of vendored subcharts too,
// however deep they are nested.
const (
	maxChartPacked   = 8 << 20
	maxChartUnpacked = 64 << 20
	maxChartFiles    = 10_000
	maxChartNesting  = 16
	maxOutput        = 32 << 20
)

// renderedChart is what `helm template` would have printed, and the notes.
type renderedChart struct {
	manifest string
	notes    string
}

// renderChart does what
//
//	helm template NAME CHART --namespace N --include-crds --skip-tests \
//	  --kube-version V --api-versions A -f values.yaml
//
// does, from a packaged chart in memory. It refuses charts with hooks other
// than tests: nobody would run them.
func renderChart(packed []byte, req *renderRequest) (*renderedChart, error) {
	c, err := loadChart(packed)
	if err != nil {
		return nil, err
	}
	if err := checkInstallable(c); err != nil {
		return nil, err
	}
	if err := chartutil.ProcessDependencies(c, req.values); err != nil {
		return nil, faultf(reasonChartInvalid, "the dependencies of chart %s cannot be processed: %s", c.Name(), err).at("Chart.yaml", 0)
	}

	caps, err := capabilities(req)
	if err != nil {
		return nil, err
	}
	if wanted := c.Metadata.KubeVersion; wanted != "" && !chartutil.IsCompatibleRange(wanted, caps.KubeVersion.String()) {
		return nil, faultf(reasonChartInvalid, "chart %s asks for Kubernetes %s, but the cluster runs %s; use another version of the chart, or of the cluster",
			c.Name(), wanted, caps.KubeVersion.Version).at("Chart.yaml", 0)
	}

	options := common.ReleaseOptions{
		Name:      req.Release.Name,
		Namespace: req.Release.Namespace,
		Revision:  1,
		IsInstall: true,
	}
	values, err := util.ToRenderValuesWithSchemaValidation(c, req.values, options, caps, true)
	if err != nil {
		return nil, faultf(reasonValuesInvalid, "the values cannot be merged with those of chart %s: %s", c.Name(), err).at("values.yaml", 0)
	}
	if err := checkValues(c, values); err != nil {
		return nil, err
	}

	// Without a client `lookup` finds nothing, and no host name is resolved.
	e := engine.Engine{CustomTemplateFuncs: boundedFuncs}
	files, err := e.RenderWithContext(context.Background(), c, values)
	if err != nil {
		return nil, templateFault(c.Name(), err)
	}
	return assemble(c, files)
}

// maxRange is the longest list of numbers that a template may ask for.
const maxRange = 1_000_000

// boundedFuncs are the template functions that make much out of little. They
// are Helm's own, but say so where they would only exhaust the memory.
var boundedFuncs = func() template.FuncMap {
	funcs := sprig.TxtFuncMap()
	until := funcs["until"].(func(int) []int)
	untilStep := funcs["untilStep"].(func(int, int, int) []int)
	seq := funcs["seq"].(func(...int) string)
	repeat := funcs["repeat"].(func(int, string) string)
	tooLong := func(what string) error {
		return fmt.Errorf("%s is too long: at most %d numbers are allowed", what, maxRange)
	}
	return template.FuncMap{
		"until": func(count int) ([]int, error) {
			if count > maxRange || count < -maxRange {
				return nil, tooLong(fmt.Sprintf("until %d", count))
			}
			return until(count), nil
		},
		"untilStep": func(start, stop, step int) ([]int, error) {
			if step != 0 && (float64(stop)-float64(start))/float64(step) > maxRange {
				return nil, tooLong(fmt.Sprintf("untilStep %d %d %d", start, stop, step))
			}
			return untilStep(start, stop, step), nil
		},
		"seq": func(params ...int) (string, error) {
			var length float64
			switch len(params) {
			case 1:
				length = float64(params[0])
			case 2:
				length = float64(params[1]) - float64(params[0])
			case 3:
				if params[1] != 0 {
					length = (float64(params[2]) - float64(params[0])) / float64(params[1])
				}
			}
			if math.Abs(length) > maxRange {
				return "", tooLong("seq " + strings.Trim(fmt.Sprint(params), "[]"))
			}
			return seq(params...), nil
		},
		"repeat": func(count int, text string) (string, error) {
			if float64(count)*float64(len(text)) > maxOutput {
				return "", fmt.Errorf("repeat %d is too long: at most %d MiB are allowed", count, maxOutput>>20)
			}
			return repeat(count, text), nil
		},
	}
}()

// assemble takes the notes out of the rendered files, refuses hooks and prints
// the rest in the order in which Helm installs it.
func assemble(c *chart.Chart, files map[string]string) (*renderedChart, error) {
	var notes string
	for name, text := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			if name == path.Join(c.Name(), "templates", "NOTES.txt") {
				notes = text
			}
			delete(files, name)
		}
	}
	if err := refuseHooks(c.Name(), files); err != nil {
		return nil, err
	}
	_, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, malformedOutput(c.Name(), files, err)
	}

	var out strings.Builder
	for _, crd := range c.CRDObjects() {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", crd.Filename, crd.File.Data)
	}
	for _, manifest := range manifests {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", manifest.Name, manifest.Content)
	}
	if out.Len() > maxOutput {
		return nil, faultf(reasonTooLarge, "chart %s renders to %d MiB; at most %d MiB are allowed", c.Name(), out.Len()>>20, maxOutput>>20)
	}
	return &renderedChart{manifest: strings.TrimSpace(out.String()) + "\n", notes: notes}, nil
}

// loadChart unpacks and reads a packaged chart, within bounds.
func loadChart(packed []byte) (*chart.Chart, error) {
	if len(packed) > maxChartPacked {
		return nil, faultf(reasonTooLarge, "the packaged chart is %d bytes; at most %d MiB are allowed", len(packed), maxChartPacked>>20)
	}
	budget := &unpackBudget{bytes: maxChartUnpacked, files: maxChartFiles}
	files, err := unpack(packed, budget, "")
	if err != nil {
		return nil, err
	}

	for _, file := range files {
		if file.Name != "Chart.yaml" {
			continue
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
		}
		if err := yaml.Unmarshal(file.Data, &head); err != nil {
			return nil, faultf(reasonChartInvalid, "Chart.yaml is not valid YAML: %s", yamlCause(err)).at("Chart.yaml", yamlErrorLine(err))
		}
		switch head.APIVersion {
		case chart.APIVersionV1, chart.APIVersionV2, "":
		default:
			return nil, faultf(reasonChartInvalid, "Chart.yaml says apiVersion %q; %s and %s are supported", head.APIVersion, chart.APIVersionV2, chart.APIVersionV1).at("Chart.yaml", 0)
		}
	}
	c, err := loader.LoadFiles(files)
	if err != nil {
		return nil, chartFault(err)
	}
	sortDependencies(c)
	return c, nil
}

// chartFault says which of a chart's own files Helm could not read.
func chartFault(err error) *fault {
	f := faultf(reasonChartInvalid, "the chart cannot be read: %s", err)
	for _, name := range []string{"Chart.yaml", "Chart.lock", "values.yaml", "requirements.yaml", "requirements.lock"} {
		if strings.Contains(err.Error(), "cannot load "+name) {
			return f.at(name, yamlErrorLine(err))
		}
	}
	return f
}

// sortDependencies puts subcharts in order of name: Helm's loader leaves them
// in the order of a map, which differs from one run to the next.
func sortDependencies(c *chart.Chart) {
	dependencies := slices.Clone(c.Dependencies())
	for _, dependency := range dependencies {
		sortDependencies(dependency)
	}
	sort.SliceStable(dependencies, func(i, j int) bool {
		a, b := dependencies[i].Metadata, dependencies[j].Metadata
		if a.Name != b.Name {
			return a.Name < b.Name
		}
		return a.Version < b.Version
	})
	c.SetDependencies(dependencies...)
}

// unpackBudget is what may still be unpacked.
type unpackBudget struct {
	bytes   int64
	files   int
	nesting int
}

// unpack reads a gzipped tar archive into memory as Helm does, but with bounds
// that hold for nested archives together, and refuses every path that leaves
// the archive. Where names the archive in messages: "" is the chart itself.
func unpack(packed []byte, budget *unpackBudget, where string) ([]*archive.BufferedFile, error) {
	invalid := func(format string, args ...any) error {
		return faultf(reasonChartInvalid, format, args...).at(where, 0)
	}
	if budget.nesting++; budget.nesting > maxChartNesting {
		return nil, invalid("subcharts are packed more than %d deep", maxChartNesting)
	}
	defer func() { budget.nesting-- }()

	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, invalid("not a packaged chart: it is not gzipped (%s); package it with `helm package`", err)
	}
	defer unzipped.Close()

	var files []*archive.BufferedFile
	seen := make(map[string]bool)
	for tr := tar.NewReader(unzipped); ; {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, invalid("the archive is broken: %s; package the chart again", err)
		}
		// Directories and the like count: a million of them is a bomb, too.
		if budget.files--; budget.files < 0 {
			return nil, faultf(reasonTooLarge, "the chart has more than %d files", maxChartFiles)
		}
		if header.FileInfo().IsDir() || header.Typeflag == tar.TypeXGlobalHeader || header.Typeflag == tar.TypeXHeader {
			continue
		}
		name, err := entryName(header.Name)
		if err != nil {
			return nil, invalid("%s", err)
		}
		if header.Size > budget.bytes {
			return nil, faultf(reasonTooLarge, "the chart unpacks to more than %d MiB", maxChartUnpacked>>20)
		}
		data, err := io.ReadAll(io.LimitReader(tr, budget.bytes+1))
		if err != nil {
			return nil, invalid("%s in the archive is broken: %s; package the chart again", name, err)
		}
		if budget.bytes -= int64(len(data)); budget.bytes < 0 {
			return nil, faultf(reasonTooLarge, "the chart unpacks to more than %d MiB", maxChartUnpacked>>20)
		}
		data = bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))
		if seen[name] {
			return nil, invalid("%s is in the archive twice", name)
		}
		seen[name] = true
		if nestedArchive.MatchString(name) {
			// Helm unpacks it again itself; here it is only measured.
			if _, err := unpack(data, budget, path.Join(where, name)); err != nil {
				return nil, err
			}
		}
		files = append(files, &archive.BufferedFile{Name: name, ModTime: header.ModTime, Data: data})
	}
	if !seen["Chart.yaml"] {
		return nil, invalid("there is no Chart.yaml below the archive's top directory; package the chart with `helm package`")
	}
	return files, nil
}

// nestedArchive matches the archives that Helm unpacks as subcharts.
var nestedArchive = regexp.MustCompile(`(^|/)charts/[^_./][^/]*\.tgz$`)

// drivePath matches names that are absolute on other systems.
var drivePath = regexp.MustCompile(`^[a-zA-Z]:/`)

// entryName strips the top directory from an archive entry's name and refuses
// names that point outside.
func entryName(name string) (string, error) {
	slashed := name
	if strings.ContainsRune(name, '\\') {
		slashed = strings.ReplaceAll(name, "\\", "/")
	}
	outside := fmt.Errorf("the archive's entry %q points outside the chart", name)
	if path.IsAbs(slashed) || drivePath.MatchString(slashed) {
		return "", outside
	}
	parts := strings.Split(slashed, "/")
	if slices.Contains(parts, "..") {
		return "", outside
	}
	inner := path.Clean(strings.Join(parts[1:], "/"))
	if inner == "." {
		return "", fmt.Errorf("the archive's entry %q is not below one top directory; package the chart with `helm package`", name)
	}
	if path.IsAbs(inner) || drivePath.MatchString(inner) {
		return "", outside
	}
	return inner, nil
}

// checkInstallable refuses library charts and charts whose dependencies are
// not vendored: nothing is ever fetched here.
func checkInstallable(c *chart.Chart) error {
	if kind := c.Metadata.Type; kind != "" && kind != "application" {
		return faultf(reasonChartInvalid, "%s is a %s chart, which cannot be installed; use an application chart", c.Name(), kind).at("Chart.yaml", 0)
	}
	var missing []string
	for _, wanted := range c.Metadata.Dependencies {
		found := slices.ContainsFunc(c.Dependencies(), func(have *chart.Chart) bool { return have.Name() == wanted.Name })
		if !found {
			missing = append(missing, wanted.Name)
		}
	}
	if len(missing) > 0 {
		return faultf(reasonChartInvalid, "Chart.yaml names dependencies that are not in the charts/ directory: %s; run `helm dependency build` before packaging the chart",
			strings.Join(missing, ", ")).at("Chart.yaml", 0)
	}
	return nil
}

// capabilities is what templates see of the cluster.
func capabilities(req *renderRequest) (*common.Capabilities, error) {
	caps := common.DefaultCapabilities.Copy()
	caps.HelmVersion.Version = helmVersion
	if req.KubeVersion != "" {
		version, err := common.ParseKubeVersion(req.KubeVersion)
		if err != nil {
			return nil, faultf(reasonRequestInvalid, "kubeVersion %q is not a version: %s", req.KubeVersion, err)
		}
		caps.KubeVersion = *version
	}
	caps.APIVersions = slices.Concat(caps.APIVersions, common.VersionSet(req.APIVersions))
	return caps, nil
}

// checkValues validates the merged values against the schemas of the chart and
// its subcharts.
func checkValues(c *chart.Chart, rendered common.Values) error {
	values, err := rendered.Table("Values")
	if err != nil {
		return nil
	}
	err = util.ValidateAgainstSchema(c, values.AsMap())
	if err == nil {
		return nil
	}
	text := err.Error()
	// The findings are all that is left of the validator's error. Whatever has
	// none is about the schema, not about the values.
	found := strings.Contains(text, "- at '") || strings.Contains(text, "invalid type for values")
	if !found || strings.Contains(text, "metaschema") {
		return faultf(reasonChartInvalid, "the chart's values.schema.json cannot be used (nothing is fetched: a $ref has to stay within the file): %s",
			strings.TrimSpace(text)).at("values.schema.json", 0)
	}
	return faultf(reasonValuesInvalid, "the values do not fit the schema of chart %s", schemaMessage(text)).at("values.schema.json", 0)
}

// refuseHooks refuses hooks other than tests: `helm template` prints them, but
// only Helm itself would run them at the right time.
func refuseHooks(chartName string, files map[string]string) error {
	names := make([]string, 0, len(files))
	for name, text := range files {
		if strings.Contains(text, "helm.sh/hook") && !strings.HasPrefix(path.Base(name), "_") {
			names = append(names, name)
		}
	}
	sort.Strings(names)

	var hooks []string
	var first string
	for _, name := range names {
		for _, doc := range splitDocuments(files[name]) {
			var head releaseutil.SimpleHead
			// What is not YAML is reported later, with its line.
			if yaml.Unmarshal([]byte(doc), &head) != nil || head.Metadata == nil {
				continue
			}
			events, ok := head.Metadata.Annotations[release.HookAnnotation]
			if !ok || onlyTests(events) {
				continue
			}
			file := strings.TrimPrefix(name, chartName+"/")
			if first == "" {
				first = file
			}
			hooks = append(hooks, fmt.Sprintf("%s %s (%s, in %s)", head.Kind, head.Metadata.Name, events, file))
		}
	}
	if len(hooks) == 0 {
		return nil
	}
	return faultf(reasonHookUnsupported, "chart %s has hooks, and nothing would run them: %s; remove the annotation %s or switch them off by a value (only test hooks are left out silently)",
		chartName, strings.Join(hooks, ", "), release.HookAnnotation).at(first, 0)
}

// onlyTests tells whether a hook annotation names nothing but tests.
func onlyTests(events string) bool {
	for event := range strings.SplitSeq(events, ",") {
		switch strings.ToLower(strings.TrimSpace(event)) {
		case "test", "test-success":
		default:
			return false
		}
	}
	return true
}

// splitDocuments splits a rendered file into its YAML documents, in order, as
// Helm does.
func splitDocuments(text string) []string {
	split := releaseutil.SplitManifests(text)
	keys := make([]string, 0, len(split))
	for key := range split {
		keys = append(keys, key)
	}
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	docs := make([]string, len(keys))
	for i, key := range keys {
		docs[i] = split[key]
	}
	return docs
}

// malformedOutput finds the rendered document that is not YAML and quotes it.
func malformedOutput(chartName string, files map[string]string, cause error) *fault {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		for _, doc := range splitDocuments(files[name]) {
			var head releaseutil.SimpleHead
			if err := yaml.Unmarshal([]byte(doc), &head); err != nil {
				return malformedDocument(strings.TrimPrefix(name, chartName+"/"), "what the template renders to", doc, err)
			}
		}
	}
	return faultf(reasonManifestInvalid, "chart %s renders to something that is not YAML: %s", chartName, cause)
}

// wrongType is what the JSON decoder says of a value of another type.
var wrongType = regexp.MustCompile(`cannot unmarshal (\w+) into Go (?:struct field \w*\.(\S+)|value) of type (\S+)`)

// malformedDocument says what is wrong with one document that cannot be read
// as an object, and shows the line, unless it is one of a Secret.
func malformedDocument(file, what, doc string, err error) *fault {
	if m := wrongType.FindStringSubmatch(err.Error()); m != nil {
		if m[2] == "" {
			return faultf(reasonManifestInvalid, "%s is of type %s, not a Kubernetes object (apiVersion, kind and metadata.name are needed)\n%s", what, m[1], excerpt(doc)).at(file, 0)
		}
		return faultf(reasonManifestInvalid, "%s is not a Kubernetes object: %s is of type %s, but must be %s", what, m[2], m[1], m[3]).at(file, 0)
	}
	line := yamlErrorLine(err)
	f := faultf(reasonManifestInvalid, "%s is not valid YAML: %s", what, yamlCause(err)).at(file, line)
	if lines := strings.Split(doc, "\n"); line > 0 && line <= len(lines) && !secretKind.MatchString(doc) {
		f.Message += fmt.Sprintf("\nline %d of the document: %s", line, strings.TrimSpace(lines[line-1]))
	}
	return f
}
