package cuda

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
)

// tuneSchema names the version of the cache's form.
const tuneSchema = "apexx.autotune/1"

// tuneCache is what was measured on one device, with one driver and one build of the kernels.
type tuneCache struct {
	Schema   string      `json:"schema"`
	Identity string      `json:"identity"` // of device, driver and kernels
	Entries  []tuneEntry `json:"entries"`  // by operator and shape
}

// tuneEntry is the configuration of one key, and what the candidates took.
type tuneEntry struct {
	Op            string                  `json:"op_name"`
	Bucket        string                  `json:"shape_bucket"`
	Configuration string                  `json:"configuration"`
	Times         []backends.AutotuneTime `json:"candidates"`
}

// maxTuneCache bounds what is read.
const maxTuneCache = 16 << 20

// readTuneCache reads what fits here. What cannot be used is as good as nothing: it is measured anew, and the note says why.
func readTuneCache(path, identity string) (c tuneCache, note string) {
	none := tuneCache{Schema: tuneSchema, Identity: identity}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, ""
	}
	if err != nil {
		return none, err.Error()
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTuneCache+1))
	switch {
	case err != nil:
		return none, fmt.Sprintf("%s: %v", path, err)
	case len(text) > maxTuneCache:
		return none, fmt.Sprintf("%s is no cache of measurements: it has more than %d MiB", path, maxTuneCache>>20)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	switch err := d.Decode(&c); {
	case err != nil:
		return none, fmt.Sprintf("%s is damaged (%v): measured anew", path, err)
	case c.Schema != tuneSchema:
		return none, fmt.Sprintf("%s has the schema %q, want %q: measured anew", path, c.Schema, tuneSchema)
	case c.Identity != identity:
		return none, fmt.Sprintf("%s is of %s; this is %s: measured anew", path, c.Identity, identity)
	}
	return c, ""
}

// add writes new entries to the cache. What another process has added meanwhile stays; of one key the latest counts.
func (c tuneCache) add(path string, fresh []tuneEntry) error {
	if now, _ := readTuneCache(path, c.Identity); len(now.Entries) > 0 {
		c = now
	}
	c.Entries = slices.DeleteFunc(slices.Clone(c.Entries), func(old tuneEntry) bool {
		return slices.ContainsFunc(fresh, func(e tuneEntry) bool { return e.Op == old.Op && e.Bucket == old.Bucket })
	})
	c.Entries = append(c.Entries, fresh...)
	slices.SortFunc(c.Entries, func(a, b tuneEntry) int { return cmp.Or(cmp.Compare(a.Op, b.Op), cmp.Compare(a.Bucket, b.Bucket)) })
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(c)
	})
}
