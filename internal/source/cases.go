package source

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/safetensors"
)

// Case is one input of a matrix with the model that it runs and, where they are known, its expected outputs.
type Case struct {
	Input
	Model    *Model
	Decode   model.Decode
	Expected tensor.List // by output name; taps as "tap.NAME"; nil when unknown
}

// caseFile is case.yaml: what a case changes and expects. All keys are optional.
type caseFile struct {
	Config map[string]map[string]any `yaml:"config"` // section → key → value, as in a configuration file
	Decode struct {
		ScoreThreshold *float32 `yaml:"score_threshold"`
		PreNMSTopK     *int     `yaml:"pre_nms_topk"`
		IoUThreshold   *float32 `yaml:"iou_threshold"`
		MaxDetections  *int     `yaml:"max_detections"`
	} `yaml:"decode"`
	Expected string `yaml:"expected"` // a safetensors file of outputs, relative to the case file
}

// maxCaseFile bounds a case file, in bytes.
const maxCaseFile = 1 << 20

// parseCase reads a case file; unknown keys are errors.
func parseCase(text []byte) (caseFile, error) {
	var c caseFile
	if len(text) > maxCaseFile {
		return c, fmt.Errorf("the case file is larger than %d bytes", maxCaseFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return caseFile{}, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return c, nil
}

// overrides lists the case's configuration as section.key=value, sorted.
func (c caseFile) overrides() ([]string, error) {
	var out []string
	for section, keys := range c.Config {
		for key, value := range keys {
			text, err := json.Marshal(value) // JSON is YAML in flow style
			if err != nil {
				return nil, fmt.Errorf("config %s.%s: %w", section, key, err)
			}
			out = append(out, fmt.Sprintf("%s.%s=%s", section, key, text))
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
		d.PreNMSTopK = *v
	}
	if v := c.Decode.IoUThreshold; v != nil {
		d.IoUThreshold = *v
	}
	if v := c.Decode.MaxDetections; v != nil {
		d.MaxDetections = *v
	}
	return d
}

// LoadCases reads every picture and safetensors file below a folder, in order of path. A file NAME.ext takes its settings
// from NAME.case.yaml beside it, or else from case.yaml in its folder. A safetensors file holds "image" and may hold its
// expected outputs as "out.NAME" and "tap.NAME" and its decode settings as metadata.
func LoadCases(dir string, m *Model, d model.Decode) ([]Case, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (IsPicture(path) || filepath.Ext(path) == ".safetensors") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	var cases []Case
	for _, path := range files {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return nil, err
		}
		c, skip, err := loadCase(path, m, d)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", name, err)
		}
		if c.Name = strings.TrimSuffix(name, filepath.Ext(name)); !skip {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("cases: %s holds no PNG, JPEG or safetensors file", dir)
	}
	slices.SortStableFunc(cases, func(a, b Case) int { return cmp.Compare(a.Name, b.Name) })
	return cases, nil
}

// loadCase reads one file. A safetensors file without an image is skipped: it holds the expected outputs of another.
func loadCase(path string, m *Model, d model.Decode) (c Case, skip bool, err error) {
	settings, base, err := findCaseFile(path)
	if err != nil {
		return c, false, err
	}
	overrides, err := settings.overrides()
	if err != nil {
		return c, false, err
	}
	if c.Model, err = m.With(overrides); err != nil {
		return c, false, err
	}
	if IsPicture(path) {
		c.Input, err = c.Model.LoadPicture(path)
	} else {
		f, openErr := safetensors.Open(path)
		if openErr != nil {
			return c, false, openErr
		}
		defer f.Close()
		if _, ok := f.Tensor("image"); !ok {
			return c, true, nil
		}
		if c.Input, err = imageOf(f); err == nil {
			c.Expected, err = expectedOf(f)
		}
		if err == nil {
			d, err = decodeOf(f.Metadata(), d)
		}
	}
	if err != nil {
		return c, false, err
	}
	c.Decode = settings.decode(d)
	if settings.Expected != "" {
		c.Expected, err = loadExpected(filepath.Join(base, settings.Expected))
	}
	return c, false, err
}

// findCaseFile reads the settings that belong to a file, and names their folder.
func findCaseFile(path string) (c caseFile, dir string, err error) {
	dir = filepath.Dir(path)
	for _, candidate := range []string{filepath.Join(dir, stem(path)+".case.yaml"), filepath.Join(dir, "case.yaml")} {
		text, err := os.ReadFile(candidate)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			c, err = parseCase(text)
		}
		if err != nil {
			return c, dir, fmt.Errorf("%s: %w", candidate, err)
		}
		return c, dir, nil
	}
	return c, dir, nil
}

func loadExpected(path string) (tensor.List, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("expected outputs: %w", err)
	}
	list, err := expectedOf(f)
	if err == nil && len(list) == 0 {
		err = errors.New(`no tensor is named "out.NAME" or "tap.NAME"`)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("expected outputs %s: %w", path, err)
	}
	return list, nil
}

// expectedOf collects out.NAME as NAME and tap.NAME as it is.
func expectedOf(f *safetensors.File) (tensor.List, error) {
	var list tensor.List
	for _, name := range f.Names() {
		output, isOutput := strings.CutPrefix(name, "out.")
		if !isOutput && !strings.HasPrefix(name, "tap.") {
			continue
		}
		stored, _ := f.Tensor(name)
		t, err := FromSafetensors(stored)
		if err != nil {
			return nil, err
		}
		list = append(list, tensor.Named{Name: output, Tensor: t})
	}
	return list, nil
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

// BuiltinOverrides are the budgets of the built-in cases. They buy half of a 512×512 picture's tiles, so that the choice
// of tiles matters; under the default budgets every tile of a small picture is chosen.
var BuiltinOverrides = []string{"routing.budget_total=16", "routing.budget_b1=6.4", "routing.budget_b2=4"}

// PictureCase makes a case of an encoded picture that the program carries.
func (m *Model) PictureCase(name string, encoded []byte, d model.Decode) (Case, error) {
	p, err := picture.Decode(bytes.NewReader(encoded))
	if err != nil {
		return Case{}, fmt.Errorf("case %s: %w", name, err)
	}
	in, err := m.PictureInput(name, p)
	return Case{Input: in, Model: m, Decode: d}, err
}
