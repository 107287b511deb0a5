package main

import (
	"github.com/Masterminds/semver/v3"
)

// How a selection treats versions such as 1.4.0-rc.1.
const (
	prereleasesInclude = "Include"
	prereleasesExclude = "Exclude"
)

// selectRequest asks for the newest of some versions within a range.
type selectRequest struct {
	Range       string   `json:"range"`
	Prereleases string   `json:"prereleases"`
	Versions    []string `json:"versions"`
}

// selectReply holds the version found, spelled as it was given, or null.
type selectReply struct {
	OK      bool    `json:"ok"`
	Version *string `json:"version"`
}

// selectVersion finds the newest version within a range in Helm's dialect.
// Candidates that are not semantic versions are passed over. Of versions equal
// but for build metadata, the one last in the alphabet wins, so that the answer
// does not depend on the order of the candidates.
func selectVersion(req *selectRequest) (*selectReply, error) {
	wanted := req.Range
	if wanted == "" {
		wanted = "*"
	}
	constraints, err := semver.NewConstraint(wanted)
	if err != nil {
		return nil, faultf(reasonRangeInvalid,
			"the version range %q cannot be read (%s); write it as Helm does, for example \">=1.0.0 <2.0.0\", \"~1.4\" or \"^2\"", req.Range, err)
	}
	switch req.Prereleases {
	case prereleasesInclude:
		constraints.IncludePrerelease = true
	case prereleasesExclude, "":
	default:
		return nil, faultf(reasonRequestInvalid, "prereleases is %q; it must be %s or %s",
			req.Prereleases, prereleasesInclude, prereleasesExclude)
	}

	var best *semver.Version
	for _, candidate := range req.Versions {
		version, err := semver.NewVersion(candidate)
		if err != nil || !constraints.Check(version) {
			continue
		}
		if best == nil || version.GreaterThan(best) ||
			(version.Equal(best) && version.Original() > best.Original()) {
			best = version
		}
	}
	reply := &selectReply{OK: true}
	if best != nil {
		original := best.Original()
		reply.Version = &original
	}
	return reply, nil
}
