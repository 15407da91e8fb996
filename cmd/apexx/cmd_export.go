package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/reports"
)

// The files that export writes.
const (
	modelFile    = "model.onnx"
	manifestFile = "export_manifest.json"
)

func exportCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "out", Usage: "folder `DIR` for " + modelFile + " and " + manifestFile},
		&cli.StringFlag{Name: "shape", Usage: "shape of the input, `BxCxHxW` (default: the configured input size, else 1x3x512x512)"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "round where a session in this precision does, `NAME`: fp32 (not at all), tf32, fp16, bf16, int8 or fp8"},
		&cli.StringFlag{Name: "scope", Value: string(perf.Complete), Usage: "part of the model as a sweep cuts it, `NAME`: complete, network (to the outputs of the heads) or one operator"},
		&cli.BoolFlag{Name: "taps", Usage: "make every intermediate an output too, as tap.NAME"},
		&cli.BoolFlag{Name: "inline", Usage: "put the bodies of the project's own operators in place, for runtimes without functions; apexx cannot read that file back"},
	}
	flags = append(flags, &cli.BoolFlag{Name: "instances", Usage: "with --inline: GroupNormalization by InstanceNormalization, as exporters of frameworks write it; other runtimes know that pattern"})
	flags = append(flags, modelFlags()...)
	return &cli.Command{
		Name:  "export",
		Usage: "write the model as one ONNX file with a manifest",
		Description: "The file runs in any ONNX runtime: the project's own operators carry bodies of standard operators.\n" +
			"Each body is a function of its own name; --inline is for a runtime that knows no functions.\n" +
			"A part of the model (--scope) is for benchmarks and gets no manifest, as nothing is built or released from it.\n" +
			"SOURCE_DATE_EPOCH fixes the time in the manifest, for reproducible files.",
		Flags:  append(flags, decodeFlags()...),
		Action: exportModel,
	}
}

func exportModel(c *cli.Context) error {
	dir := c.String("out")
	if dir == "" {
		return usagef("--out DIR is missing")
	}
	if c.Bool("instances") && !c.Bool("inline") {
		return usagef("--instances says how --inline writes a normalisation, which is missing")
	}
	decode, err := decodeOf(c)
	if err != nil {
		return err
	}
	m, err := openModel(c)
	if err != nil {
		return err
	}
	opts, err := shapeOf(c, m, decode)
	if err != nil {
		return err
	}
	scope, err := perf.ParseScope(c.String("scope"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	g, err := exportedGraph(c, m, opts, scope)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return exit.With(exit.Usage, err)
	}
	digest, err := writeExport(c, filepath.Join(dir, modelFile), g)
	if err != nil {
		return err
	}
	if scope != perf.Complete {
		return removeManifest(dir)
	}
	manifest, err := reports.NewManifest(m.Config, opts, g, modelFile, digest)
	if err != nil {
		return err
	}
	manifest.Model.Config, manifest.Model.Weights, manifest.Model.Classes = m.ConfigDigest, m.WeightsDigest, m.Classes
	return atomicfile.WriteFile(filepath.Join(dir, manifestFile), 0o644, func(w io.Writer) error { return reports.IndentedJSON(w, manifest) })
}

// removeManifest takes a manifest away that is of the model which a part was written over: beside the part it would be taken for the part's.
func removeManifest(dir string) error {
	err := os.Remove(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return exit.With(exit.Usage, err)
}

// exportedGraph returns the scope of the model as the flags want it.
func exportedGraph(c *cli.Context, m *source.Model, opts model.Options, scope perf.Scope) (*graph.Graph, error) {
	precision, err := backends.ParsePrecision(c.String("precision"))
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	g, err := m.GraphIn(opts, precision)
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if g, err = measure.Cut(g, scope); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	if g, err = graph.Lower(g, precision.Format()); err != nil || !c.Bool("taps") {
		return g, err
	}
	return g.WithTaps([]string{"all"})
}

// writeExport writes the file of a graph, says so, and returns its SHA-256 in hexadecimal.
func writeExport(c *cli.Context, path string, g *graph.Graph) (string, error) {
	form := onnx.Functions
	switch {
	case c.Bool("inline") && c.Bool("instances"):
		form = onnx.Instances
	case c.Bool("inline"):
		form = onnx.Inlined
	}
	hash := sha256.New()
	err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		return onnx.Write(io.MultiWriter(w, hash), g, onnx.WriteOptions{Form: form})
	})
	if err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	digest := hex.EncodeToString(hash.Sum(nil))
	_, err = fmt.Fprintf(c.App.Writer, "%s  %.1f MB  sha256 %s\n", path, float64(info.Size())/1e6, digest)
	return digest, err
}
