package gate

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// small is a world whose record is short, with a candidate to confirm and an A/A arm.
func small() world {
	w := quiet()
	w.policy.ScreenBlocks, w.policy.ConfirmBlocks, w.policy.MaxConfirm = 3, 11, 1
	w.cells, w.slow[1] = w.cells[:2], 1.3
	return w
}

// scale gives the samples of measurements in another unit.
func scale(list []perf.Measurement, factor float64) {
	for i := range list {
		list[i].Samples = slices.Clone(list[i].Samples)
		for j := range list[i].Samples {
			list[i].Samples[j] *= factor
		}
	}
}

// TestCheck damages a whole record in one way at a time: none may be judged.
func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(*Record)
		want   string
	}{
		"another schema":     {func(r *Record) { r.Schema = "apexx.sweep/1" }, `the schema is "apexx.sweep/1"`},
		"no schema":          {func(r *Record) { r.Schema = "" }, `the schema is ""`},
		"no class":           {func(r *Record) { r.Class = env.Class{} }, `its class is "" ()`},
		"another's class":    {func(r *Record) { r.Class.ID = "cpu-test-64c" }, "its environment is of cpu-test-2c (cpu)"},
		"a class of no GPU":  {func(r *Record) { r.Class.GPU = "NVIDIA H200" }, "is described otherwise than its environment"},
		"the class of a GPU": {func(r *Record) { r.Class.Kind = env.LockedGPU }, "its environment is of cpu-test-2c (cpu)"},
		"no time":            {func(r *Record) { r.When = time.Time{} }, "when it was measured"},
		"threads below none": {func(r *Record) { r.Policy.Threads = -1 }, "-1 threads"},
		"no policy":          {func(r *Record) { r.Policy = Policy{} }, "alpha 0"},
		"p above alpha":      {func(r *Record) { r.Policy.ConfirmBlocks = 10 }, "10 confirming blocks cannot give a p below 0.00098"},
		"no cells":           {func(r *Record) { r.Cells = nil }, "no cells"},
		"nothing at all":     {func(r *Record) { r.Cells, r.Parity, r.Screen, r.Confirm, r.Workload = nil, nil, nil, nil, nil }, "no cells"},
		"a nameless cell":    {func(r *Record) { r.Cells[0].Backend = "" }, "not the name of a cell"},
		"a cell twice":       {func(r *Record) { r.Cells = append(r.Cells, r.Cells[0]) }, "comes twice"},
		"a cell more":        {func(r *Record) { r.Cells = append(r.Cells, cellsNamed(3)[2]) }, "lacks the parity"},
		"a cell less":        {func(r *Record) { r.Cells = r.Cells[:1] }, "2 parities of 1 cells"},
		"no parity":          {func(r *Record) { r.Parity = nil }, "lacks the parity"},
		"a parity twice":     {func(r *Record) { r.Parity = append(r.Parity, r.Parity[0]) }, "3 parities of 2 cells"},
		"a foreign cell":     {func(r *Record) { r.Screen[0].Cell.Batch = 9 }, "not a cell of the record"},
		"no screen":          {func(r *Record) { r.Screen = nil }, "cut short"},
		"a measurement less": {func(r *Record) { r.Screen = r.Screen[:len(r.Screen)-1] }, "cut short"},
		"a block less": {func(r *Record) {
			r.Screen = slices.DeleteFunc(r.Screen, func(m perf.Measurement) bool { return m.Block == 2 })
		}, "the screen lacks block 2"},
		"a block more":        {func(r *Record) { r.Policy.ScreenBlocks = 4 }, "the screen lacks block 3"},
		"a block twice":       {func(r *Record) { r.Screen = append(r.Screen, r.Screen[0]) }, "twice"},
		"a block too far":     {func(r *Record) { r.Screen[0].Block = 3 }, "want 3 blocks"},
		"a negative block":    {func(r *Record) { r.Screen[0].Block = -1 }, "block is -1"},
		"a slot too far":      {func(r *Record) { r.Screen[0].Replicate = 6 }, "slot 6"},
		"arms exchanged":      {func(r *Record) { r.Screen[0].Arm = perf.Head }, "is not for head"},
		"base called control": {func(r *Record) { r.Screen[0].Control = true }, "control: true"},
		"no control": {func(r *Record) {
			r.Screen = slices.DeleteFunc(r.Screen, func(m perf.Measurement) bool { return m.Control })
		}, "cut short"},
		"no confirmation":        {func(r *Record) { r.Confirm = nil }, "the confirm lacks block 0"},
		"a confirmation less":    {func(r *Record) { r.Confirm = r.Confirm[:len(r.Confirm)-1] }, "the confirm lacks block 10"},
		"another's candidates":   {func(r *Record) { r.Policy.Targets.SetDelta(0.7) }, "not to be measured there"},
		"no workload":            {func(r *Record) { r.Workload = nil }, "lacks the fixed workload"},
		"a workload less":        {func(r *Record) { r.Workload = r.Workload[1:] }, "lacks the fixed workload before slot 0 of block 0"},
		"a workload more":        {func(r *Record) { r.Workload = append(r.Workload, r.Workload[0]) }, "too many"},
		"another's workload":     {func(r *Record) { r.Workload[0].Arm = perf.Head }, "too many"},
		"a workload nowhere":     {func(r *Record) { r.Workload[0].Slot = -1 }, "too many"},
		"a workload of no stage": {func(r *Record) { r.Workload[0].Stage = "warm-up" }, `stage "warm-up"`},
		"an instant workload":    {func(r *Record) { r.Workload[0].NS = 0 }, "took 0 ns"},
		"a version before":       {func(r *Record) { r.Schema = "apexx.gate/1" }, "nobody compared what its sessions computed while they were timed"},
		"the version before":     {func(r *Record) { r.Schema = "apexx.gate/2" }, "its samples are of whole runs"},
		"a parity that is none":  {func(r *Record) { r.Parity[0].Base.State = "fine" }, "the parity of reference/nano/fp32/128x128/b1/complete"},
		"no parity of the base":  {func(r *Record) { r.Parity[0].Base = perf.Parity{} }, "the parity of reference/nano/fp32/128x128/b1/complete"},
		"head and base apart":    {func(r *Record) { r.Parity[0].Change = nil }, "head and base both ran (true), and their comparison is"},
		"a change of nothing":    {func(r *Record) { r.Parity[0].Base.State = evidence.Crashed }, "head and base both ran (false)"},
		"nobody compared":        {func(r *Record) { r.Screen[0].Outputs = nil }, "nobody compared what it computed"},
		"no samples":             {func(r *Record) { r.Screen[0].Samples = nil }, "no samples"},
		"NaN":                    {func(r *Record) { r.Screen[0].Samples = []float64{math.NaN()} }, "samples_ns[0] is NaN"},
		"infinity":               {func(r *Record) { r.Screen[0].Samples = []float64{math.Inf(1)} }, "samples_ns[0] is +Inf"},
		"zero":                   {func(r *Record) { r.Screen[0].Samples = []float64{0} }, "samples_ns[0] is 0"},
		"negative":               {func(r *Record) { r.Screen[0].Samples = []float64{-3e6} }, "samples_ns[0] is -3e+06"},
		"head in ms":             {func(r *Record) { scaleHead(r, 1e-6) }, "other units"},
		"head in µs":             {func(r *Record) { scaleHead(r, 1e-3) }, "other units"},
		"all in µs":              {func(r *Record) { scale(r.Screen, 1e-3); scale(r.Confirm, 1e-3) }, "other units"},
		"all in ps":              {func(r *Record) { scale(r.Screen, 1e3); scale(r.Confirm, 1e3) }, "other units"},
		"one sample, in ps":      {func(r *Record) { r.Screen[0].Samples = []float64{3e9} }, "the first run took"},
		"a sample too many":      {func(r *Record) { r.Screen[0].Samples = []float64{1e6, 1e6, 1e6, 1e6} }, "4 samples, and sampling ends at 3"},
		"cut to more":            {func(r *Record) { r.Screen[0].BoundNS = r.Policy.BoundNS }, "its samples were cut to"},
		"cut to less than none":  {func(r *Record) { r.Screen[0].BoundNS = -1 }, "its samples were cut to -1 ns"},
		"half a device":          {func(r *Record) { r.Screen[0].DeviceSamples = []float64{1e6, 1e6} }, "2 of the device's"},
		"a device in ps":         {func(r *Record) { r.Screen[0].DeviceSamples = []float64{2e10, 2e10, 2e10} }, "the device's samples reach"},
	} {
		rec := small().record()
		c.damage(rec)
		if err := rec.Check(); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", name, err, c.want)
		}
	}
	if err := small().record().Check(); err != nil {
		t.Errorf("whole: %v", err)
	}
}

