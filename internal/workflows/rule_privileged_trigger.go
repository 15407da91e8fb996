package workflows

// checkPrivilegedTrigger: these events run with the repository's secrets and a token of its own while what they carry, or the
// artifacts of the run that caused them, comes from whoever opened a pull request.
func checkPrivilegedTrigger(f *file, report report) {
	for _, name := range []string{"pull_request_target", "workflow_run"} {
		if e := f.trigger(name); e != nil {
			report(eventPos(e), "%s runs with the repository's rights on what a fork sent: use pull_request", name)
		}
	}
}
