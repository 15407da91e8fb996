package workflows

// maxMinutes is the longest timeout of a job, in minutes: the gate's own is 60.
const maxMinutes = 120

// checkTimeout: without a limit a hung job holds its runner for six hours, or for days on a self-hosted one.
func checkTimeout(f *file, report report) {
	for _, j := range f.jobs() {
		if j.WorkflowCall != nil {
			continue // the called workflow has them
		}
		switch t := j.TimeoutMinutes; {
		case t == nil:
			report(j.Pos, "job %s has no limit: add timeout-minutes", j.ID.Value)
		case t.Expression != nil:
			report(t.Pos, "the limit of job %s is an expression: write a number", j.ID.Value)
		case t.Value <= 0 || t.Value > maxMinutes:
			report(t.Pos, "the limit of job %s, %g minutes, is outside (0, %d]", j.ID.Value, t.Value, maxMinutes)
		}
	}
}
