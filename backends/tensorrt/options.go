package tensorrt

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Precisions lists in which precisions sessions compute, widest first.
var Precisions = []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8}

// Keys of backends.Options.Extra.
const (
	LevelOption  = "level"  // of the builder's optimisation, 0 to 5: each level tries more kernels
	CacheOption  = "cache"  // folder of engines and of the timing cache; NoCache for none
	StrictOption = "strict" // on or off: fail where a layer cannot be held to its precision, else prefer it
	EngineOption = "engine" // file of the engine, in the place of one in the cache: it is loaded, or built and written
)

const (
	// NoCache is the value of CacheOption with which every session builds its engine.
	NoCache = "none"
	// DefaultLevel is TensorRT's own.
	DefaultLevel = 3
	// MaxLevel is the highest level of optimisation.
	MaxLevel = 5
)

// prebuiltVariable names an engine that was built elsewhere, such as before a job of CI. A session that it fits takes it.
const prebuiltVariable = "APEXX_TRT_ENGINE"

// settings are the checked options of a session.
type settings struct {
	precision backends.Precision
	level     int
	strict    bool
	cache     string // folder; "" for none
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
	s := settings{level: DefaultLevel, strict: true, prebuilt: os.Getenv(prebuiltVariable)}
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
	case StrictOption:
		if value != "on" && value != "off" {
			return fmt.Errorf("unknown %s %q (want on or off)", key, value)
		}
		s.strict = value == "on"
	case CacheOption:
		if value == "" {
			return fmt.Errorf("%s names no folder (%s: no cache)", key, NoCache)
		}
		if s.cache = value; value == NoCache {
			s.cache = ""
		}
	case EngineOption:
		s.engine = value
	default:
		return fmt.Errorf("unknown option %q of the backend %s (known: %s)", key, Name, strings.Join([]string{CacheOption, EngineOption, LevelOption, StrictOption}, ", "))
	}
	return nil
}

// flags are what the builder may use in the precision.
func (s settings) flags() Flags {
	f := Flags{Strict: s.strict}
	switch s.precision {
	case backends.TF32:
		f.TF32 = true
	case backends.FP16:
		f.FP16 = true
	case backends.BF16:
		f.BF16 = true
	case backends.INT8:
		f.INT8, f.FP16 = true, true
	case backends.FP8:
		f.FP8, f.FP16 = true, true
	}
	return f
}

func unavailable(reason backends.Reason, format string, args ...any) error {
	return &backends.Unavailable{Backend: Name, Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
