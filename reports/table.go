package reports

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// TableOptions of Table. The zero value is 100 columns without colour.
type TableOptions struct {
	Width  int  // of the terminal in columns; 0 means 100
	Height int  // of the terminal in lines, into which the table is fitted by leaving out what passed; 0 for everything
	Color  bool // ANSI colours; callers honour NO_COLOR and whether the output is a terminal
}

// Table writes the matrix for a terminal: a row per case, and per policy where there are several, and a column per pair where that fits the
// width, and otherwise a line per cell. Below it, a line for each cell that did not simply pass, the meaning of the symbols, what to do next, and the verdict.
// Cells show the largest absolute error over all outputs.
func Table(w io.Writer, d *Document, opt TableOptions) error {
	if opt.Width == 0 {
		opt.Width = 100
	}
	d = clean(d)
	t := &table{opt: opt, m: d.Matrix, glance: glanceOf(d.Matrix)}
	t.lacks()
	t.reasons()
	t.sets()
	t.quality(d)
	t.certificate(d)
	t.legend()
	if text := next(d); text != "" {
		for i, l := range wrap(text, opt.Width-6) {
			t.line([]string{"next: ", "      "}[min(i, 1)] + l)
		}
	}
	t.verdict(d)
	below := t.out.String()
	t.out.Reset()
	t.room = len(d.Matrix.Cases)
	if opt.Height > 0 {
		t.room = min(t.room, max((opt.Height-linesAround-strings.Count(below, "\n"))/max(1, len(d.Matrix.Policies)), leastRows))
	}
	switch {
	case len(t.glance.pairs) == 0:
	case t.wide() <= opt.Width:
		t.grid()
	default:
		if opt.Height > 0 {
			t.room = max(1, t.room/len(t.glance.pairs))
		}
		t.lines()
	}
	_, err := io.WriteString(w, t.out.String()+below)
	return err
}

// verdict is the last line, broken where it is for a terminal that is narrower.
func (t *table) verdict(d *Document) {
	code, color := d.ExitCode(), 31
	if code == exit.OK {
		color = 32
	}
	word, text := evidence.Verdict(code), fmt.Sprintf("%s (%s)", d.tally(), judgedBy(t.m))
	lines := []string{text}
	if t.opt.Height > 0 {
		lines = wrap(text, t.opt.Width-len(word)-2)
	}
	for i, l := range lines {
		if i == 0 {
			t.line(t.paint(color, word) + "  " + l)
		} else {
			t.line(pad("", len(word)+2) + l)
		}
	}
}

type table struct {
	opt    TableOptions
	m      *parity.Matrix
	glance glance
	room   int // cases that have rows
	out    strings.Builder
}

