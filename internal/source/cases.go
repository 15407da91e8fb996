package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

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

// LoadCases reads every picture and safetensors file below a folder, in order of path. A file NAME.ext takes its settings
// from NAME.case.yaml beside it, or else from case.yaml in its folder; they go over the model's own and over d. A safetensors
// file holds "image" and may hold its expected outputs, as "out.NAME" or NAME, and "tap.NAME", and its decode settings as
// metadata.
// Errors name the file. Two files whose paths differ in the extension alone would be one case, and are an error too.
func LoadCases(dir string, m *Model, d model.Decode) ([]Case, error) {
	files, err := caseFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	l := caseLoader{model: m, decode: d, models: map[string]*Model{}}
	from := map[string]string{}
	var cases []Case
	for _, path := range files {
		file, err := filepath.Rel(dir, path)
		if err != nil {
			return nil, err
		}
		c, skip, err := l.load(path)
		if err != nil {
			return nil, fmt.Errorf("case %s: %w", file, err)
		}
		if skip {
			continue
		}
		c.Name = strings.TrimSuffix(file, filepath.Ext(file))
		if other, dup := from[c.Name]; dup {
			return nil, fmt.Errorf("cases: %s and %s would both be the case %s; rename one", other, file, c.Name)
		}
		from[c.Name] = file
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("cases: %s holds no PNG, JPEG or safetensors file with an image", dir)
	}
	slices.SortFunc(cases, func(a, b Case) int { return cmp.Compare(a.Name, b.Name) })
	return cases, nil
}

// caseFiles lists the pictures and safetensors files below a folder, which may be a symbolic link.
func caseFiles(dir string) ([]string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file, want a folder", dir)
	}
	var files []string
	// The separator makes WalkDir enter a symbolic link.
	err = filepath.WalkDir(dir+string(filepath.Separator), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && (IsPicture(path) || filepath.Ext(path) == ".safetensors") {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

// caseLoader reads the files of one folder. Cases with the same configuration share a model.
type caseLoader struct {
	model  *Model
	decode model.Decode
	models map[string]*Model // by overrides
}

// with returns the model under a case's overrides.
func (l *caseLoader) with(settings caseFile) (*Model, error) {
	overrides, err := settings.overrides()
	if err != nil {
		return nil, err
	}
	key := strings.Join(overrides, "\x00")
	if l.models[key] == nil {
		m, err := l.model.With(overrides)
		if err != nil {
			return nil, err
		}
		l.models[key] = m
	}
	return l.models[key], nil
}

// load reads one file. A safetensors file without an image is skipped: it holds the expected outputs of another.
func (l *caseLoader) load(path string) (c Case, skip bool, err error) {
	settings, from, err := findCaseFile(path)
	if err != nil {
		return c, false, err
	}
	if c.Model, err = l.with(settings); err != nil {
		if from != "" {
			err = fmt.Errorf("%s: %w", from, err)
		}
		return c, false, err
	}
	c.Decode = l.decode
	if IsPicture(path) {
		c.Input, err = c.Model.LoadPicture(path)
	} else {
		skip, err = c.readTensors(path)
	}
	if err != nil || skip {
		return c, skip, err
	}
	if h, w, side := c.Image.Shape()[2], c.Image.Shape()[3], model.SideMultiple(c.Model.Config); h%side != 0 || w%side != 0 {
		return c, false, fmt.Errorf("the image has %d×%d (height×width), want multiples of %d", h, w, side)
	}
	c.Decode = settings.decode(c.Decode)
	if err := c.Decode.Validate(); err != nil {
		return c, false, err
	}
	if settings.Expected != "" {
		c.Expected, err = loadExpected(filepath.Join(filepath.Dir(from), settings.Expected))
	}
	return c, false, err
}

// readTensors reads image, expected outputs and decode settings of a safetensors file, or tells to skip one without image.
func (c *Case) readTensors(path string) (skip bool, err error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if _, ok := f.Tensor("image"); !ok {
		return true, nil
	}
	if c.Input, err = imageOf(f); err != nil {
		return false, err
	}
	if c.Expected, err = expectedOf(f); err != nil {
		return false, err
	}
	c.Decode, err = decodeOf(f.Metadata(), c.Decode)
	return false, err
}

func loadExpected(path string) (tensor.List, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, fmt.Errorf("expected outputs: %w", err)
	}
	list, err := expectedOf(f)
	if err == nil && len(list) == 0 {
		err = errors.New("no tensor is named like an output, out.NAME or tap.NAME")
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("expected outputs %s: %w", path, err)
	}
	return list, nil
}

// expectedOf collects out.NAME as NAME, outputs and taps as apexx run --out names them as they are.
func expectedOf(f *safetensors.File) (tensor.List, error) {
	var list tensor.List
	for _, name := range f.Names() {
		output, isOutput := strings.CutPrefix(name, "out.")
		if !isOutput && !strings.HasPrefix(name, "tap.") && !slices.Contains(model.OutputNames, name) && !slices.Contains(levelTwo, name) {
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

// levelTwo are the outputs that follow model.OutputNames at a nesting depth of 2.
var levelTwo = []string{"tiles_l2", "valid_l2"}

// BuiltinOverrides are the budgets of the built-in cases. They buy half of a 512×512 picture's tiles, so that the choice
// of tiles matters; under the default budgets every tile of a small picture is chosen.
var BuiltinOverrides = []string{"routing.budget_total=16", "routing.budget_b1=6.4", "routing.budget_b2=4"}

// PictureCase makes a case of an encoded picture that the program carries.
func (m *Model) PictureCase(name string, encoded []byte, d model.Decode) (Case, error) {
	p, err := picture.Decode(encoded)
	if err != nil {
		return Case{}, fmt.Errorf("case %s: %w", name, err)
	}
	in, err := m.PictureInput(name, p)
	return Case{Input: in, Model: m, Decode: d}, err
}
