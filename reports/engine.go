package reports

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/internal/printable"
)

// EngineText writes what a file says of an engine of TensorRT: what it was built from, by and for, its layers with the formats of their results and the
// nodes that they compute, whether these are of its precision, and what became of the nodes that are held to float32.
func EngineText(w io.Writer, r tensorrt.Record) error {
	var b strings.Builder
	r = clean(r) // anybody may have written the file
	k := r.Key
	fmt.Fprintf(&b, "%s engine, %s, sha256 %s\n", k.Precision, sizeText(int64(r.Bytes)), r.SHA256)
	fmt.Fprintf(&b, "model     onnx sha256 %s\n", k.Model)
	fmt.Fprintf(&b, "built by  TensorRT %s, optimisation level %d\n", k.TensorRT, k.Level)
	if k.Plugins != "" {
		fmt.Fprintf(&b, "plugins   sha256 %s\n", k.Plugins)
	}
	fmt.Fprintf(&b, "for       %s, compute capability %s, CUDA %s\n", k.Device, k.Capability, k.CUDA)
	if k.Batches != (tensorrt.Batches{}) {
		fmt.Fprintf(&b, "batches   %d to %d, kernels chosen for %d\n", k.Batches.Min, k.Batches.Max, k.Batches.Opt)
	}
	fmt.Fprintf(&b, "types     %s\n", typesText(r))
	for _, s := range tensorrt.Strays(r.Layers, k.Precision) {
		fmt.Fprintf(&b, "          in %s %s\n", s.Layer, s.What)
	}
	if len(r.Held) > 0 {
		fmt.Fprintf(&b, "held      %s\n", heldText(r.Held))
	}
	for _, h := range r.Held {
		if h.Failed {
			fmt.Fprintf(&b, "          %s is %s, in %s\n", h.Node, h.Result, h.Layer)
		}
	}
	fmt.Fprintf(&b, "%d layers\n", len(r.Layers))
	width := 0
	for _, l := range r.Layers {
		width = max(width, len(l.Type))
	}
	for i, l := range r.Layers {
		fmt.Fprintf(&b, "%4d  %-*s  %s%s\n", i+1, width, l.Type, layerText(l), formatsText(l))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// heldText counts what became of the nodes.
func heldText(list []tensorrt.Held) string {
	float32s, inside, failed, untold := 0, 0, 0, 0
	for _, h := range list {
		switch {
		case h.Failed:
			failed++
		case !h.Told():
			untold++
		case h.Result == "":
			inside++
		default:
			float32s++
		}
	}
	return fmt.Sprintf("%d nodes to float32: of %d the results lie in memory so, of %d they stay in a layer, of %d they are narrower, of %d it does not tell", len(list), float32s, inside, failed, untold)
}

// typesText tells whether layers compute in what the precision of the engine does not have.
func typesText(r tensorrt.Record) string {
	strays, p := tensorrt.Strays(r.Layers, r.Key.Precision), r.Key.Precision
	switch {
	case len(strays) > 0:
		return fmt.Sprintf("%d of %d layers compute in what %s does not have", len(strays), len(r.Layers), p)
	case !slices.ContainsFunc(r.Layers, func(l tensorrt.Layer) bool { return len(l.Outputs) > 0 }):
		return "the layers do not tell theirs"
	case p == backends.TF32:
		return "no layer reads or writes what is narrower than float32; products may be in TF32"
	case p == backends.FP32:
		return "no layer reads or writes what is narrower than float32, and no kernel says that it is one of TF32"
	}
	return fmt.Sprintf("no layer reads or writes what is narrower than float32 and not %s, and no kernel says that it is one of TF32", p)
}

// layerText names the nodes of a layer, or itself where it has none.
func layerText(l tensorrt.Layer) string {
	switch n := len(l.Nodes); {
	case n == 0:
		return "(" + l.Name + ")"
	case n > 2:
		return fmt.Sprintf("%s … %s (%d nodes)", l.Nodes[0], l.Nodes[n-1], n)
	}
	return strings.Join(l.Nodes, ", ")
}

func formatsText(l tensorrt.Layer) string {
	var list []string
	for _, t := range l.Outputs {
		if len(list) == 0 || list[len(list)-1] != t.Format {
			list = append(list, t.Format)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return " → " + strings.Join(list, ", ")
}

// EngineDifferences writes in what two engines differ: what they were built from, how many bytes, and which layers. It tells whether they do.
func EngineDifferences(w io.Writer, a, b tensorrt.Record, engineA, engineB []byte) (differ bool, err error) {
	if bytes.Equal(engineA, engineB) && a.Key == b.Key {
		_, err := io.WriteString(w, "the engines are the same, byte for byte\n")
		return false, err
	}
	var text strings.Builder
	if parts := a.Key.Differences(b.Key); len(parts) > 0 {
		text.WriteString("the engines were built from, by or for something else:\n")
		for _, p := range parts {
			fmt.Fprintf(&text, "  %s: %s, %s\n", p.Part, printable.Line(p.One), printable.Line(p.Other))
		}
	} else {
		text.WriteString("the engines have one key and differ\n")
	}
	text.WriteString(bytesText(engineA, engineB, a.Layers))
	layerDifferences(&text, a.Layers, b.Layers)
	_, err = io.WriteString(w, text.String())
	return true, err
}

const (
	differenceGap = 16       // bytes at least between two places in which engines differ
	mostPlaces    = 10       // that are written
	mostHex       = 8        // bytes of a place that are written, unless they are text
	shortestWord  = 8        // characters that are taken for text
	mostWord      = 24       // characters of the word before and after a place that are written
	nameWindow    = 64 << 10 // bytes before a place in which a name is looked for
)

// A place is a stretch of bytes in which engines differ.
type place struct{ first, last, bytes int }

// places finds where engines of equal length differ.
func places(a, b []byte) []place {
	var list []place
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		if n := len(list); n == 0 || i-list[n-1].last > differenceGap {
			list = append(list, place{first: i})
		}
		p := &list[len(list)-1]
		p.last, p.bytes = i, p.bytes+1
	}
	return list
}

// bytesText counts the bytes in which engines differ, and tells where: at which byte, and behind the name of which layer, as an engine has the names in it.
func bytesText(a, b []byte, layers []tensorrt.Layer) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d bytes and %d bytes\n", len(a), len(b))
	}
	list, differ := places(a, b), 0
	if len(list) == 0 {
		return "every byte is the same\n"
	}
	var text strings.Builder
	for i, p := range list {
		if differ += p.bytes; i >= mostPlaces {
			continue
		}
		fmt.Fprintf(&text, "  %d at %d, %s%s\n", p.bytes, p.first, shown(a, b, p), behind(a[max(0, p.first-nameWindow):p.first], layers))
	}
	if more := len(list) - mostPlaces; more > 0 {
		fmt.Fprintf(&text, "  and in %d more places\n", more)
	}
	return fmt.Sprintf("%d of %d bytes differ, in %s:\n%s", differ, len(a), counted(len(list), "place"), text.String())
}

// shown writes the bytes of a place of two engines: with the words in which they stand, if both are text, such as a number in a name, and else their beginnings
// in hexadecimal.
func shown(a, b []byte, p place) string {
	one, other := word(a, p), word(b, p)
	if len(one) < shortestWord || len(other) < shortestWord {
		to := min(p.last+1, p.first+mostHex)
		return fmt.Sprintf("%x and %x", a[p.first:to], b[p.first:to])
	}
	return fmt.Sprintf("%q and %q", one, other)
}

// word returns the letters, digits and underscores around a place, nothing where it has others itself.
func word(data []byte, p place) []byte {
	other := func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_'
	}
	before, after := data[max(0, p.first-mostWord):p.first], data[p.last+1:min(len(data), p.last+1+mostWord)]
	if bytes.ContainsFunc(data[p.first:p.last+1], other) {
		return nil
	}
	from, to := p.first-len(before)+bytes.LastIndexFunc(before, other)+1, p.last+1+len(after)
	if end := bytes.IndexFunc(after, other); end >= 0 {
		to = p.last + 1 + end
	}
	return data[from:to]
}

