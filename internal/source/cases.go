package source

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/safetensors"
)

// Case is one input of a matrix with the model that it runs and, where they are known, its expected outputs.
type Case struct {
	Input
	Model    *Model
	Decode   model.Decode
	Expected tensor.List // by output name; taps as "tap.NAME"; nil when unknown
}

// BuildGraph returns the complete model for the shape of the case's image and a session in a precision (GraphIn).
func (c *Case) BuildGraph(p backends.Precision) (*graph.Graph, error) {
	return c.Model.GraphIn(c.Options(c.Decode), p)
}

// Identity names the configuration and the weights by their digests, and how detections are chosen.
func (c *Case) Identity() string {
	return fmt.Sprintf("%s %s %+v", c.Model.ConfigDigest, c.Model.WeightsDigest, c.Decode)
}

// Folder is what a folder of cases holds.
type Folder struct {
	Cases   []Case   // in order of name
	LeftOut []string // paths of whatever is neither a case nor belongs to one, in order; a hidden folder ends with a slash
}

// Remark says in one line what was left out, "" where nothing was.
func (f Folder) Remark() string {
	if len(f.LeftOut) == 0 {
		return ""
	}
	noun := "files are"
	if len(f.LeftOut) == 1 {
		noun = "file is"
	}
	return fmt.Sprintf("%d %s left out, as cases are PNG, JPEG and safetensors files with an image, and not hidden: %s",
		len(f.LeftOut), noun, abbreviate(f.LeftOut))
}

// LeftOut is a file that is no case, and why.
type LeftOut struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

// Reasons says of every file that was left out why.
func (f Folder) Reasons() []LeftOut {
	var list []LeftOut
	for _, file := range f.LeftOut {
		base := path.Base(file)
		why := "neither PNG, JPEG nor safetensors"
		switch {
		case strings.HasPrefix(base, "."):
			why = "hidden"
		case strings.HasSuffix(base, "case.yaml"):
			why = "settings of no case"
		case strings.HasSuffix(base, ".safetensors"):
			why = "no tensor of the name image in it"
		}
		list = append(list, LeftOut{file, why})
	}
	return list
}

// LoadCases reads every picture and safetensors file below a folder. A file NAME.ext takes its settings from NAME.case.yaml beside
// it, or else from case.yaml in its folder; they go over the model's own and over d. A safetensors file holds "image" and may hold
// its expected outputs, as "out.NAME" or NAME, and "tap.NAME", and its decode settings as metadata. Hidden files, such as the
// ._NAME.png that other systems leave beside a picture, are no cases.
//
// The name of a case is its path without the extension, made fit to be printed. Errors name the file. Two files with one such name
// would be one case, and are an error too; so are more inputs than fit 8 GiB of memory.
func LoadCases(dir string, m *Model, d model.Decode) (Folder, error) {
	files, others, err := caseFiles(dir)
	if err != nil {
		return Folder{}, fmt.Errorf("cases: %w", err)
	}
	l := caseLoader{model: m, decode: d, models: map[string]*Model{}, used: map[string]bool{}, room: maxCaseBytes}
	from := map[string]string{}
	var folder Folder
	for _, path := range files {
		file := relative(dir, path)
		c, skip, err := l.load(path)
		if err == nil && !skip {
			err = l.hold(c.Input)
		}
		if err != nil {
			return Folder{}, fmt.Errorf("case %s: %w", file, err)
		}
		if skip {
			others = append(others, path)
			continue
		}
		c.Name = strings.TrimSuffix(file, filepath.Ext(file))
		if other, dup := from[c.Name]; dup {
			return Folder{}, fmt.Errorf("cases: %s and %s would both be the case %s; rename one", other, file, c.Name)
		}
		from[c.Name] = file
		folder.Cases = append(folder.Cases, c)
	}
	for _, path := range others {
		if !l.used[path] {
			folder.LeftOut = append(folder.LeftOut, relative(dir, path))
		}
	}
	if len(folder.Cases) == 0 {
		return Folder{}, fmt.Errorf("cases: %s holds no PNG, JPEG or safetensors file with an image (it has %s)", dir, cmp.Or(abbreviate(folder.LeftOut), "no files"))
	}
	slices.SortFunc(folder.Cases, func(a, b Case) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(folder.LeftOut)
	return folder, nil
}

// maxCaseBytes bounds the inputs of all cases, which are held together.
const maxCaseBytes = 8 << 30

// relative names a file within the folder, fit to be printed; a folder keeps its slash.
func relative(dir, path string) string {
	file, err := filepath.Rel(dir, path)
	if err != nil {
		file = path
	}
	if os.IsPathSeparator(path[len(path)-1]) {
		file += "/"
	}
	return printable.Line(filepath.ToSlash(file))
}

// caseFiles lists the pictures and safetensors files below a folder, which may be a symbolic link, and the other files. Of what is
// hidden, a folder is listed and not entered.
func caseFiles(dir string) (files, others []string, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a file, want a folder", dir)
	}
	root := dir + string(filepath.Separator) // makes WalkDir enter a symbolic link
	err = filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(e.Name(), ".")
		switch {
		case err != nil:
			return err
		case hidden && e.IsDir():
			others = append(others, path+string(filepath.Separator))
			return fs.SkipDir
		case e.IsDir():
		case !hidden && (IsPicture(path) || strings.ToLower(filepath.Ext(path)) == ".safetensors"):
			files = append(files, path)
		default:
			others = append(others, path)
		}
		return nil
	})
	return files, others, err
}

// caseLoader reads the files of one folder. Cases with the same configuration share a model.
type caseLoader struct {
	model  *Model
	decode model.Decode
	models map[string]*Model // by overrides
	used   map[string]bool   // paths of the settings and expectations of cases
	room   int64             // bytes left for inputs
}

// hold takes the memory of a case's input from what is left.
func (l *caseLoader) hold(in Input) error {
	l.room -= int64(in.Image.Len()) * 4
	if in.Picture != nil {
		l.room -= int64(len(in.Picture.Pix))
	}
	if l.room < 0 {
		return fmt.Errorf("the inputs of all cases take more than %d GiB; divide the folder, or make the pictures smaller", maxCaseBytes>>30)
	}
	return nil
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
	l.used[from] = true
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
		path := filepath.Join(filepath.Dir(from), settings.Expected)
		l.used[path] = true
		c.Expected, err = loadExpected(path)
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
