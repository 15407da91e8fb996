package calibrate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Table is a calibration table of TensorRT, which has a scale for every tensor of a network.
type Table struct {
	Version string             // of TensorRT and of its calibrator, such as TRT-8601-EntropyCalibration2
	Cache   string             // Key.Cache of what it belongs to; "" for a legacy table, which does not tell
	Ranges  map[string]float32 // magnitudes up to which tensors are represented
	Unfit   map[string]float32 // scales of tensors that are no ranges: not finite, negative or too great, as of one with an infinity in it
}

// TableMethod is the Key.Method of ranges of a table that somebody brought.
const TableMethod = "table"

// tableHeader begins a table that tells its key (spec/runtime.md 10.8).
const tableHeader = "APEXX_CALIBRATION_CACHE_V1\n"

// tableVersion begins the version of every table.
const tableVersion = "TRT-"

// looksLikeTable tells whether a text is a table, or was meant to be one.
func looksLikeTable(text []byte) bool {
	return bytes.HasPrefix(text, []byte(tableHeader)) || bytes.HasPrefix(text, []byte(tableVersion))
}

// largestLevel is what a scale is multiplied with: TensorRT's int8 is symmetric.
const largestLevel = 127

// ParseTable reads a table: lines "NAME: SCALE", the scale being the bits of a float32 in hexadecimal, under a line with the version, and before
// that the header of the governed form or, in a legacy table, nothing. Errors name the line. A network has more tensors than those that int8 rounds:
// a scale that is none spoils its own tensor alone.
func ParseTable(text []byte) (*Table, error) {
	t := &Table{Ranges: map[string]float32{}, Unfit: map[string]float32{}}
	rest, governed := strings.CutPrefix(string(text), tableHeader)
	if governed {
		var err error
		if t.Cache, rest, err = cutKey(rest); err != nil {
			return nil, err
		}
	}
	lines := strings.Split(strings.TrimSuffix(rest, "\n"), "\n")
	if t.Version = strings.TrimSuffix(lines[0], "\r"); !strings.HasPrefix(t.Version, tableVersion) {
		return nil, fmt.Errorf("no calibration table: it begins with %.40q, want TRT-VERSION-CALIBRATOR", t.Version)
	}
	for i, line := range lines[1:] {
		if err := t.add(strings.TrimSuffix(line, "\r")); err != nil {
			return nil, fmt.Errorf("line %d below the version: %w", i+1, err)
		}
	}
	if len(t.Ranges) == 0 {
		return nil, errors.New("the calibration table has no scales")
	}
	return t, nil
}

func (t *Table) add(line string) error {
	name, scale, err := cutScale(line)
	if err != nil {
		return err
	}
	_, twice := t.Ranges[name]
	_, unfit := t.Unfit[name]
	switch r := scale * largestLevel; {
	case twice || unfit:
		return fmt.Errorf("the tensor %.80q is there twice", name)
	case r >= 0 && r <= math.MaxFloat32:
		t.Ranges[name] = r
	default:
		t.Unfit[name] = scale
	}
	return nil
}

// cutKey reads the header of the governed form, which an empty line ends.
func cutKey(text string) (key, rest string, err error) {
	head, rest, found := strings.Cut(text, "\n\n")
	header := struct {
		Key    string `json:"cache_key"`
		Schema int    `json:"schema_version"`
	}{Schema: 1}
	if err := json.Unmarshal([]byte(head), &header); err != nil || !found || header.Key == "" {
		return "", "", errors.New("the header of the calibration table has no cache_key")
	}
	if header.Schema != 1 {
		return "", "", fmt.Errorf("the schema_version of the calibration table is %d, want 1", header.Schema)
	}
	return header.Key, rest, nil
}

// cutScale reads a line. A name may have colons of its own.
func cutScale(line string) (name string, scale float32, err error) {
	at := strings.LastIndex(line, ": ")
	if at <= 0 {
		return "", 0, fmt.Errorf("%.80q, want NAME: SCALE", line)
	}
	bits, err := strconv.ParseUint(line[at+2:], 16, 32)
	if err != nil {
		return "", 0, fmt.Errorf("%.80q has no scale (want the bits of a float32 in hexadecimal)", line)
	}
	return line[:at], math.Float32frombits(uint32(bits)), nil
}

// File returns the ranges of a table that a model's values have, under a key. A governed table has to have the key of its model. What the table has of
// others is left out: which are missing File.Fits tells. A value whose scale is no range is an error.
func (t *Table) File(key Key, values []string) (*File, error) {
	if t.Cache != "" && t.Cache != key.Cache() {
		return nil, fmt.Errorf("its cache_key is %.12s, that of this model, profile and data version %.12s; calibrate again", t.Cache, key.Cache())
	}
	ranges := map[string]float32{}
	for _, name := range values {
		if scale, unfit := t.Unfit[name]; unfit {
			return nil, fmt.Errorf("the scale of the value %q is %v", name, scale)
		}
		if r, known := t.Ranges[name]; known {
			ranges[name] = r
		}
	}
	return New(key, ranges), nil
}
