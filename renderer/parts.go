// Parts: a large kustomization is built piece by piece, because the time that Kustomize takes grows with the square of the number of objects.

package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// What Kustomize does to an object depends on other objects in few ways only:
//
//   - A name in it may be that of another object, whose new name and namespace
//     it then gets. Which other objects come into question depends on their
//     own names, and on which namespaces there are.
//   - A patch without a target, a replica count and a generated ConfigMap look
//     for one object by name, and fail when there is none or more than one.
//   - No two objects may be the same, before and after.
//
// So an object comes out the same without all those that neither it nor the
// customizations name. A part is some objects, together with all that these
// name, all that the customizations name, and one of each namespace; Kustomize
// builds it with all customizations, and only the objects that the part is for
// are kept. Whether an object names something outside its part is looked up
// again in what comes out. Whatever does not fit is built as a whole.

// limits are the numbers of objects at which the way of building changes.
type limits struct {
	// part is how many objects a part is for.
	part int
	// whole is up to how many objects a kustomization with a mistake is built
	// as a whole, so that of several mistakes Kustomize's first is reported.
	whole int
	// gain is how many times less work parts must be than the whole.
	gain int
}

var defaultLimits = limits{part: 50, whole: 500, gain: 2}

// errRelated says that parts cannot be told apart.
var errRelated = errors.New("the parts may depend on each other")

// partition is a kustomization divided into parts.
type partition struct {
	*kustomizer
	objects []manifestObject
	byKey   map[objectKey]int
	byName  map[string][]int
	// anchors are the objects that stand for their namespaces.
	anchors []int
	parts   []part
}

// part is one division, as ascending indices.
type part struct {
	// kept are the objects that the part is for, context all that it has.
	kept, context []int
}

// partition divides the kustomization; nil if that is not worth it or not possible.
func (k *kustomizer) partition(most limits) *partition {
	objects, ok := k.manifestObjects()
	if !ok || len(objects) <= 2*most.part {
		return nil
	}
	p := &partition{kustomizer: k, objects: objects, byKey: map[objectKey]int{}, byName: map[string][]int{}}
	if !p.index() {
		return nil
	}
	mentioned, ok := k.mentioned()
	if !ok {
		return nil
	}
	p.divide(most.part, mentioned)
	work := 0
	for _, one := range p.parts {
		size := len(one.context) + len(k.ConfigMaps)
		work += size * size
	}
	if work*most.gain > len(objects)*len(objects) {
		return nil
	}
	return p
}

// divide makes the parts: what belongs together goes into the same part where
// there is room, and what the customizations name goes into all.
func (p *partition) divide(size int, mentioned []string) {
	everywhere := slices.Clone(p.anchors)
	for _, value := range mentioned {
		everywhere = append(everywhere, p.byName[value]...)
	}
	everywhere = p.closed(everywhere)
	taken := make([]bool, len(p.objects))
	for _, i := range everywhere {
		taken[i] = true
	}
	add := func(kept []int) {
		context := slices.Concat(kept, everywhere)
		for _, i := range kept {
			context = append(context, p.objects[i].names...)
		}
		slices.Sort(kept)
		p.parts = append(p.parts, part{kept: kept, context: p.closed(context)})
	}
	if len(everywhere) > 0 {
		add(slices.Clone(everywhere))
	}
	// Parts that are small beside what is in all of them would be a waste.
	size = max(size, len(everywhere))
	var kept []int
	for i := range p.objects {
		for queue := []int{i}; len(queue) > 0; queue = queue[1:] {
			next := queue[0]
			if taken[next] {
				continue
			}
			taken[next] = true
			if kept = append(kept, next); len(kept) == size {
				add(kept)
				kept = nil
			}
			queue = append(append(queue, p.objects[next].names...), p.objects[next].namedBy...)
		}
	}
	if len(kept) > 0 {
		add(kept)
	}
}

// closed adds all objects of the same names and sorts.
func (p *partition) closed(indices []int) []int {
	var all []int
	seen := map[string]bool{}
	for _, i := range indices {
		if name := p.objects[i].name; !seen[name] {
			seen[name] = true
			all = append(all, p.byName[name]...)
		}
	}
	slices.Sort(all)
	return all
}

// build builds the parts and puts them together; errRelated if they turn out to
// depend on each other.
func (p *partition) build(upTo stage) (resmap.ResMap, error) {
	var all []*resource.Resource
	var generated []objectKey
	for i, one := range p.parts {
		files, err := p.only(one).files(upTo)
		if err != nil {
			return nil, err
		}
		built, err := build(files)
		if err != nil {
			return nil, err
		}
		kept, made, ok := p.keep(one, built.Resources())
		if !ok {
			return nil, errRelated
		}
		all = append(all, kept...)
		names := make([]objectKey, len(made))
		for j, r := range made {
			names[j] = keyOf(r)
		}
		// Every part generates the same ConfigMaps.
		if i == 0 {
			generated = names
			all = append(all, made...)
		} else if !slices.Equal(names, generated) {
			return nil, errRelated
		}
	}
	return inOrder(all)
}

