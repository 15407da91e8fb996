//go:build !unix

package filelock

import "os"

// lock does nothing where the system has no advisory locks: nothing keeps a second process out.
func lock(*os.File) error { return nil }
