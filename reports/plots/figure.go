package plots

import (
	"fmt"
	"io"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Width is the width of every figure in points.
const Width = 720

// Figure is a picture with its words: a title, a sentence on how to read it, a legend, and panels in a grid.
type Figure struct {
	Title    string
	Subtitle string         // wrapped to the width
	Legend   []LegendEntry  // in rows between the subtitle and the panels
	Panels   [][]*plot.Plot // rows, the upper first, all of one length; nil is an empty place
	Height   vg.Length      // of the whole
}

// LegendEntry explains one style. Line and Glyph may be given both.
type LegendEntry struct {
	Label string
	Line  *draw.LineStyle
	Glyph *draw.GlyphStyle
}

// Entry returns the legend entry of a series that is drawn as points, as a line, or as both.
func (s Series) Entry(label string, line, points bool) LegendEntry {
	e := LegendEntry{Label: label}
	if line {
		style := s.Line()
		e.Line = &style
	}
	if points {
		style := s.Glyph()
		e.Glyph = &style
	}
	return e
}

// WritePNG draws the figure as PNG with 144 dots per inch.
func WritePNG(w io.Writer, f *Figure) error {
	c := vgimg.NewWith(vgimg.UseWH(Width, f.Height), vgimg.UseDPI(144), vgimg.UseBackgroundColor(Paper))
	f.draw(draw.New(c))
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(w); err != nil {
		return fmt.Errorf("write the picture %q as PNG: %w", f.Title, err)
	}
	return nil
}

// WriteSVG draws the figure as SVG. Its text stays text, set in Liberation Sans or, with the same metrics, Arial or Helvetica.
func WriteSVG(w io.Writer, f *Figure) error {
	if _, err := w.Write(f.svg()); err != nil {
		return fmt.Errorf("write the picture %q as SVG: %w", f.Title, err)
	}
	return nil
}

const margin = vg.Length(12)

// draw lays the figure out from the top: title, subtitle, legend, panels.
func (f *Figure) draw(c draw.Canvas) {
	c.SetColor(Paper)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	y := c.Max.Y
	put := func(style draw.TextStyle, line string) {
		style.YAlign = draw.YTop
		c.FillText(style, vg.Point{X: c.Min.X, Y: y}, line)
		y -= style.Height("Ag") * 1.25
	}
	title := text(titleSize, Ink, true)
	put(title, fit(printable(f.Title), title, c.Max.X-c.Min.X))
	soft := text(bodySize, Soft, false)
	for _, line := range wrap(printable(f.Subtitle), soft, c.Max.X-c.Min.X) {
		put(soft, line)
	}
	y = f.drawLegend(c, y-4) - 8
	c.Max.Y = y
	f.drawPanels(c)
}

// drawLegend sets the entries from left to right in as many rows as they take, and returns the y below them.
func (f *Figure) drawLegend(c draw.Canvas, y vg.Length) vg.Length {
	swatch, gap := vg.Length(26), vg.Length(18)
	if !slices.ContainsFunc(f.Legend, func(e LegendEntry) bool { return e.Line != nil }) {
		swatch = 10
	}
	style := text(bodySize, Ink, false)
	style.YAlign = draw.YCenter
	row := style.Height("Ag") * 1.4
	x := c.Min.X
	for i, e := range f.Legend {
		label := fit(printable(e.Label), style, c.Max.X-c.Min.X-swatch-5)
		width := swatch + 5 + style.Width(label)
		if i > 0 && x+width > c.Max.X {
			x, y = c.Min.X, y-row
		}
		mid := y - row/2
		if e.Line != nil {
			c.StrokeLine2(*e.Line, x, mid, x+swatch, mid)
		}
		if e.Glyph != nil {
			c.DrawGlyphNoClip(*e.Glyph, vg.Point{X: x + swatch/2, Y: mid})
		}
		c.FillText(style, vg.Point{X: x + swatch + 5, Y: mid}, label)
		x += width + gap
	}
	if len(f.Legend) > 0 {
		y -= row
	}
	return y
}

// drawPanels divides what is left among the panels, their axes aligned. Titles are set here, above the data areas, because each
// plot by itself would set its own at another height.
func (f *Figure) drawPanels(c draw.Canvas) {
	if len(f.Panels) == 0 || len(f.Panels[0]) == 0 {
		return
	}
	titles := map[*plot.Plot]string{}
	for _, row := range f.Panels {
		for _, p := range row {
			if p != nil && p.Title.Text != "" {
				titles[p], p.Title.Text = p.Title.Text, ""
			}
		}
	}
	tiles := draw.Tiles{Rows: len(f.Panels), Cols: len(f.Panels[0]), PadX: 14, PadY: 12}
	if len(titles) > 0 {
		tiles.PadTop, tiles.PadY = 14, 26
	}
	canvases := f.align(tiles, c)
	for i, row := range f.Panels {
		for j, p := range row {
			if p == nil {
				continue
			}
			p.Draw(canvases[i][j])
			if title, ok := titles[p]; ok {
				data := p.DataCanvas(canvases[i][j])
				c.FillText(p.Title.TextStyle, vg.Point{X: data.Center().X, Y: data.Max.Y + 9}, title)
				p.Title.Text = title
			}
		}
	}
}

// align gives every panel a canvas such that the data areas of a row and those of a column begin and end at the same place.
// plot.Align comes near; moving the edges of a canvas moves its data area by almost as much, so a few rounds do the rest.
func (f *Figure) align(tiles draw.Tiles, c draw.Canvas) [][]draw.Canvas {
	canvases := plot.Align(f.Panels, tiles, c)
	rows, columns := map[int]vg.Rectangle{}, map[int]vg.Rectangle{}
	for i, row := range f.Panels {
		for j, p := range row {
			if p == nil {
				continue
			}
			at := &canvases[i][j]
			data := p.DataCanvas(*at).Rectangle
			if _, ok := rows[i]; !ok {
				rows[i] = data
			}
			if _, ok := columns[j]; !ok {
				columns[j] = data
			}
			for range 4 {
				at.Min.X += columns[j].Min.X - data.Min.X
				at.Max.X += columns[j].Max.X - data.Max.X
				at.Min.Y += rows[i].Min.Y - data.Min.Y
				at.Max.Y += rows[i].Max.Y - data.Max.Y
				data = p.DataCanvas(*at).Rectangle
			}
		}
	}
	return canvases
}

// svgCanvas draws the figure on an SVG canvas.
func (f *Figure) svgCanvas() *vgsvg.Canvas {
	c := vgsvg.New(Width, f.Height)
	f.draw(draw.New(c))
	return c
}