// only is the kustomization of one part.
func (p *partition) only(one part) *kustomizer {
	texts := make([]strings.Builder, 1+len(p.Resources))
	for _, i := range one.context {
		o := p.objects[i]
		text := &texts[1+o.file]
		if text.Len() > 0 {
			text.WriteString("---\n")
		}
		text.WriteString(o.text)
	}
	changes := *p.customizations
	changes.Resources = make([]string, len(p.Resources))
	for i := range changes.Resources {
		changes.Resources[i] = texts[1+i].String()
	}
	return &kustomizer{base: texts[0].String(), namespace: p.namespace, customizations: &changes, loaded: p.loaded, isPart: true}
}

// keep takes from what a part builds to what the part is for, and what is
// generated; not ok if something in it depends, or may depend, on other parts.
func (p *partition) keep(one part, built []*resource.Resource) (kept, generated []*resource.Resource, ok bool) {
	const absent, present, wanted, there = 0, 1, 2, 4
	state := map[int]int{}
	for _, i := range one.context {
		state[i] = present
	}
	for _, i := range one.kept {
		state[i] |= wanted
	}
	for _, r := range built {
		i, known := p.byKey[keyOf(r)]
		switch {
		case !known && isConfigMap(r.CurId()) && len(p.ConfigMaps) > 0:
			generated = append(generated, r)
		case !known || state[i] == absent || state[i]&there != 0:
			return nil, nil, false
		default:
			state[i] |= there
			if state[i]&wanted == 0 {
				continue
			}
			kept = append(kept, r)
		}
		if !eachScalar(r.YNode(), func(value string) bool {
			// A part has all objects of a name or none.
			named := p.byName[value]
			return len(named) == 0 || state[named[0]] != absent
		}) {
			return nil, nil, false
		}
	}
	for _, i := range p.anchors {
		if state[i]&there == 0 {
			return nil, nil, false
		}
	}
	return kept, generated, true
}

// inOrder sorts objects the way Kustomize does. The order of the kinds is its
// own affair, so it sorts one object of each; within a kind it goes by
// namespace and name.
func inOrder(objects []*resource.Resource) (resmap.ResMap, error) {
	kinds := map[resid.Gvk]int{}
	var skeletons strings.Builder
	for _, r := range objects {
		if _, known := kinds[r.GetGvk()]; known {
			continue
		}
		kinds[r.GetGvk()] = 0
		skeleton, err := json.Marshal(map[string]any{"apiVersion": r.GetApiVersion(), "kind": r.GetKind(), "metadata": map[string]any{"name": "x"}})
		if err != nil {
			return nil, err
		}
		skeletons.WriteString("---\n" + string(skeleton) + "\n")
	}
	files, err := (&kustomizer{base: skeletons.String(), customizations: &customizations{}}).files(stageAll)
	if err != nil {
		return nil, err
	}
	sorted, err := build(files)
	if err != nil || sorted.Size() != len(kinds) {
		return nil, errRelated
	}
	for i, r := range sorted.Resources() {
		kinds[r.GetGvk()] = i
	}

	type place struct {
		kind int
		name string
		r    *resource.Resource
	}
	places := make([]place, len(objects))
	for i, r := range objects {
		places[i] = place{kinds[r.GetGvk()], cmp.Or(r.GetNamespace(), "~X") + "|" + r.GetName(), r}
	}
	compare := func(a, b place) int { return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.name, b.name)) }
	slices.SortFunc(places, compare)
	ordered := make([]*resource.Resource, len(places))
	for i, at := range places {
		if i > 0 && compare(places[i-1], at) == 0 {
			return nil, errRelated
		}
		ordered[i] = at.r
	}
	return resMapOf(ordered)
}

// resMapOf makes a map of objects that are known to differ. Appending them one
// by one would compare each with each.
func resMapOf(objects []*resource.Resource) (resmap.ResMap, error) {
	made := resmap.New()
	err := made.ApplyFilter(kio.FilterFunc(func([]*kyaml.RNode) ([]*kyaml.RNode, error) {
		nodes := make([]*kyaml.RNode, len(objects))
		for i, r := range objects {
			nodes[i] = &r.RNode
		}
		return nodes, nil
	}))
	return made, err
}
