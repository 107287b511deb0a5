// Explanations: which of the user's own overrides made Kustomize fail, in words about that one.

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/yaml"
)

// buildStage builds the kustomization up to a stage: in parts where it is large
// and they do not depend on each other, else as a whole.
func (k *kustomizer) buildStage(upTo stage) (resmap.ResMap, error) {
	if !k.divided {
		k.parts, k.divided = k.partition(defaultLimits), true
	}
	if k.parts != nil {
		built, err := k.parts.build(upTo)
		if err == nil || !errors.Is(err, errRelated) && len(k.parts.objects) > defaultLimits.whole {
			return built, err
		}
	}
	files, err := k.files(upTo)
	if err != nil {
		return nil, err
	}
	return build(files)
}

// explain finds out which part of the kustomization made kustomize fail, by
// building it up part by part.
func (k *kustomizer) explain(cause error) error {
	if _, err := k.load(); err != nil {
		return err
	}
	if err := k.checkConfigMaps(); err != nil {
		return err
	}
	if _, err := k.buildStage(stage{}); err != nil {
		return faultf(reasonKustomizeFailed, "kustomize: %s", err)
	}
	for i := range k.Patches {
		if _, err := k.buildStage(stage{patches: i + 1}); err != nil {
			return k.explainPatch(i, err)
		}
	}
	for i := range k.Replicas {
		if err := k.checkReplicas(i); err != nil {
			return err
		}
	}
	// Kustomize would print the objects themselves, Secrets included.
	if strings.Contains(cause.Error(), "namespace transformation produces ID conflict") {
		return faultf(reasonKustomizeFailed, "objects that differ in nothing but their namespace would all go to %s: %s; rename them or leave out all but one", k.namespace, listed(k.homonyms()))
	}
	return faultf(reasonKustomizeFailed, "kustomize: %s", cause)
}

// explainPrint says which object kustomize cannot print, and which patch is at
// fault. Its own message would show the object, Secret or not.
func (k *kustomizer) explainPrint(built resmap.ResMap) error {
	const advice = "one of its keys is not text; put quotes around keys such as on, yes, true or 5"
	unprintable := ""
	for _, r := range built.Resources() {
		if _, err := r.AsYAML(); err != nil {
			unprintable = describe(r.CurId())
			break
		}
	}
	for i := range k.Patches {
		so, err := k.buildStage(stage{patches: i + 1})
		if err != nil {
			break
		}
		if _, err := so.AsYaml(); err != nil {
			before, err := k.buildStage(stage{patches: i})
			if err == nil {
				_, err = before.AsYaml()
			}
			if err == nil {
				return faultf(reasonPatchInvalid, "patches[%d] makes %s something that cannot be written: %s", i, unprintable, advice).at(patchFile(i), 0)
			}
			break
		}
	}
	return faultf(reasonManifestInvalid, "%s cannot be written: %s", unprintable, advice)
}

// homonyms names the objects that exist in more than one namespace.
func (k *kustomizer) homonyms() []string {
	var names []string
	seen := map[resid.ResId]bool{}
	for _, r := range k.loaded.Resources() {
		id := r.CurId()
		id.Namespace = ""
		// Kustomize gives every Namespace the name of the one that all goes to.
		if id.Kind == "Namespace" && id.Group == "" {
			id.Name = k.namespace
		}
		if seen[id] {
			names = append(names, describe(id))
		}
		seen[id] = true
	}
	return names
}

// checkConfigMaps says which ConfigMap cannot be generated, and why.
func (k *kustomizer) checkConfigMaps() error {
	for i, c := range k.ConfigMaps {
		existing := k.loaded.GetMatchingResourcesByAnyId(func(id resid.ResId) bool {
			return isConfigMap(id) && id.Name == c.Name
		})
		twice := slices.ContainsFunc(k.ConfigMaps[:i], func(other configMap) bool { return other.Name == c.Name })
		switch creates := c.Behavior == "" || c.Behavior == "create"; {
		case creates && len(existing) > 0:
			return faultf(reasonKustomizeFailed, "configMaps[%d] would create ConfigMap %s, which is there already; set its behavior to merge or replace", i, c.Name)
		case creates && twice:
			return faultf(reasonKustomizeFailed, "configMaps[%d] would create ConfigMap %s a second time; put the data into one entry", i, c.Name)
		case !creates && len(existing) == 0 && !twice:
			return faultf(reasonKustomizeFailed, "configMaps[%d] would %s ConfigMap %s, which does not exist; there are: %s. Correct the name or set its behavior to create",
				i, c.Behavior, c.Name, listed(objectNames(k.loaded)))
		}
	}
	return nil
}

// explainPatch says what is wrong with a patch that cannot be applied.
func (k *kustomizer) explainPatch(i int, cause error) error {
	p := k.Patches[i]
	name := fmt.Sprintf("patches[%d]", i)
	if p.Target != nil {
		name += " (" + p.Target.String() + ")"
	}
	var any interface{}
	if err := yaml.Unmarshal([]byte(p.Patch), &any); err != nil && len(documents(p.Patch)) == 1 {
		return faultf(reasonPatchInvalid, "%s is not valid YAML: %s", name, yamlCause(err)).at(patchFile(i), yamlErrorLine(err))
	}
	if _, isList := any.([]interface{}); isList {
		if p.Target == nil {
			return faultf(reasonPatchInvalid, "%s is a JSON patch and needs a target: say which objects it changes", name).at(patchFile(i), 0)
		}
	} else if _, err := objectFactory.RF().SliceFromBytes([]byte(p.Patch)); err != nil {
		return faultf(reasonPatchInvalid, "%s is neither a JSON patch (a list of operations) nor a strategic merge patch (an object with apiVersion, kind and metadata.name): %s",
			name, err).at(patchFile(i), 0)
	}
	if err := k.checkPatch(i); err != nil {
		return err
	}
	return faultf(reasonPatchInvalid, "%s cannot be applied: %s", name, cause).at(patchFile(i), 0)
}

// describe names an object in messages.
func describe(id resid.ResId) string {
	name := id.Kind + " " + id.Name
	if id.Group != "" {
		name = id.Kind + "." + id.Group + " " + id.Name
	}
	if id.Namespace != "" {
		name += " in namespace " + id.Namespace
	}
	return name
}

// objectNames names all objects.
func objectNames(in resmap.ResMap) []string {
	var names []string
	for _, r := range in.Resources() {
		name := r.GetKind() + " " + r.GetName()
		if ns := r.GetNamespace(); ns != "" {
			name += " in namespace " + ns
		}
		names = append(names, name)
	}
	return names
}

// listed joins names for a message, not too many of them.
func listed(names []string) string {
	const most = 20
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > most:
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}
