package gate

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// scenarios are runs with what they have to end as.
var scenarios = []struct {
	name    string
	change  func(w *world)
	outcome Outcome
	code    int
	states  string // of the cells, in order
}{
	{"equal builds", func(w *world) {}, Pass, exit.OK, "clear clear clear clear"},
	{"one backend slower", func(w *world) { w.slow[3] = 1.2 }, Regression, exit.Failed, "clear clear clear regression"},
	{"all backends slower", func(w *world) { w.slow = map[int]float64{0: 1.3, 2: 1.25} }, Regression, exit.Failed, "regression clear regression clear"},
	{"one backend alone, slower", func(w *world) { w.cells, w.slow[1] = w.cells[:2], 1.2 }, Regression, exit.Failed, "clear regression"},
	{"two of three backends slower", func(w *world) {
		third := w.cells[0]
		third.Backend = "another"
		w.cells, w.slow = append(w.cells, third), map[int]float64{2: 1.2, 4: 1.2}
	}, Regression, exit.Failed, "clear clear regression clear regression"},
	{"faster", func(w *world) { w.slow[0] = 0.8 }, Pass, exit.OK, "faster clear clear clear"},
	{"a candidate that is cleared", func(w *world) { w.slow[1], w.fresh[1] = 1.07, 1.01 }, Pass, exit.OK, "clear cleared clear clear"},
	{"slower by less than δ", func(w *world) { w.slow[1] = 1.06 }, Pass, exit.OK, "clear cleared clear clear"},
	{"slower by the estimate, p too large", undecidedSlow(nil), Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"the same in a hurry", undecidedSlow(func(m *perf.Measurement) { m.BoundNS, m.Samples = 2e7, m.Samples[:1] }), Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"the same within less time", undecidedSlow(func(m *perf.Measurement) { m.BoundNS, m.CallsPerSample = 4e7, 2 }), Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"confirmed in a hurry", func(w *world) {
		w.slow[0] = 1.3
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			if s == Confirm {
				m.BoundNS, m.Samples = 2e7, m.Samples[:1]
			}
		}
	}, Regression, exit.Failed, "regression clear clear clear"},
	{"more candidates than are confirmed", func(w *world) {
		w.cells = cellsNamed(4)
		w.slow = map[int]float64{0: 1.5, 1: 1.4, 2: 1.3, 3: 1.2, 4: 1.6, 5: 1.15, 6: 1.12}
	}, Regression, exit.Failed, "regression regression regression regression regression unconfirmed unconfirmed clear"},
	{"parity fails beside a regression", func(w *world) {
		w.slow[3], w.parity[0] = 1.5, perf.Parity{State: "fail", Detail: "scores differ by 0.3"}
	}, ParityFailed, exit.Failed, "parity clear clear regression"},
	{"parity fails and a control fires", func(w *world) {
		w.drift, w.parity[0] = 0.3, perf.Parity{State: "fail", Detail: "scores differ by 0.3"}
	}, ParityFailed, exit.Failed, "parity clear clear clear"},
	{"the head crashes and a control fires", func(w *world) {
		w.drift, w.parity[2] = 0.3, perf.Parity{State: "crashed", Detail: "segmentation fault"}
	}, Broken, exit.Internal, "clear clear broken clear"},
	{"explained differences", func(w *world) { w.parity[1] = perf.Parity{State: "explained", Detail: "a tie"} }, Pass, exit.OK, "clear clear clear clear"},
	{"the fixed workload moves with a regression", func(w *world) { w.drift, w.slow[3] = 0.2, 1.5 }, Inconclusive, exit.Inconclusive, "clear clear clear regression"},
	{"faults on both sides", func(w *world) { w.injected = "slow=900@*" }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"faults on both sides and a regression", func(w *world) { w.injected, w.slow[3] = "slow=900@*", 1.5 }, Regression, exit.Failed, "clear clear clear regression"},
	{"faults of base", func(w *world) { w.tell("ort:APEXX_INJECT", "slow=900@*", "") }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"faults of head", func(w *world) { w.tell("ort:APEXX_INJECT", "", "slow=1@*") }, Pass, exit.OK, "clear clear clear clear"},
	{"faults of head, found", func(w *world) { w.tell("ort:APEXX_INJECT", "", "slow=50@*"); w.slow[3] = 1.5 }, Regression, exit.Failed, "clear clear clear regression"},
	{"other faults of base and head", func(w *world) { w.tell("ort:APEXX_INJECT", "slow=900@*", "slow=9@*") }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"a variable of head", func(w *world) { w.tell("ort:GOGC", "", "off") }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"a variable of head and a regression", func(w *world) { w.tell("ort:GOGC", "", "off"); w.slow[3] = 1.5 }, Regression, exit.Failed, "clear clear clear regression"},
	{"a variable of base", func(w *world) { w.tell("ort:CUDA_LAUNCH_BLOCKING", "1", "") }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"another value", func(w *world) { w.tell("ort:GOGC", "50", "off") }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"the same variable", func(w *world) { w.tell("ort:GOGC", "50", "50") }, Pass, exit.OK, "clear clear clear clear"},
	{"the fixed workload becomes faster", func(w *world) { w.drift = -0.2 }, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"base moves against itself", func(w *world) {
		w.touch = func(_ Stage, _ int, m *perf.Measurement) {
			for i := range m.Samples {
				if m.Control {
					m.Samples[i] *= 1.2
				}
			}
		}
	}, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"too noisy a machine", func(w *world) { w.noise, w.seed = 0.25, 3 }, Inconclusive, exit.Inconclusive, ""},
	{"one cell not supported by either", func(w *world) {
		w.parity[2] = perf.Parity{State: "unsupported", Detail: "library_not_found"}
		w.base[2] = w.parity[2]
	}, Pass, exit.OK, "clear clear unsupported clear"},
	{"nothing supported", func(w *world) {
		for i := range w.cells {
			w.parity[i] = perf.Parity{State: "unsupported", Detail: "library_not_found"}
			w.base[i] = w.parity[i]
		}
	}, Unavailable, exit.Unavailable, "unsupported unsupported unsupported unsupported"},
	{"the head crashes in its parity run", func(w *world) { w.parity[2] = perf.Parity{State: "crashed", Detail: "segmentation fault"} }, Broken, exit.Internal, "clear clear broken clear"},
	{"the head never ran", func(w *world) {
		for i := range w.cells {
			w.parity[i] = perf.Parity{State: "error", Detail: "no kernel"}
		}
	}, Broken, exit.Internal, "broken broken broken broken"},
	{"the head crashes once", func(w *world) {
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			if s == Screen && cell == 1 && m.Block == 3 && m.Replicate == 4 {
				fails(m, evidence.Crashed, "segmentation fault")
			}
		}
	}, Broken, exit.Internal, "clear broken clear clear"},
	{"the head hangs once where it is slower", func(w *world) {
		w.slow[1] = 1.5
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			if s == Confirm && cell == 1 && m.Block == 3 && m.Replicate == 1 {
				fails(m, evidence.Hung, "deadline")
			}
		}
	}, Regression, exit.Failed, "clear regression clear clear"},
	{"a dead base", func(w *world) {
		w.touch = func(_ Stage, _ int, m *perf.Measurement) {
			if m.Arm == perf.Base {
				fails(m, evidence.Crashed, "killed")
			}
		}
	}, Broken, exit.Internal, "broken broken broken broken"},
	{"a cell that the base never had", func(w *world) { w.base[0] = perf.Parity{State: "unsupported", Detail: "op_unsupported"} }, Pass, exit.OK, "unsupported clear clear clear"},
	{"a backend that the head lost", func(w *world) { w.parity[2] = perf.Parity{State: "unsupported", Detail: "not built"} }, Broken, exit.Internal, "clear clear broken clear"},
	{"a backend that the head lost, and the base cannot use", func(w *world) {
		w.parity[2], w.base[2] = perf.Parity{State: "unsupported", Detail: "not built"}, perf.Parity{State: "error", Detail: "no kernel"}
	}, Broken, exit.Internal, "clear clear broken clear"},
	{"a precision that was named and nobody has", func(w *world) {
		half := w.cells[3]
		half.Precision = backends.FP16
		w.cells = append(w.cells, half)
		w.parity[4], w.base[4] = perf.Parity{State: "unsupported", Detail: "precision_unsupported"}, perf.Parity{State: "unsupported", Detail: "precision_unsupported"}
		w.named = []string{"ort", "fp16"}
	}, Unavailable, exit.Unavailable, "clear clear clear clear unsupported"},
	{"an unverified head", func(w *world) { w.parity[1] = perf.Parity{State: "unverified", Detail: "masks were not compared"} }, Inconclusive, exit.Inconclusive, "clear unverified clear clear"},
	{"an unverified base", func(w *world) { w.base[1] = perf.Parity{State: "unverified", Detail: "masks were not compared"} }, Inconclusive, exit.Inconclusive, "clear unverified clear clear"},
	{"a head that computes something else", func(w *world) {
		w.slow[1], w.change[1] = 0.5, perf.Parity{State: "fail", Detail: "boxes differ by 40"}
	}, ParityFailed, exit.Failed, "clear parity clear clear"},
	{"a head against the base, unverified", func(w *world) { w.change[1] = perf.Parity{State: "unverified", Detail: "masks were not compared"} }, Inconclusive, exit.Inconclusive, "clear unverified clear clear"},
	{"a change that is accepted", func(w *world) {
		w.accepted, w.slow[1], w.change[1] = "better masks, #12", 0.5, perf.Parity{State: "fail", Detail: "boxes differ by 40"}
	}, Pass, exit.OK, "clear faster clear clear"},
	{"a correction of the base that is accepted", func(w *world) {
		w.accepted, w.base[1], w.change[1] = "NaN in masks, #13", perf.Parity{State: "fail", Detail: "NaN"}, perf.Parity{State: "fail", Detail: "NaN"}
	}, Pass, exit.OK, "clear clear clear clear"},
	{"a change that is accepted and slower", func(w *world) {
		w.accepted, w.slow[1], w.change[1] = "better masks, #12", 1.2, perf.Parity{State: "fail", Detail: "boxes differ by 40"}
	}, Regression, exit.Failed, "clear regression clear clear"},
	{"a change that is accepted and is none", func(w *world) { w.accepted = "better masks, #12" }, Pass, exit.OK, "clear clear clear clear"},
	{"another result once it is timed", func(w *world) {
		w.touch = timedAs(perf.Head, perf.Parity{State: "fail", Detail: "boxes differ by 40"})
	}, ParityFailed, exit.Failed, "clear parity clear clear"},
	{"an unverified result once it is timed", func(w *world) {
		w.touch = timedAs(perf.Head, perf.Parity{State: "unverified", Detail: "masks were not compared"})
	}, Inconclusive, exit.Inconclusive, "clear unverified clear clear"},
	{"a base with another result once it is timed", func(w *world) {
		w.touch = timedAs(perf.Base, perf.Parity{State: "fail", Detail: "boxes differ by 40"})
	}, Inconclusive, exit.Inconclusive, "clear unverified clear clear"},
	{"compilation × 20", grows(func(m *perf.Measurement) { m.CompileNS *= 20 }), Regression, exit.Failed, "clear regression clear clear"},
	{"compilation by a third", grows(func(m *perf.Measurement) { m.CompileNS += m.CompileNS / 3 }), Pass, exit.OK, "clear cleared clear clear"},
	{"the first run × 20", grows(func(m *perf.Measurement) { m.FirstRunNS *= 20 }), Regression, exit.Failed, "clear regression clear clear"},
	{"host memory × 4", grows(func(m *perf.Measurement) { m.HostPeakBytes *= 4 }), Regression, exit.Failed, "clear regression clear clear"},
	{"host memory by 6 %", grows(func(m *perf.Measurement) { m.HostPeakBytes += 6 << 20 }), Pass, exit.OK, "clear clear clear clear"},
	{"a million allocations", grows(func(m *perf.Measurement) { m.AllocsPerRun = 1e6 }), Regression, exit.Failed, "clear regression clear clear"},
	{"ten allocations", grows(func(m *perf.Measurement) { m.AllocsPerRun += 10 }), Pass, exit.OK, "clear clear clear clear"},
	{"a gigabyte of garbage", grows(func(m *perf.Measurement) { m.BytesPerRun = 1 << 30 }), Regression, exit.Failed, "clear regression clear clear"},
	{"device memory by a tenth", func(w *world) {
		w.device = true
		grows(func(m *perf.Measurement) { m.DevicePeakBytes += m.DevicePeakBytes / 10 })(w)
	}, Regression, exit.Failed, "clear regression clear clear"},
	{"host time × 3 beside a device's clock", func(w *world) {
		w.device = true
		grows(func(m *perf.Measurement) {
			for i := range m.Samples {
				m.Samples[i] *= 3
			}
		})(w)
	}, Regression, exit.Failed, "clear regression clear clear"},
	{"a head that hides its device memory", func(w *world) {
		w.device = true
		grows(func(m *perf.Measurement) { m.DevicePeakBytes = 0 })(w)
	}, Inconclusive, exit.Inconclusive, "clear inconclusive clear clear"},
	{"slower, and everything takes longer to compile", func(w *world) {
		w.cells = cellsNamed(4)
		w.slow[7] = 1.2
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell < 7 {
				m.CompileNS *= 20
			}
		}
	}, Regression, exit.Failed, "regression regression regression regression unconfirmed unconfirmed unconfirmed regression"},
	{"more beyond δ than are confirmed, and those are cleared", func(w *world) {
		w.cells = cellsNamed(4)
		for i := range 5 {
			w.slow[i], w.fresh[i] = 1.4, 1
		}
		w.slow[5] = 1.3
	}, Inconclusive, exit.Inconclusive, "cleared cleared cleared cleared cleared unconfirmed clear clear"},
	{"one cell too noisy", func(w *world) {
		w.cells = cellsNamed(4)
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if cell == 2 && m.Arm == perf.Head {
				for i := range m.Samples {
					m.Samples[i] *= 1 + 0.6*float64(m.Block%2) - 0.3
				}
			}
		}
	}, Inconclusive, exit.Inconclusive, "clear clear inconclusive clear clear clear clear clear"},
	{"a missing A/A arm", func(w *world) {
		w.touch = func(_ Stage, _ int, m *perf.Measurement) {
			if m.Control && m.Block > 0 {
				fails(m, evidence.Errored, "no kernel")
			}
		}
	}, Inconclusive, exit.Inconclusive, "clear clear clear clear"},
	{"a missing A/A arm beside a regression", func(w *world) {
		w.slow[0] = 1.3
		w.touch = func(_ Stage, _ int, m *perf.Measurement) {
			if m.Control {
				fails(m, evidence.Errored, "no kernel")
			}
		}
	}, Inconclusive, exit.Inconclusive, "regression clear clear clear"},
	{"a GPU and processors, each 5 % slower", func(w *world) {
		w.slow = map[int]float64{0: 1.05, 2: 1.05}
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if cell < 2 {
				m.Device, m.Devices = new(int), []perf.DeviceSample{{SMClockMHz: 1980}}
			}
		}
	}, Regression, exit.Failed, "regression clear cleared clear"},
	{"a device that nobody watched", func(w *world) {
		w.device = true
		w.touch = func(_ Stage, _ int, m *perf.Measurement) { m.Devices = nil }
	}, Inconclusive, exit.Inconclusive, "inconclusive inconclusive inconclusive inconclusive"},
	{"a device that does not tell its event reasons", func(w *world) {
		w.device = true
		w.touch = throttle(func(m *perf.Measurement) bool { return true }, env.ReasonsUnreadable)
	}, Inconclusive, exit.Inconclusive, "inconclusive inconclusive inconclusive inconclusive"},
	{"another device, too hot", func(w *world) {
		w.device = true
		w.touch = func(_ Stage, _ int, m *perf.Measurement) {
			m.Devices = append(m.Devices, perf.DeviceSample{Device: 1, EventReasons: []string{"hw_thermal_slowdown"}})
		}
	}, Pass, exit.OK, "clear clear clear clear"},
	{"the head on processors, the base on a device", func(w *world) {
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if cell == 1 && m.Arm == perf.Base {
				m.Device, m.Devices = new(int), []perf.DeviceSample{{SMClockMHz: 1980}}
			}
		}
	}, Inconclusive, exit.Inconclusive, "clear inconclusive clear clear"},
	{"the base crashes once", func(w *world) {
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Base && cell == 0 && m.Block == 0 && m.Replicate == 0 {
				fails(m, evidence.Crashed, "killed")
			}
		}
	}, Pass, exit.OK, "clear clear clear clear"},
	{"a device too hot in one block", func(w *world) {
		w.device = true
		w.touch = throttle(func(m *perf.Measurement) bool { return m.Block == 2 }, "sw_thermal_slowdown")
	}, Pass, exit.OK, "clear clear clear clear"},
	{"a power brake in every block", func(w *world) {
		w.device = true
		w.touch = throttle(func(m *perf.Measurement) bool { return true }, "hw_power_brake_slowdown")
	}, Inconclusive, exit.Inconclusive, "inconclusive inconclusive inconclusive inconclusive"},
	{"a device without a clock of its own, too hot", func(w *world) {
		hot := throttle(func(m *perf.Measurement) bool { return true }, "hw_thermal_slowdown")
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			m.Device = new(int)
			hot(s, cell, m)
		}
	}, Inconclusive, exit.Inconclusive, "inconclusive inconclusive inconclusive inconclusive"},
	{"held at the power limit", func(w *world) {
		w.device = true
		w.touch = throttle(func(m *perf.Measurement) bool { return true }, "sw_power_cap")
	}, Pass, exit.OK, "clear clear clear clear"},
	{"time and cycles disagree", func(w *world) {
		w.device = true
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			for i := range m.Devices {
				if m.Arm == perf.Head && cell == 0 {
					m.Devices[i].SMClockMHz = 1700
				}
			}
		}
	}, Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"slower from end to end alone", func(w *world) {
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell == 0 {
				m.EndToEnd[0] *= 1.5
			}
		}
	}, Regression, exit.Failed, "regression clear clear clear"},
	{"not timed from end to end on one side", func(w *world) {
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell == 0 {
				m.EndToEnd = nil
			}
		}
	}, Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"the device's clock on one side", func(w *world) {
		w.device = true
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell == 0 {
				m.DeviceSamples = nil
			}
		}
	}, Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
	{"a confirmation with too few blocks", func(w *world) {
		w.device, w.slow[0], w.fresh[0] = true, 1.2, 1
		hot := throttle(func(m *perf.Measurement) bool { return m.Block >= 8 }, "hw_slowdown")
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			if s == Confirm {
				hot(s, cell, m)
			}
		}
	}, Inconclusive, exit.Inconclusive, "inconclusive clear clear clear"},
}

