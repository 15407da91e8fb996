package reports

import (
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

//go:embed page.css
var pageCSS string

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "symbol": symbol, "brief": brief, "leftOpen": leftOpen, "why": why, "histogram": histogramSVG, "source": dataURI,
	"duration": duration, "bytes": byteSize, "join": joinInts, "oneMinus": oneMinus, "value": value, "numbers": numbersAre, "flags": flagsHTML, "long": long, "infinite": func(n parity.Number) bool { return math.IsInf(float64(n), 0) },
}).Parse(pageHTML))

// HTML writes a self-contained page with every cell at a glance: styles are in it, and it runs no script. Cells that matter are links to pages
// beside it (cellHTML).
func HTML(w io.Writer, d *Document) error {
	d = clean(d)
	p := pageOf(d)
	p.Glance = true
	whole := wholeCases(d.Matrix)
	p.Certificate = d.Certificate.String()
	p.LeftOut, p.Next, p.NoCases, p.Numbers = leftOut(len(d.Matrix.Cases), len(whole)), next(d), d.LeftOut, numbersAre(d.Matrix)
	g := glanceOf(d.Matrix)
	for _, i := range g.pairs {
		p.Pairs = append(p.Pairs, d.Matrix.Pairs[i])
	}
	p.Lacking, p.Lacks = g.heading(d.Matrix), g.lacks
	for i, name := range d.Matrix.Cases {
		for at, j := range g.places {
			one := pageCell{Cell: cell(d.Matrix, i, j)}
			if whole[i] {
				one.Page = "cells/" + cellPage(i, j)
			}
			if at%len(g.pairs) == 0 {
				p.Cases = append(p.Cases, pageCase{Name: name, Policy: one.Policy})
			}
			row := &p.Cases[len(p.Cases)-1]
			row.Cells = append(row.Cells, one)
		}
	}
	return page.Execute(w, p)
}

// cellHTML writes the self-contained page of one cell, by its place in its case: numbers, decisions, both executions and pictures. The document
// is clean already: to copy the whole of it for every page takes minutes of a matrix of hundreds of cells.
func cellHTML(w io.Writer, d *Document, caseAt, at int) error {
	m := d.Matrix
	p := pageOf(d)
	one := cell(m, caseAt, at)
	p.Policy = one.Policy
	p.Title, p.Verdict, p.Tally, p.Class = m.Key(one), string(one.State), "", "fail"
	if one.Report == nil { // otherwise the reasons are listed with the numbers
		p.Tally = why(one)
	}
	if one.State.Holds() {
		p.Class = "pass"
	}
	c := pageCase{Anchor: "case", Name: one.Case, Whole: true, Cells: []pageCell{pageCellOf(one, "cell")}, Images: d.imagesOf(one.Case, one.Pair)}
	for i := range m.Executions {
		e := &m.Executions[i]
		if e.Case == one.Case && (e.Column == one.Pair.Reference || e.Column == one.Pair.Candidate) {
			c.Executions = append(c.Executions, *e)
		}
	}
	p.Cases = []pageCase{c}
	return page.Execute(w, p)
}

// cellPage names the page of a cell, by its place in its case.
func cellPage(caseAt, at int) string { return fmt.Sprintf("%04d-%02d.html", caseAt+1, at+1) }

