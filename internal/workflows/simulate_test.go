package workflows

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// load parses one of the real workflows.
func load(t *testing.T, name string) *file {
	t.Helper()
	path := filepath.Join("../../.github/workflows", name)
	f, err := parse(path, realWorkflows(t)[path])
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// start is one way to start a workflow, in words that a table can hold.
type start struct {
	name   string
	event  string
	fork   bool
	inputs object
	vars   object
	ref    string // tag or branch; "" where it does not matter
	fails  string // the jobs that fail when they run
}

func (s start) scenario() scenario {
	sc := newScenario(s.event, s.fork)
	sc.contexts["inputs"] = s.inputs
	sc.contexts["vars"] = s.vars
	if s.ref != "" {
		sc.contexts["github"].(object)["ref_type"] = s.ref
	}
	if s.inputs == nil {
		sc.contexts["inputs"] = nil // null for every event but a dispatch
	}
	return sc
}

// simulate runs the jobs of a workflow, each as soon as those that it needs are done, and returns every job's result.
func simulate(t *testing.T, f *file, start start) object {
	t.Helper()
	s, fails, done := start.scenario(), strings.Fields(start.fails), object{}
	for len(done) < len(f.Jobs) {
		before := len(done)
		for _, j := range f.jobs() {
			id := strings.ToLower(j.ID.Value)
			if _, ok := done[id]; ok || !ready(j, done) {
				continue
			}
			s.status = map[string]any{"success": succeeded(j, done)}
			switch o := s.decide(j.If); o {
			case runs:
				done[id] = object{"result": "success"}
				if slices.Contains(fails, id) {
					done[id] = object{"result": "failure"}
				}
			case skipped:
				done[id] = object{"result": "skipped"}
			default:
				t.Fatalf("job %s %s on %s", id, o, s.event)
			}
		}
		if len(done) == before {
			t.Fatal("jobs wait for each other")
		}
	}
	return done
}

func ready(j *actionlint.Job, done object) bool {
	return !slices.ContainsFunc(j.Needs, func(n *actionlint.String) bool { return done[strings.ToLower(n.Value)] == nil })
}

func succeeded(j *actionlint.Job, done object) bool {
	return !slices.ContainsFunc(j.Needs, func(n *actionlint.String) bool {
		return done[strings.ToLower(n.Value)].(object)["result"] != "success"
	})
}

// ran returns the jobs that were not skipped, sorted.
func ran(done object) []string {
	var out []string
	for id, j := range done {
		if j.(object)["result"] != "skipped" {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func TestWhichJobsRun(t *testing.T) {
	const nightly, weekly = "apexx_enable_gpu_nightly", "apexx_enable_gpu_weekly" // names of variables have no case
	dispatch := func(key string, value any) object { return object{key: value} }
	for file, tests := range map[string][]struct {
		start
		want string
	}{
		"ci.yml": {
			{start{name: "push", event: "push"}, "build-lint-test ci-required reproducible"},
			{start{name: "pull request", event: "pull_request"}, "build-lint-test ci-required cpu-gate reproducible"},
			{start{name: "fork", event: "pull_request", fork: true}, "build-lint-test ci-required cpu-gate reproducible"},
			{start{name: "all fails", event: "pull_request", fails: "build-lint-test cpu-gate"}, "build-lint-test ci-required cpu-gate reproducible"},
		},
		"gpu-gate.yml": {
			{start{name: "pull request", event: "pull_request"}, "gpu-perf-regression gpu-required"},
			{start{name: "fork", event: "pull_request", fork: true}, "blocked-untrusted-pr gpu-required"},
			{start{name: "dispatch", event: "workflow_dispatch", inputs: dispatch("run_mode", "skip")}, "gpu-required skipped"},
			{start{name: "dispatch on GPU", event: "workflow_dispatch", inputs: dispatch("run_mode", "self-hosted-gpu")}, "gpu-perf-regression gpu-required"},
			{start{name: "fork, fails", event: "pull_request", fork: true, fails: "blocked-untrusted-pr"}, "blocked-untrusted-pr gpu-required"},
			{start{name: "slower", event: "pull_request", fails: "gpu-perf-regression"}, "gpu-perf-regression gpu-required"},
			{start{name: "night, off", event: "schedule", vars: object{nightly: ""}}, "gpu-required"},
			{start{name: "night, off in words", event: "schedule", vars: object{nightly: "false"}}, "gpu-required"},
			{start{name: "night, on", event: "schedule", vars: object{nightly: "true"}}, "gpu-perf-regression gpu-required"},
		},
		"release.yml": {
			{start{name: "on a tag", event: "workflow_dispatch", ref: "tag"}, "build-amd64 build-arm64 evidence publish rebuild sign"},
			{start{name: "on a branch", event: "workflow_dispatch", ref: "branch"}, ""},
			{start{name: "evidence fails", event: "workflow_dispatch", ref: "tag", fails: "evidence"}, "build-amd64 build-arm64 evidence rebuild"},
			{start{name: "not the same twice", event: "workflow_dispatch", ref: "tag", fails: "rebuild"}, "build-amd64 build-arm64 evidence rebuild"},
			{start{name: "no pass", event: "workflow_dispatch", ref: "tag", fails: "sign"}, "build-amd64 build-arm64 evidence rebuild sign"},
		},
		"trend-weekly.yml": {
			{start{name: "week, off", event: "schedule", vars: object{weekly: ""}}, "cpu-trend history"},
			{start{name: "week, on", event: "schedule", vars: object{weekly: "true"}}, "cpu-trend gpu-trend history"},
			{start{name: "week, fails", event: "schedule", vars: object{weekly: ""}, fails: "cpu-trend"}, "cpu-trend history"},
			{start{name: "dispatch", event: "workflow_dispatch", inputs: dispatch("run_gpu", false)}, "cpu-trend history"},
			{start{name: "dispatch on GPU", event: "workflow_dispatch", inputs: dispatch("run_gpu", true)}, "cpu-trend gpu-trend history"},
		},
	} {
		f := load(t, file)
		for _, tt := range tests {
			got := strings.Join(ran(simulate(t, f, tt.start)), " ")
			if got != tt.want {
				t.Errorf("%s, %s: %s ran, want %s", file, tt.name, got, tt.want)
			}
		}
	}
}

// TestRequiredChecks runs the script of each required check under bash, for every result that the other jobs can have: it passes
// when what the event asks for was measured and passed, and in no other case.
func TestRequiredChecks(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not installed")
	}
	outcomes := []string{"success", "failure", "cancelled", "skipped"}
	for _, tt := range []struct {
		file, job string
		start
		passes string // the results, in the order of needs, that pass
	}{
		{"ci.yml", "ci-required", start{event: "push"}, "success/success/success success/success/failure success/success/cancelled success/success/skipped"},
		{"ci.yml", "ci-required", start{event: "pull_request"}, "success/success/success"},
		{"ci.yml", "ci-required", start{event: "pull_request", fork: true}, "success/success/success"},
		{"gpu-gate.yml", "gpu-required", start{event: "pull_request"}, "skipped/skipped/success"},
		{"gpu-gate.yml", "gpu-required", start{event: "workflow_dispatch"}, "skipped/success/skipped skipped/skipped/success"},
		{"gpu-gate.yml", "gpu-required", start{event: "schedule"}, "skipped/skipped/skipped skipped/skipped/success"},
	} {
		f := load(t, tt.file)
		j := f.Jobs[tt.job]
		for _, results := range product(outcomes, len(j.Needs)) {
			s, needs := tt.scenario(), object{}
			for i, n := range j.Needs {
				needs[n.Value] = object{"result": results[i]}
			}
			s.contexts["needs"] = needs
			joined := strings.Join(results, "/")
			want := slices.Contains(strings.Fields(tt.passes), joined)
			if got := passes(t, bash, s.scope, j); got != want {
				t.Errorf("%s on %s: %s passes = %v, want %v", tt.job, tt.event, joined, got, want)
			}
		}
	}
}

// passes runs the steps of a job and tells whether all of them succeed.
func passes(t *testing.T, bash string, s scope, j *actionlint.Job) bool {
	t.Helper()
	for _, step := range j.Steps {
		run, ok := step.Exec.(*actionlint.ExecRun)
		if !ok {
			t.Fatalf("job %s has a step that is no script", j.ID.Value)
		}
		cmd := exec.Command(bash, "--noprofile", "--norc", "-eo", "pipefail", "-c", run.Run.Value)
		cmd.Env = []string{"PATH=/usr/bin:/bin"}
		for _, v := range step.Env.Vars {
			value, known := s.text(v.Value.Value)
			if !known {
				t.Fatalf("the value of %s is not known", v.Name.Value)
			}
			cmd.Env = append(cmd.Env, v.Name.Value+"="+value)
		}
		if cmd.Run() != nil {
			return false
		}
	}
	return true
}

// product returns every sequence of n of the words.
func product(words []string, n int) [][]string {
	if n == 0 {
		return [][]string{nil}
	}
	var out [][]string
	for _, rest := range product(words, n-1) {
		for _, w := range words {
			out = append(out, append(slices.Clone(rest), w))
		}
	}
	return out
}

// TestContract holds what people and other files rely on: names, times, labels, and that each job does what it is for.
func TestContract(t *testing.T) {
	for name, cron := range map[string]string{"gpu-gate.yml": "0 4 * * *", "trend-weekly.yml": "0 5 * * 1"} {
		e, ok := load(t, name).trigger("schedule").(*actionlint.ScheduledEvent)
		if !ok || len(e.Schedules) != 1 || e.Schedules[0].Cron.Value != cron {
			t.Errorf("%s does not run at %s", name, cron)
		}
	}
	gpu := load(t, "gpu-gate.yml")
	inputs := gpu.trigger("workflow_dispatch").(*actionlint.WorkflowDispatchEvent).Inputs
	for name, value := range map[string]string{"run_mode": "skip", "baseline_path": "baselines", "trt_engine_path": "", "trt_plugin_lib": ""} {
		if in := inputs[name]; in == nil || in.Default == nil || in.Default.Value != value {
			t.Errorf("gpu-gate.yml: the input %s does not default to %q", name, value)
		}
	}
	for _, tt := range []struct{ file, job, commands, artifact string }{
		{"ci.yml", "build-lint-test", "make build|make lint|make test", ""},
		{"ci.yml", "cpu-gate", ".ci/verdict out/gate .ci/gate", "out/gate"},
		{"gpu-gate.yml", "gpu-perf-regression", ".ci/preflight|matrix --backends|.ci/verdict out/gate .ci/gate|gate --baseline", "out"},
		{"trend-weekly.yml", "cpu-trend", "apexx sweep", "out/sweep"},
		{"trend-weekly.yml", "gpu-trend", ".ci/preflight|apexx sweep", "out/sweep"},
		{"trend-weekly.yml", "history", "trend add --repository .|trend plot|trend show", "out/history|out/plots"},
	} {
		j := load(t, tt.file).Jobs[tt.job]
		if j == nil {
			t.Errorf("%s has no job %s", tt.file, tt.job)
			continue
		}
		scripts, uploads := contents(j)
		for _, c := range strings.Split(tt.commands, "|") {
			if !strings.Contains(scripts, c) {
				t.Errorf("%s: job %s does not run %q", tt.file, tt.job, c)
			}
		}
		if got := strings.Join(uploads, "|"); got != tt.artifact {
			t.Errorf("%s: job %s uploads %q, want %q", tt.file, tt.job, got, tt.artifact)
		}
	}
}

// contents returns the scripts of a job and the paths that it uploads.
func contents(j *actionlint.Job) (scripts string, uploads []string) {
	for _, s := range j.Steps {
		switch e := s.Exec.(type) {
		case *actionlint.ExecRun:
			scripts += e.Run.Value + "\n"
		case *actionlint.ExecAction:
			if strings.HasPrefix(e.Uses.Value, "actions/upload-artifact@") {
				uploads = append(uploads, e.Inputs["path"].Value.Value)
			}
		}
	}
	return scripts, uploads
}
