package weights

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends/model/config"
)

// Spec is the user's choice of weights: a file, or a seed.
type Spec struct {
	Path string // "" for hashed weights
	Seed uint64 // of hashed weights
}

const hashedPrefix = "hashed:"

// ParseSpec reads FILE or hashed:SEED, the seed a decimal or 0x number of 64 bits. A file whose name begins with "hashed:" is
// reached as ./hashed:NAME.
func ParseSpec(text string) (Spec, error) {
	if text == "" {
		return Spec{}, errors.New("weights: found nothing, want FILE or hashed:SEED")
	}
	seedText, ok := strings.CutPrefix(text, hashedPrefix)
	if !ok {
		return Spec{Path: text}, nil
	}
	seed, err := strconv.ParseUint(seedText, 0, 64)
	if err != nil {
		return Spec{}, fmt.Errorf("weights %.200q: want a seed after hashed: that is a whole number in [0, 18446744073709551615]", text)
	}
	return Spec{Seed: seed}, nil
}

// String is the text that ParseSpec reads.
func (s Spec) String() string {
	if s.Path == "" {
		return hashedPrefix + strconv.FormatUint(s.Seed, 10)
	}
	return s.Path
}

// Metadata is what a weights file says about itself. Absent entries are zero.
type Metadata struct {
	Profile    string
	NumClasses int
	Classes    []string // the classes' names in the order of class ids
	Steps      int      // of training
}

// ParseMetadata reads the entries profile, num_classes, classes (a JSON list of names) and steps, and ignores others.
// The errors name the entry.
func ParseMetadata(entries map[string]string) (Metadata, error) {
	var m Metadata
	if profile, ok := entries["profile"]; ok {
		if !slices.Contains(config.Profiles(), profile) {
			return Metadata{}, badEntry("profile", profile, "one of "+strings.Join(config.Profiles(), ", "))
		}
		m.Profile = profile
	}
	for _, number := range []struct {
		key       string
		at        *int
		low, high int
	}{
		{"num_classes", &m.NumClasses, 1, config.MaxClasses},
		{"steps", &m.Steps, 0, math.MaxInt32},
	} {
		text, ok := entries[number.key]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < number.low || n > number.high {
			return Metadata{}, badEntry(number.key, text, fmt.Sprintf("an integer in [%d,%d]", number.low, number.high))
		}
		*number.at = n
	}
	if text, ok := entries["classes"]; ok {
		if err := json.Unmarshal([]byte(text), &m.Classes); err != nil || len(m.Classes) == 0 || len(m.Classes) > config.MaxClasses {
			return Metadata{}, badEntry("classes", text, fmt.Sprintf("a JSON list of 1 to %d names", config.MaxClasses))
		}
		if m.NumClasses == 0 {
			m.NumClasses = len(m.Classes)
		}
		if m.NumClasses != len(m.Classes) {
			return Metadata{}, badEntry("classes", text, fmt.Sprintf("%d names, as num_classes says", m.NumClasses))
		}
	}
	return m, nil
}

func badEntry(key, found, want string) error {
	return fmt.Errorf("metadata %s: found %.200q, want %s", key, found, want)
}

// Overrides are the configuration overrides that make a default configuration fit the weights, for config.Parse. They are
// meant for a user who gives a weights file and no configuration; the user's own overrides go after them.
func (m Metadata) Overrides() []string {
	var overrides []string
	if m.Profile != "" {
		overrides = append(overrides, "model.profile="+m.Profile)
	}
	if m.NumClasses != 0 {
		overrides = append(overrides, "model.num_classes="+strconv.Itoa(m.NumClasses))
	}
	return overrides
}

// disagreement names what the metadata and cfg say differently, "" for nothing.
func (m Metadata) disagreement(cfg config.Config) string {
	var parts []string
	if m.Profile != "" && m.Profile != cfg.Model.Profile {
		parts = append(parts, fmt.Sprintf("the file is of profile %s, the configuration of %s", m.Profile, cfg.Model.Profile))
	}
	if m.NumClasses != 0 && m.NumClasses != cfg.Model.NumClasses {
		parts = append(parts, fmt.Sprintf("the file has %d classes, the configuration %d", m.NumClasses, cfg.Model.NumClasses))
	}
	return strings.Join(parts, "; ")
}
