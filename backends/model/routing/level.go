package routing

import (
	"fmt"
	"strings"
)

// Level is a tile level. Each halves the tile edge of the one before.
type Level uint8

// The tile levels, coarse to fine.
const (
	L0 Level = iota
	L1
	L2
)

// Levels lists the levels in the order in which sums over levels run.
var Levels = [...]Level{L0, L1, L2}

// String returns "l0", "l1" or "l2".
func (l Level) String() string {
	if l > L2 {
		return fmt.Sprintf("Level(%d)", uint8(l))
	}
	return [...]string{"l0", "l1", "l2"}[l]
}

// ParseLevel returns the level of a name, ignoring case and surrounding space.
func ParseLevel(s string) (Level, error) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "l0":
		return L0, nil
	case "l1":
		return L1, nil
	case "l2":
		return L2, nil
	}
	//lint:ignore ST1005 the specification (0.2) fixes the words
	return 0, fmt.Errorf("Unsupported tile level %q: must be one of l0, l1, l2", s)
}

func (l Level) check() error {
	if l > L2 {
		//lint:ignore ST1005 the specification (0.2) fixes the words
		return fmt.Errorf("Unsupported tile level %v: must be one of l0, l1, l2", l)
	}
	return nil
}