// grows changes a cell of the head.
func grows(change func(m *perf.Measurement)) func(w *world) {
	return func(w *world) {
		w.touch = func(_ Stage, cell int, m *perf.Measurement) {
			if m.Arm == perf.Head && cell == 1 {
				change(m)
			}
		}
	}
}

// timedAs has one timed session of a cell compute something of that parity.
func timedAs(arm perf.Arm, p perf.Parity) func(Stage, int, *perf.Measurement) {
	return func(_ Stage, cell int, m *perf.Measurement) {
		if cell == 1 && m.Arm == arm && m.Block == 3 && !m.Control {
			m.Outputs = &perf.Outputs{FirstSHA256: digest, LastSHA256: digest, Parity: p}
		}
	}
}

// throttle makes devices slow down in the measurements that are chosen.
func throttle(chosen func(*perf.Measurement) bool, reason string) func(Stage, int, *perf.Measurement) {
	return func(_ Stage, _ int, m *perf.Measurement) {
		if chosen(m) {
			m.Devices = append(m.Devices, perf.DeviceSample{SMClockMHz: 1980, EventReasons: []string{reason}})
		}
	}
}

// TestJudge checks the verdict of every scenario, that its record is whole, and, against a golden file, what it says.
// undecidedSlow slows a cell and lets the head be faster in a quarter of the confirmation, of which measurements are changed.
func undecidedSlow(change func(m *perf.Measurement)) func(w *world) {
	return func(w *world) {
		w.slow[0] = 1.3
		w.touch = func(s Stage, cell int, m *perf.Measurement) {
			if s != Confirm || cell != 0 {
				return
			}
			if m.Arm == perf.Head && m.Block < 5 {
				for i := range m.Samples {
					m.Samples[i] *= 0.4
				}
				m.EndToEnd[0] *= 0.4
			}
			if change != nil {
				change(m)
			}
		}
	}
}

