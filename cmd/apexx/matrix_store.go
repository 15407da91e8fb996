package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/store"
	"github.com/apex-x/apexx/reports"
)

// keeper keeps the finished cases of a matrix, and their pictures, in the folder of --report until the matrix ends. Without the folder it keeps
// the pictures of none.
type keeper struct {
	store    *store.Store // nil without --report
	gallery  *reports.Gallery
	pictures map[string]reports.CaseGallery
	total    int

	err    error // of keeping a case, which ends the matrix
	cancel context.CancelCauseFunc
}

// newKeeper opens the folder of --report, and takes over what an interrupted matrix left there.
func newKeeper(c *cli.Context, spec *parity.MatrixSpec, runner *execute.MatrixRunner, gallery *reports.Gallery) (*keeper, error) {
	k := &keeper{gallery: gallery, pictures: map[string]reports.CaseGallery{}, total: len(spec.Cases)}
	dir := c.String("report")
	if dir == "" {
		return k, nil
	}
	settings, err := matrixSettings(c, spec, runner)
	if err != nil {
		return nil, err
	}
	if k.store, err = store.Open(dir, settings); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	for name, text := range k.store.Pictures {
		var pictures reports.CaseGallery
		if err := json.Unmarshal(text, &pictures); err != nil {
			return nil, errors.Join(exit.With(exit.Usage, fmt.Errorf("the pictures of case %s in %s: %w; remove its log.jsonl", name, dir, err)), k.store.Close())
		}
		k.pictures[name] = pictures
	}
	spec.Finished = k.store.Finished
	if len(spec.Finished) > 0 {
		fmt.Fprintf(c.App.ErrWriter, "apexx: going on with the matrix in %s: %d of %d cases are there\n", dir, len(spec.Finished), k.total)
	}
	return k, nil
}

// run runs the matrix, case by case into the store.
func (k *keeper) run(c *cli.Context, spec parity.MatrixSpec) (*parity.Matrix, error) {
	finished := maps.Clone(spec.Finished) // the store's own grows
	spec.Finished = finished
	ctx, cancel := context.WithCancelCause(c.Context)
	k.cancel = cancel
	defer k.cancel(nil)
	spec.OnCase = k.keep
	m, err := parity.Run(ctx, spec)
	if err := errors.Join(err, k.err); err != nil || len(finished) == 0 {
		return m, err
	}
	if err := m.Check(); err != nil { // by the rules of a file: what was kept in one may have been changed
		return nil, exit.With(exit.Usage, fmt.Errorf("with the cases that were kept in %s: %w; remove its log.jsonl and compare again", c.String("report"), err))
	}
	return m, nil
}

// keep takes a case that was compared.
func (k *keeper) keep(f parity.FinishedCase) {
	pictures, err := k.gallery.Take(f.Case, f.Cells)
	if err == nil && pictures != nil {
		k.pictures[f.Case] = *pictures
	}
	if err == nil && k.store != nil {
		if pictures == nil {
			err = k.store.Add(f, nil)
		} else {
			err = k.store.Add(f, pictures)
		}
	}
	if err != nil && k.err == nil {
		k.err = err
		k.cancel(err)
	}
}

// images returns the pictures in the order of the cases.
func (k *keeper) images(m *parity.Matrix) (list []reports.CaseGallery) {
	for _, name := range m.Cases {
		if p, ok := k.pictures[name]; ok {
			list = append(list, p)
		}
	}
	return list
}

// end takes the journal away where the matrix came to its end, and else says how far it is.
func (k *keeper) end(c *cli.Context, interrupted bool) error {
	switch {
	case k.store == nil:
		return nil
	case !interrupted:
		return k.store.Finish()
	}
	if c.String("json") != "-" { // standard output is the object and nothing else
		fmt.Fprintf(c.App.Writer, "%d of %d cases are kept in %s; the same command goes on\n", len(k.store.Finished), k.total, c.String("report"))
	}
	return k.store.Close()
}

// matrixSettings lists what a matrix compares and with what, down to the bytes of its inputs, its libraries and this program.
func matrixSettings(c *cli.Context, spec *parity.MatrixSpec, runner *execute.MatrixRunner) ([]store.Setting, error) {
	threads := "GOMAXPROCS"
	if runner.Threads > 0 {
		threads = strconv.Itoa(runner.Threads)
	}
	var policies []string
	for _, p := range spec.Policies {
		policies = append(policies, p.Name)
	}
	list := []store.Setting{{Name: "the columns", Value: fmt.Sprint(spec.Columns)}, {Name: "the policies", Value: strings.Join(policies, ", ")}, {Name: "--taps", Value: fmt.Sprint(runner.Taps)},
		{Name: "--threads", Value: threads}, {Name: "--calibration", Value: c.String("calibration")}, {Name: "GOMAXPROCS", Value: strconv.Itoa(runtime.GOMAXPROCS(0))}}
	var names []string
	for _, col := range spec.Columns {
		if !slices.Contains(names, col.Backend) {
			names = append(names, col.Backend)
		}
		for _, key := range slices.Sorted(maps.Keys(runner.Extra[col.Backend])) {
			list = append(list, store.Setting{Name: "--" + key + " of " + col.Backend, Value: runner.Extra[col.Backend][key]})
		}
	}
	for i := range spec.Cases {
		pc := &spec.Cases[i]
		list = append(list, store.Setting{Name: "case " + pc.Name, Value: digestOfCase(pc, runner.Cases[pc.Name])})
	}
	where := execute.Environment(c.Context, false).Measured(names...)
	for _, l := range slices.Concat(where.Libraries, where.Variables) {
		list = append(list, store.Setting{Name: l.Key, Value: l.Value})
	}
	files, err := execute.FileDigests(c.Context, names)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		list = append(list, store.Setting{Name: "file of " + name, Value: files[name]})
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := execute.DigestFile(self)
	return append(list, store.Setting{Name: "version", Value: readVersion().Version}, store.Setting{Name: "program", Value: program}), err
}

// digestOfCase identifies what a case executes and what is expected of it by SHA-256 in hexadecimal.
func digestOfCase(pc *parity.Case, s execute.Subject) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%+v\n", s.Identity(), pc.Setting)
	for _, list := range []tensor.List{s.Tensors(), pc.Golden} {
		fmt.Fprintln(h, len(list))
		for _, t := range list {
			fmt.Fprintf(h, "%s %v %s\n", t.Name, t.Tensor, reports.TensorSHA256(t.Tensor))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