func (t *table) paint(color int, s string) string {
	if !t.opt.Color {
		return s
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", color, s)
}

func stateColor(s evidence.State) int {
	switch s {
	case evidence.Pass:
		return 32
	case evidence.Explained:
		return 36
	case evidence.Fail, evidence.Crashed, evidence.Hung, evidence.Errored:
		return 31
	default:
		return 33
	}
}

// pad fills s with spaces to n columns.
func pad(s string, n int) string {
	return s + strings.Repeat(" ", max(n-utf8.RuneCountInString(s), 0))
}

func widest(list ...string) int {
	n := 0
	for _, s := range list {
		n = max(n, utf8.RuneCountInString(s))
	}
	return n
}

func cellText(c *parity.Cell) string { return symbol(c.State) + " " + brief(c) }

// columnWidth is the width of a pair's column, its heading in two lines included.
func (t *table) columnWidth(pairAt int) int {
	p := t.m.Pairs[pairAt]
	n := widest(p.Candidate.String(), "vs "+p.Reference.String())
	for at := pairAt; at < len(t.m.Cells); at += len(t.m.Pairs) {
		n = max(n, widest(cellText(&t.m.Cells[at])))
	}
	return n
}

// keyWidths are the widths of the columns in front: of the cases, and of their policies, 0 where there is but one.
func (t *table) keyWidths() (name, policy int) {
	name = widest(append(slices.Clone(t.m.Cases), "case")...)
	if len(t.m.Policies) > 1 {
		policy = widest(append(slices.Clone(t.m.Policies), "policy")...) + len("  ")
	}
	return name, policy
}

func (t *table) wide() int {
	name, policy := t.keyWidths()
	n := name + policy
	for _, i := range t.glance.pairs {
		n += 2 + t.columnWidth(i)
	}
	return n
}

func (t *table) grid() {
	first, second := t.keyWidths()
	key := func(name, policy string) string {
		if second == 0 {
			return pad(name, first)
		}
		return pad(name, first) + pad("  "+policy, second)
	}
	var top, below strings.Builder
	for _, i := range t.glance.pairs {
		p := t.m.Pairs[i]
		top.WriteString("  " + pad(p.Candidate.String(), t.columnWidth(i)))
		below.WriteString("  " + pad("vs "+p.Reference.String(), t.columnWidth(i)))
	}
	t.line(key("", "") + top.String())
	t.line(key("case", "policy") + below.String())
	shown, hidden := t.shown()
	for _, i := range shown {
		name := t.m.Cases[i]
		for j, policy := range t.m.Policies {
			t.line(key(name, policy) + t.row(i, j))
			name = ""
		}
	}
	t.note(hidden)
}

// row are the cells of a case under a policy.
func (t *table) row(caseAt, policyAt int) string {
	var row strings.Builder
	for _, j := range t.glance.pairs {
		c := cell(t.m, caseAt, policyAt*len(t.m.Pairs)+j)
		text := cellText(c)
		row.WriteString("  " + t.paint(stateColor(c.State), text) + strings.Repeat(" ", t.columnWidth(j)-widest(text)))
	}
	return row.String()
}

// What a terminal has room for: lines around the rows (a heading of two, what is hidden, and the prompt), rows at least, and how much of
// reasons is told.
const (
	linesAround  = 4
	leastRows    = 3
	mostReasons  = 2 // of the cells 1, beside columns that cannot be had
	mostOfReason = 2 // lines
)

// shown chooses the cases that have rows, all of them where there is room, and says what the others are. Those that did not simply pass come first.
func (t *table) shown() (list []int, hidden string) {
	room := t.room
	var plain []int
	for i := range t.m.Cases {
		if t.passed(i) {
			plain = append(plain, i)
		} else {
			list = append(list, i)
		}
	}
	open := len(list)
	list = append(list, plain...)[:room]
	slices.Sort(list)
	if room < len(t.m.Cases) {
		hidden = fmt.Sprintf("… and %d more cases, in which everything passed", len(t.m.Cases)-room)
		if open > room {
			hidden = fmt.Sprintf("… and %d more cases, of which %d did not simply pass", len(t.m.Cases)-room, open-room)
		}
	}
	return list, hidden
}

// passed tells whether every cell of a case passed that is shown.
func (t *table) passed(caseAt int) bool {
	for _, j := range t.glance.places {
		if cell(t.m, caseAt, j).State != evidence.Pass {
			return false
		}
	}
	return true
}

func (t *table) lines() {
	shown, hidden := t.shown()
	for _, i := range shown {
		t.linesOf(i)
	}
	t.note(hidden)
}

func (t *table) linesOf(caseAt int) {
	for _, j := range t.glance.places {
		c := cell(t.m, caseAt, j)
		t.line(fmt.Sprintf("%s  %s", t.paint(stateColor(c.State), pad(cellText(c), 13)), t.m.Key(c)))
	}
}

// lacks names the columns that cannot be had in any case.
func (t *table) lacks() {
	heading := t.glance.heading(t.m)
	if heading == "" {
		return
	}
	t.line("")
	for _, l := range wrap(heading, t.opt.Width) {
		t.line(l)
	}
	for at, lack := range t.glance.lacks {
		if t.opt.Height > 0 && at == mostReasons {
			t.line(fmt.Sprintf("and %d more reasons, which --json and --report have", len(t.glance.lacks)-at))
			break
		}
		for i, l := range t.told(lack.String(), 1) {
			if i == 0 {
				t.line(t.paint(stateColor(evidence.Unsupported), symbol(evidence.Unsupported)) + " " + l)
			} else {
				t.line("  " + l)
			}
		}
	}
}

// reasons explains what did not simply pass, wrapped to the width. Cells with the same story are told once.
func (t *table) reasons() {
	var order []string
	groups := map[string][]*parity.Cell{}
	for i := range t.m.Cells {
		c := &t.m.Cells[i]
		if c.State == evidence.Pass || !t.glance.shows(t.m, i) {
			continue
		}
		key := string(c.State) + why(c)
		if c.Report != nil {
			key += t.m.Key(c) // numbers differ, so each report speaks for itself
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], c)
	}
	if t.opt.Height > 0 { // what is worst has the room
		slices.SortStableFunc(order, func(a, b string) int {
			switch x, y := groups[a][0].State, groups[b][0].State; {
			case x.Worse(y):
				return -1
			case y.Worse(x):
				return 1
			}
			return 0
		})
	}
	most := mostReasons
	if len(t.glance.lacks) > 0 {
		most = 1
	}
	for at, key := range order {
		if t.opt.Height > 0 && at == most {
			t.line("")
			t.line(fmt.Sprintf("and %d more reasons, which --json and --report have", len(order)-at))
			break
		}
		c, more := groups[key][0], ""
		if n := len(groups[key]) - 1; n > 0 {
			more = fmt.Sprintf(" (and %d more)", n)
		}
		t.line("")
		t.line(fmt.Sprintf("%s %s%s: %s", t.paint(stateColor(c.State), symbol(c.State)), t.m.Key(c), more, c.State))
		for _, l := range t.told(why(c), mostOfReason) {
			t.line("  " + l)
		}
	}
}