func TestJudge(t *testing.T) {
	var text strings.Builder
	for _, s := range scenarios {
		w := quiet()
		s.change(&w)
		rec := w.record()
		v := rec.Verdict
		if err := rec.Check(); err != nil {
			t.Errorf("%s: the record does not pass its check: %v", s.name, err)
		}
		if v.Outcome != s.outcome || v.ExitCode != s.code {
			t.Errorf("%s: %s (%d) %q, want %s (%d)", s.name, v.Outcome, v.ExitCode, v.Reasons, s.outcome, s.code)
		}
		var states []string
		for _, c := range v.Cells {
			states = append(states, string(c.State))
		}
		if got := strings.Join(states, " "); s.states != "" && got != s.states {
			t.Errorf("%s: cells are %s, want %s", s.name, got, s.states)
		}
		describe(&text, s.name, v)
	}
	goldenfile.Check(t, "verdicts.txt", text.String())
}

// describe writes what people read of a verdict.
func describe(w *strings.Builder, name string, v *Verdict) {
	fmt.Fprintf(w, "%s: %s, exit code %d\n", name, v.Outcome, v.ExitCode)
	for _, r := range v.Reasons {
		fmt.Fprintf(w, "  %s\n", r)
	}
	if v.Attribution != "" {
		fmt.Fprintf(w, "  → %s\n", v.Attribution)
	}
	for _, c := range v.Cells {
		if c.Note != "" {
			fmt.Fprintf(w, "  %s %s: %s\n", c.Name, c.State, c.Note)
		}
	}
	for i, warning := range v.Warnings {
		if i == 2 {
			fmt.Fprintf(w, "  and %d more warnings\n", len(v.Warnings)-i)
			break
		}
		fmt.Fprintf(w, "  ! %s\n", warning)
	}
	w.WriteString("\n")
}