// behind names the layer whose name comes last in the bytes, which need not be that of which they are.
func behind(data []byte, layers []tensorrt.Layer) string {
	name, at := "", -1
	for _, l := range layers {
		if i := bytes.LastIndex(data, []byte(l.Name)); i > at && l.Name != "" {
			name, at = l.Name, i
		}
	}
	if at < 0 {
		return ""
	}
	return fmt.Sprintf(", %d behind the name %s", len(data)-at, printable.Line(name))
}

// layerDifferences tells layers of one name that another kernel computes, or whose results lie in memory in another format, and how many layers are in one
// engine alone.
func layerDifferences(w io.Writer, a, b []tensorrt.Layer) {
	others := map[string][]tensorrt.Layer{}
	for _, l := range b {
		others[l.Name] = append(others[l.Name], l)
	}
	kernels, formats, alone := 0, 0, 0
	for _, l := range a {
		same := others[l.Name]
		if len(same) == 0 {
			alone++
			continue
		}
		twin := same[0]
		others[l.Name] = same[1:]
		if twin.Tactic != l.Tactic {
			kernels++
			fmt.Fprintf(w, "%s: %s, %s\n", printable.Line(l.Name), printable.Line(l.Tactic), printable.Line(twin.Tactic))
		} else if formatsText(twin) != formatsText(l) {
			formats++
			fmt.Fprintf(w, "%s:%s,%s\n", printable.Line(l.Name), printable.Line(formatsText(l)), printable.Line(formatsText(twin)))
		}
	}
	left := 0
	for _, list := range others {
		left += len(list)
	}
	fmt.Fprintf(w, "%d layers with another kernel, %d with another format, %d in the first alone, %d in the second alone\n", kernels, formats, alone, left)
}
