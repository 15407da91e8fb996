package reports

import (
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

//go:embed page.css
var pageCSS string

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "symbol": symbol, "brief": brief, "leftOpen": leftOpen, "why": why, "histogram": histogramSVG, "source": dataURI,
	"duration": duration, "bytes": byteSize, "join": joinInts, "oneMinus": oneMinus, "value": value, "numbers": numbersAre, "infinite": func(n parity.Number) bool { return math.IsInf(float64(n), 0) },
}).Parse(pageHTML))

// HTML writes one self-contained page: styles, drawings and pictures are in it, and it runs no script.
func HTML(w io.Writer, d *Document) error {
	return page.Execute(w, pageOf(clean(d)))
}

// pageData is what the template shows.
type pageData struct {
	CSS                          template.CSS
	Title, Verdict, Tally, Class string
	Policy                       string
	Facts                        []backends.Fact
	Matrix                       *parity.Matrix
	Legend                       []evidence.State
	Cases                        []pageCase
	LeftOut                      string // what is said of the cases that are not whole
	Quality                      string // heading of QualityLines, or how to get some
	QualityLines                 []string
}

type pageCase struct {
	Anchor, Name string
	Whole        bool // shown with what follows
	NoRoom       int  // pictures that were left out
	Cells        []pageCell
	Executions   []parity.ExecutionRecord
	Images       []LabelledImage
}

type pageCell struct {
	*parity.Cell
	Anchor string
	Open   bool
	More   int // decisions that are left out
}

func pageOf(d *Document) pageData {
	m := d.Matrix
	p := pageData{CSS: template.CSS(pageCSS), Title: d.title(), Verdict: evidence.Verdict(m.ExitCode()), Tally: tally(m), Policy: m.Policy,
		Facts: circumstances(d), Matrix: m, Class: "fail"}
	if m.Passed() {
		p.Class = "pass"
	}
	p.Quality, p.QualityLines = d.qualityLines()
	for _, s := range evidence.States {
		if m.Count(s) > 0 {
			p.Legend = append(p.Legend, s)
		}
	}
	whole, room := wholeCases(m), mostImageBytes
	p.LeftOut = leftOut(len(m.Cases), len(whole))
	for i, name := range m.Cases {
		c := pageCase{Anchor: fmt.Sprintf("case-%d", i), Name: name, Whole: whole[i]}
		for j := range m.Pairs {
			c.Cells = append(c.Cells, pageCellOf(cell(m, i, j), fmt.Sprintf("cell-%d-%d", i, j)))
		}
		if !c.Whole {
			p.Cases = append(p.Cases, c)
			continue
		}
		c.takeImages(d.imagesOf(name), &room)
		if n := len(m.Columns); len(m.Executions) == n*len(m.Cases) {
			c.Executions = m.Executions[i*n : (i+1)*n]
		}
		p.Cases = append(p.Cases, c)
	}
	return p
}

// takeImages shows the pictures of a case together, or none where they do not fit what is left of mostImageBytes.
func (c *pageCase) takeImages(images []LabelledImage, room *int) {
	size := 0
	for _, im := range images {
		size += len(im.Data)
	}
	if size > *room {
		c.NoRoom = len(images)
		return
	}
	*room -= size
	c.Images = images
}

// pageCellOf cuts the list of a cell's decisions to mostDecisions.
func pageCellOf(c *parity.Cell, anchor string) pageCell {
	p := pageCell{Cell: c, Anchor: anchor, Open: c.State == evidence.Fail || c.State == evidence.Unverified}
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

// dataURI embeds a picture. Its type is one of two, so the bytes cannot become anything but an image.
func dataURI(im LabelledImage) template.URL {
	kind := "png"
	if im.Type == "jpeg" {
		kind = "jpeg"
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(im.Data))
}