// TestLostSupport checks that a backend that the base has and the head lost is no pass.
func TestLostSupport(t *testing.T) {
	for state, want := range map[evidence.State]Outcome{"unsupported": Pass, "pass": Broken, "fail": Broken, "crashed": Broken} {
		w := quiet()
		w.parity[2], w.base[2] = perf.Parity{State: "unsupported", Detail: "library_not_found"}, perf.Parity{State: state}
		rec := w.record()
		if v := Judge(rec); v.Outcome != want {
			t.Errorf("base %s: %s %q, want %s", state, v.Outcome, v.Reasons, want)
		}
	}
}

// TestEstimate checks what a confirmed regression says in numbers.
func TestEstimate(t *testing.T) {
	w := quiet()
	w.noise, w.slow[3] = 0, 1.25
	c := w.record().Verdict.Cells[3]
	e := c.Of(Time).Confirm
	if e == nil || c.Final() != e || e.Ratio != 1.25 || e.Low != 1.25 || e.High != 1.25 || e.Base != 12 || e.Head != 15 || e.Blocks != 20 || e.Dropped != 0 || len(e.Values) != 20 {
		t.Fatalf("%+v", e)
	}
	if want := rounded(1.0 / (1 << 20)); e.P != want {
		t.Errorf("p %v, want 2^-20", e.P)
	}
	if s := c.Of(Time).Screen; s.Blocks != 5 || s.P != 1.0/32 {
		t.Errorf("%+v", s)
	}
	if m := c.Of(HostMemory); m == nil || m.State != CellClear || m.Screen.Ratio != 1 || m.Screen.Base != 100<<20 || m.Confirm != nil {
		t.Errorf("%+v", m)
	}
	if c.Of(DeviceMemory) != nil || c.Of(HostTime) != nil {
		t.Error("a cell on processors has metrics of a device")
	}
}

