//go:build cgo

package ort

import (
	"crypto/sha256"
	_ "embed" // of recipe
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/apex-x/apexx/backends"
)

// Names in a cache of engines: of the folder that holds those of one session, before its digest, and of folders in which a session builds.
const (
	engineFolder = "ort-"
	partFolder   = "ort-part-"
)

// abandoned is the age from which a folder in which a session builds is one that ended while it did.
const abandoned = 24 * time.Hour

// engines is where the provider tensorrt finds and keeps what it builds for one session. The provider's own names tell neither weights nor
// libraries apart, and it writes engines piece by piece: a session builds in a folder of its own, which takes its name when all are there.
type engines struct {
	cache  string // folder; "" for none
	digest string // of all that engines depend on
}

// recipe is how sessions are configured, which decides what of a graph becomes engines. Two builds that differ in it, such as the sides of a gate, share none.
//
//go:embed options.go
var recipe []byte

// engineDigest is the SHA-256 of what engines depend on, in hexadecimal: the model with its weights, the options, the libraries and the device.
func engineDigest(model []byte, set settings, lib *library) string {
	h := sha256.New()
	fmt.Fprintf(h, "%v\n%v\n%s\n%s\n%s\n", set.level, tensorRTOptions(set.engineLevel, ""), lib.version, lib.tensorRT, lib.driver.device())
	for _, part := range [][]byte{recipe, model} {
		fmt.Fprintf(h, "%d\n", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// load calls open with the folder of engines, or with one to build them in, and keeps what it built there. Engines that open refuses are built anew.
func (e engines) load(open func(folder string) error) error {
	if e.cache == "" {
		return open("")
	}
	place := filepath.Join(e.cache, engineFolder+e.digest)
	if info, err := os.Stat(place); err == nil && info.IsDir() && open(place) == nil {
		return nil
	}
	part, err := e.part()
	if err != nil {
		return unavailable(backends.EngineCacheUnwritable, "%v; name another folder (--engine-cache), or none", err)
	}
	defer os.RemoveAll(part)
	if err := open(part); err != nil {
		return err
	}
	if os.RemoveAll(place) == nil {
		_ = os.Rename(part, place) // fails where another session was faster: its engines are as good
	}
	return nil
}

// part makes a folder to build in, and removes those that were abandoned.
func (e engines) part() (string, error) {
	if err := os.MkdirAll(e.cache, 0o755); err != nil {
		return "", err
	}
	old, _ := filepath.Glob(filepath.Join(e.cache, partFolder+"*"))
	for _, dir := range old {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > abandoned {
			_ = os.RemoveAll(dir)
		}
	}
	return os.MkdirTemp(e.cache, partFolder+"*")
}
