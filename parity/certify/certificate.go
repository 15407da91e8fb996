package certify

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity"
)

// SchemaID names the version of the JSON form of a Certificate.
const SchemaID = "apexx.certificate/1"

// Certificate says for which variations of its execution a model gives the same bits.
type Certificate struct {
	Schema      string            `json:"schema"`
	Revision    string            `json:"revision"` // of the program; "" where the build did not record it
	Modified    bool              `json:"modified"` // built from a tree with changes
	Config      string            `json:"config_sha256"`
	Weights     string            `json:"weights_sha256"`
	Decode      map[string]string `json:"decode"` // settings of decoding and suppression
	Facts       []Fact            `json:"facts"`  // of libraries, drivers and devices, in order
	FactsDigest string            `json:"facts_sha256"`
	Entries     []Entry           `json:"entries"`
}

// Fact is one thing that bits may depend on.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Entry is one case on one backend.
type Entry struct {
	Case    string            `json:"case"`
	Input   string            `json:"input_sha256"`
	Column  parity.Column     `json:"column"`
	Options map[string]string `json:"options,omitempty"` // of the backend
	Digest  string            `json:"outputs_sha256"`    // of the base: one image, a fresh process, the default number of threads
	Claims  []Claim           `json:"claims"`
}

// Claim is a variation of the execution and what came of it.
type Claim struct {
	Kind    Kind   `json:"kind"`
	Variant string `json:"variant"` // "2 threads", "batch 3, position 1"
	Digest  string `json:"outputs_sha256"`
	Same    bool   `json:"same"` // as the base
}

// Kind is what a variation varies.
type Kind string

// The kinds.
const (
	Repeat   Kind = "repeat"   // again in the same session
	Stale    Kind = "stale"    // again after another input
	Process  Kind = "process"  // in a fresh process
	Beside   Kind = "beside"   // while another session computes something else
	Threads  Kind = "threads"  // with another number of threads
	Batch    Kind = "batch"    // as a sample of a batch, at the first position
	Position Kind = "position" // as a sample of a batch, elsewhere
)

// Kinds lists all, those first that a deterministic backend has.
var Kinds = []Kind{Repeat, Stale, Process, Beside, Threads, Batch, Position}

// deterministic are the kinds whose bits have to be the same for a backend to be called so.
var deterministic = Kinds[:4]

// Deterministic tells whether all entries are: of each of those kinds there are claims, and all are of the same bits.
func (c *Certificate) Deterministic() bool {
	return len(c.Entries) > 0 && !slices.ContainsFunc(c.Entries, func(e Entry) bool {
		return slices.ContainsFunc(deterministic, func(k Kind) bool {
			of := func(x Claim) bool { return x.Kind == k }
			return !slices.ContainsFunc(e.Claims, of) || slices.ContainsFunc(e.Claims, func(x Claim) bool { return of(x) && !x.Same })
		})
	})
}

// Seal fills the digest of the facts.
func (c *Certificate) Seal() {
	h := sha256.New()
	for _, f := range c.Facts {
		fmt.Fprintf(h, "%q=%q\n", f.Key, f.Value)
	}
	c.FactsDigest = hex.EncodeToString(h.Sum(nil))
}

// Read reads a certificate and checks it.
func Read(from io.Reader) (*Certificate, error) {
	d := json.NewDecoder(from)
	d.DisallowUnknownFields()
	var c Certificate
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("certificate: something follows the object")
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	return &c, nil
}

// Check refuses a certificate whose digest of the facts is not theirs, or that contradicts itself.
func (c *Certificate) Check() error {
	if c.Schema != SchemaID {
		return fmt.Errorf("certificate: its schema is %.40q, want %q", c.Schema, SchemaID)
	}
	sealed := *c
	sealed.Seal()
	if sealed.FactsDigest != c.FactsDigest {
		return fmt.Errorf("certificate: facts_sha256 is not that of its facts")
	}
	if len(c.Entries) == 0 {
		return fmt.Errorf("certificate: it has no entries")
	}
	for i := range c.Entries {
		e := &c.Entries[i]
		if slices.ContainsFunc(c.Entries[:i], func(o Entry) bool { return o.Case == e.Case && o.Column == e.Column }) {
			return fmt.Errorf("certificate: case %q on %s comes twice", e.Case, e.Column)
		}
		if err := e.check(); err != nil {
			return fmt.Errorf("certificate: case %q on %s %w", e.Case, e.Column, err)
		}
	}
	return nil
}

