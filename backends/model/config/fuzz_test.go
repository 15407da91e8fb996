package config

import (
	"reflect"
	"strings"
	"testing"
)

// checkParsed asserts what must hold of every accepted configuration: it is valid, and writing it changes nothing.
func checkParsed(t *testing.T, c Config) {
	if err := c.Validate(); err != nil {
		t.Fatalf("accepted and invalid: %v", err)
	}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text, nil)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Fatalf("written as\n%s\nand read as %+v, %v; want %+v", text, again, err, c)
	}
}

// checkRejected asserts that every line of an error is short and printable.
func checkRejected(t *testing.T, err error) {
	for line := range strings.Lines(err.Error()) {
		if len(line) > 1000 || strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return r < ' ' }) {
			t.Fatalf("a line of the error is %q", line)
		}
	}
}

func FuzzParse(f *testing.F) {
	text, err := Default().YAML()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	for _, seed := range []string{"", "model: {profile: nano, pv_channels: [1, 2, 3]}", "a: &a [*a]", "model:\n  <<: {}\n", "train: {output_dir: |\n  x\n}", "? {}\n: x", "--- \n...\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		c, err := Parse(source, nil)
		if err != nil {
			checkRejected(t, err)
			return
		}
		checkParsed(t, c)
	})
}

func FuzzOverride(f *testing.F) {
	for _, seed := range []string{"model.profile=nano", "train.output_dir=\"a\\nb\"", "model.pv_channels=[1, 2, 3]", "model.tile_size_l0=0x10", "train.dual_delta_clip=~", "x", "=", "train.curriculum_stages=[\"\\0\", '''']"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, override string) {
		c, err := Parse(nil, []string{override})
		if err != nil {
			checkRejected(t, err)
			return
		}
		checkParsed(t, c)
	})
}
