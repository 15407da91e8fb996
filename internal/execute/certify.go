package execute

import (
	"context"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/certify"
)

// CertifySubject is a case on a backend. What runs beside it and in its batches is its own mirror image.
func CertifySubject(c *source.Case, b backends.Backend, opts backends.Options) certify.Subject {
	return certify.Subject{Case: c.Name, Backend: b, Options: opts, Image: c.Image, Other: mirrored(c.Image),
		Build: func(batch int) (*graph.Graph, error) {
			s := c.Image.Shape()
			return c.Model.Graph(model.Options{Batch: batch, Height: s[2], Width: s[3], Decode: c.Decode})
		}}
}

// CertifyFacts tells what bits may depend on beside the program and the model: processor, variables of the environment, and of each backend what it tells of itself, with
// digests of its libraries and its worker in the place of their paths; GPUs and their driver.
func CertifyFacts(ctx context.Context, names []string) []certify.Fact {
	e := Environment(ctx, false).Measured() // what a worker tells of its own is among its facts
	facts := []certify.Fact{{Key: "platform", Value: e.OS + "/" + e.Arch}, {Key: "cpu", Value: e.CPU.Model}}
	for _, v := range e.Variables {
		facts = append(facts, certify.Fact{Key: "variable." + v.Key, Value: v.Value})
	}
	for _, name := range names {
		for _, f := range ask(ctx, name).Facts {
			if f.NamesLibrary() || f.Key == "worker" {
				f.Key, f.Value = f.Key+"_sha256", digestOrWhy(f.Value)
			}
			facts = append(facts, certify.Fact{Key: name + "." + f.Key, Value: f.Value})
		}
	}
	for _, g := range e.GPUs {
		facts = append(facts, certify.Fact{Key: "gpu", Value: g.Name}, certify.Fact{Key: "driver", Value: g.Driver})
	}
	return facts
}

// digestOrWhy returns the SHA-256 of a file, "unreadable" where there is none.
func digestOrWhy(path string) string {
	sum, err := DigestFile(path)
	if err != nil {
		return "unreadable"
	}
	return sum
}
