package routing

import (
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/internal/atomicfile"
)

// saveJSON writes v in file form.
func saveJSON(path string, v any) error {
	text, err := indentedJSON(v)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

// writeFile writes a whole file or none. Folders are created.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(path, 0o644, data)
}
