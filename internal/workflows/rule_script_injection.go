package workflows

import (
	"strings"

	"github.com/rhysd/actionlint"
)

// checkScriptInjection: a placeholder in a script is replaced before the shell reads it, so a branch named $(…) is a command.
// No placeholder is allowed there at all: values reach a script through env, where the shell takes them as data.
func checkScriptInjection(f *file, report report) {
	for _, s := range f.steps() {
		switch e := s.Exec.(type) {
		case *actionlint.ExecRun:
			reportPlaceholders(e.Run, report)
		case *actionlint.ExecAction:
			if in := e.Inputs["script"]; in != nil { // of actions/github-script and its kind
				reportPlaceholders(in.Value, report)
			}
		}
	}
}

func reportPlaceholders(script *actionlint.String, report report) {
	for _, line := range strings.Split(script.Value, "\n") {
		if i := strings.Index(line, "${{"); i >= 0 {
			found := line[i:]
			if end := strings.Index(found, "}}"); end >= 0 {
				found = found[:end+2]
			}
			report(script.Pos, "%s is pasted into a script: pass it by env and quote the variable", found)
		}
	}
}
