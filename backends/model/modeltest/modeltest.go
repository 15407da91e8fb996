// Package modeltest builds the complete model for tests that need no trained weights.
package modeltest

import (
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
)

// Hashed builds the model of profile nano with the weights hashed:SEED, under overrides of the configuration as config.Parse takes them. Decoding is
// the default one where opts has none.
func Hashed(t testing.TB, seed uint64, opts model.Options, set ...string) *graph.Graph {
	t.Helper()
	cfg, err := config.Parse(nil, append([]string{"model.profile=nano"}, set...))
	if err != nil {
		t.Fatal(err)
	}
	if opts.Decode == (model.Decode{}) {
		opts.Decode = model.DefaultDecode()
	}
	g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, seed)), opts)
	if err != nil {
		t.Fatal(err)
	}
	return g
}
