// Package reports turns results into what people and programs read: a run of the model as JSON with its detections and
// overlays, a parity matrix as JSON with a schema, Markdown, a table for terminals, and one HTML page that needs neither
// network nor JavaScript; a sweep and a gate as such pages with pictures, as JUnit XML for CI systems, and a gate also as
// Markdown, as a table, and as the summary and the annotations of a job on GitHub.
//
// A Document holds everything that is reported of a matrix. Each writer (JSON, Markdown, Table, HTML) renders one to an
// io.Writer; WriteDir writes a folder of them, each file complete or absent. Writers add no judgement: states, verdicts and
// sentences are parity's and the gate's. What a gate or a sweep records of other programs may hold anything: a clean copy without
// control characters is made first, and each writer escapes what its own format would take for markup or for a command.
package reports