// told breaks a reason into lines that are going to be indented, on a terminal the first of them.
func (t *table) told(reason string, most int) []string {
	width := t.opt.Width - 2
	if t.opt.Height > 0 {
		width -= 2 // for what says that there is more
	}
	lines := wrap(reason, width)
	if t.opt.Height > 0 && len(lines) > most {
		lines = append(lines[:most-1:most-1], lines[most-1]+" …")
	}
	return lines
}

// note writes a line that need not be.
func (t *table) note(text string) {
	if text != "" {
		t.line(text)
	}
}

// sets lists what is judged over all cases of a pair.
func (t *table) sets() {
	for i := range t.m.Sets {
		if i == 0 {
			t.line("")
			t.line("detections as sets")
		}
		v := &t.m.Sets[i]
		for j, l := range wrap(v.String(), t.opt.Width-2) {
			if j == 0 {
				l = t.paint(stateColor(v.State), symbol(v.State)) + " " + l
			} else {
				l = "  " + l
			}
			t.line(l)
		}
	}
}

// quality lists what low precisions cost, or says how to learn it.
func (t *table) quality(d *Document) {
	heading, lines := d.qualityLines()
	if heading == "" {
		return
	}
	t.line("")
	for _, l := range wrap(heading, t.opt.Width) {
		t.line(l)
	}
	for _, line := range lines {
		for _, l := range wrap(line, t.opt.Width-2) {
			t.line("  " + l)
		}
	}
}

// certificate says what the certificate says.
func (t *table) certificate(d *Document) {
	for i, l := range wrap(d.Certificate.String(), t.opt.Width) {
		if i == 0 {
			t.line("")
		}
		t.line(l)
	}
}

func (t *table) legend() {
	var parts []string
	for _, s := range evidence.States {
		if t.m.Count(s) > 0 {
			parts = append(parts, symbol(s)+" "+string(s))
		}
	}
	t.line("")
	t.line(strings.Join(parts, "   "))
	for _, l := range wrap("numbers: "+numbersAre(t.m), t.opt.Width) {
		t.line(l)
	}
}

func (t *table) line(s string) {
	t.out.WriteString(strings.TrimRight(s, " "))
	t.out.WriteByte('\n')
}

// wrap breaks text between words into lines of at most width columns; a longer word has its own line.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case widest(line)+1+widest(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
