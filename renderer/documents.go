// Documents: how manifests as text become objects.

package main

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/resid"
)

// objectFactory reads objects as kustomize does.
var objectFactory = resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory())

// resources reads YAML documents as kustomize does, and says which of them is
// wrong if one is.
func resources(file, text string) (resmap.ResMap, error) {
	all, err := objectFactory.RF().SliceFromBytes([]byte(text))
	if err == nil && !slices.ContainsFunc(all, isIncomplete) && (distinct{}).addAll(all) {
		return resMapOf(all)
	}
	if err == nil {
		err = errors.New("an object is there twice, or is incomplete")
	}
	seen := distinct{}
	for _, doc := range documents(text) {
		origin := file
		if doc.source != "" {
			origin = doc.source
		}
		read, docErr := objectFactory.RF().SliceFromBytes([]byte(doc.text))
		if docErr != nil {
			line := yamlErrorLine(docErr)
			if line > 0 && doc.source == "" {
				line += doc.line - 1
			}
			f := malformedDocument(origin, "a document", doc.text, docErr)
			if !strings.Contains(docErr.Error(), "yaml:") {
				f = faultf(reasonManifestInvalid, "a document is not a Kubernetes object (apiVersion, kind and metadata.name are needed): %s\n%s", docErr, excerpt(doc.text)).at(origin, 0)
			}
			f.Line = line
			return nil, f
		}
		for _, r := range read {
			if isIncomplete(r) {
				return nil, faultf(reasonManifestInvalid, "a document is not a Kubernetes object (apiVersion, kind and metadata.name are needed)\n%s", excerpt(doc.text)).at(origin, 0)
			}
			if !seen.add(r.CurId()) {
				return nil, faultf(reasonManifestInvalid, "%s is there twice; rename one or remove it", describe(r.CurId())).at(origin, 0)
			}
		}
	}
	return nil, faultf(reasonManifestInvalid, "the manifests cannot be read: %s", err).at(file, 0)
}

// distinct finds objects that are there twice.
type distinct map[resid.ResId]bool

// add is false if the object is there already.
func (d distinct) add(id resid.ResId) bool {
	id.Namespace = id.EffectiveNamespace()
	if d[id] {
		return false
	}
	d[id] = true
	return true
}

// addAll is false if one of the objects is there already.
func (d distinct) addAll(objects []*resource.Resource) bool {
	return !slices.ContainsFunc(objects, func(r *resource.Resource) bool { return !d.add(r.CurId()) })
}

// isIncomplete tells objects that Kubernetes could not even name.
func isIncomplete(r *resource.Resource) bool {
	return r.GetApiVersion() == "" || r.GetKind() == "" || r.GetName() == ""
}

// document is one YAML document of a stream.
type document struct {
	text string
	// source is the template it was rendered from, relative to the chart.
	source string
	// line is where the document starts in the stream.
	line int
}

// documents splits a stream at its separators.
func documents(text string) []document {
	var docs []document
	var current []string
	start := 1
	flush := func(next int) {
		doc := document{text: strings.Join(current, "\n"), line: start}
		if strings.TrimSpace(doc.text) != "" {
			if first, rest, _ := strings.Cut(doc.text, "\n"); strings.HasPrefix(first, "# Source: ") {
				_, doc.source, _ = strings.Cut(strings.TrimPrefix(first, "# Source: "), "/")
				doc.text, doc.line = rest, doc.line+1
			}
			docs = append(docs, doc)
		}
		current, start = nil, next
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "---") {
			flush(i + 2)
			continue
		}
		current = append(current, line)
	}
	flush(0)
	return docs
}

// secretKind finds the kind of a Secret.
var secretKind = regexp.MustCompile(`(?m)^\s*["']?kind["']?\s*:\s*["']?Secret\b`)

// excerpt shows the beginning of a document, but nothing of a Secret.
func excerpt(text string) string {
	if secretKind.MatchString(text) {
		return ""
	}
	var kept []string
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if len(line) > 120 {
			line = line[:120]
		}
		if kept = append(kept, "  "+line); len(kept) == 5 {
			break
		}
	}
	return strings.Join(kept, "\n")
}
