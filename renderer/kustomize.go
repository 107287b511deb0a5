package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// The files of an ejected kustomization.
const (
	kustomizationFile = "kustomization.yaml"
	baseFile          = "base.yaml"
)

// customizations is what an overlay changes. The names are those of kustomize.
type customizations struct {
	Replicas    []types.Replica   `json:"replicas"`
	Patches     []patch           `json:"patches"`
	ConfigMaps  []configMap       `json:"configMaps"`
	Images      []image           `json:"images"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Resources   []string          `json:"resources"`
}

// patch is a strategic merge patch or a JSON 6902 patch.
type patch struct {
	Target *patchTarget `json:"target"`
	Patch  string       `json:"patch"`
}

// patchTarget selects objects; all fields but the selectors are anchored
// regular expressions, as in kustomize.
type patchTarget struct {
	Group              string `json:"group"`
	Version            string `json:"version"`
	Kind               string `json:"kind"`
	Name               string `json:"name"`
	Namespace          string `json:"namespace"`
	LabelSelector      string `json:"labelSelector"`
	AnnotationSelector string `json:"annotationSelector"`
}

// selector is the target in kustomize's terms.
func (t *patchTarget) selector() *types.Selector {
	if t == nil {
		return nil
	}
	return &types.Selector{
		ResId: resid.ResId{
			Gvk:       resid.Gvk{Group: t.Group, Version: t.Version, Kind: t.Kind},
			Name:      t.Name,
			Namespace: t.Namespace,
		},
		LabelSelector:      t.LabelSelector,
		AnnotationSelector: t.AnnotationSelector,
	}
}

// String names the target in messages.
func (t *patchTarget) String() string {
	var parts []string
	for _, field := range [][2]string{
		{"group", t.Group}, {"version", t.Version}, {"kind", t.Kind}, {"name", t.Name}, {"namespace", t.Namespace},
		{"labelSelector", t.LabelSelector}, {"annotationSelector", t.AnnotationSelector},
	} {
		if field[1] != "" {
			parts = append(parts, field[0]+": "+field[1])
		}
	}
	return "target {" + strings.Join(parts, ", ") + "}"
}

// configMap is an input of kustomize's configMapGenerator.
type configMap struct {
	Name     string            `json:"name"`
	Data     map[string]string `json:"data"`
	Behavior string            `json:"behavior"`
}

// image replaces the name, tag or digest of an image.
type image struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
	NewTag  string `json:"newTag"`
	Digest  string `json:"digest"`
}

// object names one object of the result.
type object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// customized is the result of a kustomize build.
type customized struct {
	manifest string
	files    map[string]string
	objects  []object
	images   []string
}

// customize builds a kustomization over base, and returns it together with
// what it builds to. `kustomize build` on the files gives the same bytes.
//
// The namespace goes through kustomize's namespace transformer, because Helm
// leaves metadata.namespace to the one who applies its output: every namespaced
// object ends up in the target namespace. Labels are set on the objects alone,
// neither on selectors, which cannot be changed later, nor on pod templates.
// Annotations go to pod templates too. Generated ConfigMaps get the usual hash
// suffix, and what refers to them follows.
func customize(base, namespace string, c *customizations) (*customized, error) {
	if c == nil {
		c = &customizations{}
	}
	k := &kustomizer{base: base, namespace: namespace, customizations: c}
	if err := k.checkRequest(); err != nil {
		return nil, err
	}
	if err := k.checkAliases(); err != nil {
		return nil, err
	}
	files, err := k.files(stageAll)
	if err != nil {
		return nil, err
	}
	built, err := build(files)
	if err != nil {
		return nil, k.explain(err)
	}
	if err := k.checkMatches(); err != nil {
		return nil, err
	}

	manifest, err := built.AsYaml()
	if err != nil {
		return nil, k.explainPrint(built)
	}
	if len(manifest) > maxOutput {
		return nil, faultf(reasonTooLarge, "the result is %d MiB; at most %d MiB are allowed", len(manifest)>>20, maxOutput>>20)
	}
	result := &customized{manifest: string(manifest), files: files, objects: []object{}, images: imagesOf(built)}
	for _, r := range built.Resources() {
		o := object{APIVersion: r.GetApiVersion(), Kind: r.GetKind(), Namespace: r.GetNamespace(), Name: r.GetName()}
		if isIncomplete(r) {
			if _, err := k.load(); err != nil {
				return nil, err
			}
			return nil, faultf(reasonManifestInvalid, "an object lacks apiVersion, kind or metadata.name\n%s", excerpt(r.MustYaml()))
		}
		result.objects = append(result.objects, o)
	}
	return result, nil
}

// stage is how far a kustomization goes, in the order in which kustomize works.
type stage struct {
	// patches is how many of the patches are applied.
	patches int
	// images is how many of the image overrides are applied; they come last.
	images int
	// rest is everything else, hash suffixes and namespace included.
	rest bool
}

// stageAll is the whole kustomization.
var stageAll = stage{patches: -1, images: -1, rest: true}

// kustomizer builds one kustomization and explains what is wrong with it.
type kustomizer struct {
	base      string
	namespace string
	*customizations
	// loaded is what load has read.
	loaded resmap.ResMap
}

// configMapKey is what Kubernetes allows as a key; keys are used as file names.
var configMapKey = regexp.MustCompile(`^[-._a-zA-Z0-9]{1,253}$`)

// checkRequest refuses what kustomize would not refuse clearly.
func (k *kustomizer) checkRequest() error {
	for i, c := range k.ConfigMaps {
		if c.Name == "" {
			return faultf(reasonKustomizeFailed, "configMaps[%d] has no name; give it one", i)
		}
		switch c.Behavior {
		case "", "create", "merge", "replace":
		default:
			return faultf(reasonKustomizeFailed, "configMaps[%d] (%s) has behavior %q; it must be create, merge or replace", i, c.Name, c.Behavior)
		}
		for key := range c.Data {
			if !configMapKey.MatchString(key) || key == "." || strings.HasPrefix(key, "..") {
				return faultf(reasonKustomizeFailed, "configMaps[%d] (%s) has the key %q; keys may hold letters, digits, '-', '_' and '.', and must not be \".\" or start with \"..\"", i, c.Name, key)
			}
		}
	}
	for i, r := range k.Replicas {
		if r.Name == "" {
			return faultf(reasonReplicasUnmatched, "replicas[%d] has no name; name the Deployment or StatefulSet", i)
		}
		if r.Count < 0 {
			return faultf(reasonKustomizeFailed, "replicas[%d] (%s) has the count %d; it must not be negative", i, r.Name, r.Count)
		}
	}
	for i, im := range k.Images {
		if im.Name == "" {
			return faultf(reasonImagesUnmatched, "images[%d] has no name; give the image's name without tag", i)
		}
		if im.NewTag != "" && im.Digest != "" {
			return faultf(reasonKustomizeFailed, "images[%d] (%s) has both newTag and digest; give one", i, im.Name)
		}
	}
	for i, p := range k.Patches {
		if strings.TrimSpace(p.Patch) == "" {
			return faultf(reasonPatchInvalid, "patches[%d] is empty", i).at(patchFile(i), 0)
		}
		if p.Target != nil && *p.Target == (patchTarget{}) {
			return faultf(reasonPatchInvalid, "patches[%d] has an empty target, which would match every object; say which, or \"kind: .*\" if that is meant", i).at(patchFile(i), 0)
		}
	}
	return nil
}

// checkAliases refuses bombs before kustomize reads them.
func (k *kustomizer) checkAliases() error {
	if err := checkAliases(reasonManifestInvalid, baseFile, k.base); err != nil {
		return err
	}
	for i, text := range k.Resources {
		if err := checkAliases(reasonManifestInvalid, resourceFile(i), text); err != nil {
			return err
		}
	}
	for i, p := range k.Patches {
		if err := checkAliases(reasonPatchInvalid, patchFile(i), p.Patch); err != nil {
			return err
		}
	}
	return nil
}

// load reads base and resources by themselves, before any change, for
// overrides to be matched against, and to find what is wrong in them with file
// and line. It is not needed where nothing is overridden and nothing is wrong.
func (k *kustomizer) load() (resmap.ResMap, error) {
	if k.loaded != nil {
		return k.loaded, nil
	}
	loaded, err := resources(baseFile, k.base)
	if err != nil {
		return nil, err
	}
	for i, text := range k.Resources {
		more, err := resources(resourceFile(i), text)
		if err != nil {
			return nil, err
		}
		for _, r := range more.Resources() {
			if err := loaded.Append(r); err != nil {
				return nil, faultf(reasonManifestInvalid, "resources[%d] has %s, which is there already; change it with a patch instead", i, describe(r.CurId())).at(resourceFile(i), 0)
			}
		}
	}
	k.loaded = loaded
	return loaded, nil
}

func patchFile(i int) string    { return fmt.Sprintf("patches/%d.yaml", i) }
func resourceFile(i int) string { return fmt.Sprintf("resources/%d.yaml", i) }

// files writes the kustomization up to a stage.
func (k *kustomizer) files(upTo stage) (map[string]string, error) {
	out := map[string]string{baseFile: k.base}
	kustomization := types.Kustomization{
		TypeMeta:  types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources: []string{baseFile},
	}
	for i, text := range k.Resources {
		out[resourceFile(i)] = text
		kustomization.Resources = append(kustomization.Resources, resourceFile(i))
	}
	for i, c := range k.ConfigMaps {
		namespace, err := k.configMapNamespace(c)
		if err != nil {
			return nil, err
		}
		args := types.ConfigMapArgs{GeneratorArgs: types.GeneratorArgs{Name: c.Name, Behavior: c.Behavior, Namespace: namespace}}
		for _, key := range slices.Sorted(maps.Keys(c.Data)) {
			// Files, not literals: kustomize strips quotes from literals.
			file := fmt.Sprintf("configmaps/%d/%s", i, key)
			out[file] = c.Data[key]
			args.FileSources = append(args.FileSources, key+"="+file)
		}
		kustomization.ConfigMapGenerator = append(kustomization.ConfigMapGenerator, args)
	}
	for i, p := range k.Patches {
		if upTo.patches >= 0 && i >= upTo.patches {
			break
		}
		out[patchFile(i)] = p.Patch
		kustomization.Patches = append(kustomization.Patches, types.Patch{Path: patchFile(i), Target: p.Target.selector()})
	}
	for i, im := range k.Images {
		if upTo.images >= 0 && i >= upTo.images {
			break
		}
		kustomization.Images = append(kustomization.Images, types.Image{
			Name: im.Name, NewName: im.NewName, NewTag: im.NewTag, Digest: im.Digest,
		})
	}
	if upTo.rest {
		kustomization.Namespace = k.namespace
		kustomization.Replicas = k.Replicas
		kustomization.CommonAnnotations = k.Annotations
		if len(k.Labels) > 0 {
			kustomization.Labels = []types.Label{{Pairs: k.Labels}}
		}
		// The default of `kustomize build`, but not of every tool that reads
		// kustomizations.
		kustomization.SortOptions = &types.SortOptions{Order: types.LegacySortOrder}
	} else if len(k.ConfigMaps) > 0 {
		kustomization.GeneratorOptions = &types.GeneratorOptions{DisableNameSuffixHash: true}
	}
	text, err := yaml.Marshal(kustomization)
	if err != nil {
		return nil, faultf(reasonKustomizeFailed, "the kustomization cannot be written: %s", err)
	}
	out[kustomizationFile] = string(text)
	return out, nil
}

// configMapNamespace is the namespace that a merged or replaced ConfigMap has
// in the base: kustomize finds it only by the same.
func (k *kustomizer) configMapNamespace(c configMap) (string, error) {
	if c.Behavior != "merge" && c.Behavior != "replace" {
		return "", nil
	}
	loaded, err := k.load()
	if err != nil {
		return "", err
	}
	for _, r := range loaded.Resources() {
		if isConfigMap(r.CurId()) && r.GetName() == c.Name {
			return r.GetNamespace(), nil
		}
	}
	return "", nil
}

// isConfigMap tells core ConfigMaps from other kinds of that name.
func isConfigMap(id resid.ResId) bool { return id.Group == "" && id.Kind == "ConfigMap" }

// build runs kustomize over files in memory: no plugins, nothing from outside.
func build(files map[string]string) (resmap.ResMap, error) {
	fs := filesys.MakeFsInMemory()
	for name, text := range files {
		if err := fs.WriteFile("/"+name, []byte(text)); err != nil {
			return nil, err
		}
	}
	return krusty.MakeKustomizer(&krusty.Options{
		Reorder:          krusty.ReorderOptionUnspecified,
		LoadRestrictions: types.LoadRestrictionsRootOnly,
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(fs, "/")
}

// objectFactory reads objects as kustomize does.
var objectFactory = resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory())

// resources reads YAML documents as kustomize does, and says which of them is
// wrong if one is.
func resources(file, text string) (resmap.ResMap, error) {
	loaded, err := objectFactory.NewResMapFromBytes([]byte(text))
	if err == nil && !slices.ContainsFunc(loaded.Resources(), isIncomplete) {
		return loaded, nil
	}
	loaded = resmap.New()
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
			if err := loaded.Append(r); err != nil {
				return nil, faultf(reasonManifestInvalid, "%s is there twice; rename one or remove it", describe(r.CurId())).at(origin, 0)
			}
		}
	}
	return nil, faultf(reasonManifestInvalid, "the manifests cannot be read: %s", err).at(file, 0)
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

// checkMatches makes sure that every override changes something. Kustomize
// ignores patches with a target and images that match nothing.
func (k *kustomizer) checkMatches() error {
	if len(k.Patches)+len(k.Replicas)+len(k.Images) == 0 {
		return nil
	}
	if _, err := k.load(); err != nil {
		return err
	}
	for i := range k.Patches {
		if err := k.checkPatch(i); err != nil {
			return err
		}
	}
	for i := range k.Replicas {
		if err := k.checkReplicas(i); err != nil {
			return err
		}
	}
	return k.checkImages()
}

// checkPatch makes sure that a patch has something to patch, first in the
// objects as loaded, then in what the patches before it leave.
func (k *kustomizer) checkPatch(i int) error {
	p := k.Patches[i]
	matches := func(in resmap.ResMap) (bool, error) {
		if p.Target != nil {
			found, err := in.Select(*p.Target.selector())
			if err != nil {
				return false, faultf(reasonPatchInvalid, "patches[%d] has an unreadable target: %s", i, err).at(patchFile(i), 0)
			}
			return len(found) > 0, nil
		}
		patches, err := objectFactory.RF().SliceFromBytes([]byte(p.Patch))
		if err != nil {
			// Not a strategic merge patch: kustomize has said why.
			return true, nil
		}
		for _, own := range patches {
			if len(in.GetMatchingResourcesByAnyId(own.OrgId().Equals)) == 0 {
				return false, nil
			}
		}
		return true, nil
	}
	if found, err := matches(k.loaded); found || err != nil {
		return err
	}
	before, err := k.buildStage(stage{patches: i, images: 0})
	if err != nil {
		before = k.loaded
	} else if found, err := matches(before); found || err != nil {
		return err
	}

	what := "it"
	if p.Target != nil {
		what = p.Target.String()
	} else if patches, err := objectFactory.RF().SliceFromBytes([]byte(p.Patch)); err == nil {
		for _, own := range patches {
			if len(before.GetMatchingResourcesByAnyId(own.OrgId().Equals)) == 0 {
				what = describe(own.OrgId())
				break
			}
		}
	}
	return faultf(reasonPatchUnmatched, "patches[%d] changes nothing: %s matches no object; there are: %s. Correct the patch or remove it",
		i, what, listed(objectNames(before))).at(patchFile(i), 0)
}

// replicaKinds are the kinds whose replicas kustomize sets.
var replicaKinds = []string{"Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"}

// checkReplicas makes sure that there is something to scale.
func (k *kustomizer) checkReplicas(i int) error {
	scalable := func(in resmap.ResMap) (names []string, found bool) {
		for _, r := range in.Resources() {
			if slices.Contains(replicaKinds, r.GetKind()) {
				names = append(names, r.GetKind()+" "+r.GetName())
				found = found || r.GetName() == k.Replicas[i].Name
			}
		}
		return names, found
	}
	names, found := scalable(k.loaded)
	if found {
		return nil
	}
	if before, err := k.buildStage(stage{patches: -1, images: 0}); err == nil {
		if names, found = scalable(before); found {
			return nil
		}
	}
	return faultf(reasonReplicasUnmatched, "replicas[%d] names %q, but nothing with replicas has that name; there are: %s. Correct the name or remove the entry",
		i, k.Replicas[i].Name, listed(names))
}

// checkImages makes sure that every image override names an image in use.
func (k *kustomizer) checkImages() error {
	if len(k.Images) == 0 {
		return nil
	}
	loaded := imagesOf(k.loaded)
	for i, im := range k.Images {
		// As kustomize has it, the name is a regular expression.
		pattern, err := regexp.Compile("^" + im.Name + `(:[a-zA-Z0-9_.{}-]*)?(@[a-zA-Z0-9]+([.+_-][a-zA-Z0-9]+)*:[a-zA-Z0-9_.{}-]*)?$`)
		if err != nil {
			return faultf(reasonImagesUnmatched, "images[%d] has the name %q, which is not an image name: %s", i, im.Name, err)
		}
		if slices.ContainsFunc(loaded, pattern.MatchString) {
			continue
		}
		there := loaded
		if before, err := k.buildStage(stage{patches: -1, images: i}); err == nil {
			if there = imagesOf(before); slices.ContainsFunc(there, pattern.MatchString) {
				continue
			}
		}
		return faultf(reasonImagesUnmatched, "images[%d] names %q, but no container uses that image; there are: %s. Correct the name (without tag) or remove the entry",
			i, im.Name, listed(there))
	}
	return nil
}

// buildStage builds the kustomization up to a stage.
func (k *kustomizer) buildStage(upTo stage) (resmap.ResMap, error) {
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

// imagesOf collects the images that containers run and mount, sorted.
func imagesOf(in resmap.ResMap) []string {
	found := map[string]bool{}
	for _, r := range in.Resources() {
		// The schema of a CustomResourceDefinition has fields of these names.
		if r.GetKind() != "CustomResourceDefinition" {
			collectImages(r.YNode(), found)
		}
	}
	return slices.AppendSeq(make([]string, 0, len(found)), slices.Values(slices.Sorted(maps.Keys(found))))
}

// collectImages walks a YAML tree for lists of containers, wherever a kind
// keeps them, and for volumes of type image.
func collectImages(node *kyaml.Node, found map[string]bool) {
	if node == nil {
		return
	}
	if node.Kind != kyaml.MappingNode {
		for _, child := range node.Content {
			collectImages(child, found)
		}
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i].Value, node.Content[i+1]
		switch key {
		case "containers", "initContainers", "ephemeralContainers":
			for _, container := range value.Content {
				if ref := scalarAt(container, "image"); ref != "" {
					found[ref] = true
				}
			}
		case "volumes":
			for _, volume := range value.Content {
				if ref := scalarAt(fieldAt(volume, "image"), "reference"); ref != "" {
					found[ref] = true
				}
			}
		}
		collectImages(value, found)
	}
}

// fieldAt is the value of a field of a mapping, or nil.
func fieldAt(node *kyaml.Node, field string) *kyaml.Node {
	if node == nil || node.Kind != kyaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == field {
			return node.Content[i+1]
		}
	}
	return nil
}

// scalarAt is the text of a scalar field of a mapping, or "".
func scalarAt(node *kyaml.Node, field string) string {
	value := fieldAt(node, field)
	if value == nil || value.Kind != kyaml.ScalarNode {
		return ""
	}
	return value.Value
}
