// Package mot reads, writes and evaluates tracks as the MOTChallenge has them (Dendorfer et al., "MOTChallenge: A Benchmark
// for Single-Camera Multiple Target Tracking", IJCV 2021): text with a line for every box of every frame.
package mot

import (
	"fmt"
	"io"

	"github.com/apex-x/apexx/internal/track"
)

// Row is one box of one track in one frame.
type Row struct {
	Frame int   // from 1
	ID    int64 // of the track, from 1
	Box   track.Box
	Score float64 // of a result; in a ground truth 0 marks a box that does not count
}

// Write writes the rows of a result in their order, as
//
//	frame,id,left,top,width,height,score,-1,-1,-1
//
// with pixels of three decimals. The last three columns, which hold positions in space, are unused.
func Write(w io.Writer, rows []Row) error {
	for _, r := range rows {
		_, err := fmt.Fprintf(w, "%d,%d,%.3f,%.3f,%.3f,%.3f,%.6f,-1,-1,-1\n", r.Frame, r.ID, r.Box[0], r.Box[1], r.Box[2]-r.Box[0], r.Box[3]-r.Box[1], r.Score)
		if err != nil {
			return err
		}
	}
	return nil
}