// TestFires checks when a control says that the machine moved.
func TestFires(t *testing.T) {
	p := quiet().policy
	repeat := func(n int, v float64, more ...float64) []float64 {
		return append(slices.Repeat([]float64{v}, n), more...)
	}
	for _, c := range []struct {
		values []float64
		want   bool
	}{
		{nil, false},
		{repeat(2, 0.5), false},
		{repeat(3, 0.5), true},
		{repeat(5, 0.2), true},
		{repeat(5, -0.2), true},
		{repeat(5, 0.07), false},      // below δ
		{repeat(4, 0.2, -0.1), false}, // five blocks have to agree
		{repeat(19, 0.2, -0.1), true}, // twenty need not
		{repeat(19, -0.2, 0.9), true},
		{repeat(14, 0.2, repeat(6, -0.3)...), false},
	} {
		if got := p.fires(c.values, 0.08); got != c.want {
			t.Errorf("%v: %t", c.values, got)
		}
	}
}

// TestPolicy checks what cannot decide anything, and the defaults.
func TestPolicy(t *testing.T) {
	if err := DefaultPolicy().Validate(); err != nil {
		t.Error(err)
	}
	for _, k := range []env.Kind{env.LockedGPU, env.UnlockedGPU, env.SharedCPU} {
		if target := DefaultPolicy().target(k); target.Limits.Time.Delta != k.Delta() || target.MaxResolution != 2.5*k.Delta() {
			t.Errorf("%s: %+v", k, target)
		}
	}
	for name, change := range map[string]func(p *Policy){
		"delta 0 is outside":                                           func(p *Policy) { p.Targets.SetDelta(0) },
		"delta NaN is outside":                                         func(p *Policy) { p.Targets.SetDelta(math.NaN()) },
		"alpha 0.5 is outside":                                         func(p *Policy) { p.Alpha = 0.5 },
		"alpha 1e-13 is outside":                                       func(p *Policy) { p.Alpha = 1e-13 },
		"2 screening blocks: want 3":                                   func(p *Policy) { p.ScreenBlocks = 2 },
		"201 screening blocks":                                         func(p *Policy) { p.ScreenBlocks = 201 },
		"201 confirming blocks":                                        func(p *Policy) { p.ConfirmBlocks = 201 },
		"want 11 blocks or more":                                       func(p *Policy) { p.ConfirmBlocks = 10 },
		"0 confirming blocks cannot give a p":                          func(p *Policy) { p.ConfirmBlocks = 0 },
		"0 candidates to confirm":                                      func(p *Policy) { p.MaxConfirm = 0 },
		"control share 1.5 is outside":                                 func(p *Policy) { p.ControlShare = 1.5 },
		"control share NaN is outside":                                 func(p *Policy) { p.ControlShare = math.NaN() },
		"the resolution 0.08 that a run":                               func(p *Policy) { p.Targets.CPU.MaxResolution = 0.08 },
		"the resolution +Inf that a run":                               func(p *Policy) { p.Targets.SetMaxResolution(math.Inf(1)) },
		"the limit of the peak of host memory is 0":                    func(p *Policy) { p.Targets.LockedGPU.Limits.HostMemory = Limit{} },
		"the limit of the time to compile is 0.5 with an offset of -1": func(p *Policy) { p.Targets.CPU.Limits.Compile.Offset = -1 },
	} {
		p := DefaultPolicy()
		change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for share, want := range map[float64]int{0: 0, 0.1: 1, 0.3: 3, 0.31: 4, 1: 10} {
		if got := (Policy{ControlShare: share}).controls(10); got != want {
			t.Errorf("a share of %g of 10 cells: %d, want %d", share, got, want)
		}
	}
}
