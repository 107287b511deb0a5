// Checks: every override must match something, as Kustomize itself does not ask for.

package main

import (
	"regexp"
	"slices"

	"sigs.k8s.io/kustomize/api/resmap"
)

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
