package attest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/reports"
)

// evidencePrefix begins the names of the subjects that are evidence.
const evidencePrefix = "evidence/"

// Evidence is one file that was made to show something of the release.
type Evidence struct {
	File
	Items []string // what it is evidence for
	rec   record   // nil where the file cannot be believed
	err   error    // why not
}

// record is the content of an evidence file, whose own consistency was checked when it was read.
type record interface {
	items() []string
	origin() origin
	// judge says whether it shows what the policy asks for, and why not or how well, in one sentence.
	judge(r *rules) (Status, string)
	tests() []test
}

// origin tells what a record is about. A record that does not concern a commit or models leaves them out.
type origin struct {
	build  *reports.Build
	models []reports.ModelDigests
}

// injected says why a record shows nothing whose workers had faults on purpose: a slowdown of both sides hides a regression.
func injected(faults string) string {
	return fmt.Sprintf("it was measured with faults injected (%s): it says nothing of a release", printable.Line(faults))
}

// test is a cell of a record, by its name in it.
type test struct {
	name   string
	status Status
}

// kind is a form of evidence.
type kind struct {
	name  string
	is    func(h head) bool
	read  func(data []byte) (record, error)
	items []string // that a file which cannot be believed fails; none where its content would have to tell
}

// head is what tells the kinds apart.
type head struct {
	Schema         string          `json:"schema"`
	Format         string          `json:"format"`
	Artifacts      json.RawMessage `json:"artifacts"`
	Backends       json.RawMessage `json:"backends"`
	Cuda           json.RawMessage `json:"cuda"`
	ManifestSHA256 string          `json:"manifest_sha256"`
	Dataset        json.RawMessage `json:"dataset"`
	Curves         json.RawMessage `json:"curves"`
}

var kinds = []kind{
	{"a parity matrix", func(h head) bool { return strings.HasPrefix(h.Schema, "apexx.matrix/") }, readMatrix, []string{ParityReport, BackendParity}},
	{"the record of a gate", func(h head) bool { return strings.HasPrefix(h.Schema, "apexx.gate/") }, readGate, nil},
	{"the result of a sweep", func(h head) bool { return strings.HasPrefix(h.Schema, "apexx.sweep/") }, readSweep, []string{PerformanceReport}},
	{"a record of checks", func(h head) bool { return strings.HasPrefix(h.Schema, "apexx.checks/") }, readChecks, []string{LintTests}},
	{"a sign-off", func(h head) bool { return strings.HasPrefix(h.Schema, "apexx.signoff/") }, readSignOff, nil},
	{"an export manifest", func(h head) bool { return h.Format == "onnx" && h.Artifacts != nil }, readExport, []string{ExportManifest, ONNXGraph}},
	{"a snapshot of capabilities", func(h head) bool { return h.Backends != nil && h.Cuda != nil }, readCaps, []string{CapsSnapshot, CapsTransparency}},
	{"a replay manifest", func(h head) bool { return h.ManifestSHA256 != "" }, readReplay, []string{ReplayManifest}},
	{"an evaluation", func(h head) bool { return h.Dataset != nil && h.Curves != nil }, readEval, []string{EvalReport}},
}

// parseEvidence reads a file that is evidence of a known kind; nil for any other file. What cannot be believed is evidence, too: it
// counts against the release.
func parseEvidence(f File, data []byte) *Evidence {
	var h head
	if err := json.Unmarshal(data, &h); err != nil {
		return nil
	}
	at := slices.IndexFunc(kinds, func(k kind) bool { return k.is(h) })
	if at < 0 {
		return nil
	}
	e := &Evidence{File: f}
	if e.rec, e.err = kinds[at].read(data); e.err != nil {
		e.rec, e.Items, e.err = nil, kinds[at].items, fmt.Errorf("%s that cannot be believed: %w", kinds[at].name, e.err)
		return e
	}
	e.Items = e.rec.items()
	return e
}

// ReadEvidence reads every JSON file of the folders that is evidence; their names begin with that of the folder. Other JSON files are
// returned by name: what nobody can read shows nothing. Pages, pictures and tables are passed over, since they say what a JSON file
// says.
func ReadEvidence(dirs []string) (list []*Evidence, leftOut []string, err error) {
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(p string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(entry.Name()) != ".json" {
				return err
			}
			rel, err := filepath.Rel(dir, p)
			if err != nil {
				return err
			}
			name := evidencePrefix + path.Join(folderName(dir), filepath.ToSlash(rel))
			e, err := readEvidenceFile(name, p)
			switch {
			case err != nil:
				return err
			case e == nil:
				leftOut = append(leftOut, p)
			case slices.ContainsFunc(list, func(o *Evidence) bool { return o.Name == name }):
				return fmt.Errorf("two files of evidence would have the name %s: give folders of different names", name)
			default:
				list = append(list, e)
			}
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return list, leftOut, nil
}

// folderName is the last part of a folder's path; "." and "/" have none of their own.
func folderName(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return filepath.Base(dir)
	}
	return filepath.Base(abs)
}

func readEvidenceFile(name, p string) (*Evidence, error) {
	data, err := input.Read(p, input.Record)
	if err != nil {
		return nil, err
	}
	return parseEvidence(fileOf(name, p, data), data), nil
}

// decodeStrictly reads one JSON object without unknown keys.
func decodeStrictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows the object")
	}
	return nil
}

// ReadFiles reads what should be what was signed, a folder for all files in it but bundles: released files, and among them evidence.
func ReadFiles(paths []string) (files []File, evidence []*Evidence, err error) {
	add := func(p string) error {
		f, err := ReadFile(p)
		if err != nil {
			return err
		}
		if path.Ext(p) == ".json" {
			e, err := readEvidenceFile(f.Name, p)
			if err != nil {
				return err
			}
			if e != nil {
				evidence = append(evidence, e)
				return nil
			}
		}
		files = append(files, f)
		return nil
	}
	for _, root := range paths {
		err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || p != root && strings.HasSuffix(p, BundleSuffix) {
				return err
			}
			return add(p)
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return files, evidence, nil
}
