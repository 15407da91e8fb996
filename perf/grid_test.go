package perf

import (
	"fmt"
	"testing"

	"github.com/apex-x/apexx/backends"
)

func TestGrid(t *testing.T) {
	g := Grid{Backends: []string{"reference", "ort"}, Profiles: []string{"nano"}, Precisions: []backends.Precision{backends.FP32}, Sizes: []Size{{128, 256}},
		Batches: []int{1, 2}, Scopes: []Scope{Network, TilePack}}
	want := []string{
		"reference/nano/fp32/128x256/b1/network", "reference/nano/fp32/128x256/b1/tile-pack",
		"reference/nano/fp32/128x256/b2/network", "reference/nano/fp32/128x256/b2/tile-pack",
		"ort/nano/fp32/128x256/b1/network", "ort/nano/fp32/128x256/b1/tile-pack",
		"ort/nano/fp32/128x256/b2/network", "ort/nano/fp32/128x256/b2/tile-pack",
	}
	if got := fmt.Sprint(g.Cells()); got != fmt.Sprint(want) {
		t.Errorf("%s\nwant %s", got, want)
	}
	if g.Batches = nil; len(g.Cells()) != 0 {
		t.Error("an empty list gives cells")
	}
}

func TestParseSizeAndBatch(t *testing.T) {
	for s, ok := range map[string]bool{"512x384": true, "1x1": true, "512": false, "0x5": false, "5x-1": false, "5x5x5": false, "x": false, "": false, "5 x5": false} {
		if got, err := ParseSize(s); (err == nil) != ok || ok && fmt.Sprintf("%dx%d", got.Height, got.Width) != s {
			t.Errorf("size %q: %v, %v", s, got, err)
		}
	}
	for s, ok := range map[string]bool{"1": true, "64": true, "0": false, "-1": false, "1.5": false, "": false} {
		if got, err := ParseBatch(s); (err == nil) != ok || ok && fmt.Sprint(got) != s {
			t.Errorf("batch %q: %v, %v", s, got, err)
		}
	}
}

func TestOnDevice(t *testing.T) {
	for _, backend := range backends.Known {
		if want := backend != "reference" && backend != "ort"; OnDevice(backend) != want {
			t.Errorf("%s computes on a device: %v", backend, !want)
		}
	}
}
