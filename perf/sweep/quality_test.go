package sweep_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

func evaluatedResult() *sweep.Result {
	return sweeptest.New(3, sweeptest.Spec{Precisions: []backends.Precision{backends.FP16, backends.INT8}, Sides: []int{512}, Scopes: []perf.Scope{perf.Complete, perf.Network},
		Samples: 20, Replicates: 3, Quality: true})
}

// TestQualityIsRead writes a result with evaluations and reads it back; an edited one is refused.
func TestQualityIsRead(t *testing.T) {
	var b bytes.Buffer
	r := evaluatedResult()
	if err := sweep.WriteJSON(&b, r); err != nil {
		t.Fatal(err)
	}
	back, err := sweep.Read(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if q := back.Cells[0].Quality; q == nil || q.State != evidence.Measured || q.Result.Against != "reference/nano/fp32/512x512/b1/complete" || back.Cells[1].Quality != nil {
		t.Errorf("%+v", q)
	}
	if n := len(back.Quality); n != 5 { // four cells, and the reference in fp32, which is none of them
		t.Errorf("%d evaluations", n)
	}
	for want, change := range map[string]func(r *sweep.Result){
		"low of box_ap is 0, and what was found gives": func(r *sweep.Result) { r.Cells[2].Quality.Result.Differences[0].Low = 0 },
		"it is there: false, and by the evaluations":   func(r *sweep.Result) { r.Cells[0].Quality = nil },
		"state is measured, and the evaluations give":  func(r *sweep.Result) { r.Quality[0].Parity.State = evidence.Fail },
		"5 evaluations, and the plan has no data set":  func(r *sweep.Result) { r.Plan.Quality = nil },
		"was not asked for":                            func(r *sweep.Result) { r.Quality[0].Cell.Precision = backends.BF16 },
		"number 1 of COCO's twelve, is 0.99":           func(r *sweep.Result) { r.Quality[1].Found.Numbers.Boxes.AP = 0.99 },
		"not-run: the file was changed":                func(r *sweep.Result) { r.Quality = r.Quality[1:] },
	} {
		r := evaluatedResult()
		change(r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestQualityEnds gives a sweep the exit code of its worst evaluation.
func TestQualityEnds(t *testing.T) {
	for _, tt := range []struct {
		change func(r *sweep.Result)
		code   int
		state  evidence.State
	}{
		{func(*sweep.Result) {}, exit.OK, evidence.Measured},
		{func(r *sweep.Result) { r.Quality[0].Parity = perf.Parity{State: evidence.Fail, Detail: "off"} }, exit.Failed, evidence.Fail},
		{func(r *sweep.Result) { r.Quality[0] = broken(r.Quality[0], evidence.Hung) }, exit.Internal, evidence.Hung},
		{func(r *sweep.Result) { r.Quality[4] = broken(r.Quality[4], evidence.Crashed) }, exit.Inconclusive, evidence.Unverified},
	} {
		r := evaluatedResult()
		tt.change(r)
		for i := range r.Cells {
			r.Cells[i].Quality = r.QualityOf(r.Cells[i].Cell)
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
		if got := r.Cells[0].Quality.State; r.ExitCode() != tt.code || got != tt.state {
			t.Errorf("exit code %d, %s; want %d, %s", r.ExitCode(), got, tt.code, tt.state)
		}
	}
}

func broken(r accuracy.Run, s evidence.State) accuracy.Run {
	return accuracy.Run{Cell: r.Cell, Arm: r.Arm, State: s, Reason: "x", Detail: "y"}
}

func TestQualityTexts(t *testing.T) {
	var md, csv bytes.Buffer
	r := evaluatedResult()
	if err := sweep.WriteMarkdown(&md, r); err != nil {
		t.Fatal(err)
	}
	if err := sweep.WriteCSV(&csv, r); err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(md.String(), "## Quality on ")
	if !found {
		t.Fatal("no section of quality")
	}
	goldenfile.Check(t, "quality.md", section)
	goldenfile.Check(t, "quality.csv", csv.String())
}
