package sweep

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/apex-x/apexx/perf"
)

// setting is one thing that the two halves of a sweep must have in common.
type setting struct{ name, value string }

// fits tells what keeps a sweep from going on under h: the first setting that is another, with both values. What is measured under two
// settings is a mixture that no file tells apart.
func (h *Header) fits(want *Header) error {
	if i := firstOther(h.Plan.Cells, want.Plan.Cells); i >= 0 {
		return otherSetting(fmt.Sprintf("cell %d", i+1), nth(h.Plan.Cells, i), nth(want.Plan.Cells, i))
	}
	before, now := h.settings(), want.settings()
	for _, s := range slices.Concat(before, now) {
		if b, n := valueOf(before, s.name), valueOf(now, s.name); b != n {
			return otherSetting(s.name, b, n)
		}
	}
	a, err1 := json.Marshal(h.Plan)
	b, err2 := json.Marshal(want.Plan)
	if err1 != nil || err2 != nil || !bytes.Equal(a, b) { // written by another version of the log
		return otherSetting("plan", string(a), string(b))
	}
	return nil
}

func otherSetting(name, before, now string) error {
	const digest, enough = 64, 12
	if len(before) == digest && len(now) == digest {
		before, now = before[:enough], now[:enough]
	}
	return fmt.Errorf("it was begun with %s %s, and here it is %s: go on as it was begun, choose another folder, or remove this one", name, before, now)
}

// firstOther returns the first position at which the lists differ, -1 where they do not.
func firstOther(a, b []perf.Cell) int {
	for i := range max(len(a), len(b)) {
		if nth(a, i) != nth(b, i) {
			return i
		}
	}
	return -1
}

func nth(cells []perf.Cell, i int) string {
	if i >= len(cells) {
		return absent
	}
	return cells[i].String()
}

// absent is the value of a setting that one side does not have.
const absent = "absent"

func valueOf(list []setting, name string) string {
	if i := slices.IndexFunc(list, func(s setting) bool { return s.name == name }); i >= 0 {
		return list[i].value
	}
	return absent
}

// settings lists what must stay the same beside the cells, what a user decides first.
func (h *Header) settings() []setting {
	p := &h.Plan
	threads := "GOMAXPROCS"
	if p.Threads > 0 {
		threads = strconv.Itoa(p.Threads)
	}
	list := []setting{
		{"--replicates", strconv.Itoa(p.Replicates)}, {"--iterations", strconv.Itoa(p.Iterations)}, {"--time", time.Duration(p.BoundNS).String()},
		{"--seed", strconv.FormatUint(p.Seed, 10)}, {"--threads", threads},
	}
	list = append(list, fromMap("--", p.Decode)...)
	if q := p.Quality; q != nil {
		list = append(list, setting{"--quality", q.DataSet.Name}, setting{"annotations of " + q.DataSet.Name, q.DataSet.Annotations},
			setting{"pictures of " + q.DataSet.Name, q.DataSet.Pictures})
	}
	for _, backend := range slices.Sorted(maps.Keys(p.Options)) {
		list = append(list, fromMap("--", p.Options[backend])...)
	}
	list = append(list, fromMap("weights of ", p.Weights)...)
	if p.Inputs != "" {
		list = append(list, setting{"inputs", p.Inputs})
	}
	list = append(list, fromMap("configuration of ", p.ConfigSHA256)...)
	if procs := h.Environment.CPU.Procs; procs > 0 {
		list = append(list, setting{"GOMAXPROCS", strconv.Itoa(procs)})
	}
	for _, l := range slices.Concat(h.Environment.Libraries, h.Environment.Variables) {
		list = append(list, setting{l.Key, l.Value})
	}
	list = append(list, fromMap("file of ", h.Files)...)
	return append(list, setting{"class of machines", h.Class.ID}, setting{"version", h.Version}, setting{"commit", orNone(h.Environment.Commit)},
		setting{"program", h.Program})
}

func fromMap(prefix string, values map[string]string) []setting {
	var list []setting
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, setting{prefix + name, orNone(values[name])})
	}
	return list
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
