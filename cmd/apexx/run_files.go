package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/panoptic"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/reports"
)

// target returns where the file of one input goes: the path itself, or NAME.ext in the folder it names.
func (r runner) target(path, name, ext string) (string, error) {
	if !r.many {
		return path, nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return "", err
	}
	return filepath.Join(path, name+ext), nil
}

func (r runner) writeOut(in source.Input, outputs tensor.List) error {
	if r.c.String("out") == "" {
		return nil
	}
	path, err := r.target(r.c.String("out"), in.Name, ".safetensors")
	if err != nil {
		return err
	}
	return source.WriteTensors(path, map[string]string{"backend": r.choice.backend.Name(), "precision": string(r.options.Precision),
		"config_sha256": r.model.ConfigDigest, "weights_sha256": r.model.WeightsDigest}, outputs)
}

// writeOverlay draws the first sample, and with a batch from --tensors every sample into a folder.
func (r runner) writeOverlay(in source.Input, report *reports.Run) error {
	if r.c.String("overlay") == "" {
		return nil
	}
	r.many = r.many || len(report.Images) > 1
	for i := range report.Images {
		scene := reports.SubjectOf(r.model, in).SceneOf(report.Images[i], in.Image, i)
		if err := r.drawOverlay(scene, sampleName(in, report.Images, i)); err != nil {
			return err
		}
	}
	return nil
}

func (r runner) drawOverlay(scene reports.Scene, name string) error {
	path, err := r.target(r.c.String("overlay"), name, ".png")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return png.Encode(w, reports.Overlay(scene)) })
}

// sampleName names one sample of an input: by its number where there are several.
func sampleName(in source.Input, images []reports.Image, i int) string {
	if len(images) == 1 {
		return in.Name
	}
	return fmt.Sprintf("%s-%d", in.Name, i)
}

// writePanoptic writes the segmentation of every sample and lists it in the document.
func (r runner) writePanoptic(in source.Input, images []reports.Image, outputs tensor.List) error {
	if r.panoptic == nil {
		return nil
	}
	r.many = true // it is a folder
	for i, im := range images {
		m, err := panoptic.OfRun(reports.SubjectOf(r.model, in), im, outputs, i, panoptic.DefaultOptions())
		if err != nil {
			return exit.With(exit.Internal, fmt.Errorf("%s: %w", in.Name, err))
		}
		name := sampleName(in, images, i)
		path, err := r.target(r.c.String("panoptic"), name, ".png")
		if err != nil {
			return err
		}
		if err := atomicfile.WriteFile(path, 0o644, m.WritePNG); err != nil {
			return err
		}
		tracks := make([]int64, len(im.Detections))
		for j, d := range im.Detections {
			tracks[j] = d.TrackID
		}
		r.panoptic.Add(m, name, name+".png", tracks)
	}
	return nil
}

// writePanopticDocument writes the file that belongs to the folder of the segmentations: NAME.json beside NAME, as COCO has it.
func (r runner) writePanopticDocument() error {
	if r.panoptic == nil {
		return nil
	}
	path := filepath.Clean(r.c.String("panoptic")) + ".json"
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return json.NewEncoder(w).Encode(r.panoptic) })
}

// writeReports writes the JSON (one object, or a list for several images) and, unless that goes to standard output, a line
// per run for people.
func (r runner) writeReports(list []*reports.Run) error {
	if r.c.String("json") != "" {
		caps := execute.DetectCaps(r.c.Context)
		for _, rep := range list {
			rep.RuntimeCaps = caps
		}
	}
	var value any = list
	if !r.many {
		value = list[0]
	}
	switch path := r.c.String("json"); path {
	case "-":
		return reports.IndentedJSON(r.c.App.Writer, value)
	case "":
	default:
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return reports.IndentedJSON(w, value) }); err != nil {
			return err
		}
	}
	for _, rep := range list {
		if _, err := io.WriteString(r.c.App.Writer, summaryLine(rep)); err != nil {
			return err
		}
	}
	return nil
}
