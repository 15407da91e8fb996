package track

import (
	"fmt"
	"math"
	"slices"
)

// Detection is one object found in a frame.
type Detection struct {
	Box       Box
	Score     float64
	Class     int64
	Embedding []float32 // of any length above 0, the same throughout a sequence; its norm does not matter
}

// Step is what became of the tracks in one frame.
type Step struct {
	IDs       []int64 // by detection: the id of the confirmed track that it belongs to, 0 for none
	Lost      []Lost  // confirmed tracks that were not seen, oldest first
	Ended     []int64 // ids of tracks that ended, ascending
	Confirmed []int64 // ids that were given now, ascending
	Tentative int     // tracks that wait for their confirmation
}

// Lost is a track that was not seen, and where it should be.
type Lost struct {
	ID    int64
	Class int64
	Box   Box
	Age   int // frames since it was seen, ≥ 1
}

// Tracker follows the objects of one sequence. It is not safe for concurrent use.
type Tracker struct {
	options Options
	tracks  []*state // oldest first
	frame   int      // of the last update, 0 before the first
	lastID  int64
	width   int // of embeddings, 0 before the first
}

// state is one track.
type state struct {
	id     int64 // 0 while tentative
	class  int64
	motion motion
	bank   bank
	hits   int // frames in which it was seen
	seen   int // the last of them
}

// New returns a tracker of a sequence that has not begun.
func New(o Options) (*Tracker, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Tracker{options: o}, nil
}

// Update carries the tracks on to a frame, counted from 1; frames may be left out, but not come back. It is an error if a
// detection has a value that is not finite, a box turned around, or an embedding of another length; the tracker then is as it
// was before.
func (t *Tracker) Update(frame int, detections []Detection) (Step, error) {
	if frame <= t.frame {
		return Step{}, fmt.Errorf("frame %d after frame %d: frames must ascend from 1", frame, t.frame)
	}
	width, err := t.check(detections)
	if err != nil {
		return Step{}, fmt.Errorf("frame %d: %w", frame, err)
	}
	before := t.frame
	ended := t.expire(frame - 1) // in frames that were left out
	t.advance(frame)
	t.frame, t.width = frame, width
	owner, err := t.match(detections, before)
	if err != nil {
		return Step{}, err
	}
	for j, d := range detections {
		if owner[j] != nil {
			owner[j].see(d, frame)
		} else if d.Score >= t.options.StartScore {
			owner[j] = t.start(d)
		}
	}
	step := Step{IDs: make([]int64, len(detections)), Ended: append(ended, t.expire(frame)...)}
	slices.Sort(step.Ended)
	t.confirm(before == 0, &step)
	for j, s := range owner {
		if s != nil {
			step.IDs[j] = s.id
		}
	}
	return step, nil
}

// check returns the length of the sequence's embeddings.
func (t *Tracker) check(detections []Detection) (int, error) {
	width := t.width
	for j, d := range detections {
		for _, v := range append(d.Box[:], d.Score) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return 0, fmt.Errorf("detection %d has the box %v and the score %g: must be finite", j, d.Box, d.Score)
			}
		}
		if d.Box.width() < 0 || d.Box.height() < 0 {
			return 0, fmt.Errorf("detection %d has the box %v: want x1 ≤ x2 and y1 ≤ y2", j, d.Box)
		}
		if width == 0 {
			width = len(d.Embedding)
		}
		if len(d.Embedding) != width || width == 0 {
			return 0, fmt.Errorf("detection %d has an embedding of %d values, want %d", j, len(d.Embedding), max(width, 1))
		}
		for k, v := range d.Embedding {
			if v-v != 0 {
				return 0, fmt.Errorf("detection %d has an embedding with %g at %d: must be finite", j, v, k)
			}
		}
	}
	return width, nil
}

// expire ends the tracks that, unseen in a frame, are tentative or too old. It returns the ids that ended.
func (t *Tracker) expire(frame int) (ended []int64) {
	t.tracks = slices.DeleteFunc(t.tracks, func(s *state) bool {
		age := frame - s.seen
		if age > t.options.MaxAge && s.id != 0 {
			ended = append(ended, s.id)
		}
		return age > t.options.MaxAge || age > 0 && s.id == 0
	})
	return ended
}

// advance predicts the tracks to a frame.
func (t *Tracker) advance(frame int) {
	for _, s := range t.tracks {
		for range frame - t.frame {
			s.motion.predict()
		}
	}
}

// match returns the track of each detection, nil for none: strong detections choose among all tracks, and weak ones among
// those that were seen in the frame before and found no strong one.
func (t *Tracker) match(detections []Detection, before int) ([]*state, error) {
	owner := make([]*state, len(detections))
	var strong, weak []int
	for j, d := range detections {
		switch {
		case d.Score >= t.options.StartScore:
			strong = append(strong, j)
		case d.Score >= t.options.KeepScore:
			weak = append(weak, j)
		}
	}
	if err := t.join(t.tracks, detections, strong, owner); err != nil {
		return nil, err
	}
	rest := slices.DeleteFunc(slices.Clone(t.tracks), func(s *state) bool { return s.seen < before || slices.Contains(owner, s) })
	return owner, t.join(rest, detections, weak, owner)
}

// join pairs tracks with the chosen detections and notes who owns them.
func (t *Tracker) join(tracks []*state, detections []Detection, chosen []int, owner []*state) error {
	some := make([]Detection, len(chosen))
	for i, j := range chosen {
		some[i] = detections[j]
	}
	pairs, err := associate(t.options, tracks, some)
	for _, p := range pairs {
		owner[chosen[p.detection]] = tracks[p.track]
	}
	return err
}

func (s *state) see(d Detection, frame int) {
	s.motion.correct(d.Box)
	s.bank.add(unit(d.Embedding))
	s.hits++
	s.seen = frame
}

func (t *Tracker) start(d Detection) *state {
	s := &state{class: d.Class, motion: newMotion(d.Box), bank: bank{size: t.options.BankSize}, hits: 1, seen: t.frame}
	s.bank.add(unit(d.Embedding))
	t.tracks = append(t.tracks, s)
	return s
}

// confirm gives ids to the tracks that have earned them, and describes the others.
func (t *Tracker) confirm(first bool, step *Step) {
	for _, s := range t.tracks {
		switch {
		case s.id != 0 && s.seen < t.frame:
			step.Lost = append(step.Lost, Lost{s.id, s.class, s.motion.box(), t.frame - s.seen})
		case s.id == 0 && (first || s.hits >= t.options.ConfirmHits):
			t.lastID++
			s.id = t.lastID
			step.Confirmed = append(step.Confirmed, s.id)
		case s.id == 0:
			step.Tentative++
		}
	}
}
