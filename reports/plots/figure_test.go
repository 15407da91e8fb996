package plots

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// look writes a figure's files into the folder that APEXX_LOOK names, for eyes to judge.
func look(t *testing.T, name string, f *Figure) {
	dir := os.Getenv("APEXX_LOOK")
	if dir == "" {
		return
	}
	for ext, write := range map[string]func(io.Writer, *Figure) error{".png": WritePNG, ".svg": WriteSVG} {
		var b bytes.Buffer
		if err := write(&b, f); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+ext), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// parseXML fails unless the document is well-formed, and returns its character data.
func parseXML(t *testing.T, doc []byte) string {
	t.Helper()
	var text strings.Builder
	d := xml.NewDecoder(bytes.NewReader(doc))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		if c, ok := token.(xml.CharData); ok {
			text.Write(c)
		}
	}
}

// swatches is a figure with every style, and a title that tries to break out of the markup.
func swatches(t *testing.T) *Figure {
	p := newPanel("every series", "position (index)", "value (arbitrary)")
	f := &Figure{Title: `Styles <script>alert("1")</script> & "quotes" style="fill:#0072B2"` + "\x00\x1b[31m", Subtitle: strings.Repeat("One sentence that has to wrap. ", 12),
		Panels: [][]*plot.Plot{{p, newPanel("an empty panel", "x", "y")}}, Height: 400}
	for i := range 9 {
		s := seriesOf(i)
		xy := plotter.XYs{{X: 0, Y: float64(i)}, {X: 1, Y: float64(i) + 0.5}, {X: 2, Y: float64(i) - 0.5}}
		line, points, err := plotter.NewLinePoints(xy)
		if err != nil {
			t.Fatal(err)
		}
		line.LineStyle, points.GlyphStyle = s.Line(), s.Glyph()
		p.Add(line, points)
		f.Legend = append(f.Legend, s.Entry("series "+string(rune('a'+i)), true, true))
	}
	return f
}

func TestFigure(t *testing.T) {
	f := swatches(t)
	look(t, "swatches", f)
	var first, second, picture bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := WriteSVG(b, swatches(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same figure gave different SVG")
	}
	if text := parseXML(t, first.Bytes()); !strings.Contains(text, `<script>alert("1")</script> & "quotes"`) || !strings.Contains(text, "position (index)") {
		t.Errorf("the SVG's text lacks the title or a label: %q", text)
	}
	if err := WritePNG(&picture, f); err != nil {
		t.Fatal(err)
	}
	im, err := png.Decode(bytes.NewReader(picture.Bytes()))
	if err != nil || im.Bounds().Dx() != 2*Width || im.Bounds().Dy() != 800 {
		t.Fatalf("%v, %v", im.Bounds(), err)
	}
	var again bytes.Buffer
	if err := WritePNG(&again, swatches(t)); err != nil || !bytes.Equal(picture.Bytes(), again.Bytes()) {
		t.Errorf("the same figure gave different PNG (%v)", err)
	}
}

func TestInlineIsThemed(t *testing.T) {
	svg := swatches(t).Inline()
	if text := parseXML(t, []byte(svg)); !strings.Contains(text, `style="fill:#0072B2"`) {
		t.Errorf("text was taken for an attribute: %q", text)
	}
	for _, want := range []string{"var(--plot-ink,#", "var(--plot-blue,#", "var(--plot-paper,#", `role="img"`, "<title>Styles &lt;script&gt;"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s", want)
		}
	}
	attributes := strings.Join(styleAttribute.FindAllString(svg, -1), " ")
	if all, named := len(hexColor.FindAllString(attributes, -1)), strings.Count(attributes, "var(--plot-"); all == 0 || all != named {
		t.Errorf("%d colours, %d of them named", all, named)
	}
	if strings.Contains(svg, "<?xml") || strings.Contains(svg, "<script") {
		t.Error("a prologue or a script")
	}
}

func TestSeriesAreDistinct(t *testing.T) {
	seen := map[string]int{}
	for i := range 49 {
		s := seriesOf(i)
		key := fmt.Sprint(s.Marker, s.Color)
		if j, ok := seen[key]; ok && i < 21 {
			t.Errorf("series %d looks like series %d", i, j)
		}
		seen[key] = i
	}
	for i, a := range seriesStyles {
		for j, b := range seriesStyles[:i] {
			if a.Color == b.Color || a.Marker == b.Marker || len(a.Dashes) == len(b.Dashes) && len(a.Dashes) == 0 {
				t.Errorf("series %d and %d share a cue", i, j)
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space") }

func TestWriteErrorsNameThePicture(t *testing.T) {
	f := &Figure{Title: "power", Height: 100}
	for _, write := range []func(io.Writer, *Figure) error{WritePNG, WriteSVG} {
		if err := write(brokenWriter{}, f); err == nil || !strings.Contains(err.Error(), `"power"`) || !strings.Contains(err.Error(), "no space") {
			t.Errorf("%v", err)
		}
	}
}

// Every text that says something carries its length, whatever it has to escape, and no line begins or ends outside the picture.
func TestTextKeepsItsLength(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSVG(&b, swatches(t)); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&b)
	texts := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "text" {
			continue
		}
		var element struct {
			X         float64 `xml:"x,attr"`
			Length    float64 `xml:"textLength,attr"`
			Transform string  `xml:"transform,attr"`
			Text      string  `xml:",chardata"`
		}
		if err := d.DecodeElement(&element, &start); err != nil {
			t.Fatal(err)
		}
		texts++
		if element.Length <= 0 {
			t.Errorf("%q has no length", element.Text)
		}
		if upright := !strings.Contains(element.Transform, "rotate"); upright && (element.X < 0 || element.X+element.Length > Width) {
			t.Errorf("%q stands from %g to %g of %d", element.Text, element.X, element.X+element.Length, Width)
		}
	}
	if texts < 20 {
		t.Errorf("the figure has %d texts", texts)
	}
}
