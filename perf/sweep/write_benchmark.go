package sweep

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/stat"
)

// WriteBenchmark writes a result in the Go benchmark format (go.dev/design/14313-benchmark-format), so that an unmodified
//
//	benchstat -col /backend FILE
//
// compares the backends, and benchstat -ignore commit OLD NEW compares two sweeps of one class (benchstat keeps apart what has
// different configuration). Configuration lines come first, then one line per cell and measured replicate: a replicate is what
// repeats independently, so benchstat's sample is the replicates. Its values:
//
//	ns/op                 median of the replicate's samples, host clock
//	p95-ns                95th percentile of the same, by the original's rule
//	device-ns/op          median by the backend's own events, where it has them
//	end-to-end-ns/op      median of runs with upload and download, where they were timed
//	first-run-ns          the first run after compiling, where it was recorded
//	B/op, allocs/op       of the worker's Go heap
//	peak-bytes            resident memory of the process, where it was recorded
//	device-peak-bytes     memory of the device, where there is one
//
// The number at the end of a name is the threads, as GOMAXPROCS is in Go's own benchmarks.
func WriteBenchmark(w io.Writer, r *Result) error {
	b := bufio.NewWriter(w)
	for _, c := range [][2]string{
		{"goos", r.Environment.OS}, {"goarch", r.Environment.Arch}, {"cpu", r.Environment.CPU.Model}, {"class", r.Class.ID},
		{"commit", commit(r)}, {"toolchain", r.Environment.Go},
	} {
		configLine(b, c[0], c[1])
	}
	for _, l := range r.Environment.Libraries {
		configLine(b, configKey("lib-", l.Key), l.Value)
	}
	for _, v := range r.Environment.Variables {
		configLine(b, configKey("env-", v.Key), v.Value)
	}
	for _, c := range r.Cells {
		for i := range r.Measurements {
			if m := &r.Measurements[i]; m.Cell == c.Cell && m.State == evidence.Measured {
				fmt.Fprintf(b, "%s %s\n", r.benchmarkName(c.Cell), benchmarkValues(m))
			}
		}
	}
	return b.Flush()
}

func configLine(w io.Writer, key, value string) {
	if value = strings.Join(strings.Fields(value), " "); value != "" {
		fmt.Fprintf(w, "%s: %s\n", key, value)
	}
}

// configKey makes a configuration key of the name of a library or a variable: the format wants a lower-case letter first, and neither spaces,
// capitals nor colons.
func configKey(prefix, name string) string {
	return prefix + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
}

func (r *Result) benchmarkName(c perf.Cell) string {
	threads := r.Plan.Threads
	if threads == 0 {
		threads = max(1, cmp.Or(r.Environment.CPU.Procs, r.Environment.CPU.Cores))
	}
	return fmt.Sprintf("BenchmarkApexx/backend=%s/profile=%s/precision=%s/shape=%s/batch=%d/scope=%s-%d",
		c.Backend, c.Profile, c.Precision, c.Shape(), c.Batch, c.Scope, threads)
}

func benchmarkValues(m *perf.Measurement) string {
	var s strings.Builder
	fmt.Fprintf(&s, "%d %s ns/op %s p95-ns", len(m.Samples)*max(1, m.CallsPerSample), number(stat.Median(m.Samples)), number(p95(m.Samples)))
	if len(m.DeviceSamples) > 0 {
		fmt.Fprintf(&s, " %s device-ns/op", number(stat.Median(m.DeviceSamples)))
	}
	if len(m.EndToEnd) > 0 {
		fmt.Fprintf(&s, " %s end-to-end-ns/op", number(stat.Median(m.EndToEnd)))
	}
	if m.FirstRunNS > 0 {
		fmt.Fprintf(&s, " %d first-run-ns", m.FirstRunNS)
	}
	fmt.Fprintf(&s, " %s B/op %s allocs/op", number(m.BytesPerRun), number(m.AllocsPerRun))
	if m.HostPeakBytes > 0 {
		fmt.Fprintf(&s, " %d peak-bytes", m.HostPeakBytes)
	}
	if m.DevicePeakBytes > 0 {
		fmt.Fprintf(&s, " %d device-peak-bytes", m.DevicePeakBytes)
	}
	return s.String()
}
