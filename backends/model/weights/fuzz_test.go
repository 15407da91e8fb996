package weights

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/model/config"
)

// Whatever a file says about itself, it is rejected in one line or leads to a valid configuration.
func FuzzParseMetadata(f *testing.F) {
	f.Add("nano", "8", `["disk", "ring"]`, "4066")
	f.Add("", "2", `["a", "b"]`, "0")
	f.Add("small", "", "null", "-1")
	f.Add("nano", "65536", "", "")
	f.Add("huge", "99999999999999999999", "[[", "1e3")
	f.Fuzz(func(t *testing.T, profile, count, classes, steps string) {
		entries := map[string]string{}
		for key, value := range map[string]string{"profile": profile, "num_classes": count, "classes": classes, "steps": steps} {
			if value != "" {
				entries[key] = value
			}
		}
		m, err := ParseMetadata(entries)
		if err != nil {
			if text := err.Error(); len(text) > 1200 || strings.Contains(text, "\n") {
				t.Fatalf("error %q, want one short line", text)
			}
			return
		}
		cfg, err := config.Parse(nil, m.Overrides())
		if err != nil {
			t.Fatalf("%+v leads to %v", m, err)
		}
		if m.NumClasses > 0 && cfg.Model.NumClasses != m.NumClasses || m.Profile != "" && cfg.Model.Profile != m.Profile {
			t.Fatalf("%+v leads to profile %s, %d classes", m, cfg.Model.Profile, cfg.Model.NumClasses)
		}
	})
}

func FuzzParseSpec(f *testing.F) {
	for _, seed := range []string{"", "a.safetensors", "hashed:", "hashed:123", "hashed:0x_ff", "hashed:-1", "hashed:hashed:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		spec, err := ParseSpec(text)
		if err != nil {
			return
		}
		if again, err := ParseSpec(spec.String()); err != nil || again != spec {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", text, spec, spec.String(), again, err)
		}
	})
}
