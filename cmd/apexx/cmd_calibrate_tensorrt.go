package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
)

// calibrateByTensorRT writes the ranges that TensorRT's own calibrator chooses.
func calibrateByTensorRT(c *cli.Context, path string, profile calibrate.Profile, calibrator calibrate.Calibrator) error {
	if c.IsSet("threads") {
		return usagef("--threads is of a backend that computes on processors, and --method %v runs on TensorRT's device", calibrator)
	}
	if name := c.String("backend"); c.IsSet("backend") && name != tensorrt.Name {
		return usagef("--method %v is TensorRT's own: --backend %s has none", calibrator, name)
	}
	backend, err := openBackend(c, tensorrt.Name, execute.Options{})
	if err != nil {
		return err
	}
	probe := backend.Probe(c.Context)
	if err := answered(c.Context, probe, tensorrt.Name); err != nil {
		return err
	}
	library := probe.Fact("version")
	return writeRanges(c, backend, path, profile, versioned{calibrator, library}, func(r rangesRequest) (*calibrate.File, error) {
		if err := execute.OneShape(r.cases); err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		table, err := keptTable(c, r.key, calibrator, library)
		if table == nil && err == nil {
			table, err = freshTable(c, backend, r, calibrator)
		}
		if err != nil {
			return nil, err
		}
		f, err := r.model.TableFile(table, r.key)
		if err != nil {
			return nil, fmt.Errorf("the table of %s: %w", table.Version, err)
		}
		return f, nil
	})
}

// versioned is a calibrator of a TensorRT, another version of which may choose other ranges: the method in the key of a file.
type versioned struct {
	calibrate.Calibrator
	library string
}

func (v versioned) String() string { return fmt.Sprintf("%v of %s", v.Calibrator, v.library) }

// keptTable returns the table of --table, nil where there is none that fits.
func keptTable(c *cli.Context, key calibrate.Key, calibrator calibrate.Calibrator, library string) (*calibrate.Table, error) {
	path := c.String("table")
	if path == "" {
		return nil, nil
	}
	text, err := input.Read(path, input.Calibration)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	table, err := calibrate.ParseTable(text)
	if err == nil {
		err = table.Check(key, calibrator, library)
	}
	if err != nil {
		sayReplaced(c, path, err.Error())
		return nil, nil
	}
	return table, nil
}

// freshTable has TensorRT run the cases, and keeps its table where --table says.
func freshTable(c *cli.Context, backend backends.Backend, r rangesRequest, calibrator calibrate.Calibrator) (*calibrate.Table, error) {
	var text []byte
	err := metered(c, func(tell func(backends.Stage)) (err error) {
		text, err = execute.CalibrateBy(c.Context, backend, r.model, r.cases, calibrator.Method, tell)
		return err
	})
	if err != nil {
		return nil, compileError(c.Context, fmt.Errorf("calibrate: %w", err))
	}
	governed := calibrate.Governed(text, r.key)
	table, err := calibrate.ParseTable(governed)
	if err != nil {
		return nil, exit.With(exit.Internal, fmt.Errorf("what TensorRT wrote is no table: %w", err))
	}
	if path := c.String("table"); path != "" {
		return table, atomicfile.WriteBytes(path, 0o644, governed)
	}
	return table, nil
}
