package workflows

// checkUploadAlways: the report of a failed gate is the one that people want to read. A step without always() is skipped when an
// earlier one failed.
func checkUploadAlways(f *file, report report) {
	var failed scope // knows nothing, so that only always() makes a condition true
	for s, a := range f.actions("actions/upload-artifact") {
		if o := failed.decide(s.If); o != runs {
			report(s.Pos, "the upload %s when a step before it failed: add if: always()", o)
		}
		if a.Inputs["retention-days"] == nil {
			report(s.Pos, "the upload has the repository's default retention: add retention-days")
		}
	}
}
