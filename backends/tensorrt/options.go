package tensorrt

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
)

// Precisions lists in which precisions sessions compute, widest first, on a device that has all of them.
var Precisions = []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8}

// leastCapability of precisions that not every device of TensorRT 10 has; that of fp8 is where package caps has it begin.
var leastCapability = map[backends.Precision]float64{backends.TF32: 8, backends.BF16: 8, backends.FP8: 9}

// precisions lists those that the device has.
func (f Facts) precisions() []backends.Precision {
	return slices.DeleteFunc(slices.Clone(Precisions), func(p backends.Precision) bool { return f.refuses(p) != nil })
}

// refuses says why the device does not have a precision, or this process.
func (f Facts) refuses(p backends.Precision) error {
	if err := overridden(p, os.Getenv(backends.TF32Variable)); err != nil {
		return err
	}
	least, limited := leastCapability[p]
	if have, err := strconv.ParseFloat(f.Capability, 64); !limited || err == nil && have >= least {
		return nil
	}
	reason := backends.PrecisionUnsupported
	if p == backends.FP8 {
		reason = backends.CapabilityBelowSM90
	}
	return unavailable(reason, "%s needs compute capability %.1f, %s has %s", p, least, f.Device, f.Capability)
}

// overridden says why a precision is not to be had under a value of backends.TF32Variable: every one but tf32 has parts that stay in float32.
func overridden(p backends.Precision, value string) error {
	switch {
	case value == "0" && p == backends.TF32:
		return unavailable(backends.PrecisionUnsupported, "%s=0 in the environment turns tf32 off: it would be float32 under another name", backends.TF32Variable)
	case value != "0" && value != "" && p != backends.TF32:
		return unavailable(backends.PrecisionUnsupported, "%s=%s in the environment turns tf32 on: what %s keeps in float32 could be tf32; unset it", backends.TF32Variable, value, p)
	}
	return nil
}

// Keys of backends.Options.Extra.
const (
	LevelOption  = "level"  // of the builder's optimisation, 0 to 5: each level tries more kernels
	CacheOption  = "cache"  // folder of engines and of the timing cache; NoCache for none
	EngineOption = "engine" // file of the engine, in the place of one in the cache: it is loaded, or built and written
	// BatchesOption asks for an engine of several batches, MIN:OPT:MAX (ParseBatches). Without it a session takes an engine file of several that is
	// named, or prebuilt, if its batch is among them, and else has an engine of its own batch.
	BatchesOption = "batches"
)

const (
	// NoCache is the value of CacheOption with which every session builds its engine.
	NoCache = "none"
	// DefaultLevel is TensorRT's own.
	DefaultLevel = 3
	// MaxLevel is the highest level of optimisation.
	MaxLevel = 5
)

// leastCompile is the least bound on a Compile: building an engine takes up to some minutes.
const leastCompile = 15 * time.Minute

// CompileDeadline is the bound on a Compile where every other request to a worker has the given one; 0 is none.
func CompileDeadline(request time.Duration) time.Duration {
	if request == 0 {
		return 0
	}
	return max(request, leastCompile)
}

// prebuiltVariable names an engine that was built elsewhere, such as before a job of CI. A session that it fits takes it, one of another model, precision, level or
// batch does not; where it is of another device, driver, library or build of the plugins, or is none, every session is refused.
const prebuiltVariable = "APEXX_TRT_ENGINE"

// settings are the checked options of a session.
type settings struct {
	precision backends.Precision
	level     int
	cache     string // folder; "" for none
	batches   Batches
	engine    string // file; "" for one of the cache
	prebuilt  string // file that is looked into first; "" for none
}

// DefaultCache is the folder of engines where no option names another: apexx/tensorrt in the user's folder of caches.
func DefaultCache() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for the engine cache: %w; name one", err)
	}
	return filepath.Join(dir, "apexx", "tensorrt"), nil
}

// parse checks options. An unknown key or value is an error, a precision that is not offered *backends.Unavailable.
func parse(o backends.Options) (settings, error) {
	s := settings{level: DefaultLevel, prebuilt: os.Getenv(prebuiltVariable)}
	precision, err := backends.ParsePrecision(string(o.Precision))
	if err != nil {
		return s, err
	}
	if s.precision = precision; !slices.Contains(Precisions, precision) {
		return s, unavailable(backends.PrecisionUnsupported, "asked for %s, this backend has %s", precision, backends.ChoiceOf(Precisions))
	}
	if o.Threads < 0 {
		return s, fmt.Errorf("%d threads (0 means all processors)", o.Threads)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Extra)) {
		if err := s.set(key, o.Extra[key]); err != nil {
			return s, err
		}
	}
	if _, named := o.Extra[CacheOption]; !named {
		if s.cache, err = DefaultCache(); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *settings) set(key, value string) (err error) {
	switch key {
	case LevelOption:
		if s.level, err = strconv.Atoi(value); err != nil || s.level < 0 || s.level > MaxLevel {
			return fmt.Errorf("unknown %s %q (want 0 to %d)", key, value, MaxLevel)
		}
	case CacheOption:
		if value == "" {
			return fmt.Errorf("%s names no folder (%s: no cache)", key, NoCache)
		}
		if s.cache = value; value == NoCache {
			s.cache = ""
		}
	case EngineOption:
		s.engine = value
	case BatchesOption:
		s.batches, err = ParseBatches(value)
		return err
	default:
		return fmt.Errorf("unknown option %q of the backend %s (known: %s)", key, Name, strings.Join([]string{BatchesOption, CacheOption, EngineOption, LevelOption}, ", "))
	}
	return nil
}

func unavailable(reason backends.Reason, format string, args ...any) error {
	return &backends.Unavailable{Backend: Name, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
