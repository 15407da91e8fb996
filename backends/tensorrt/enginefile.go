package tensorrt

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
)

// Key says what an engine was built from, by and for. Engines with equal keys stand for each other.
type Key struct {
	Model      string             `json:"onnx_sha256"`
	Precision  backends.Precision `json:"precision"`
	Level      int                `json:"level"`                    // of the builder's optimisation
	Batches    Batches            `json:"batches,omitzero"`         // of one size alone: the zero value
	Plugins    string             `json:"plugins_sha256"`           // of the plugins' sources; "" without plugins
	Recipe     string             `json:"builder_sha256,omitempty"` // of how the worker configures the builder
	TensorRT   string             `json:"tensorrt"`
	CUDA       string             `json:"cuda"` // of the driver
	Device     string             `json:"device"`
	Capability string             `json:"compute_capability"`
}

// keyOf is the key of an export's engine.
func keyOf(e *export, s settings, f Facts) Key {
	return Key{Model: e.digest, Precision: s.precision, Level: s.level, Batches: s.batches, Plugins: f.PluginDigest, Recipe: f.Recipe, TensorRT: f.Version, CUDA: f.CUDA,
		Device: f.Device, Capability: f.Capability}
}

// Digest is the SHA-256 of the key, in hexadecimal.
func (k Key) Digest() string { return digestOf(k) }

func digestOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// check says why an engine with the key have cannot be taken for one with the key k: engine_foreign for another device, else engine_outdated.
func (k Key) check(have Key) error {
	var foreign, outdated []string
	for _, d := range have.Differences(k) {
		text := fmt.Sprintf("%s is %s, here it is %s", d.Part, d.One, d.Other)
		if d.Part == "device" || d.Part == "compute_capability" {
			foreign = append(foreign, text)
		} else {
			outdated = append(outdated, text)
		}
	}
	switch {
	case len(foreign) > 0:
		return unavailable(backends.EngineForeign, "%s", strings.Join(foreign, ", "))
	case len(outdated) > 0:
		return unavailable(backends.EngineOutdated, "%s", strings.Join(outdated, ", "))
	}
	return nil
}

// here is the part of the key that all sessions of a library on a device have in common.
func (k Key) here() Key {
	return Key{Plugins: k.Plugins, Recipe: k.Recipe, TensorRT: k.TensorRT, CUDA: k.CUDA, Device: k.Device, Capability: k.Capability}
}

// KeyDifference is a part in which two keys differ, by its name in a record.
type KeyDifference struct{ Part, One, Other string }

// Differences lists the parts in which the key differs from another. Digests are cut.
func (k Key) Differences(other Key) []KeyDifference {
	var list []KeyDifference
	note := func(part string, one, two any) {
		if one != two {
			list = append(list, KeyDifference{part, fmt.Sprint(one), fmt.Sprint(two)})
		}
	}
	note("device", k.Device, other.Device)
	note("compute_capability", k.Capability, other.Capability)
	note("tensorrt", k.TensorRT, other.TensorRT)
	note("cuda", k.CUDA, other.CUDA)
	note("plugins_sha256", short(k.Plugins), short(other.Plugins))
	note("builder_sha256", short(k.Recipe), short(other.Recipe))
	note("onnx_sha256", short(k.Model), short(other.Model))
	note("precision", k.Precision, other.Precision)
	note("level", k.Level, other.Level)
	note("batches", cmp.Or(k.Batches.String(), "one"), cmp.Or(other.Batches.String(), "one"))
	return list
}

func short(digest string) string { return digest[:min(len(digest), 12)] }

// Record is what an engine file says of its engine.
type Record struct {
	Key    Key     `json:"key"`
	SHA256 string  `json:"engine_sha256"`
	Bytes  int     `json:"engine_bytes"`
	Layers []Layer `json:"layers"`
	Held   []Held  `json:"held"` // what became of the nodes whose results are float32 in a lower precision

	Content string `json:"record_sha256"` // of this record without it
}

func (r Record) content() string {
	r.Content = ""
	return digestOf(r)
}

// engineMagic begins an engine file. A line of JSON follows, the Record, and then the engine.
const engineMagic = "APEXX_ENGINE_V1\n"

// maxRecord bounds the line of JSON.
const maxRecord = 64 << 20

// writeEngine writes an engine file, whole or not at all.
func writeEngine(path string, r Record, engine []byte) error {
	sum := sha256.Sum256(engine)
	r.SHA256, r.Bytes = hex.EncodeToString(sum[:]), len(engine)
	r.Content = r.content()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(slices.Concat([]byte(engineMagic), text, []byte("\n"), engine))
		return err
	})
}

// ReadRecord returns what an engine file says of its engine, which it does not read. What is no engine file, or one whose record was changed, is an
// *backends.Unavailable with the reason engine_corrupt.
func ReadRecord(path string) (Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	return readRecord(path, bufio.NewReaderSize(f, 1<<16))
}

func readRecord(path string, r *bufio.Reader) (Record, error) {
	var rec Record
	corrupt := func(format string, args ...any) (Record, error) {
		return rec, unavailable(backends.EngineCorrupt, "%s: %s", path, fmt.Sprintf(format, args...))
	}
	magic := make([]byte, len(engineMagic))
	if _, err := io.ReadFull(r, magic); err != nil || string(magic) != engineMagic {
		return corrupt("it does not begin as an engine of apexx engine build does")
	}
	line, err := readLine(r, maxRecord)
	if err != nil {
		return corrupt("its record: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&rec); err != nil {
		return corrupt("its record: %v", err)
	}
	if rec.Content != rec.content() {
		return corrupt("its record is not the one that was written (record_sha256 differs): delete it")
	}
	return rec, nil
}

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > limit:
			return nil, fmt.Errorf("it has more than %d MiB", limit>>20)
		}
	}
}

// ReadEngine returns an engine and its record. One that was cut or changed is an *backends.Unavailable with the reason engine_corrupt.
func ReadEngine(path string) (Record, []byte, error) {
	rec, engine, err := readEngine(path)
	if err == nil && engine == nil {
		_, err = os.Stat(path)
	}
	return rec, engine, err
}

// readEngine returns an engine and its record. One that was cut or changed is an *backends.Unavailable with the reason engine_corrupt. There is no
// engine, and no error, where there is no file.
func readEngine(path string) (Record, []byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil, nil
	} else if err != nil {
		return Record{}, nil, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	rec, err := readRecord(path, r)
	if err != nil {
		return rec, nil, err
	}
	engine, err := io.ReadAll(io.LimitReader(r, int64(rec.Bytes)+1))
	if err != nil {
		return rec, nil, err
	}
	if sum := sha256.Sum256(engine); len(engine) != rec.Bytes || hex.EncodeToString(sum[:]) != rec.SHA256 {
		return rec, nil, unavailable(backends.EngineCorrupt, "%s: its %d bytes are not the %d with the SHA-256 %s that it speaks of: delete it", path, len(engine), rec.Bytes, short(rec.SHA256))
	}
	return rec, engine, nil
}
