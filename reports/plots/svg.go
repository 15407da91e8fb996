package plots

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"regexp"
	"strconv"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// svg returns the figure as an SVG document with its title and subtitle as the text alternative.
func (f *Figure) svg() []byte {
	return []byte("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + f.element(fmt.Sprintf(`width="%dpt" height="%gpt"`, Width, f.Height.Points())))
}

// Inline returns the figure as an svg element for an HTML page: as wide as the page lets it be, and its colours are the page's
// custom properties (--plot-ink, --plot-soft, --plot-grid, --plot-paper, --plot-blue, …) where it defines them.
func (f *Figure) Inline() string {
	return themed(f.element(`width="100%"`))
}

// element returns the svg element without a prologue. The canvas writes its own head, with fonts that only gonum/plot knows.
func (f *Figure) element(size string) string {
	var raw bytes.Buffer
	f.svgCanvas().WriteTo(&raw) // to memory, which takes everything
	_, body, _ := strings.Cut(raw.String(), `xmlns:xlink="http://www.w3.org/1999/xlink">`)
	body = strings.ReplaceAll(body, "font-family:Liberation Sans;", "font-family:Liberation Sans,Arial,Helvetica,sans-serif;")
	body = keepLengths(body)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" role="img" %s viewBox="0 0 %d %g"><title>%s</title><desc>%s</desc>%s`,
		size, Width, f.Height.Points(), html.EscapeString(printable(f.Title)), html.EscapeString(printable(f.Subtitle)), body)
}

// A text as vgsvg writes it: its weight, its size and what it says, with <, & and quotes escaped.
var textElement = regexp.MustCompile(`<text ([^>]*font-weight:(bold|normal);[^>]*font-size:([0-9.]+)px[^>]*)>([^<]+)</text>`)

// keepLengths tells of every text how long it is in the font that the layout is made for: where the reader has none of the same
// metrics, a wider one is set tighter instead of running into its neighbour or out of the picture.
func keepLengths(svg string) string {
	return textElement.ReplaceAllStringFunc(svg, func(element string) string {
		part := textElement.FindStringSubmatch(element)
		size, _ := strconv.ParseFloat(part[3], 64) // of the pattern's digits
		length := text(size, Ink, part[2] == "bold").Width(html.UnescapeString(part[4]))
		return fmt.Sprintf(`<text textLength="%.2f" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, length.Points(), part[1], part[4])
	})
}

// themes gives the colours of the style the names that a page may redefine.
var themes = []struct {
	property string
	color    color.NRGBA
}{
	{"ink", Ink}, {"soft", Soft}, {"grid", Grid}, {"paper", Paper}, {"blue", Blue}, {"vermillion", Vermillion}, {"green", Green},
	{"purple", Purple}, {"sky", Sky}, {"orange", Orange},
}

// Attributes alone are rewritten: text has its quotes escaped, so it cannot pass for one.
var (
	styleAttribute = regexp.MustCompile(`style="[^"]*"`)
	hexColor       = regexp.MustCompile(`#[0-9A-F]{6}`)
)

// themed replaces colours by custom properties that fall back to them.
func themed(svg string) string {
	return styleAttribute.ReplaceAllStringFunc(svg, func(attribute string) string {
		return hexColor.ReplaceAllStringFunc(attribute, func(hex string) string {
			rgb, _ := strconv.ParseUint(hex[1:], 16, 32) // the pattern leaves six digits
			for _, t := range themes {
				if near(rgb>>16, t.color.R) && near(rgb>>8&255, t.color.G) && near(rgb&255, t.color.B) {
					return fmt.Sprintf("var(--plot-%s,%s)", t.property, hex)
				}
			}
			return hex
		})
	})
}

// near allows for the rounding of a channel that was multiplied by its opacity and divided again.
func near(a uint64, b uint8) bool { return a+3 >= uint64(b) && a <= uint64(b)+3 }

// wrap breaks text between words into lines no wider than width.
func wrap(s string, style draw.TextStyle, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if line != "" && style.Width(line+" "+word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// fit shortens text in its middle until it is no wider than width.
func fit(s string, style draw.TextStyle, width vg.Length) string {
	fitted := Shorten(s, 250)
	for n := len([]rune(fitted)); n > 3 && style.Width(fitted) > width; n-- {
		fitted = Shorten(s, n)
	}
	return fitted
}

// Shorten keeps at most n characters of s, n > 3: its start and its end.
func Shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n/2-1]) + "…" + string(r[len(r)-n+n/2:])
}
