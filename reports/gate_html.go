package reports

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/plots"
)

var (
	//go:embed perf.css
	perfCSS string
	//go:embed perf.html
	perfHTML string
	//go:embed gate.html
	gateHTML string
)

var perfPage = template.Must(template.New("perf").Funcs(template.FuncMap{
	"class": cellClass, "mark": cellSymbol, "estimate": textOf, "parity": parityHTML,
	"missed": missed, "others": otherSeries, "against": changeText, "breakable": breakable, "flags": flagsHTML, "long": long,
}).Parse(perfHTML))

// parityHTML is parityText with a number that is not broken at its sign.
func parityHTML(p perf.Parity) template.HTML {
	text := template.HTMLEscapeString(parityText(p))
	if at := strings.LastIndexByte(text, ' '); at >= 0 {
		text = text[:at+1] + `<span class="number">` + text[at+1:] + `</span>`
	}
	return template.HTML(text)
}

// breakable lets the name of a cell be broken behind its slashes, and not within a word.
func breakable(name string) template.HTML {
	return template.HTML(strings.ReplaceAll(template.HTMLEscapeString(name), "/", "/<wbr>"))
}

var gatePage = template.Must(template.Must(perfPage.Clone()).Parse(gateHTML))

// The most cells in each picture of a gate.
const (
	mostStrips      = 16
	mostCumulative  = 6
	mostScalingPlot = 12 // figures of a sweep in its page
)

// perfHead is what the head of each page shows.
type perfHead struct {
	CSS                                template.CSS
	Page, Title, Verdict, Class, Tally string // Page is gate or sweep
}

type gatePageData struct {
	perfHead
	V                           *gate.Verdict
	Cells                       []gate.Cell
	Planned                     int
	Plots                       []template.HTML
	Builds, Environment, Policy []backends.Fact
	Resolution, Accepted        string
}

// GateHTML writes a gate's record as one self-contained page: the verdict first and why, every cell with the worst first,
// pictures, controls, policy and environment. It runs no script and asks nothing of the network.
func GateHTML(w io.Writer, r *gate.Record) error {
	pictures := inline(gateFigures(r))
	r = gateRecord(r)
	v := r.Verdict
	p := gatePageData{
		perfHead: perfHead{template.CSS(pageCSS + perfCSS), "gate", gateTitle(r), outcomeWord(v.Outcome), outcomeClass(v.Outcome), gateTally(v)},
		V:        v, Cells: v.Worst(), Planned: len(r.Cells), Plots: pictures,
		Builds:      facts("judged again", judgedAgain(r), "base", buildFact(r.Base), "head", buildFact(r.Head), "started", moment(r.When), "command", r.Command, "apexx", r.Version),
		Environment: environmentFacts(r.Environment, r.Class), Policy: append(policyFacts(r.Policy), qualityFacts(r.Quality)...),
		Resolution: power(v), Accepted: r.Accepted,
	}
	return gatePage.Execute(w, p)
}

// namedFigure is a picture with the name of its files.
type namedFigure struct {
	name string
	*plots.Figure
}

func gateFigures(r *gate.Record) []namedFigure {
	var list []namedFigure
	for _, f := range []namedFigure{{"distributions", plots.Distributions(r, mostStrips)}, {"cumulative", plots.Cumulative(r, mostCumulative)}} {
		if f.Figure != nil {
			list = append(list, f)
		}
	}
	return list
}

// inline draws the figures for a page. Their text is escaped by package plots.
func inline(figures []namedFigure) []template.HTML {
	var list []template.HTML
	for _, f := range figures {
		list = append(list, template.HTML(f.Inline()))
	}
	return list
}
