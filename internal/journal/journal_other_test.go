//go:build !linux

package journal

import "fmt"

func otherLimited(_ *Journal, mode string) error { return fmt.Errorf("unknown mode %q", mode) }
