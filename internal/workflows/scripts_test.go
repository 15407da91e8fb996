package workflows

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/testenv"
)

// script runs one of the scripts in .ci, or in dir when that is a copy of them, and returns its output and exit code.
func script(t *testing.T, dir string, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	testenv.Clean(t)
	for _, tool := range []string{"bash", "git", "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	var out, errs strings.Builder
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// ci returns the absolute path of a script in .ci.
func ci(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.ci", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o777); err != nil {
		t.Fatal(err)
	}
}

// TestVerdict runs the script with commands that end with the given codes, one after the other.
func TestVerdict(t *testing.T) {
	for name, tt := range map[string]struct {
		codes  string // of the first and second run
		want   int
		output string // runs and annotations, "" where GitHub is told nothing
	}{
		"pass":                  {"0 9", 0, ""},
		"regression":            {"1 9", 1, "error title=Performance gate failed"},
		"usage":                 {"2 9", 2, "error title=Performance gate broken::exit code 2"},
		"inconclusive, passes":  {"3 0", 0, "warning title=Performance gate inconclusive"},
		"inconclusive, fails":   {"3 1", 1, "error title=Performance gate failed"},
		"inconclusive twice":    {"3 3", 3, "error title=Performance gate inconclusive"},
		"no baseline":           {"4 9", 4, "error title=Performance gate without a baseline"},
		"unavailable":           {"5 9", 5, "error title=Performance gate not run"},
		"internal":              {"6 9", 6, "error title=Performance gate broken::exit code 6"},
		"killed, then no doubt": {"137 9", 137, "error title=Performance gate broken::exit code 137"},
	} {
		dir := t.TempDir()
		// Takes the first code left, and says with what it was called.
		write(t, filepath.Join(dir, "gate"), `#!/bin/sh
read -r code rest <codes
echo "$rest" >codes
echo "called with $*"
exit "$code"
`)
		write(t, filepath.Join(dir, "codes"), tt.codes+"\n")
		stdout, _, code := script(t, dir, nil, ci(t, "verdict"), "out", "./gate", "--cells", "a b")
		if code != tt.want || !strings.HasPrefix(stdout, "called with --cells a b --out out/1\n") {
			t.Errorf("%s: exit %d, want %d\n%s", name, code, tt.want, stdout)
		}
		if strings.Contains(stdout, "--out out/2") != strings.HasPrefix(tt.codes, "3") {
			t.Errorf("%s: only an inconclusive run is repeated\n%s", name, stdout)
		}
		if told := strings.Contains(stdout, "::"); told != (tt.output != "") || !strings.Contains(stdout, tt.output) {
			t.Errorf("%s: %q, want %q", name, stdout, tt.output)
		}
	}
	if _, stderr, code := script(t, ".", nil, ci(t, "verdict"), "out"); code != 2 || !strings.Contains(stderr, "usage") {
		t.Errorf("without a command: exit %d, %q", code, stderr)
	}
}

func TestPreflight(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq is not installed")
	}
	const gpus, cuda = `{"gpus": [{"name": "H200"}]}`, `{"backends": [{"name": "reference", "available": true}, {"name": "cuda", "available": true}]}`
	for name, tt := range map[string]struct {
		environment, caps string
		code              int
		want              string
	}{
		"a GPU":           {gpus, cuda, 0, ""},
		"none":            {`{"gpus": [], "gpu_reason": "nvidia_driver_missing"}`, cuda, 5, "nvidia_driver_missing"},
		"null":            {`{"gpus": null}`, cuda, 5, "no GPU and no reason"},
		"another schema":  {`{"devices": [1]}`, cuda, 5, "No GPU"},
		"no worker":       {gpus, `{"backends": [{"name": "cuda", "available": false, "reason": "worker_not_found", "detail": "in PATH"}]}`, 5, "worker_not_found in PATH"},
		"unknown backend": {gpus, `{"backends": []}`, 5, "not known to this build"},
		"no backends":     {gpus, `{}`, 5, "not known to this build"},
		"no JSON":         {"oops", cuda, -1, ""},
		"apexx fails":     {"fail", cuda, -1, ""},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "environment"), tt.environment)
		write(t, filepath.Join(dir, "caps"), tt.caps)
		write(t, filepath.Join(dir, "apexx"), `#!/bin/sh
case $* in
"env --json") grep -q fail environment && exit 6; cat environment ;;
"caps --json") cat caps ;;
"caps") echo table ;;
*) exit 2 ;;
esac
`)
		stdout, stderr, code := script(t, dir, nil, ci(t, "preflight"), "./apexx", "cuda")
		if wrong := code != tt.code && (tt.code >= 0 || code == 0); wrong || !strings.Contains(stdout, tt.want) {
			t.Errorf("%s: exit %d, want %d\n%s%s", name, code, tt.code, stdout, stderr)
		}
	}
}

func TestLastArtifact(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		t.Skip("jq is not installed")
	}
	artifact := func(id, when, branch, repository, expired string) string {
		return `{"id": ` + id + `, "created_at": "2026-` + when + `T05:00:00Z", "expired": ` + expired +
			`, "workflow_run": {"id": 9` + id + `, "head_branch": "` + branch + `", "head_repository_id": ` + repository + `}}`
	}
	for name, tt := range map[string]struct {
		artifacts []string
		want      string
	}{
		"none":            {nil, "id=\nrun=\n"},
		"the newest":      {[]string{artifact("1", "11-02", "main", "7", "false"), artifact("2", "11-09", "main", "7", "false")}, "id=2\nrun=92\n"},
		"of main":         {[]string{artifact("1", "11-02", "main", "7", "false"), artifact("2", "11-09", "change", "7", "false")}, "id=1\nrun=91\n"},
		"not of a fork":   {[]string{artifact("1", "11-02", "main", "7", "false"), artifact("2", "11-09", "main", "8", "false")}, "id=1\nrun=91\n"},
		"not expired":     {[]string{artifact("1", "11-02", "main", "7", "true")}, "id=\nrun=\n"},
		"none of our own": {[]string{artifact("2", "11-09", "main", "8", "false")}, "id=\nrun=\n"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "list"), `{"artifacts": [`+strings.Join(tt.artifacts, ",")+`]}`)
		write(t, filepath.Join(dir, "gh"), `#!/bin/sh
case $* in
"api repos/o/r") echo '{"id": 7, "default_branch": "main"}' ;;
"api --method GET repos/o/r/actions/artifacts -f name=history -f per_page=100") [ -z "$DOWN" ] && cat list ;;
*) exit 2 ;;
esac
`)
		env := []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "GITHUB_REPOSITORY=o/r"}
		stdout, stderr, code := script(t, dir, env, ci(t, "last-artifact"), "history")
		if code != 0 || stdout != tt.want {
			t.Errorf("%s: exit %d, %q, want %q\n%s", name, code, stdout, tt.want, stderr)
		}
		// A request that fails must not look like a history that does not exist.
		if stdout, _, code := script(t, dir, append(env, "DOWN=1"), ci(t, "last-artifact"), "history"); code == 0 || stdout != "" {
			t.Errorf("%s, without an answer: exit %d, %q", name, code, stdout)
		}
	}
}
