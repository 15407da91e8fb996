// Package reports turns results into what people and programs read: a run of the model as JSON with its detections and
// overlays, and a parity matrix as JSON with a schema, Markdown, a table for terminals, and one HTML page that needs neither
// network nor JavaScript.
//
// A Document holds everything that is reported of a matrix. Each writer (JSON, Markdown, Table, HTML) renders one to an
// io.Writer; WriteDir writes a folder of them, each file complete or absent. Writers add no judgement: states, verdicts and
// sentences are parity's.
package reports
