// Package source opens what a command was given: the model (configuration and weights), inputs (pictures and tensor files)
// and cases (an input with its own configuration and expected outputs).
package source

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/safetensors"
)

// ModelRequest is what --weights, --config and --set say.
type ModelRequest struct {
	Weights  string   // FILE, hashed:SEED, or "" for Embedded
	Config   string   // a YAML file, or "" for the defaults
	Set      []string // section.key=value, applied in order
	Embedded []byte   // the safetensors file that Weights == "" stands for

	Calibration  string   // a file of package calibrate, or "" for Calibrations
	Calibrations [][]byte // such files, of which the model's own is taken
}

// Model is an opened model.
type Model struct {
	Config config.Config
	// SizeGiven tells whether the configuration names an input size; otherwise pictures choose their own.
	SizeGiven     bool
	Classes       []string // names by class id, fit to be printed
	WeightsDigest string
	ConfigDigest  string

	request     ModelRequest
	params      model.Parameters
	calibration func() (*calibrate.File, error)
}

// Open reads configuration and weights and checks one against the other. Without a configuration file, profile and classes
// come from the metadata of the weights.
func Open(r ModelRequest) (*Model, error) {
	file, spec, err := openWeights(r)
	if err != nil {
		return nil, err
	}
	if file != nil {
		defer file.Close()
	}
	m := &Model{request: r}
	var meta weights.Metadata
	if file != nil {
		if meta, err = weights.ParseMetadata(file.Metadata()); err != nil {
			return nil, fmt.Errorf("weights %s: %w", describe(r), err)
		}
	}
	if err := m.readConfig(meta); err != nil {
		return nil, err
	}
	var set *weights.Set
	if file == nil {
		set = weights.Hashed(m.Config, spec.Seed)
	} else if set, err = weights.FromFile(file, m.Config); err != nil {
		return nil, fmt.Errorf("weights %s: %w", describe(r), err)
	}
	m.params, m.WeightsDigest = model.FromSet(set), set.Digest()
	if m.ConfigDigest, err = m.Config.Digest(); err != nil {
		return nil, err
	}
	m.Classes = classNames(meta, m.Config.Model.NumClasses)
	m.calibration = sync.OnceValues(m.findCalibration)
	return m, nil
}

func describe(r ModelRequest) string {
	if r.Weights == "" {
		return "embedded in the binary"
	}
	return r.Weights
}

// openWeights opens a file, or returns the seed of hashed weights.
func openWeights(r ModelRequest) (*safetensors.File, weights.Spec, error) {
	if r.Weights == "" {
		if r.Embedded == nil {
			return nil, weights.Spec{}, errors.New("no weights: name a file or hashed:SEED")
		}
		f, err := safetensors.Parse(r.Embedded)
		return f, weights.Spec{}, err
	}
	spec, err := weights.ParseSpec(r.Weights)
	if err != nil || spec.Path == "" {
		return nil, spec, err
	}
	f, err := safetensors.Open(spec.Path)
	if err != nil {
		return nil, spec, fmt.Errorf("weights: %w", err)
	}
	return f, spec, nil
}

// readConfig parses the configuration file, if any, under the overrides; the weights' metadata fill in for the file.
func (m *Model) readConfig(meta weights.Metadata) error {
	path, overrides := m.request.Config, m.request.Set
	var text []byte
	var err error
	if path == "" {
		overrides = slices.Concat(meta.Overrides(), overrides)
	} else if text, err = input.Read(path, input.Configuration); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if m.Config, err = config.Parse(text, overrides); err != nil {
		if path == "" {
			return err
		}
		return fmt.Errorf("configuration %s: %w", path, err)
	}
	m.SizeGiven = namesInputSize(text, overrides)
	return nil
}

// namesInputSize tells whether a valid configuration mentions model.input_height or model.input_width.
func namesInputSize(text []byte, overrides []string) bool {
	for _, o := range overrides {
		key, _, _ := strings.Cut(o, "=")
		if key = strings.TrimSpace(key); key == "model.input_height" || key == "model.input_width" {
			return true
		}
	}
	var sections struct {
		Model map[string]any `yaml:"model"`
	}
	if yaml.Unmarshal(text, &sections) != nil {
		return false
	}
	return sections.Model["input_height"] != nil || sections.Model["input_width"] != nil
}

// classNames takes the names from the weights where they fit, and numbers the classes otherwise.
func classNames(meta weights.Metadata, n int) []string {
	names := make([]string, n)
	for i := range names {
		if len(meta.Classes) == n {
			names[i] = printable.Line(meta.Classes[i])
		} else {
			names[i] = fmt.Sprintf("class %d", i)
		}
	}
	return names
}

// With returns the model under further overrides: what a case's own configuration asks for.
func (m *Model) With(overrides []string) (*Model, error) {
	if len(overrides) == 0 {
		return m, nil
	}
	r := m.request
	r.Set = slices.Concat(r.Set, overrides)
	return Open(r)
}

// WithDefaults returns the model with overrides beneath the user's own: they count where the user's say nothing.
func (m *Model) WithDefaults(overrides []string) (*Model, error) {
	r := m.request
	r.Set = slices.Concat(overrides, r.Set)
	return Open(r)
}

// Graph builds the complete model for an input shape. Its metadata carry the digests, so that files made from it can be
// traced.
func (m *Model) Graph(opts model.Options) (*graph.Graph, error) {
	g, err := model.Build(m.Config, m.params, opts)
	if err != nil {
		return nil, err
	}
	g.Metadata["apexx.profile"] = m.Config.Model.Profile
	g.Metadata["apexx.config_sha256"] = m.ConfigDigest
	g.Metadata["apexx.weights_sha256"] = m.WeightsDigest
	return g, nil
}
