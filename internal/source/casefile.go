package source

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/input"
)

// caseFile is case.yaml: what a case changes and expects. All keys are optional.
type caseFile struct {
	Config map[string]map[string]yaml.Node `yaml:"config"` // section → key → value, as in a configuration file
	Decode struct {
		ScoreThreshold *float32 `yaml:"score_threshold"`
		PreNMSTopK     *integer `yaml:"pre_nms_topk"`
		IoUThreshold   *float32 `yaml:"iou_threshold"`
		MaxDetections  *integer `yaml:"max_detections"`
	} `yaml:"decode"`
	Expected string `yaml:"expected"` // a safetensors file of outputs, such as apexx run --out writes, relative to the case file
}

// integer is a whole number. The YAML package would cut 2.5 down to 2.
type integer int

// UnmarshalYAML implements yaml.Unmarshaler.
func (n *integer) UnmarshalYAML(node *yaml.Node) error {
	if node.ShortTag() != "!!int" {
		return fmt.Errorf("line %d: found %q, want a whole number", node.Line, node.Value)
	}
	return node.Decode((*int)(n))
}

// parseCase reads a case file; unknown keys and a second document are errors.
func parseCase(text []byte) (caseFile, error) {
	var c caseFile
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); errors.Is(err, io.EOF) {
		return c, nil
	} else if err != nil {
		return caseFile{}, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return caseFile{}, errors.New("the case file has more than one document")
	}
	return c, nil
}

// overrides lists the case's configuration as section.key=value, sorted. The values keep the spelling of the file, by which
// the configuration tells 6 from 6.0 and from "6".
func (c caseFile) overrides() ([]string, error) {
	var out []string
	for section, keys := range c.Config {
		for key, value := range keys {
			text, err := yaml.Marshal(&value)
			if err != nil {
				return nil, fmt.Errorf("config %s.%s: %w", section, key, err)
			}
			out = append(out, fmt.Sprintf("%s.%s=%s", section, key, bytes.TrimSpace(text)))
		}
	}
	slices.Sort(out)
	return out, nil
}

// decode lays the case's settings over others.
func (c caseFile) decode(d model.Decode) model.Decode {
	if v := c.Decode.ScoreThreshold; v != nil {
		d.ScoreThreshold = *v
	}
	if v := c.Decode.PreNMSTopK; v != nil {
		d.PreNMSTopK = int(*v)
	}
	if v := c.Decode.IoUThreshold; v != nil {
		d.IoUThreshold = *v
	}
	if v := c.Decode.MaxDetections; v != nil {
		d.MaxDetections = int(*v)
	}
	return d
}

// findCaseFile reads the settings that belong to a file, and names where they are; "" where there are none.
func findCaseFile(path string) (c caseFile, from string, err error) {
	dir := filepath.Dir(path)
	for _, candidate := range []string{filepath.Join(dir, stem(path)+".case.yaml"), filepath.Join(dir, "case.yaml")} {
		text, err := input.Read(candidate, input.CaseSettings)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			c, err = parseCase(text)
		}
		if err != nil {
			return c, candidate, fmt.Errorf("%s: %w", candidate, err)
		}
		return c, candidate, nil
	}
	return c, "", nil
}

// decodeOf reads the decode settings that golden files carry as metadata.
func decodeOf(meta map[string]string, d model.Decode) (model.Decode, error) {
	float := func(key string, to *float32) error {
		text, ok := meta[key]
		if !ok {
			return nil
		}
		v, err := strconv.ParseFloat(text, 32)
		if err != nil {
			return fmt.Errorf("metadata %s: %q is not a number", key, text)
		}
		*to = float32(v)
		return nil
	}
	integer := func(key string, to *int) error {
		text, ok := meta[key]
		if !ok {
			return nil
		}
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("metadata %s: %q is not an integer", key, text)
		}
		*to = v
		return nil
	}
	err := errors.Join(float("score_threshold", &d.ScoreThreshold), float("iou_threshold", &d.IoUThreshold),
		integer("pre_nms_topk", &d.PreNMSTopK), integer("max_detections", &d.MaxDetections))
	return d, err
}
