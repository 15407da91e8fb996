// Package reports turns the results of package parity into what people and programs read: JSON with a schema, Markdown, a
// table for terminals, and one HTML page that needs neither network nor JavaScript.
//
// A Document holds everything that is reported. Each writer (JSON, Markdown, Table, HTML) renders one to an io.Writer; WriteDir
// writes a folder of them, each file complete or absent. Writers add no judgement: states, verdicts and sentences are
// parity's.
package reports
