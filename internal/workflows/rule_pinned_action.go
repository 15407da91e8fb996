package workflows

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

var (
	commitHash    = regexp.MustCompile(`^[0-9a-f]{40}$`)
	imageDigest   = regexp.MustCompile(`@sha256:[0-9a-f]{64}$`)
	versionRemark = regexp.MustCompile(`#\s*v[0-9]+(\.[0-9]+){2}\s*$`)
)

// checkPinnedAction: a tag or branch can be moved to other code by whoever controls it, a hash cannot. The version beside it is
// for people and for the programs that propose updates.
func checkPinnedAction(f *file, report report) {
	for _, j := range f.jobs() {
		if j.WorkflowCall != nil {
			checkPin(f, j.WorkflowCall.Uses, report)
		}
		for _, c := range containers(j) {
			checkImage(c.Image, report)
		}
		for _, s := range j.Steps {
			if a, ok := s.Exec.(*actionlint.ExecAction); ok {
				checkPin(f, a.Uses, report)
			}
		}
	}
}

// containers returns the containers of a job and its services, in a fixed order.
func containers(j *actionlint.Job) []*actionlint.Container {
	var out []*actionlint.Container
	if j.Container != nil {
		out = append(out, j.Container)
	}
	if j.Services != nil {
		for _, name := range slices.Sorted(maps.Keys(j.Services.Value)) {
			out = append(out, j.Services.Value[name].Container)
		}
	}
	return out
}

func checkPin(f *file, uses *actionlint.String, report report) {
	if uses == nil || strings.HasPrefix(uses.Value, "./") {
		return // this repository's own, at the commit that runs
	}
	if image, ok := strings.CutPrefix(uses.Value, "docker://"); ok {
		checkImage(&actionlint.String{Value: image, Pos: uses.Pos}, report)
		return
	}
	_, version, _ := strings.Cut(uses.Value, "@")
	if !commitHash.MatchString(version) {
		report(uses.Pos, "%q is not pinned: name a full commit hash after @", uses.Value)
	} else if !versionRemark.MatchString(f.lines[uses.Pos.Line-1]) {
		report(uses.Pos, "%q has no version beside it: add a comment such as # v1.2.3", uses.Value)
	}
}

func checkImage(image *actionlint.String, report report) {
	if image != nil && !imageDigest.MatchString(image.Value) {
		report(image.Pos, "the image %q is not pinned: name its digest, @sha256:…", image.Value)
	}
}
