package measure

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTakeTurns writes down who has which turn: one at a time, round after round, until each has ended.
func TestTakeTurns(t *testing.T) {
	var log []string
	var running atomic.Int32
	turns := map[int]int{0: 3, 1: 1, 4: 2, 5: 4}
	takeTurns([]int{0, 1, 4, 5}, func(slot int) { log = append(log, fmt.Sprintf("%d?", slot)) }, func(slot int, yield func()) {
		for i := range turns[slot] {
			if i > 0 {
				yield()
			}
			if running.Add(1) != 1 {
				t.Error("two at a time")
			}
			log = append(log, fmt.Sprint(slot))
			running.Add(-1)
		}
	})
	if got, want := strings.Join(log, " "), "0? 0 1? 1 4? 4 5? 5 0? 0 4? 4 5? 5 0? 0 5? 5 5? 5"; got != want {
		t.Errorf("turns %s\nwant  %s", got, want)
	}
	takeTurns(nil, nil, nil) // nobody
	takeTurns([]int{7}, nil, func(int, func()) {})
}

// TestTakeTurnsIsFair checks that in blocks of base, head, head, base no side has its turns only behind itself: half of the turns
// of each follow one of the other's.
func TestTakeTurnsIsFair(t *testing.T) {
	arms := "ABBA"
	var order []byte
	takeTurns([]int{0, 1, 2, 3}, func(slot int) { order = append(order, arms[slot]) }, func(_ int, yield func()) {
		for range 99 {
			yield()
		}
	})
	follows := map[string]int{}
	for i := range order[1:] {
		follows[string(order[i:i+2])]++
	}
	for _, pair := range []string{"AA", "AB", "BA", "BB"} {
		if n := follows[pair]; n < 99 || n > 100 {
			t.Errorf("%s %d times of %d", pair, n, len(order)-1)
		}
	}
	if !slices.Equal(order[:8], []byte("ABBAABBA")) {
		t.Errorf("turns %s", order[:8])
	}
}

// TestLanes has processes prepare a cell side by side unless their compilers may time kernels on the device that they share.
func TestLanes(t *testing.T) {
	tuned := Options{Extra: map[string]map[string]string{"cuda": {"autotune": "on"}}}
	for _, tt := range []struct {
		backend string
		options Options
		alone   bool
	}{
		{"reference", Options{}, false}, {"ort", tuned, false}, {"cuda", Options{}, false}, {"cuda", tuned, true},
		{"tensorrt", Options{}, true}, {"ort-cuda", Options{}, true}, {"ort-tensorrt", Options{}, true},
	} {
		want := runtime.GOMAXPROCS(0)
		if tt.alone {
			want = 1
		}
		if got := lanesOf(tt.backend, tt.options); got != want {
			t.Errorf("%s with %v: %d, want %d", tt.backend, tt.options.Extra, got, want)
		}
	}
}
