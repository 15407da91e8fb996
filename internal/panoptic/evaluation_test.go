package panoptic_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/mask"
	"github.com/apex-x/apexx/internal/panoptic"
	"github.com/apex-x/apexx/internal/quality"
)

// TestEvaluationReadsWhatIsWritten compares a segmentation with itself, by way of its files.
func TestEvaluationReadsWhatIsWritten(t *testing.T) {
	labels := []int32{0, 0, 1, 0, 0, 0, 0, 0} // of 4×2 pixels
	right, corner := mask.RLE{Size: [2]int{2, 4}, Counts: []uint32{4, 1, 1, 1, 1}}, mask.RLE{Size: [2]int{2, 4}, Counts: []uint32{0, 1, 7}}
	m, err := panoptic.Fuse(labels, 4, 2, []bool{false, true, true},
		[]panoptic.Instance{{Mask: right, Score: 0.75, Label: 2}, {Mask: corner, Score: 0.5, Label: 1}}, panoptic.DefaultOptions())
	if err != nil {
		t.Fatal(err)
	}
	d := panoptic.NewDocument([]string{"disk", "ring"})
	d.Add(m, "a.jpg", "a.png", nil)
	text, err := json.Marshal(d)
	var picture bytes.Buffer
	dir := filepath.Join(t.TempDir(), "segments")
	err = errors.Join(err, m.WritePNG(&picture), os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "a.png"), picture.Bytes(), 0o644), os.WriteFile(dir+".json", text, 0o644))
	if err != nil {
		t.Fatal(err)
	}
	e, problems, err := quality.Panoptic(dir+".json", dir+".json", coco.Options{Strict: true})
	if err != nil || problems.Count > 0 || e.PQ != 1 || e.Things.PQ != 1 || e.Stuff.PQ != 1 || len(e.PerClass) != 3 {
		t.Errorf("%+v, %+v, %v", e, problems, err)
	}
}