func scaleHead(r *Record, factor float64) {
	for i := range r.Screen {
		if r.Screen[i].Arm == perf.Head {
			scale(r.Screen[i:i+1], factor)
		}
	}
}

// TestCheckSamples holds measurements against what a gate asked for.
func TestCheckSamples(t *testing.T) {
	p := quiet().policy
	p.Iterations, p.BoundNS = 200, 4e8
	of := func(n int, ns float64) perf.Measurement {
		return perf.Measurement{Cell: cellsNamed(1)[0], State: evidence.Measured, Samples: slices.Repeat([]float64{ns}, n),
			Outputs: &perf.Outputs{FirstSHA256: digest, LastSHA256: digest, Parity: perf.Parity{State: evidence.Pass}}}
	}
	cut := func(m perf.Measurement, bound int64) perf.Measurement { m.BoundNS = bound; return m }
	instant := of(2, 1e6)
	instant.DeviceSamples = []float64{1e6, 0}
	ofDevice := of(80, 5e6)
	ofDevice.Cell.Backend = "cuda"
	for name, c := range map[string]struct {
		m    perf.Measurement
		want string
	}{
		"80 samples of 5 ms":                      {of(80, 5e6), ""},
		"20 samples of 5 ms, cut to a quarter":    {cut(of(20, 5e6), 1e8), ""},
		"80 samples of 5 ms, cut to a twelfth":    {cut(of(80, 5e6), 3e7), "other units"},
		"80 samples of 5 µs":                      {of(80, 5e3), "other units"},
		"200 samples of 5 ns":                     {of(200, 5), "its samples reach 5 ns"},
		"a device that needs no time":             {instant, "a sample of the device is 0 ns"},
		"nobody says on which GPU":                {ofDevice, "on which GPU"},
		"a measurement that found no cell":        {perf.Measurement{Cell: cellsNamed(1)[0], State: evidence.Crashed}, ""},
		"a measurement that is not a measurement": {of(0, 0), "it is measured and has no samples"},
	} {
		if err := checkSamples(c.m, p); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestLies holds the numbers of one worker against what is possible, live: its cell failed, the others stand, and the record can be
// written and replayed.
func TestLies(t *testing.T) {
	for name, lie := range map[string]func(m *perf.Measurement){
		"samples in µs":             func(m *perf.Measurement) { m.Samples = slices.Repeat([]float64{3e3}, 3) },
		"a sample of 1e-300 ns":     func(m *perf.Measurement) { m.Samples = []float64{1e-300, 3e6, 3e6} },
		"samples of 5 ns":           func(m *perf.Measurement) { m.Samples = []float64{5, 5, 5} },
		"a sample of a day":         func(m *perf.Measurement) { m.Samples[1] = 1e15 },
		"samples beyond the bound":  func(m *perf.Measurement) { m.Samples = []float64{5e9, 5e9, 5e9} },
		"a sample too many":         func(m *perf.Measurement) { m.Samples = append(m.Samples, m.Samples[0]) },
		"2^62 calls":                func(m *perf.Measurement) { m.CallsPerSample = 1 << 62 },
		"a timer's share of 5":      func(m *perf.Measurement) { m.TimerShare = 5 },
		"a peak of 2^63-1":          func(m *perf.Measurement) { m.HostPeakBytes = math.MaxInt64 },
		"allocations of 1e308":      func(m *perf.Measurement) { m.AllocsPerRun = 1e308 },
		"allocations without a sum": func(m *perf.Measurement) { m.BytesPerRun = math.Inf(1) },
		"a first run of years":      func(m *perf.Measurement) { m.FirstRunNS = math.MaxInt64 },
		"a first run of 10 µs":      func(m *perf.Measurement) { m.FirstRunNS = 1e4 },
		"NaN":                       func(m *perf.Measurement) { m.Samples[0] = math.NaN() },
	} {
		w := quiet()
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if cell == 1 && m.Arm == perf.Head && m.Block == 2 {
				lie(m)
			}
			*m = checked(*m, w.policy)
		}
		rec := w.record()
		if err := rec.Check(); err != nil {
			t.Errorf("%s: the record does not pass its check: %v", name, err)
			continue
		}
		for i, c := range rec.Verdict.Cells {
			if broken := c.State == CellBroken; broken != (i == 1) || broken && !strings.Contains(c.Note, "the head error: ") {
				t.Errorf("%s: cell %d is %s: %s", name, i, c.State, c.Note)
			}
		}
		if v := rec.Verdict; v.Outcome != Broken || v.ExitCode != 6 {
			t.Errorf("%s: %s", name, v.Outcome)
		}
		again, err := Read(bytes.NewReader(encoded(t, rec)))
		if err != nil || Differs(rec.Verdict, Judge(again)) != "" {
			t.Errorf("%s: replayed: %v", name, err)
		}
	}
}

// TestDiffers says how a stored verdict differs from that of its samples.
func TestDiffers(t *testing.T) {
	w := small()
	rec := w.record()
	for name, c := range map[string]struct {
		edit func(v *Verdict)
		want string
	}{
		"as judged":       {func(v *Verdict) {}, ""},
		"another outcome": {func(v *Verdict) { v.Outcome, v.ExitCode = Pass, 0 }, "the stored verdict pass (exit code 0) is not that of its samples, regression (1): the record was edited, or judged by other rules"},
		"another code":    {func(v *Verdict) { v.ExitCode = 0 }, "the stored verdict regression (exit code 0) is not"},
		"another number":  {func(v *Verdict) { v.Resolution /= 2 }, "differs in its details"},
	} {
		held := *rec.Verdict
		c.edit(&held)
		if got := Differs(&held, Judge(rec)); got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if got := Differs(nil, rec.Verdict); got != "the record holds no verdict" {
		t.Errorf("without one: %q", got)
	}
}

// TestTruncated cuts the file of a record at every byte: nothing but the whole record can be read.
func TestTruncated(t *testing.T) {
	w := small()
	w.slow = nil // a record that passes
	whole := encoded(t, w.record())
	if rec, err := Read(bytes.NewReader(whole)); err != nil || rec.Verdict.Outcome != Pass {
		t.Fatalf("the whole record: %v", err)
	}
	for n := range len(bytes.TrimSpace(whole)) {
		if _, err := Read(bytes.NewReader(whole[:n])); err == nil {
			t.Fatalf("the first %d of %d bytes are read as a record", n, len(whole))
		}
	}
	for _, more := range []string{"{}", "x", string(whole)} {
		if _, err := Read(strings.NewReader(string(whole) + more)); err == nil {
			t.Errorf("a record followed by %.10q is read", more)
		}
	}
}

// TestReplay checks that a written record gives its own verdict again, byte for byte, whatever the order of its measurements
// and whatever verdict the file claims.
func TestReplay(t *testing.T) {
	for _, s := range scenarios {
		w := quiet()
		s.change(&w)
		rec := w.record()
		want, err := json.Marshal(rec.Verdict)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := json.Marshal(Judge(rec)); !bytes.Equal(again, want) {
			t.Errorf("%s: judged again:\n%s\n%s", s.name, again, want)
		}
		rec.Verdict = &Verdict{Outcome: Pass, Reasons: []string{"edited"}}
		r := rand.New(rand.NewPCG(1, 2))
		for _, list := range [][]perf.Measurement{rec.Screen, rec.Confirm} {
			r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
		r.Shuffle(len(rec.Workload), func(i, j int) { rec.Workload[i], rec.Workload[j] = rec.Workload[j], rec.Workload[i] })
		read, err := Read(bytes.NewReader(encoded(t, rec)))
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			continue
		}
		if again, _ := json.Marshal(Judge(read)); !bytes.Equal(again, want) {
			t.Errorf("%s: replayed in another order:\n%s\n%s", s.name, again, want)
		}
	}
}

// FuzzRead reads records: whatever can be read can be judged and written, and no pass comes from a record without a measured
// cell.
func FuzzRead(f *testing.F) {
	w := small()
	w.cells = w.cells[1:]
	w.policy.ControlShare = 0
	f.Add(encoded(f, w.record()))
	f.Add([]byte(`{"schema":"apexx.gate/3","policy":{"alpha":0.4,"screen_blocks":3,"confirm_blocks":200,"max_confirm":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		rec, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		honest(t, rec)
	})
}

// FuzzJudge damages single numbers of a record that passes.
func FuzzJudge(f *testing.F) {
	f.Add(uint16(0), byte(0), 1.0)
	f.Add(uint16(3), byte(1), 0.0)
	f.Add(uint16(9), byte(5), math.Inf(1))
	w := small()
	w.slow = nil
	whole := encoded(f, w.record())
	f.Fuzz(func(t *testing.T, at uint16, what byte, x float64) {
		var rec Record
		if err := json.Unmarshal(whole, &rec); err != nil {
			t.Fatal(err)
		}
		m := &rec.Screen[int(at)%len(rec.Screen)]
		switch what % 9 {
		case 0:
			m.Samples[0] = x
		case 1:
			m.Samples = nil
		case 2:
			m.State = evidence.State([]string{"", "crashed", "hung", "measured", "?"}[at%5])
		case 3:
			m.Block = int(x)
		case 4:
			m.Replicate = int(x)
		case 5:
			m.DeviceSamples = []float64{x}
		case 6:
			m.TimerShare = x
		case 7:
			rec.Policy.ControlShare, rec.Policy.Alpha = x, x
		case 8:
			rec.Workload[int(at)%len(rec.Workload)].NS = x
		}
		if rec.Check() == nil {
			honest(t, &rec)
		}
	})
}

// honest checks what holds of every verdict on a record that passed its check.
func honest(t *testing.T, rec *Record) {
	rec.Verdict = Judge(rec)
	measured := 0
	for _, c := range rec.Verdict.Cells {
		if c.Final() != nil {
			measured++
		}
	}
	if rec.Verdict.Outcome == Pass && measured == 0 {
		t.Error("a pass without a measured cell")
	}
	if (rec.Verdict.Outcome == Pass) != (rec.Verdict.ExitCode == 0) || len(rec.Verdict.Reasons) == 0 {
		t.Errorf("%s with exit code %d: %q", rec.Verdict.Outcome, rec.Verdict.ExitCode, rec.Verdict.Reasons)
	}
	if _, err := json.Marshal(rec.Verdict); err != nil {
		t.Error(err)
	}
}
