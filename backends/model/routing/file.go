package routing

import (
	"fmt"
	"os"
	"path/filepath"
)

// saveJSON writes v in file form.
func saveJSON(path string, v any) error {
	text, err := indentedJSON(v)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

// writeFile writes a whole file or none: to a temporary name in the same folder, synced, then renamed. Folders are created.
func writeFile(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close() // a second close is harmless
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("close %s: %w", path, err)
	}
	return os.Rename(f.Name(), path)
}
