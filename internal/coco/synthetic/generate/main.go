// Command generate writes a synthetic data set of the size of COCO: annotations.json and results.json, into the working directory.
//
//	go run github.com/apex-x/apexx/internal/coco/synthetic/generate -images 5000 -detections 100
package main

import (
	"flag"
	"io"
	"log"
	"os"

	"github.com/apex-x/apexx/internal/coco/synthetic"
)

func main() {
	var spec synthetic.Spec
	flag.IntVar(&spec.Images, "images", 5000, "images")
	flag.IntVar(&spec.Classes, "classes", 80, "categories")
	flag.Float64Var(&spec.Objects, "objects", 7.3, "objects on average in an image")
	flag.IntVar(&spec.Detections, "detections", 100, "detections in an image")
	flag.Float64Var(&spec.Noise, "noise", 0.1, "how far detections are off, in parts of an object's sides")
	flag.Float64Var(&spec.Miss, "miss", 0.2, "share of the objects that are not found")
	flag.BoolVar(&spec.Ties, "ties", false, "scores in steps of 0.1")
	flag.BoolVar(&spec.Masks, "masks", false, "masks beside the boxes of the results")
	flag.Uint64Var(&spec.Seed, "seed", 1, "seed")
	flag.Parse()
	set := synthetic.New(spec)
	write("annotations.json", set.Annotations)
	write("results.json", set.Results)
}

func write(name string, content func(io.Writer) error) {
	f, err := os.Create(name)
	if err == nil {
		err = content(f)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}
