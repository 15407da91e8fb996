package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/internal/track"
	"github.com/apex-x/apexx/internal/video"
	"github.com/apex-x/apexx/reports"
)

// sequenceFlags belong to --video.
func sequenceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "tracks", Usage: "with --video: write the tracks to `FILE` as MOTChallenge text"},
		&cli.StringFlag{Name: "truth", Usage: "with --video: MOTChallenge text `FILE` with the true tracks, to tell HOTA, MOTA and IDF1 against"},
		&cli.StringFlag{Name: "summary", Usage: "with --video: write tracks, flicker of the selected tiles and times to `FILE` as JSON"},
		&cli.StringFlag{Name: "association", Value: string(track.Hungarian), Usage: "with --video: how detections are given to tracks, `NAME`: hungarian or greedy"},
		&cli.BoolFlag{Name: "hysteresis", Usage: "with --video: hold the selection of tiles from frame to frame by routing.theta_on and theta_off; the backbone then runs twice"},
	}
}

// sequenceOptions are what sequenceFlags say.
type sequenceOptions struct {
	dir        string
	track      track.Options
	hysteresis bool
}

// sequenceOf returns nil without --video, which the other flags need.
func sequenceOf(c *cli.Context) (*sequenceOptions, error) {
	if !c.IsSet("video") {
		for _, f := range sequenceFlags() {
			if name := f.Names()[0]; c.IsSet(name) {
				return nil, usagef("--%s needs --video", name)
			}
		}
		return nil, nil
	}
	s := &sequenceOptions{dir: c.String("video"), track: track.DefaultOptions(), hysteresis: c.Bool("hysteresis")}
	s.track.Association = track.Association(c.String("association"))
	if !slices.Contains(track.Associations, s.track.Association) {
		return nil, usagef("unknown --association %q (known: %s, %s)", s.track.Association, track.Hungarian, track.Greedy)
	}
	return s, nil
}

// sequence runs the frames of a folder. Files are written of the frames that were run, also where something ends the run early.
func (r runner) sequence(s sequenceOptions) error {
	frames, err := source.OpenFrames(s.dir)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	spec := video.Spec{Backend: r.backend, Model: r.model, Frames: frames, Decode: r.decode, Session: r.options, Track: s.track, Hysteresis: s.hysteresis}
	if path := r.c.String("truth"); path != "" {
		if spec.Truth, err = mot.Load(path); err != nil {
			return exit.With(exit.Usage, err)
		}
	}
	w := sequenceWriter{runner: r, total: len(frames.Paths), quiet: r.c.String("json") == "-"}
	var played *video.Played
	var ended error
	written := w.withLines(func() error {
		if played, ended = video.Play(r.c.Context, spec, w.frame); played == nil {
			return errNoFrame
		}
		return nil
	})
	if played == nil {
		return ended
	}
	return errors.Join(ended, written, w.finish(played))
}

// errNoFrame keeps a file from being written without a line.
var errNoFrame = errors.New("no frame was run")

// sequenceWriter writes what a sequence gives, frame by frame.
type sequenceWriter struct {
	runner
	total int
	quiet bool // standard output is the lines and nothing else
	lines *json.Encoder
}

// withLines calls play while the file of lines is open.
func (w *sequenceWriter) withLines(play func() error) error {
	encode := func(to io.Writer) error {
		w.lines = json.NewEncoder(to)
		w.lines.SetEscapeHTML(false)
		return play()
	}
	switch path := w.c.String("json"); path {
	case "":
		return encode(io.Discard)
	case "-":
		return encode(w.c.App.Writer)
	default:
		return atomicfile.WriteFile(path, 0o644, encode)
	}
}

// frame writes the files of one frame.
func (w *sequenceWriter) frame(f *video.Frame) error {
	err := errors.Join(w.writeOut(f.Input, f.Outputs), w.writeFrameOverlay(f),
		w.writePanoptic(f.Input, []reports.Image{f.Report.Image}, f.Outputs), w.lines.Encode(f.Report))
	if err != nil || w.quiet {
		return err
	}
	_, err = io.WriteString(w.c.App.Writer, frameLine(f.Report, w.total))
	return err
}

func (w *sequenceWriter) writeFrameOverlay(f *video.Frame) error {
	if w.c.String("overlay") == "" {
		return nil
	}
	scene := f.Subject.SceneOf(f.Report.Image, f.Input.Image, 0)
	scene.Lost = f.Report.Tracks.Lost
	return w.drawOverlay(scene, f.Input.Name)
}

// finish writes the files of the whole sequence.
func (w *sequenceWriter) finish(p *video.Played) error {
	write := func(flag string, write func(io.Writer) error) error {
		if path := w.c.String(flag); path != "" {
			return atomicfile.WriteFile(path, 0o644, write)
		}
		return nil
	}
	err := errors.Join(
		write("tracks", func(to io.Writer) error { return mot.Write(to, p.Tracks) }),
		write("summary", func(to io.Writer) error { return reports.IndentedJSON(to, p.Report) }),
		w.writePanopticDocument())
	if err != nil || w.quiet {
		return err
	}
	_, err = io.WriteString(w.c.App.Writer, sequenceText(p.Report))
	return err
}

// frameLine says in one line what was found in a frame and which tracks are there.
func frameLine(f *reports.Frame, total int) string {
	var seen, lost []int64
	for _, d := range f.Image.Detections {
		if d.TrackID != 0 {
			seen = append(seen, d.TrackID)
		}
	}
	for _, l := range f.Tracks.Lost {
		lost = append(lost, l.ID)
	}
	slices.Sort(seen)
	text := fmt.Sprintf("%d/%d  %s  %.1f ms  %s", f.Frame, total, f.Name, f.BackendExecute, foundText(f.Image))
	return text + idText("  tracks", seen) + idText("  lost", lost) + idText("  ended", f.Tracks.Ended) + "\n"
}

func idText(name string, ids []int64) string {
	if len(ids) == 0 {
		return ""
	}
	return name + " " + strings.Trim(fmt.Sprint(ids), "[]")
}

// sequenceText sums a sequence up.
func sequenceText(s *reports.Sequence) string {
	count := fmt.Sprintf("%d frames", s.Frames)
	if s.State != reports.SequenceComplete {
		count = fmt.Sprintf("INCOMPLETE: %d of %d frames", s.Frames, s.FramesTotal)
	}
	flicker := fmt.Sprintf("%.4f", s.Flicker["l0"].FlipRate)
	if s.Hysteresis != nil {
		flicker += fmt.Sprintf(" (%.4f without hysteresis)", s.Flicker[reports.FlickerFree].FlipRate)
	}
	text := fmt.Sprintf("%s  %s %s  median %.1f ms  %d tracks  flip rate of tiles %s\n", count, s.Backend, s.DType, s.Latency.Median, len(s.Tracks), flicker)
	if m := s.Metrics; m != nil {
		text += fmt.Sprintf("against the truth  HOTA %.3f (DetA %.3f, AssA %.3f)  MOTA %.3f  IDF1 %.3f  id switches %d  fragmentations %d\n",
			m.HOTA, m.DetA, m.AssA, m.MOTA, m.IDF1, m.IDSwitches, m.Fragmentations)
	}
	return text
}
