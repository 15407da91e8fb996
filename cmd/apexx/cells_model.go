package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/reports"
)

// networkWorkloads is chosenWorkloads of --model: a cell for each backend and precision.
func networkWorkloads(c *cli.Context, builds []specOf) (w *workloadsOf, err error) {
	for _, flag := range append([]string{"cells"}, cellLists...) {
		if c.IsSet(flag) && flag != "backends" && flag != "precisions" {
			return nil, usagef("--%s is of Apex-X and does not go with --model", flag)
		}
	}
	precisions, err := parsePrecisions(c.String("precisions"))
	if err != nil {
		return nil, err
	}
	if err := forNetworks(c, precisions); err != nil {
		return nil, err
	}
	w = &workloadsOf{seed: c.Uint64("seed")}
	if w.options, err = measureOptions(c); err != nil {
		return nil, err
	}
	names, err := backendsOf(c, builds)
	if err != nil {
		return nil, err
	}
	if w.network, err = openNetworkModel(c); err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	for _, name := range names {
		for _, p := range precisions {
			w.cells = append(w.cells, perf.ModelCell(name, w.network.Network.Name, p))
		}
	}
	if len(w.cells) == 0 {
		return nil, noBackend(c)
	}
	return w, w.locate(c.Context)
}

// forNetworks refuses what belongs to Apex-X beside --model: flags of its weights and of its detections, and precisions whose rounding is
// declared in its graph.
func forNetworks(c *cli.Context, precisions []backends.Precision) error {
	for _, f := range slices.Concat(modelFlags(), decodeFlags()) {
		if name := f.Names()[0]; c.IsSet(name) {
			return usagef("--%s is of Apex-X and does not go with --model", name)
		}
	}
	for _, p := range precisions {
		if p != backends.FP32 && p != backends.FP64 {
			return usagef("--precisions %s: a model of your own is compared in fp32 and fp64", p)
		}
	}
	return nil
}

// openNetworkModel reads --model with --dim, and --tensors.
func openNetworkModel(c *cli.Context) (*execute.NetworkModel, error) {
	dims, err := dimsOf(c)
	if err != nil {
		return nil, err
	}
	network, err := source.OpenNetwork(c.String("model"), dims)
	if err != nil {
		return nil, err
	}
	var inputs tensor.List
	if path := c.String("tensors"); path != "" {
		given, err := network.OpenCase(path)
		if err != nil {
			return nil, err
		}
		inputs = given.Inputs
	}
	m, err := execute.NewNetworkModel(network, inputs, int64(c.Uint64("seed")))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be timed: %w", c.String("model"), err)
	}
	return m, nil
}

// digestOfFeeds identifies the inputs of a measurement by SHA-256 in hexadecimal.
func digestOfFeeds(feeds measure.Feeds) string {
	h := sha256.New()
	for _, list := range feeds {
		for _, t := range list {
			fmt.Fprintf(h, "%s %v %s\n", t.Name, t.Tensor, reports.TensorSHA256(t.Tensor))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
