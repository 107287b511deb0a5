package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
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
	built, err := k.buildStage(stageAll)
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
	// parts divides the kustomization if it is large, once divided says so.
	parts   *partition
	divided bool
	// isPart marks a part of another one: files without objects are left out.
	isPart bool
}

// configMapKey is what Kubernetes allows as a key.
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
	base, err := resources(baseFile, k.base)
	if err != nil {
		return nil, err
	}
	all := base.Resources()
	seen := distinct{}
	seen.addAll(all)
	for i, text := range k.Resources {
		more, err := resources(resourceFile(i), text)
		if err != nil {
			return nil, err
		}
		for _, r := range more.Resources() {
			if !seen.add(r.CurId()) {
				return nil, faultf(reasonManifestInvalid, "resources[%d] has %s, which is there already; change it with a patch instead", i, describe(r.CurId())).at(resourceFile(i), 0)
			}
			all = append(all, r)
		}
	}
	k.loaded, err = resMapOf(all)
	return k.loaded, err
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
		if k.isPart && text == "" {
			continue
		}
		out[resourceFile(i)] = text
		kustomization.Resources = append(kustomization.Resources, resourceFile(i))
	}
	for i, c := range k.ConfigMaps {
		namespace, err := k.configMapNamespace(c)
		if err != nil {
			return nil, err
		}
		args := types.ConfigMapArgs{GeneratorArgs: types.GeneratorArgs{Name: c.Name, Behavior: c.Behavior, Namespace: namespace}}
		for j, key := range slices.Sorted(maps.Keys(c.Data)) {
			// Files, not literals: kustomize strips quotes from literals. And not
			// named after the key: Flux drops files of certain names (*.zip,
			// .gitignore), and obeys a .sourceignore.
			file := fmt.Sprintf("configmaps/%d/%d", i, j)
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
