package main

import (
	"errors"
	"fmt"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/augment"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/quality"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/reports"
)

func datasetCommand() *cli.Command {
	return &cli.Command{
		Name:        "dataset",
		Usage:       "check, show and augment data sets in COCO's form",
		Subcommands: []*cli.Command{datasetCheckCommand(), datasetShowCommand(), datasetAugmentCommand()},
	}
}

// datasetFlags name a data set, as in eval.
func datasetFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "dataset", Value: quality.Scenes, Usage: "COCO instances `FILE`, or scenes, those of the fixtures folder"},
		&cli.StringFlag{Name: "images", Usage: "`FOLDER` of the pictures (default: images beside the data set, or its own folder)"},
		&cli.BoolFlag{Name: "strict", Usage: "refuse a file with any problem, instead of leaving out what cannot be used"},
	}
}

// openDataset reads what datasetFlags say and tells its problems on standard error.
func openDataset(c *cli.Context) (*quality.Set, error) {
	set, err := quality.Open(c.String("dataset"), c.String("images"), coco.Options{Strict: c.Bool("strict")})
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	tellProblems(c, set.Name, set.Problems)
	return set, nil
}

// tellProblems writes the first problems of a file to standard error.
func tellProblems(c *cli.Context, name string, p coco.Problems) {
	if p.Count > 0 {
		fmt.Fprintf(c.App.ErrWriter, "%s: %v\n%s", name, p, p.Lines(10))
	}
}

func datasetCheckCommand() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "list everything that is wrong with a data set",
		Description: `Reads the annotations and the beginning of every picture and writes each problem in a line, by record and field, and then what the data set has of each
class. The exit code is 2 if a record or a picture cannot be used, and with --strict for any problem.`,
		Flags:  datasetFlags(),
		Action: checkDataset,
	}
}

func checkDataset(c *cli.Context) error {
	out, strict := c.App.Writer, c.Bool("strict")
	problems, useless := 0, 0
	tell := func(p coco.Problem) {
		if problems++; p.LeftOut {
			useless++
		}
		fmt.Fprintln(out, p)
	}
	set, err := quality.Open(c.String("dataset"), c.String("images"), coco.Options{Strict: strict, Each: tell})
	switch refused := (*coco.StrictError)(nil); {
	case errors.As(err, &refused): // every problem was told
	case err != nil:
		return exit.With(exit.Usage, err)
	default:
		set.CheckPictures(func(p coco.Problem) {
			tell(p)
			useless++
		})
		if err := reports.DatasetTable(out, set.Count()); err != nil {
			return err
		}
	}
	switch {
	case strict && problems > 0:
		fmt.Fprintf(out, "\nFAIL  problems: %d; strictly there may be none\n", problems)
	case useless > 0:
		fmt.Fprintf(out, "\nFAIL  problems: %d; for %d of them a record or a picture cannot be used\n", problems, useless)
	default:
		_, err = fmt.Fprintf(out, "\nPASS  every record and every picture can be used; problems: %d\n", problems)
		return err
	}
	return exit.Silent(exit.Usage)
}

