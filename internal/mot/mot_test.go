package mot

import (
	"bytes"
	"testing"

	"github.com/apex-x/apexx/internal/track"
)

func TestWrite(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, []Row{{1, 2, track.Box{-0.5, 10, 20.25, 31}, 0.9}, {12, 345, track.Box{0, 0, 1. / 3, 1e6}, 1}})
	want := "1,2,-0.500,10.000,20.750,21.000,0.900000,-1,-1,-1\n12,345,0.000,0.000,0.333,1000000.000,1.000000,-1,-1,-1\n"
	if err != nil || b.String() != want {
		t.Errorf("%v, got\n%swant\n%s", err, b.String(), want)
	}
}