// check refuses an entry that lacks a kind of claim without which nobody can call it deterministic or not, or that contradicts itself.
func (e *Entry) check() error {
	for _, k := range deterministic {
		if !slices.ContainsFunc(e.Claims, func(x Claim) bool { return x.Kind == k }) {
			return fmt.Errorf("has no claims of the kind %s", k)
		}
	}
	for i, x := range e.Claims {
		switch {
		case !slices.Contains(Kinds, x.Kind) || x.Same != (x.Digest == e.Digest):
			return fmt.Errorf("contradicts itself about %s, %s", x.Kind, x.Variant)
		case slices.ContainsFunc(e.Claims[:i], x.about):
			return fmt.Errorf("has the claim of %s, %s, twice", x.Kind, x.Variant)
		}
	}
	return nil
}

// about tells whether two claims are of one variation.
func (x Claim) about(y Claim) bool { return x.Kind == y.Kind && x.Variant == y.Variant }

// Compare lists, one line each, what a certificate that was taken anew has otherwise, or more: a claim that a certificate lacks may have been
// taken out of it. Nothing means that all of it holds.
func Compare(old, now *Certificate) []string {
	var list []string
	differ := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if old.Config != now.Config || old.Weights != now.Weights {
		differ("it is of another model: configuration %.12s and weights %.12s, here %.12s and %.12s", old.Config, old.Weights, now.Config, now.Weights)
	}
	for _, e := range old.Entries {
		at := slices.IndexFunc(now.Entries, func(n Entry) bool { return n.Case == e.Case && n.Column == e.Column })
		if at < 0 {
			differ("case %s on %s was not taken again", e.Case, e.Column)
			continue
		}
		n := &now.Entries[at]
		switch {
		case n.Input != e.Input:
			differ("case %s is another input", e.Case)
		case n.Digest != e.Digest:
			differ("case %s on %s: the outputs have other bits", e.Case, e.Column)
		}
		for _, x := range e.Claims {
			i := slices.IndexFunc(n.Claims, x.about)
			switch {
			case i < 0:
				differ("case %s on %s: %s, %s, was not taken again", e.Case, e.Column, x.Kind, x.Variant)
			case n.Claims[i].Same != x.Same:
				differ("case %s on %s: %s, %s: the bits are %s, and were %s", e.Case, e.Column, x.Kind, x.Variant, sameWord(n.Claims[i].Same), sameWord(x.Same))
			}
		}
		for _, x := range n.Claims {
			if !slices.ContainsFunc(e.Claims, x.about) {
				differ("case %s on %s: the certificate lacks %s, %s", e.Case, e.Column, x.Kind, x.Variant)
			}
		}
	}
	for _, n := range now.Entries {
		if !slices.ContainsFunc(old.Entries, func(e Entry) bool { return n.Case == e.Case && n.Column == e.Column }) {
			differ("the certificate lacks case %s on %s", n.Case, n.Column)
		}
	}
	return list
}

func sameWord(same bool) string {
	if same {
		return "the same"
	}
	return "others"
}

// Verdict says in a line whether the certificate finds everything deterministic.
func (c *Certificate) Verdict() string {
	words := make([]string, len(deterministic))
	for i, k := range deterministic {
		words[i] = string(k)
	}
	if !c.Deterministic() {
		return "NOT DETERMINISTIC: of " + strings.Join(words, ", ") + " not all gave the same bits"
	}
	return "DETERMINISTIC: all of " + strings.Join(words, ", ") + " gave the same bits"
}

// Text writes a certificate for people: its table and its verdict.
func (c *Certificate) Text(w io.Writer) error {
	if err := c.Table(w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, c.Verdict())
	return err
}

// Table writes a line per case and backend, with how many variations of each kind gave the same bits, and what that means.
func (c *Certificate) Table(w io.Writer) error {
	var b bytes.Buffer
	width := len("case")
	for _, e := range c.Entries {
		width = max(width, len(e.Case))
	}
	fmt.Fprintf(&b, "%-*s  %-16s", width, "case", "backend")
	for _, k := range Kinds {
		fmt.Fprintf(&b, "  %8s", k)
	}
	b.WriteString("  outputs\n")
	for _, e := range c.Entries {
		fmt.Fprintf(&b, "%-*s  %-16s", width, e.Case, e.Column)
		for _, k := range Kinds {
			same, all := 0, 0
			for _, x := range e.Claims {
				if x.Kind == k {
					all++
					if x.Same {
						same++
					}
				}
			}
			fmt.Fprintf(&b, "  %8s", fmt.Sprintf("%d/%d", same, all))
		}
		fmt.Fprintf(&b, "  %.12s\n", e.Digest)
	}
	b.WriteString("\nHow many variations gave the same bits as one image in a fresh process with the default number of threads.\n")
	_, err := b.WriteTo(w)
	return err
}