func datasetShowCommand() *cli.Command {
	return &cli.Command{
		Name:  "show",
		Usage: "draw the annotations into the pictures",
		Flags: append(datasetFlags(),
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` for the drawn pictures, ID.png"},
			&cli.Int64SliceFlag{Name: "id", Usage: "`ID` of an image to draw; may be repeated (default: the first 20)"}),
		Action: showDataset,
	}
}

// mostShown is how many images are drawn if none is named.
const mostShown = 20

func showDataset(c *cli.Context) error {
	dir := c.String("out")
	if dir == "" {
		return usagef("--out FOLDER is missing")
	}
	set, err := openDataset(c)
	if err != nil {
		return err
	}
	list := set.Data.Images[:min(len(set.Data.Images), mostShown)]
	if ids := c.Int64Slice("id"); len(ids) > 0 {
		list = nil
		for _, id := range ids {
			i := slices.IndexFunc(set.Data.Images, func(im coco.Image) bool { return im.ID == id })
			if i < 0 {
				return usagef("--id %d is that of no image of %s", id, set.Name)
			}
			list = append(list, set.Data.Images[i])
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	objects := set.ByImage()
	for _, im := range list {
		if err := c.Context.Err(); err != nil {
			return err
		}
		p, err := set.Picture(im)
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		drawn := reports.Overlay(reports.Scene{Picture: p, Detections: set.Truth(im, objects[im.ID])})
		if err := atomicfile.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", im.ID)), 0o644, func(w io.Writer) error { return png.Encode(w, drawn) }); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d of %d images drawn into %s\n", set.Name, len(list), len(set.Data.Images), printable.Line(dir))
	return err
}

func datasetAugmentCommand() *cli.Command {
	return &cli.Command{
		Name:  "augment",
		Usage: "make a new data set of mirrored pictures and mosaics",
		Description: `Writes pictures and annotations that eval and other tools read. A mosaic puts parts of four pictures into one, so that an important object of each is whole.
Masks are cut with the pixels, boxes follow from masks, and objects of which too little is left are left out. The same seed makes the same data set.`,
		Flags: append(datasetFlags(),
			&cli.StringFlag{Name: "out", Usage: "`FOLDER` for images and annotations.json"},
			&cli.IntFlag{Name: "count", Usage: "`N` new pictures, from 1 to 10000000", DefaultText: "as many as there are"},
			&cli.Float64Flag{Name: "flip", Usage: "probability `X` from 0 to 1 that a picture is mirrored"},
			&cli.StringFlag{Name: "mosaic", Usage: "make mosaics of `HEIGHTxWIDTH` pixels"},
			&cli.Float64Flag{Name: "min-visibility", Usage: "part `X` from 0 to 1 of an object that has to be left", DefaultText: "0.15 in mosaics, else 0"},
			&cli.Float64Flag{Name: "min-area", Value: augment.MosaicLimits.MinArea, Usage: "`N` pixels that the box of an object has at least"},
			&cli.Uint64Flag{Name: "seed", Usage: "`N` of all that is drawn by chance"}),
		Action: augmentDataset,
	}
}

func augmentDataset(c *cli.Context) error {
	dir := c.String("out")
	if dir == "" {
		return usagef("--out FOLDER is missing")
	}
	recipe, err := recipeOf(c)
	if err != nil {
		return err
	}
	count := c.Int("count")
	if c.IsSet("count") && (count < 1 || count > 10_000_000) {
		return usagef("--count %d is outside [1, 10000000]", count)
	}
	set, err := openDataset(c)
	if err != nil {
		return err
	}
	if n := len(set.Data.Images); n < recipe.Least() {
		return usagef("a mosaic is made of %d pictures, and %s has %d", recipe.Least(), set.Name, n)
	} else if count == 0 {
		count = n
	}
	made, err := recipe.Write(c.Context, augment.Source{Data: set.Data, Picture: set.Picture}, count, dir)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d images, %d objects\n", printable.Line(dir), len(made.Images), len(made.Annotations))
	return err
}

// recipeOf reads the flags of augment.
func recipeOf(c *cli.Context) (augment.Recipe, error) {
	r := augment.Recipe{Flip: c.Float64("flip"), Seed: c.Uint64("seed"), Limits: augment.Limits{MinArea: c.Float64("min-area"), MinVisibility: c.Float64("min-visibility")}}
	if text := c.String("mosaic"); text != "" {
		size, err := perf.ParseSize(text)
		if err != nil {
			return r, usagef("--mosaic: %v", err)
		}
		if min(size.Height, size.Width) < 2 || size.Height > picture.MaxPixels/size.Width {
			return r, usagef("--mosaic %s: want sides of at least 2 and at most %d million pixels", text, picture.MaxPixels>>20)
		}
		r.Mosaic = augment.NewMosaic(size.Height, size.Width)
		if !c.IsSet("min-visibility") {
			r.Limits.MinVisibility = augment.MosaicLimits.MinVisibility
		}
	}
	switch {
	case !(r.Flip >= 0 && r.Flip <= 1):
		return r, usagef("--flip %v is outside [0, 1]", r.Flip)
	case !(r.Limits.MinVisibility >= 0 && r.Limits.MinVisibility <= 1):
		return r, usagef("--min-visibility %v is outside [0, 1]", r.Limits.MinVisibility)
	case !(r.Limits.MinArea >= 0):
		return r, usagef("--min-area %v is below 0", r.Limits.MinArea)
	}
	return r, nil
}
