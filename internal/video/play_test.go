package video

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/internal/track"
	"github.com/apex-x/apexx/internal/video/videotest"
	"github.com/apex-x/apexx/reports"
)

var drawnWalk = sync.OnceValues(videotest.NewWalk)

// walking writes the first n frames of the walk and says how to run them on the reference.
func walking(t *testing.T, n int, set ...string) (Spec, *videotest.Walk) {
	t.Helper()
	walk, err := drawnWalk()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, err = walk.Write(dir, n)
	frames, err2 := source.OpenFrames(dir)
	m, err3 := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: set})
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	d := model.DefaultDecode()
	d.MaxDetections = 30
	return Spec{Backend: reference.New(), Model: m, Frames: frames, Decode: d, Session: backends.Options{Precision: backends.FP32}, Track: track.DefaultOptions()}, walk
}

// small lets frames be run that nothing needs to be found in.
var small = []string{"model.input_height=128", "model.input_width=256"}

// play collects the reports of the frames.
func play(t *testing.T, spec Spec) ([]*reports.Frame, *reports.Sequence) {
	t.Helper()
	var frames []*reports.Frame
	p, err := Play(context.Background(), spec, func(f *Frame) error {
		frames = append(frames, f.Report)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return frames, p.Report
}

// TestWalkKeepsItsIDs follows the walkers through their occlusions: every one that is seen is on one track all the time, on no
// other walker's, with either association also by motion alone, and with the same ids on every backend.
func TestWalkKeepsItsIDs(t *testing.T) {
	spec, walk := walking(t, videotest.Length)
	spec.Truth = walk.Rows()
	frames, summary := play(t, spec)
	if m := summary.Metrics; m == nil || m.IDSwitches != 0 || m.HOTA < 0.6 || m.AssA < 0.9 || m.IDF1 < 0.8 {
		t.Errorf("%+v", m)
	}
	if err := keptIDs(frames, walk); err != nil {
		t.Error(err)
	}
	for _, a := range track.Associations {
		if err := keptIDs(again(t, frames, a), walk); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if summary.State != reports.SequenceComplete || summary.Frames != videotest.Length || len(summary.Tracks) < len(walk.Truth[0]) {
		t.Errorf("%+v", summary)
	}
	if hidden := summary.Tracks[idOf(frames[0], walk.Truth[0][2])-1]; hidden.FirstFrame != 1 || hidden.LastFrame != videotest.Length || hidden.Seen > videotest.Length-8 {
		t.Errorf("the disk's track is %+v", hidden)
	}

	for _, name := range []string{"ort", "cuda"} {
		t.Run(name, func(t *testing.T) {
			spec := spec
			spec.Backend, spec.Session.Threads = available(t, name), 1
			others, _ := play(t, spec)
			for i := range frames {
				if a, b := trackText(frames[i]), trackText(others[i]); a != b {
					t.Errorf("frame %d: %s on the reference, %s here", i+1, a, b)
				}
			}
		})
	}
}

// available skips the test where a backend is not to be had.
func available(t *testing.T, name string) backends.Backend {
	t.Helper()
	b, err := execute.Open(name, execute.Options{})
	if err != nil {
		t.Fatal(err)
	}
	backendtest.SkipWithout(t, b)
	return b
}

// again follows what was found once more, by another association, without embeddings.
func again(t *testing.T, frames []*reports.Frame, a track.Association) []*reports.Frame {
	t.Helper()
	o := track.DefaultOptions()
	o.Association = a
	tracker, err := track.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var out []*reports.Frame
	for _, f := range frames {
		followed := *f
		followed.Image.Detections = slices.Clone(f.Image.Detections)
		var found []track.Detection
		for _, d := range f.Image.Detections {
			found = append(found, track.Detection{Box: boxOf(d.Box), Score: float64(d.Score), Class: d.ClassID, Embedding: []float32{1}})
		}
		step, err := tracker.Update(f.Frame, found)
		if err != nil {
			t.Fatal(err)
		}
		for i, id := range step.IDs {
			followed.Image.Detections[i].TrackID = id
		}
		out = append(out, &followed)
	}
	return out
}

// keptIDs wants each walker on one track of its own wherever its detection is on any.
func keptIDs(frames []*reports.Frame, walk *videotest.Walk) error {
	of, owner := map[int64]int64{}, map[int64]int64{}
	for i, f := range frames {
		for _, o := range walk.Truth[i] {
			id := idOf(f, o)
			if o.Visibility < 0.5 { // another may lie over it
				continue
			}
			if o.Visibility > 0.9 && id == 0 && !slices.Contains([]int{15, 16}, f.Frame) { // the ring waits for its confirmation
				return fmt.Errorf("frame %d: walker %d is seen and on no track", f.Frame, o.ID)
			}
			if id == 0 {
				continue
			}
			if known, ok := of[o.ID]; ok && known != id {
				return fmt.Errorf("frame %d: walker %d is on track %d and was on %d", f.Frame, o.ID, id, known)
			}
			if other, ok := owner[id]; ok && other != o.ID {
				return fmt.Errorf("frame %d: track %d is on walker %d and was on %d", f.Frame, id, o.ID, other)
			}
			of[o.ID], owner[id] = id, o.ID
		}
	}
	return nil
}

// idOf returns the track of the detection that lies on an object: of its class, with an IoU of at least 0.6, the best score first.
func idOf(f *reports.Frame, o videotest.Truth) int64 {
	for _, d := range f.Image.Detections {
		b := boxOf(d.Box)
		w, h := min(b[2], o.Box[2])-max(b[0], o.Box[0]), min(b[3], o.Box[3])-max(b[1], o.Box[1])
		inter := max(w, 0) * max(h, 0)
		union := (b[2]-b[0])*(b[3]-b[1]) + (o.Box[2]-o.Box[0])*(o.Box[3]-o.Box[1]) - inter
		if d.ClassID == o.Class && inter >= 0.6*union {
			return d.TrackID
		}
	}
	return 0
}

// trackText lists what is on tracks in a frame.
func trackText(f *reports.Frame) string {
	var b strings.Builder
	for _, d := range f.Image.Detections {
		if d.TrackID != 0 {
			fmt.Fprintf(&b, "%s #%d at %.0f,%.0f; ", d.Class, d.TrackID, d.Box[0], d.Box[1])
		}
	}
	for _, l := range f.Tracks.Lost {
		fmt.Fprintf(&b, "lost #%d for %d; ", l.ID, l.Age)
	}
	return fmt.Sprint(b.String(), f.Tracks.Confirmed, f.Tracks.Ended, f.Tracks.Tentative)
}

// TestHysteresisHoldsTheTiles lets one of four tiles be chosen while two of them waver, and checks that the graph ran the choice of
// the host, in which fewer tiles change, and that what would have been without it is told beside it.
func TestHysteresisHoldsTheTiles(t *testing.T) {
	spec, _ := walking(t, 18, "model.input_height=256", "model.input_width=256", "routing.budget_b1=0.8", "routing.theta_on=0.6", "routing.theta_off=0.1")
	spec.Frames.Paths = spec.Frames.Paths[10:]
	free, without := play(t, spec)
	spec.Hysteresis = true
	held, with := play(t, spec)
	if without.Hysteresis != nil || with.Hysteresis == nil || *with.Hysteresis != (reports.HysteresisThresholds{ThetaOn: 0.6, ThetaOff: 0.1}) {
		t.Errorf("%+v, %+v", without.Hysteresis, with.Hysteresis)
	}
	if !slices.Equal(free[0].Image.Tiles["l0"], held[0].Image.Tiles["l0"]) {
		t.Errorf("first frame: %v, with hysteresis %v", free[0].Image.Tiles, held[0].Image.Tiles)
	}
	before, after := without.Flicker["l0"], with.Flicker["l0"]
	if with.Flicker[reports.FlickerFree] != before {
		t.Errorf("without hysteresis %+v, told beside it %+v", before, with.Flicker[reports.FlickerFree])
	}
	if before.TotalToggles == 0 || after.TotalToggles >= before.TotalToggles || after.PeakActiveTiles != 1 || after.TileCount != 4 || after.FrameCount != 8 {
		t.Errorf("flicker %+v, with hysteresis %+v", before, after)
	}
	t.Run("ort", func(t *testing.T) {
		spec.Backend, spec.Session.Threads = available(t, "ort"), 1
		others, _ := play(t, spec)
		for i := range held {
			if !slices.Equal(others[i].Image.Tiles["l0"], held[i].Image.Tiles["l0"]) {
				t.Errorf("frame %d: tiles %v, on the reference %v", i+1, others[i].Image.Tiles, held[i].Image.Tiles)
			}
		}
	})
	if l1 := with.Flicker["l1"]; l1.TileCount != 16 || l1.PeakActiveTiles != 4 {
		t.Errorf("level 1: %+v", l1)
	}
}

func TestHysteresisWithoutAChoice(t *testing.T) {
	for _, set := range []string{"routing.budget_b1=16", "routing.budget_b1=0", "model.force_dense_routing=true"} {
		spec, _ := walking(t, 1, append(small, set)...)
		spec.Hysteresis = true
		if s, err := Play(context.Background(), spec, nil); !errors.Is(err, ErrNothingToHold) || exit.Code(err) != exit.Usage || s != nil {
			t.Errorf("%s: %+v, %v", set, s, err)
		}
	}
}

// TestPlayEndsEarly damages, interrupts and fails the third frame of five.
func TestPlayEndsEarly(t *testing.T) {
	spec, _ := walking(t, 5, small...)
	ctx, cancel := context.WithCancel(context.Background())
	full := errors.New("no space")
	third := func(act func() error) func(*Frame) error {
		return func(f *Frame) error {
			if f.Report.Frame == 3 {
				return act()
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		ctx    context.Context
		each   func(*Frame) error
		frames int
		code   int
		text   string
	}{
		"interrupted after it": {ctx, third(func() error { cancel(); return nil }), 3, exit.Interrupted, "context canceled"},
		"not written":          {context.Background(), third(func() error { return full }), 2, exit.Usage, "frame 3, frame3: no space"},
	} {
		p, err := Play(c.ctx, spec, c.each)
		if err == nil || exit.Code(err) != c.code || err.Error() != c.text {
			t.Errorf("%s: %v", name, err)
		}
		if p == nil || p.Report.State != reports.SequenceIncomplete || p.Report.Frames != c.frames || p.Report.FramesTotal != 5 || p.Report.Detail != c.text ||
			p.Report.Flicker["l0"].FrameCount < c.frames {
			t.Errorf("%s: %+v", name, p)
		}
	}
	cut(t, spec.Frames.Paths[2])
	p, err := Play(context.Background(), spec, func(*Frame) error { return nil })
	if err == nil || exit.Code(err) != exit.Usage || err.Error() != fmt.Sprintf("frame 3: %s: the image is truncated", spec.Frames.Paths[2]) || p.Report.Frames != 2 {
		t.Errorf("%v, %+v", err, p)
	}
	cut(t, spec.Frames.Paths[0])
	if s, err := Play(context.Background(), spec, nil); err == nil || s != nil {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestTruthBeyondTheSequence(t *testing.T) {
	spec, _ := walking(t, 2, small...)
	spec.Truth = []mot.Row{{Frame: 1, ID: 1}, {Frame: 3, ID: 1}}
	p, err := Play(context.Background(), spec, nil)
	if p != nil || exit.Code(err) != exit.Usage || err.Error() != "the ground truth goes on to frame 3, and the sequence has 2" {
		t.Errorf("%+v, %v", p, err)
	}
}

func cut(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(filepath.Clean(path), data[:len(data)/2], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// faulty changes the outputs of every frame.
type faulty struct {
	backends.Backend
	change func(tensor.List) tensor.List
}

func (b faulty) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	s, err := b.Backend.Compile(ctx, g, o)
	return faultySession{s, b.change}, err
}

type faultySession struct {
	backends.Session
	change func(tensor.List) tensor.List
}

func (s faultySession) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	return s.change(out.Clone()), err
}

// TestFaultyOutputs wants a fault of the program, and no crash, from outputs that no sound backend gives.
func TestFaultyOutputs(t *testing.T) {
	spec, _ := walking(t, 1, small...)
	nan := float32(0)
	nan /= nan
	for want, change := range map[string]func(tensor.List) tensor.List{
		"frame 1, frame1: follow what was found: frame 1: detection 0 has the box": func(l tensor.List) tensor.List {
			tensor.Data[float32](l.Get("boxes"))[0] = nan
			return l
		},
		"frame 1, frame1: follow what was found: frame 1: detection 1 has an embedding with NaN at 2": func(l tensor.List) tensor.List {
			tensor.Data[float32](l.Get("embeddings"))[66] = nan
			return l
		},
		"frame 1, frame1: the output tiles_l0 has the id 2, outside [0, 2)": func(l tensor.List) tensor.List {
			tensor.Data[int64](l.Get("tiles_l0"))[1] = 2
			return l
		},
		"frame 1, frame1: the output tiles_l1 has the id -1, outside [0, 8)": func(l tensor.List) tensor.List {
			tensor.Data[int64](l.Get("tiles_l1"))[0] = -1
			return l
		},
		`frame 1, frame1: the run has no output "embeddings"`: func(l tensor.List) tensor.List {
			return slices.DeleteFunc(l, func(n tensor.Named) bool { return n.Name == "embeddings" })
		},
	} {
		spec.Backend = faulty{reference.New(), change}
		if s, err := Play(context.Background(), spec, func(*Frame) error { return nil }); err == nil || !strings.HasPrefix(err.Error(), want) || exit.Code(err) != exit.Internal || s != nil {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
