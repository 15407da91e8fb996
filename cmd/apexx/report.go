package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/reports"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// tableOptions follow the terminal and NO_COLOR.
func tableOptions(w io.Writer) reports.TableOptions {
	if !isTerminal(w) {
		return reports.TableOptions{}
	}
	width, height, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil {
		width, height = 0, 0
	}
	return reports.TableOptions{Width: width, Height: height, Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// matrixReport runs a matrix and says what came of it.
type matrixReport struct {
	c       *cli.Context
	doc     *reports.Document // of what it is; run completes it
	gallery *reports.Gallery  // nil without pages
	runner  *execute.MatrixRunner
	spec    parity.MatrixSpec
	certify func() (*reports.MatrixCertificate, error) // of the same executions; nil where nobody asked
}

// run runs the matrix, prints its table and writes its reports. There is one verdict, with the exit code, of all that was done.
func (r *matrixReport) run() error {
	c, doc, spec := r.c, r.doc, r.spec
	expected := slices.ContainsFunc(spec.Cases, func(c parity.Case) bool { return c.Golden != nil })
	if len(parity.DefaultPairs(spec.Columns, expected)) == 0 {
		return usagef("there is nothing to compare %s with: name another backend or precision, or give the cases expected outputs", spec.Columns[0])
	}
	k, err := newKeeper(c, &spec, r.runner, r.gallery)
	if err != nil {
		return err
	}
	show := progress(c, (len(spec.Cases)-len(spec.Finished))*len(spec.Columns))
	spec.OnExecution = func(pc *parity.Case, col parity.Column, e *evidence.Run) {
		r.gallery.Add(pc.Name, col.String(), e)
		show(pc, col, e)
	}
	m, err := k.run(c, spec)
	if err == nil && r.certify != nil && c.Context.Err() == nil {
		doc.Certificate, err = r.certify()
	}
	if err != nil {
		return errors.Join(err, k.end(c, true))
	}
	doc.When, doc.Version, doc.Build = time.Now(), readVersion().Version, ownBuild()
	doc.Command, doc.Where, doc.Matrix, doc.Images = "apexx "+strings.Join(os.Args[1:], " "), whereFacts(c, m), m, k.images(m)
	code := doc.ExitCode()
	err = writeMatrix(c, doc)
	// What an interruption left is reported, too. Without a report, such as on a full disk, only the journal has what was computed.
	kept := code == exit.Interrupted || err != nil
	if err := errors.Join(c.Context.Err(), err, k.end(c, kept)); err != nil {
		return err
	}
	if code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}

func writeMatrix(c *cli.Context, doc *reports.Document) error {
	jsonPath := c.String("json")
	if jsonPath != "" && jsonPath != "-" {
		if err := atomicfile.WriteFile(jsonPath, 0o644, func(w io.Writer) error { return reports.JSON(w, doc) }); err != nil {
			return err
		}
	}
	var files []string
	if dir := c.String("report"); dir != "" {
		var err error
		if files, err = reports.WriteDir(dir, doc); err != nil {
			return err
		}
	}
	if jsonPath == "-" { // standard output is the object and nothing else
		return reports.JSON(c.App.Writer, doc)
	}
	err := reports.Table(c.App.Writer, doc, tableOptions(c.App.Writer))
	for _, f := range files {
		if err == nil && filepath.Base(f) == "index.html" {
			err = announce(c.App.Writer, f)
		}
	}
	return err
}

// announce tells where a page is and how much there is to open.
func announce(w io.Writer, page string) error {
	info, err := os.Stat(page)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "report: %s (%.2f MB)\n", page, float64(info.Size())/1e6)
	return err
}

// whereFacts describe the machine, without naming it, and the variables that a matrix was computed under.
func whereFacts(c *cli.Context, m *parity.Matrix) []backends.Fact {
	caps := execute.DetectCaps(c.Context)
	facts := []backends.Fact{{Key: "platform", Value: runtime.GOOS + "/" + runtime.GOARCH}, {Key: "threads", Value: fmt.Sprint(caps.CPU.Threads)}, {Key: "go", Value: runtime.Version()}}
	variables := env.Variables(os.Environ())
	for _, b := range caps.Backends {
		var told []backends.Fact
		for _, f := range b.Facts {
			told = append(told, backends.Fact(f))
			if b.Available && (f.Key == "version" || f.Key == "instruction_set") {
				facts = append(facts, backends.Fact{Key: b.Name + " " + f.Key, Value: f.Value})
			}
		}
		if slices.ContainsFunc(m.Columns, func(col parity.Column) bool { return col.Backend == b.Name }) {
			variables = append(variables, env.VariablesOf(b.Name, worker.Told(told))...)
		}
	}
	for _, v := range variables {
		facts = append(facts, backends.Fact(v))
	}
	return facts
}

// gallery prepares the pictures of a page, nil without one.
func gallery(cases []source.Case, on bool) *reports.Gallery {
	if !on {
		return nil
	}
	g := reports.NewGallery()
	for i := range cases {
		g.Expect(cases[i].Name, cases[i].Model, cases[i].Input)
	}
	return g
}
