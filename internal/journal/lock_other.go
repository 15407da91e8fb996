//go:build !unix

package journal

import (
	"os"
	"path/filepath"
)

// lockFolder opens the file of the lock. Where the system has no advisory locks, nothing keeps a second writer out.
func lockFolder(dir string) (*os.File, error) {
	return os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o644)
}