// cellFiles are the pages of the cells that matter. It makes their folder and takes away those of an earlier matrix.
func cellFiles(dir string, d *Document) ([]outputFile, error) {
	folder := filepath.Join(dir, "cells")
	if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	old, err := filepath.Glob(filepath.Join(folder, "[0-9][0-9][0-9][0-9]*-[0-9][0-9]*.html"))
	if err != nil {
		return nil, err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	var files []outputFile
	d = clean(d)
	places := glanceOf(d.Matrix).places
	for _, i := range slices.Sorted(maps.Keys(wholeCases(d.Matrix))) {
		for _, j := range places {
			files = append(files, outputFile{filepath.Join("cells", cellPage(i, j)), func(w io.Writer) error { return cellHTML(w, d, i, j) }})
		}
	}
	return files, nil
}

// pageData is what the template shows.
type pageData struct {
	CSS                          template.CSS
	Title, Verdict, Tally, Class string
	Policy                       string // or several
	Facts                        []backends.Fact
	Matrix                       *parity.Matrix
	Legend                       []evidence.State
	Glance                       bool          // the page shows the matrix, and not one of its cells
	Pairs                        []parity.Pair // that have a column at a glance
	Lacking                      string        // heading of Lacks
	Lacks                        []lack        // columns that are told once
	Cases                        []pageCase
	LeftOut                      string // what is said of the cases without pages
	Next                         string
	NoCases                      []source.LeftOut
	Numbers                      string // what the numbers of the cells are
	Quality                      string // heading of QualityLines, or how to get some
	QualityLines                 []string
	Certificate                  string
}

type pageCase struct {
	Anchor, Name string
	Policy       string // of the cells at a glance
	Whole        bool   // shown with what follows
	Cells        []pageCell
	Executions   []parity.ExecutionRecord
	Images       []LabelledImage
}

type pageCell struct {
	*parity.Cell
	Page   string // of the cell; "" where it has none
	Anchor string
	Open   bool
	More   int // decisions that are left out
}

func pageOf(d *Document) pageData {
	m := d.Matrix
	p := pageData{CSS: template.CSS(pageCSS), Title: d.title(), Verdict: evidence.Verdict(d.ExitCode()), Tally: d.tally(), Policy: judgedBy(m),
		Facts: circumstances(d), Matrix: m, Class: "fail"}
	if d.Passed() {
		p.Class = "pass"
	}
	p.Quality, p.QualityLines = d.qualityLines()
	for _, s := range evidence.States {
		if m.Count(s) > 0 {
			p.Legend = append(p.Legend, s)
		}
	}
	return p
}

// pageCellOf cuts the list of a cell's decisions to mostDecisions.
func pageCellOf(c *parity.Cell, anchor string) pageCell {
	p := pageCell{Cell: c, Anchor: anchor, Open: true}
	if c.Report != nil && len(c.Report.Decisions) > mostDecisions {
		p.More = len(c.Report.Decisions) - mostDecisions
		report, shown := *c.Report, *c
		report.Decisions = report.Decisions[:mostDecisions]
		shown.Report = &report
		p.Cell = &shown
	}
	return p
}

// number renders a measured value in at most eight characters.
func number(n parity.Number) string {
	switch v := float64(n); {
	case v == 0:
		return "0"
	case math.IsInf(v, 0) || math.IsNaN(v):
		return strings.NewReplacer("+Inf", "∞", "-Inf", "−∞").Replace(fmt.Sprint(v))
	case math.Abs(v) >= 1e-3 && math.Abs(v) < 1e5:
		return fmt.Sprintf("%.4g", v)
	default:
		return fmt.Sprintf("%.2e", v)
	}
}

// oneMinus renders the distance of a cosine from 1, which is what there is to see of it.
func oneMinus(cosine parity.Number) string { return number(1 - cosine) }

// value renders an element with the digits that tell two float32 neighbours apart.
func value(n parity.Number) string { return fmt.Sprintf("%.9g", float64(n)) }

func duration(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func byteSize(n int64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func joinInts(list []int) string {
	return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(list)), "×"), "[]")
}

// flagsHTML keeps every flag of a command in one piece: a browser breaks --cases behind its first hyphen. Lists are broken behind their commas.
func flagsHTML(s string) template.HTML {
	words := strings.Split(s, " ")
	for i, word := range words {
		words[i] = strings.TrimSuffix(strings.ReplaceAll(template.HTMLEscapeString(word), ",", ",<wbr>"), "<wbr>")
		if strings.HasPrefix(word, "-") {
			words[i] = "<span>" + words[i] + "</span>"
		}
	}
	return template.HTML(strings.Join(words, " "))
}

// long tells a fact that has a row of its own, such as a command with a list of cells.
func long(s string) bool { return len(s) > 160 }

// dataURI embeds a picture. Its type is one of two, so the bytes cannot become anything but an image.
func dataURI(im LabelledImage) template.URL {
	kind := "png"
	if im.Type == "jpeg" {
		kind = "jpeg"
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(im.Data))
}
