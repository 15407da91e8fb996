package plots

import (
	"image/color"
	"math"
	"slices"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/sweep"
)

// The colours of everything that is not data. All text is Ink or Soft, on Paper.
var (
	Ink   = color.NRGBA{0x1c, 0x20, 0x24, 0xff}
	Soft  = color.NRGBA{0x5c, 0x66, 0x70, 0xff}
	Grid  = color.NRGBA{0xdc, 0xdf, 0xe2, 0xff}
	Paper = color.NRGBA{0xff, 0xff, 0xff, 0xff}
)

// The palette of Okabe and Ito ("Color Universal Design", 2008), without its yellow, which is too light for lines on white. Ink stands for
// its black.
var (
	Blue       = color.NRGBA{0x00, 0x72, 0xb2, 0xff}
	Vermillion = color.NRGBA{0xd5, 0x5e, 0x00, 0xff}
	Green      = color.NRGBA{0x00, 0x9e, 0x73, 0xff}
	Purple     = color.NRGBA{0xcc, 0x79, 0xa7, 0xff}
	Sky        = color.NRGBA{0x56, 0xb4, 0xe9, 0xff}
	Orange     = color.NRGBA{0xe6, 0x9f, 0x00, 0xff}
)

// Series is how one series is drawn: a colour, a marker and a dash pattern, of which the last two tell it from the others without the first.
type Series struct {
	Color  color.NRGBA
	Marker Marker
	Dashes []vg.Length // nil is a solid line
}

var seriesStyles = []Series{
	{Blue, Disk, nil},
	{Vermillion, Triangle, []vg.Length{6, 3}},
	{Green, Square, []vg.Length{1.5, 2.5}},
	{Purple, Diamond, []vg.Length{8, 3, 1.5, 3}},
	{Ink, Ring, []vg.Length{3, 2}},
	{Orange, Wedge, []vg.Length{10, 3}},
	{Sky, Cross, []vg.Length{6, 2, 1.5, 2, 1.5, 2}},
}

// seriesOf returns the style of series i ≥ 0: seven distinct ones, then colour, marker and dashes recombine.
func seriesOf(i int) Series {
	n := len(seriesStyles)
	s := seriesStyles[i%n]
	round := i / n
	s.Marker = seriesStyles[(i+round)%n].Marker
	s.Dashes = seriesStyles[(i+2*round)%n].Dashes
	return s
}

// stylesOf gives every series of cells its style, by its name: colour and dashes are those of its backend, in the order of their first cells, and the
// marker is that of its precision. So the figures of one sweep tell series alike, and with or without colours.
func stylesOf(cells []sweep.CellResult) map[string]Series {
	styles, ofBackend := map[string]Series{}, map[string]Series{}
	for _, c := range cells {
		backend := c.Cell.Backend
		if _, ok := ofBackend[backend]; !ok {
			ofBackend[backend] = seriesStyles[len(ofBackend)%len(seriesStyles)]
		}
		style := ofBackend[backend]
		style.Marker = seriesStyles[max(slices.Index(byPrecision, c.Cell.Precision), 0)].Marker
		styles[seriesName(c.Cell)] = style
	}
	return styles
}

// byPrecision are the precisions in the order of the markers of seriesStyles.
var byPrecision = []backends.Precision{backends.FP32, backends.FP16, backends.BF16, backends.INT8, backends.FP64, backends.FP8, backends.TF32}

// Line returns the style of the series' lines.
func (s Series) Line() draw.LineStyle {
	return draw.LineStyle{Color: s.Color, Width: vg.Points(1.6), Dashes: s.Dashes}
}

// Glyph returns the style of the series' points.
func (s Series) Glyph() draw.GlyphStyle {
	return draw.GlyphStyle{Color: s.Color, Radius: vg.Points(3.2), Shape: s.Marker}
}

// faded returns a colour with the opacity, in [0,1], that lets points over each other be seen.
func faded(c color.NRGBA, opacity float64) color.NRGBA {
	c.A = uint8(math.Round(255 * opacity))
	return c
}

// Marker is the shape of a point.
type Marker int

// The markers. Ring is hollow and Cross is two strokes; the others are filled.
const (
	Disk Marker = iota
	Triangle
	Square
	Diamond
	Ring
	Wedge // a triangle on its tip
	Cross
)

// corners are those of the polygonal markers on the unit circle: how many, and the angle of the first in degrees.
var corners = map[Marker][2]float64{Triangle: {3, 90}, Square: {4, 45}, Diamond: {4, 90}, Wedge: {3, 270}}

// DrawGlyph draws the marker at a point.
func (m Marker) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	var p vg.Path
	switch m {
	case Disk, Ring:
		p.Move(vg.Point{X: at.X + style.Radius, Y: at.Y})
		p.Arc(at, style.Radius, 0, 2*math.Pi)
		p.Close()
	case Cross:
		r := style.Radius * 0.8
		p.Move(vg.Point{X: at.X - r, Y: at.Y - r})
		p.Line(vg.Point{X: at.X + r, Y: at.Y + r})
		p.Move(vg.Point{X: at.X - r, Y: at.Y + r})
		p.Line(vg.Point{X: at.X + r, Y: at.Y - r})
	default:
		n, first := int(corners[m][0]), corners[m][1]*math.Pi/180
		for i := range n {
			sin, cos := math.Sincos(first + 2*math.Pi*float64(i)/float64(n))
			q := vg.Point{X: at.X + 1.25*style.Radius*vg.Length(cos), Y: at.Y + 1.25*style.Radius*vg.Length(sin)}
			if i == 0 {
				p.Move(q)
			} else {
				p.Line(q)
			}
		}
		p.Close()
	}
	if m == Ring || m == Cross {
		c.SetLineStyle(draw.LineStyle{Color: style.Color, Width: vg.Points(1.3)})
		c.Stroke(p)
		return
	}
	c.Fill(p)
}

// The sizes of text in points.
const (
	titleSize = 13
	bodySize  = 9.5
	tickSize  = 8.5
)

// text returns the style of a line of text in Liberation Sans, which gonum/plot carries.
func text(size float64, c color.Color, bold bool) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return draw.TextStyle{Color: c, Font: f, Handler: plot.DefaultTextHandler}
}

// newPanel returns an empty plot in the style of the package, with labels that name their units.
func newPanel(title, xLabel, yLabel string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil // the figure's shows
	p.Title.Text = printable(title)
	p.Title.TextStyle = text(bodySize+0.5, Ink, true)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YBottom
	styleAxis(&p.X, xLabel)
	styleAxis(&p.Y, yLabel)
	return p
}

// styleAxis sets an axis in the style of the package, keeping the alignment that suits its direction.
func styleAxis(a *plot.Axis, label string) {
	a.Label.Text = printable(label)
	a.Label.Padding = vg.Points(4)
	a.LineStyle = draw.LineStyle{Color: Soft, Width: vg.Points(0.7)}
	a.Tick.LineStyle = a.LineStyle
	a.Tick.Length = vg.Points(4)
	restyle(&a.Tick.Label, text(tickSize, Ink, false))
	restyle(&a.Label.TextStyle, text(bodySize, Soft, false))
}

func restyle(style *draw.TextStyle, to draw.TextStyle) {
	to.XAlign, to.YAlign = style.XAlign, style.YAlign
	*style = to
}

// printable makes any string fit to be drawn: one line, no control characters, valid UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar || r > 0xFFFD && r < 0x10000:
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
