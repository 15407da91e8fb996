package workflows

// checkPersistCredentials: actions/checkout leaves the token in .git/config unless told otherwise, where every later step, and
// an artifact that takes too much, can read it.
func checkPersistCredentials(f *file, report report) {
	for s, a := range f.actions("actions/checkout") {
		in := a.Inputs["persist-credentials"]
		switch {
		case in == nil:
			report(s.Pos, "the checkout leaves the token on the disk: add persist-credentials: false")
		case in.Value.Value != "false":
			report(in.Value.Pos, "the checkout leaves the token on the disk: persist-credentials is %q, want false", in.Value.Value)
		}
	}
}
