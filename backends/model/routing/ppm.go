package routing

import (
	"fmt"
	"path/filepath"
	"strings"
)

// SavePPM writes the image to a file whose name must end in .ppm, in any case. Folders are created; the file is written
// whole or not at all.
func SavePPM(path string, image RGB) error {
	if !strings.EqualFold(filepath.Ext(path), ".ppm") {
		return fmt.Errorf("overlay file %q: the name must end in .ppm", path)
	}
	data, err := image.EncodePPM()
	if err != nil {
		return err
	}
	return writeFile(path, data)
}
