package reports

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// TestGalleryTake gives the pictures of the pairs whose sides were drawn, once, and of no more cases than have pages.
func TestGalleryTake(t *testing.T) {
	p := &picture.Picture{Width: 32, Height: 32, Pix: make([]byte, 3*32*32)}
	ref, cand := parity.Column{Backend: "reference", Precision: backends.FP64}, parity.Column{Backend: "ort", Precision: backends.FP32}
	plain, tiled := Scene{Picture: p}, Scene{Picture: p, Tiles: []TileBox{{0, [4]float64{0, 0, 16, 16}}}}
	g := NewGallery()
	take := func(state evidence.State) *CaseGallery {
		g.cases["a"] = &galleryCase{drawn: []drawn{{ref.String(), plain, Overlay(plain)}, {cand.String(), tiled, Overlay(tiled)}}}
		images, err := g.Take("a", []parity.Cell{
			{Case: "a", Pair: parity.Pair{Reference: ref, Candidate: cand}, Policy: "quality e2e", Outcome: evidence.Outcome{State: state}},
			{Case: "a", Pair: parity.Pair{Reference: ref, Candidate: cand}, Policy: "balanced e2e", Outcome: evidence.Outcome{State: state}}, // of the same pictures
			{Case: "a", Pair: parity.Pair{Reference: ref, Candidate: parity.Column{Backend: "cuda", Precision: backends.FP32}}, Outcome: evidence.Outcome{State: evidence.Pass}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return images
	}
	got := take(evidence.Explained)
	if got == nil || len(got.Columns) != 2 || len(got.Pairs) != 1 || len(got.Pairs[0].Images) != 2 { // the difference, and the tile that one has
		t.Fatalf("%+v", got)
	}
	d := Document{Images: []CaseGallery{*got}}
	if n := len(d.imagesOf("a", parity.Pair{Reference: ref, Candidate: cand})); n != 4 {
		t.Errorf("the cell has %d pictures, want 4", n)
	}
	if again, err := g.Take("a", nil); again != nil || err != nil {
		t.Errorf("the pictures are there twice: %v, %v", again, err)
	}
	passing := 0
	for range mostPassing + 5 {
		if take(evidence.Pass) != nil {
			passing++
		}
	}
	if passing != mostPassing || take(evidence.Fail) == nil {
		t.Errorf("%d passing cases have pictures, want %d, and one that fails", passing, mostPassing)
	}
}
