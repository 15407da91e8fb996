package backends

import (
	"cmp"
	"slices"
)

// Autotune tells which launch configurations a session uses where there was a choice, and why. The keys are those of the original's registry
// (spec/runtime.md 8), with values that were counted.
type Autotune struct {
	Summary AutotuneSummary `json:"summary"`
	Entries []AutotuneEntry `json:"entries"`         // by operator and shape
	Cache   string          `json:"cache,omitempty"` // why what was kept of earlier measurements could not be used, or not be kept; "" where it could
}

// AutotuneSummary adds the entries up.
type AutotuneSummary struct {
	CacheEntries int      `json:"cache_entries"` // keys
	Launches     int      `json:"launches"`      // in one execution of the session
	CacheHits    int      `json:"cache_hits"`    // launches whose configuration was known when the session was compiled
	CacheMisses  int      `json:"cache_misses"`  // … that was measured for it, or chosen by rule
	HitRate      *float64 `json:"cache_hit_rate"`
}

// AutotuneEntry is one operator and shape.
type AutotuneEntry struct {
	Op          string         `json:"op_name"`
	Kernel      string         `json:"kernel_name"`
	Bucket      string         `json:"shape_bucket"` // name=value, sorted by name, joined by |
	Config      map[string]int `json:"selected_config"`
	Source      AutotuneSource `json:"selection_source"`
	Launches    int            `json:"launches"`
	CacheHits   int            `json:"cache_hits"`
	CacheMisses int            `json:"cache_misses"`
	Times       []AutotuneTime `json:"candidates,omitempty"` // what was measured, in the order of the candidates: the rule's choice first
}

// AutotuneTime is a configuration and what the launches of the key took with it.
type AutotuneTime struct {
	Configuration string `json:"configuration"`
	NS            int64  `json:"ns"` // by the device's clock, of all launches of the key in one execution
}

// AutotuneSource says where a configuration comes from.
type AutotuneSource string

// The sources.
const (
	AutotuneMeasured  AutotuneSource = "measured"       // the fastest of the candidates when this session was compiled
	AutotuneHeuristic AutotuneSource = "heuristic"      // chosen by rule
	AutotuneRegistry  AutotuneSource = "registry_cache" // measured before
)

// NewAutotune sorts entries and sums them up.
func NewAutotune(entries []AutotuneEntry, cache string) *Autotune {
	a := &Autotune{Entries: entries, Cache: cache}
	if a.Entries == nil {
		a.Entries = []AutotuneEntry{}
	}
	slices.SortFunc(a.Entries, func(a, b AutotuneEntry) int {
		return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Bucket, b.Bucket))
	})
	s := &a.Summary
	for _, e := range a.Entries {
		s.CacheEntries++
		s.Launches, s.CacheHits, s.CacheMisses = s.Launches+e.Launches, s.CacheHits+e.CacheHits, s.CacheMisses+e.CacheMisses
	}
	if all := s.CacheHits + s.CacheMisses; all > 0 {
		rate := float64(s.CacheHits) / float64(all)
		s.HitRate = &rate
	}
	return a
}
