//go:build cgo

package ort

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/apex-x/apexx/backends"
)

// settings are the checked options of a session.
type settings struct {
	precision backends.Precision
	provider  Provider
	device    *device // where inputs and outputs lie; nil for the host
	level     ort.GraphOptimizationLevel
	threads   int
	weights   string // folder of the file of weights; "" where they are in the model

	// Of the provider tensorrt alone.
	engineLevel int
	cache       string // folder of the engines of all sessions; "" for none
	engines     engines
	folder      string // of engines; "" for none
}

const defaultLevel, maxLevel = 3, 5 // of LevelOption, TensorRT's own

// defaultCache is the folder of engines where no option names another.
func defaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for the engine cache: %w; name one", err)
	}
	return filepath.Join(dir, "apexx", TensorRT.Backend()), nil
}

var levels = map[string]ort.GraphOptimizationLevel{
	"none":     ort.GraphOptimizationLevelDisableAll,
	"basic":    ort.GraphOptimizationLevelEnableBasic,
	"extended": ort.GraphOptimizationLevelEnableExtended,
	"all":      ort.GraphOptimizationLevelEnableAll,
}

// parse checks options: the precision, and of Extra the keys opt-level (none, basic, extended, all; default all), provider, the backend's
// own, and of ort-tensorrt LevelOption and CacheOption. An unknown key or value is an error, a precision that is not offered *Unavailable.
func (b *Backend) parse(opts backends.Options) (settings, error) {
	s := settings{provider: b.provider, level: ort.GraphOptimizationLevelEnableAll, threads: opts.Threads, engineLevel: defaultLevel}
	precision, err := backends.ParsePrecision(string(opts.Precision))
	if err != nil {
		return s, err
	}
	if offered := b.precisions(); !slices.Contains(offered, precision) {
		return s, unavailable(backends.PrecisionUnsupported, "asked for %s, this backend has %s", precision, backends.ChoiceOf(offered))
	}
	s.precision = precision
	if opts.Threads < 0 {
		return s, fmt.Errorf("threads is %d, want 0 (all processors) or more", opts.Threads)
	}
	if s.threads == 0 {
		s.threads = runtime.GOMAXPROCS(0)
	}
	for _, key := range slices.Sorted(maps.Keys(opts.Extra)) {
		if err := s.set(key, opts.Extra[key]); err != nil {
			return s, err
		}
	}
	if _, named := opts.Extra[CacheOption]; b.provider == TensorRT && !named {
		s.cache, err = defaultCache()
	}
	return s, err
}

// options are the keys of Extra that a provider knows.
func (p Provider) options() []string {
	if p == TensorRT {
		return []string{CacheOption, LevelOption, "opt-level", "provider"}
	}
	return []string{"opt-level", "provider"}
}

func (s *settings) set(key, value string) (err error) {
	if known := s.provider.options(); !slices.Contains(known, key) {
		return fmt.Errorf("unknown option %q of the backend %s (known: %s)", key, s.provider.Backend(), strings.Join(known, ", "))
	}
	switch key {
	case "provider":
		if value != string(s.provider) {
			return fmt.Errorf("provider %q is not that of the backend %s, which is %s", value, s.provider.Backend(), s.provider)
		}
	case "opt-level":
		level, ok := levels[value]
		if !ok {
			return fmt.Errorf("unknown opt-level %q (want one of none, basic, extended, all)", value)
		}
		s.level = level
	case LevelOption:
		if s.engineLevel, err = strconv.Atoi(value); err != nil || s.engineLevel < 0 || s.engineLevel > maxLevel {
			return fmt.Errorf("unknown %s %q (want 0 to %d)", key, value, maxLevel)
		}
	case CacheOption:
		if value == "" {
			return fmt.Errorf("%s names no folder (%s: no cache)", key, NoCache)
		}
		if s.cache = value; value == NoCache {
			s.cache = ""
		}
	}
	return nil
}

// sessionOptions returns the runtime's options, to be destroyed by the caller.
func (s settings) sessionOptions() (*ort.SessionOptions, error) {
	o, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	for _, err := range []error{
		o.SetIntraOpNumThreads(s.threads),
		o.SetInterOpNumThreads(1),
		o.SetExecutionMode(ort.ExecutionModeSequential),
		o.SetGraphOptimizationLevel(s.level),
		o.SetLogSeverityLevel(ort.LoggingLevelFatal),
		o.AddSessionConfigEntry("session.disable_quant_qdq", "1"), // see the package comment
		s.setWeights(o),
		s.recordPlacement(o),
	} {
		if err != nil {
			o.Destroy()
			return nil, err
		}
	}
	if err := appendProvider(o, s); err != nil {
		o.Destroy()
		return nil, unavailable(backends.ProviderUnavailable, "provider %s: %v", s.provider, err)
	}
	return o, nil
}

// setWeights tells where the file of weights of a model lies that is given in memory. The library maps it.
func (s settings) setWeights(o *ort.SessionOptions) error {
	if s.weights == "" {
		return nil
	}
	return o.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", s.weights)
}

// recordPlacement lets a session on a device tell which nodes it placed on the processor.
func (s settings) recordPlacement(o *ort.SessionOptions) error {
	if s.device == nil {
		return nil
	}
	return o.AddSessionConfigEntry("session.record_ep_graph_assignment_info", "1")
}
