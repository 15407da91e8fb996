package weights

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/internal/safetensors"
)

// MismatchError lists every difference between a file's parameters and those that a configuration expects.
type MismatchError struct {
	Missing []string // "NAME [shape]"
	Extra   []string // "NAME [shape]"
	Bad     []string // "NAME: what was found, what is wanted": wrong shape, wrong type, a value that is not finite
	Hint    string   // a likely reason, "" when none is known
}

// maxExtra bounds the list of names that the file, and not the configuration, dictates.
const maxExtra = 500

// Error is one line with the counts, then one line per parameter.
func (e *MismatchError) Error() string {
	var out strings.Builder
	fmt.Fprintf(&out, "the parameters do not fit the configuration: %d missing, %d extra, %d bad", len(e.Missing), len(e.Extra), len(e.Bad))
	if e.Hint != "" {
		out.WriteString("; " + e.Hint)
	}
	for _, line := range e.Missing {
		out.WriteString("\nmissing " + line)
	}
	for i, line := range e.Extra {
		if i == maxExtra {
			fmt.Fprintf(&out, "\nextra … and %d more", len(e.Extra)-maxExtra)
			break
		}
		out.WriteString("\nextra " + line)
	}
	for _, line := range e.Bad {
		out.WriteString("\nbad " + line)
	}
	return out.String()
}

// FromFile copies the parameters of cfg out of file, which may be closed afterwards. Every parameter that cfg expects must be
// there, unless it is Optional, and no other; types F32, F16 and BF16 are read; every value must be finite. The error is a
// *MismatchError with all differences, or says that the metadata is wrong.
func FromFile(file *safetensors.File, cfg config.Config) (*Set, error) {
	metadata, err := ParseMetadata(file.Metadata())
	if err != nil {
		return nil, err
	}
	set := &Set{}
	expected := map[string]bool{}
	var diff MismatchError
	for _, p := range Expected(cfg) {
		expected[p.Name] = true
		found, ok := file.Tensor(p.Name)
		if !ok {
			if !p.Optional {
				diff.Missing = append(diff.Missing, fmt.Sprintf("%s %v", p.Name, p.Shape))
			}
			continue
		}
		values, problem := read(found, p.Shape)
		if problem != "" {
			diff.Bad = append(diff.Bad, p.Name+": "+problem)
			continue
		}
		set.put(p.Name, Tensor{Shape: p.Shape, Data: values})
	}
	for _, name := range file.Names() {
		if !expected[name] {
			extra, _ := file.Tensor(name)
			diff.Extra = append(diff.Extra, fmt.Sprintf("%.200q %v", name, extra.Shape))
		}
	}
	if len(diff.Missing)+len(diff.Extra)+len(diff.Bad) > 0 {
		diff.Hint = metadata.disagreement(cfg)
		return nil, &diff
	}
	return set, nil
}

// read returns a tensor's values, or what is wrong with it.
func read(t safetensors.Tensor, shape []int) (values []float32, problem string) {
	if !slices.Equal(t.Shape, shape) {
		return nil, fmt.Sprintf("found shape %v, want %v", t.Shape, shape)
	}
	switch t.DType {
	case safetensors.Float32, safetensors.Float16, safetensors.BFloat16:
	default:
		return nil, fmt.Sprintf("found type %s, want F32, F16 or BF16", t.DType)
	}
	values, err := t.Float32s()
	if err != nil {
		return nil, err.Error()
	}
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, fmt.Sprintf("element %d is %v, want a finite number", i, v)
		}
	}
	return values, ""
}
