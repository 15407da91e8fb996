package quality

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/measure"
)

// workerVariable makes the test binary a worker of the reference: an honest one, or one that is as its value says.
const workerVariable = "APEXX_QUALITY_WORKER"

func TestMain(m *testing.M) {
	kind := os.Getenv(workerVariable)
	if kind == "" {
		os.Exit(m.Run())
	}
	if err := worker.ServeStdio(context.Background(), smuggler{reference.New(), kind}); err != nil {
		os.Exit(1)
	}
}

// smuggler is right about the first inputs of a session, which are those that it is timed with. Of others it misbehaves as its kind says.
type smuggler struct {
	backends.Backend
	kind string
}

func (s smuggler) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	session, err := s.Backend.Compile(ctx, g, o)
	return &smuggled{Session: session, kind: s.kind}, err
}

type smuggled struct {
	backends.Session
	kind    string
	uploads int
}

func (s *smuggled) Upload(ctx context.Context, in tensor.List) error {
	s.uploads++
	if s.kind == "crash" && s.uploads > 3 {
		os.Exit(7)
	}
	return s.Session.Upload(ctx, in)
}

func (s *smuggled) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	if err == nil && s.kind == "blind" && s.uploads > 1 {
		loseSmall(out)
	}
	if err == nil && s.kind == "nonsense" && s.uploads > 1 {
		tensor.Data[int64](out.Get("valid_counts"))[0] = 1 << 40
	}
	return out, err
}

// loseSmall takes the detections below 16² pixels of an input out of outputs.
func loseSmall(out tensor.List) {
	boxes, scores := tensor.Data[float32](out.Get("boxes")), tensor.Data[float32](out.Get("scores"))
	rows := out.Get("scores").Shape()[1]
	for sample, valid := range tensor.Data[int64](out.Get("valid_counts")) {
		kept := 0
		for row := sample * rows; row < sample*rows+int(valid); row++ {
			b := boxes[4*row : 4*row+4]
			if (b[2]-b[0])*(b[3]-b[1]) < 16*16 {
				continue
			}
			to := sample*rows + kept
			copy(boxes[4*to:], b)
			scores[to] = scores[row]
			moveRow(out, "class_ids", row, to)
			moveRow(out, "mask_logits", row, to)
			kept++
		}
		tensor.Data[int64](out.Get("valid_counts"))[sample] = int64(kept)
	}
}

func moveRow(out tensor.List, name string, from, to int) {
	t := out.Get(name)
	data := tensor.Bytes(t)
	n := len(data) / (t.Shape()[0] * t.Shape()[1])
	copy(data[to*n:(to+1)*n], data[from*n:(from+1)*n])
}

// evaluateScenes runs a cell on the first scenes with a worker of a kind.
func evaluateScenes(t *testing.T, kind string, scenes int, c perf.Cell) (accuracy.Run, *accuracy.Plan) {
	t.Helper()
	set, err := Open(Scenes, "", coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Data.Images = set.Data.Images[:scenes]
	set.Data.Annotations = slices.DeleteFunc(set.Data.Annotations, func(a coco.Annotation) bool {
		return !slices.ContainsFunc(set.Data.Images, func(im coco.Image) bool { return im.ID == a.Image })
	})
	models := &execute.OwnModels{Request: source.ModelRequest{Embedded: fixtures.NanoWeights()}, Decode: model.DefaultDecode()}
	models.Decode.ScoreThreshold = 0.05
	for _, scene := range fixtures.BuiltinScenes() {
		models.Pictures = append(models.Pictures, scene.Data)
	}
	cells := &Cells{Set: set, Models: models}
	if cells.Pictures, err = set.PicturesDigest(); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	side := measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(models, reference.New()), Spec: func(backend string) worker.Spec {
		return worker.Spec{Name: backend, Command: []string{self}, Env: []string{workerVariable + "=" + kind}, Deadline: 10 * time.Minute}
	}}
	var got []accuracy.Run
	err = measure.RunQuality(t.Context(), side, c.Backend, []perf.Cell{c}, measure.Options{DataSet: cells}, func(r accuracy.Run) error {
		got = append(got, r)
		return nil
	})
	if err != nil || len(got) != 1 {
		t.Fatal(err, len(got))
	}
	plan := &accuracy.Plan{DataSet: cells.Facts(), Policy: accuracy.DefaultPolicy()}
	if err := got[0].Check(&plan.DataSet); err != nil {
		t.Error(err)
	}
	return got[0], plan
}

// TestSmuggledLoss refuses a backend whose timed outputs are right, down to the last bit, and that loses small objects of every other picture.
func TestSmuggledLoss(t *testing.T) {
	cell := perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 2, Scope: perf.Complete}
	honest, plan := evaluateScenes(t, "honest", 21, cell)
	blind, _ := evaluateScenes(t, "blind", 21, cell)
	if blind.FirstSHA256 != honest.FirstSHA256 || !blind.Parity.Holds() {
		t.Errorf("it should be right where it is timed: %+v", blind.Parity)
	}
	r, err := accuracy.Compare("the base", honest.Found, blind.Found, plan.Policy.Bootstrap())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("AP of boxes %.4f, %s points; small %.4f of %.4f", r.Numbers.Boxes.AP, r.Of(accuracy.BoxAP).Points(), r.Numbers.Boxes.APSmall, r.Base.Boxes.APSmall)
	if v, why := plan.Policy.Judge(r, plan.DataSet.Images, cell.Precision); v != accuracy.Lost {
		t.Errorf("%s: %s", v, why)
	}
	same, err := accuracy.Compare("the base", honest.Found, honest.Found, plan.Policy.Bootstrap())
	if err != nil {
		t.Fatal(err)
	}
	if v, why := plan.Policy.Judge(same, plan.DataSet.Images, cell.Precision); v != accuracy.Kept || r.Of(accuracy.PQ) == nil || r.Of(accuracy.MaskAP) == nil {
		t.Errorf("%s: %s", v, why)
	}
	single := cell
	single.Batch = 1
	if one, _ := evaluateScenes(t, "honest", 21, single); one.Found.Numbers.Boxes != honest.Found.Numbers.Boxes {
		t.Errorf("batch 1 finds %+v, batch 2 %+v", one.Found.Numbers.Boxes, honest.Found.Numbers.Boxes)
	}
}

// TestEvaluationEnds has workers die and answer nonsense on the way.
func TestEvaluationEnds(t *testing.T) {
	cell := perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 128, Width: 128, Batch: 1, Scope: perf.Complete}
	if r, _ := evaluateScenes(t, "crash", 5, cell); r.State != evidence.Crashed && r.State != evidence.Errored || r.Found != nil {
		t.Errorf("a worker that ends: %+v", r)
	}
	if r, _ := evaluateScenes(t, "nonsense", 5, cell); r.State != evidence.Errored || r.Found != nil || !strings.Contains(r.Detail, "the output valid_counts is") {
		t.Errorf("a count beyond its rows: %+v", r)
	}
}

// TestCellsOfAnotherModel refuses a data set without the model's classes before anything runs.
func TestCellsOfAnotherModel(t *testing.T) {
	models := &execute.OwnModels{Request: source.ModelRequest{Embedded: fixtures.NanoWeights()}}
	cells := &Cells{Set: &Set{Name: "cats", Data: &coco.Dataset{Categories: []coco.Category{{ID: 1, Name: "cat"}}}}, Models: models}
	if _, err := cells.Begin(perf.Cell{Profile: "nano"}); !errors.Is(err, ErrData) || !strings.Contains(err.Error(), "nano on cats: bad data: none of the model's classes") {
		t.Errorf("%v", err)
	}
}
