// Relations: which objects name which, and what the customizations look for.

package main

import (
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// mostNames bounds how many others objects name on average; more would take
// much memory, and parts would be of no use.
const mostNames = 50

// manifestObject is one document of the base or of a resource.
type manifestObject struct {
	// file is -1 for the base, else the index of the resource.
	file int
	text string
	key  objectKey
	name string
	// namespace is as written; scoped objects are in one, written or not.
	namespace string
	scoped    bool
	node      *kyaml.Node
	// names are the objects, by index, whose name is a value somewhere in it,
	// itself included; namedBy are those that have its name.
	names, namedBy []int
}

// objectKey is what must be unique even after all objects have moved to one namespace.
type objectKey struct{ apiVersion, kind, name string }

func keyOf(r *resource.Resource) objectKey {
	return objectKey{r.GetApiVersion(), r.GetKind(), r.GetName()}
}

// separator is a line that separates documents for Kustomize and for everyone else.
var separator = regexp.MustCompile(`^---[ \t]*(#.*)?$`)

// splitAtSeparators cuts a file into documents whose text Kustomize reads the
// same alone; not ok if it is not sure where they end.
func splitAtSeparators(text string) (texts []string, ok bool) {
	start, at := 0, 0
	for at < len(text) {
		next := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if line := strings.TrimSuffix(text[at:next], "\n"); strings.HasPrefix(line, "---") {
			if !separator.MatchString(line) {
				return nil, false
			}
			texts = append(texts, text[start:at])
			start = next
		}
		at = next
	}
	return append(texts, text[start:]), true
}

// manifestObjects reads base and resources, one object a document.
func (k *kustomizer) manifestObjects() (objects []manifestObject, ok bool) {
	for file := -1; file < len(k.Resources); file++ {
		text := k.base
		if file >= 0 {
			text = k.Resources[file]
		}
		if strings.Contains(text, "\r\r") {
			return nil, false // Kustomize takes a part of such line ends away, once.
		}
		texts, ok := splitAtSeparators(strings.ReplaceAll(text, "\r\n", "\n"))
		if !ok {
			return nil, false
		}
		for _, text := range texts {
			read, err := objectFactory.RF().SliceFromBytes([]byte(text))
			if err != nil || len(read) > 1 {
				return nil, false
			}
			for _, r := range read {
				// Kustomize unfolds lists, each in its own way.
				if isIncomplete(r) || strings.HasSuffix(r.GetKind(), "List") {
					return nil, false
				}
				objects = append(objects, manifestObject{
					file: file, text: text, key: keyOf(r), name: r.GetName(), node: r.YNode(),
					namespace: r.GetNamespace(), scoped: !r.CurId().IsClusterScoped(),
				})
			}
		}
	}
	return objects, true
}

// index finds objects by key and name, and what they name; not ok if some could
// be confused.
func (p *partition) index() (ok bool) {
	namespaces := map[string]bool{}
	for i, o := range p.objects {
		// Kustomize keeps former names in lists with commas, and compares kinds
		// with the other characters between group, version and kind.
		if strings.Contains(o.name+o.namespace, ",") || strings.ContainsAny(o.key.apiVersion+o.key.kind, "~_,") {
			return false
		}
		if _, there := p.byKey[o.key]; there {
			return false
		}
		p.byKey[o.key] = i
		p.byName[o.name] = append(p.byName[o.name], i)
		if o.scoped && !namespaces[o.namespace] {
			namespaces[o.namespace] = true
			p.anchors = append(p.anchors, i)
		}
	}
	// A Namespace gets the name of the namespace that all objects go to.
	renamed := objectKey{"v1", "Namespace", p.namespace}
	spaces := 0
	for i, o := range p.objects {
		if o.key.apiVersion == renamed.apiVersion && o.key.kind == renamed.kind {
			p.byKey[renamed] = i
			spaces++
		}
	}
	if spaces > 1 {
		return false
	}
	room := mostNames * len(p.objects)
	for i := range p.objects {
		o := &p.objects[i]
		seen := map[string]bool{}
		ok := eachScalar(o.node, func(value string) bool {
			if named := p.byName[value]; len(named) > 0 && !seen[value] {
				seen[value] = true
				o.names = append(o.names, named...)
			}
			return !isInternal(value)
		})
		if room -= len(o.names); !ok || room < 0 {
			return false
		}
		slices.Sort(o.names)
		o.node = nil
		for _, named := range o.names {
			p.objects[named].namedBy = append(p.objects[named].namedBy, i)
		}
	}
	return true
}

// isInternal tells what Kustomize notes down in objects, names among it.
func isInternal(text string) bool { return strings.Contains(text, "internal.config.kubernetes.io") }

// eachScalar visits all keys and values until one is refused.
func eachScalar(node *kyaml.Node, visit func(value string) bool) bool {
	if node == nil {
		return true
	}
	if node.Kind == kyaml.ScalarNode && !visit(node.Value) {
		return false
	}
	for _, child := range node.Content {
		if !eachScalar(child, visit) {
			return false
		}
	}
	return true
}

// mentioned lists every value that the customizations could look for or write;
// not ok if one could change what an object is called.
func (k *kustomizer) mentioned() (values []string, ok bool) {
	for _, p := range k.Patches {
		decoder := kyaml.NewDecoder(strings.NewReader(p.Patch))
		for {
			var node kyaml.Node
			if err := decoder.Decode(&node); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, false
			}
			operations := len(node.Content) > 0 && node.Content[0].Kind == kyaml.SequenceNode
			if !eachScalar(&node, func(value string) bool {
				values = append(values, value)
				return !isInternal(value) && !(operations && isIdentityPath(value))
			}) {
				return nil, false
			}
		}
	}
	for _, r := range k.Replicas {
		values = append(values, r.Name)
	}
	for _, c := range k.ConfigMaps {
		values = append(values, c.Name)
		for _, value := range c.Data {
			values = append(values, value)
		}
	}
	for key, value := range k.Annotations {
		if isInternal(key) {
			return nil, false
		}
		values = append(values, value)
	}
	for _, value := range k.Labels {
		values = append(values, value)
	}
	return append(values, k.namespace), true
}

// isIdentityPath tells JSON pointers at what an object is, or at all of it.
func isIdentityPath(pointer string) bool {
	// What stands before the first slash does not count.
	_, path, found := strings.Cut(pointer, "/")
	if !found {
		return pointer == ""
	}
	first, rest, deeper := strings.Cut(path, "/")
	switch first {
	case "", "apiVersion", "kind":
		return true
	case "metadata":
		second, _, _ := strings.Cut(rest, "/")
		return !deeper || second == "" || second == "name" || second == "namespace"
	}
	return false
}
