package calibrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/internal/printable"
)

// SchemaID names the version of the form of a file.
const SchemaID = "apexx.calibration/1"

// File is a calibration and what it belongs to.
type File struct {
	Schema  string             `json:"schema"`
	Key     Key                `json:"key"`
	Cache   string             `json:"cache_key"` // Key.Cache
	Ranges  map[string]float32 `json:"ranges"`
	Content string             `json:"content_sha256"` // of key and ranges
}

// New completes a file.
func New(key Key, ranges map[string]float32) *File {
	f := &File{Schema: SchemaID, Key: key, Cache: key.Cache(), Ranges: ranges}
	f.Content = f.content()
	return f
}

func (f *File) content() string {
	text, err := json.Marshal([]any{f.Key, f.Ranges})
	if err != nil {
		panic(err) // Calibration.Validate has seen to it that ranges are finite
	}
	return Digest(text)
}

// Calibration returns what graph.Lower takes.
func (f *File) Calibration() *graph.Calibration {
	return &graph.Calibration{Ranges: f.Ranges, Wide: f.Key.Wide}
}

// Write writes the file as indented JSON with sorted names: equal files are equal bytes.
func (f *File) Write(w io.Writer) error {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// Parse reads what Write wrote. Its errors are one line each: text that is no such JSON, another schema, keys that this program does not know,
// ranges that are none, and a content or a key that was changed.
func Parse(text []byte) (*File, error) {
	if looksLikeTable(text) {
		return nil, errors.New("it is a calibration table of TensorRT: make a file of it with apexx calibrate --table")
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, fmt.Errorf("no calibration: %w", err)
	}
	if head.Schema != SchemaID {
		return nil, fmt.Errorf("the schema is %q, want %q; calibrate again", head.Schema, SchemaID)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	f := &File{}
	if err := d.Decode(f); err != nil {
		return nil, fmt.Errorf("no calibration: %w", err)
	}
	if d.More() {
		return nil, errors.New("no calibration: there is more behind it")
	}
	if err := f.Calibration().Validate(); err != nil {
		return nil, err
	}
	switch {
	case len(f.Ranges) == 0:
		return nil, errors.New("it has no ranges; calibrate again")
	case f.Content != f.content():
		return nil, errors.New("its key or its ranges are not those that were written (content_sha256 differs); calibrate again")
	case f.Cache != f.Key.Cache():
		return nil, errors.New("its cache_key is not that of its key; calibrate again")
	}
	return f, nil
}

// Check returns an error that names the parts of the key in which the file is another model's, and one for ranges of workers with faults.
func (f *File) Check(want Source) error {
	for name, faults := range f.Key.Variables {
		if backends.Injects(name) {
			return fmt.Errorf("it was found with faults injected (%s); calibrate again", printable.Line(faults))
		}
	}
	if parts := f.Key.Source.Differences(want); len(parts) > 0 {
		return fmt.Errorf("it is another model's, by %s; calibrate again", strings.Join(parts, ", "))
	}
	return nil
}

// Fits returns an error that names a value of the graph whose range the file does not have.
func (f *File) Fits(g *graph.Graph) error {
	calibrated := *g
	calibrated.Calibration = f.Calibration()
	for _, v := range calibrated.Ranged() {
		if _, known := f.Ranges[v.Name]; !known {
			return fmt.Errorf("it has no range of the value %q; calibrate again", v.Name)
		}
	}
	return nil
}
