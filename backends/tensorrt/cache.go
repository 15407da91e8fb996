package tensorrt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/filelock"
)

// obtain returns an engine of the key: the one of the file that the options name, a prebuilt one that fits, one of the cache, or a new one, which is kept. A
// file that is named has to fit; what is wrong with one of the cache is mended by building anew. Of several processes that lack the same engine of a cache
// one builds it, and the others wait, of which waiting is told.
func (s settings) obtain(ctx context.Context, k Key, waiting func(), build func(timings []byte) (Record, Built, error)) (Record, []byte, error) {
	if s.engine != "" {
		rec, engine, err := readEngine(s.engine)
		if err == nil && engine != nil {
			if err = k.check(rec.Key); err != nil {
				err = naming(s.engine, err)
			}
		}
		if engine != nil || err != nil {
			return rec, engine, err
		}
	} else if rec, engine, err := s.lookUp(k); engine != nil || err != nil {
		return rec, engine, err
	}
	path := s.engine
	if path == "" && s.cache != "" {
		path = s.place(k)
	}
	if err := writable(path); err != nil { // before minutes of building
		return Record{}, nil, err
	}
	if err := ctx.Err(); err != nil {
		return Record{}, nil, err
	}
	if s.engine == "" && path != "" {
		lock, err := filelock.Wait(ctx, path+lockSuffix, waiting)
		if err != nil {
			return Record{}, nil, err
		}
		defer func() {
			os.Remove(lock.Name())
			lock.Close()
		}()
		if rec, engine, err := s.lookUp(k); engine != nil || err != nil {
			return rec, engine, err
		}
	}
	rec, built, err := build(s.timings(k))
	if err != nil || path == "" {
		return rec, built.Engine, err
	}
	if err := writeEngine(path, rec, built.Engine); err != nil {
		return rec, nil, err
	}
	return rec, built.Engine, s.keepTimings(k, built.Timings)
}

// naming says of which file an *backends.Unavailable is.
func naming(path string, err error) error {
	var u *backends.Unavailable
	if errors.As(err, &u) {
		return unavailable(u.Reason, "%s: %s: build it anew, to another file or after deleting this one", path, u.Detail)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// lookUp finds an engine that fits among the prebuilt one and the cache's.
func (s settings) lookUp(k Key) (Record, []byte, error) {
	if s.prebuilt != "" {
		if rec, engine, err := s.ahead(k); engine != nil || err != nil {
			return rec, engine, err
		}
	}
	if s.cache != "" {
		if rec, engine, err := readEngine(s.place(k)); err == nil && engine != nil && k.check(rec.Key) == nil {
			return rec, engine, nil
		}
	}
	return Record{}, nil, nil
}

// ahead returns the prebuilt engine, none where it is that of another session. One that no session here can take is an error: minutes of building would
// come as a surprise.
func (s settings) ahead(k Key) (Record, []byte, error) {
	rec, engine, err := readEngine(s.prebuilt)
	switch {
	case err == nil && engine == nil:
		err = unavailable(backends.EngineCorrupt, "there is no such file")
	case err == nil:
		err = k.here().check(rec.Key.here())
	}
	if err != nil {
		return rec, nil, naming(prebuiltVariable+" is "+s.prebuilt, err)
	}
	if k.check(rec.Key) != nil {
		return rec, nil, nil
	}
	return rec, engine, nil
}

// EngineSuffix ends the names of engine files in a cache, and lockSuffix those of the locks beside them.
const (
	EngineSuffix = ".engine"
	lockSuffix   = ".lock"
)

// place is where the cache keeps an engine.
func (s settings) place(k Key) string { return filepath.Join(s.cache, k.Digest()+EngineSuffix) }

var unfit = regexp.MustCompile(`[^A-Za-z0-9.]+`)

// timingPlace is where the cache keeps what was measured: for a version of the library, on a kind of device.
func (s settings) timingPlace(k Key) string {
	return filepath.Join(s.cache, "timing-"+unfit.ReplaceAllString(k.TensorRT+"-"+k.CUDA+"-"+k.Device, "_")+".cache")
}

// timings returns what earlier builds measured; nil where nothing can be read, as it is measured anew.
func (s settings) timings(k Key) []byte {
	if s.cache == "" {
		return nil
	}
	data, err := os.ReadFile(s.timingPlace(k))
	if err != nil {
		return nil
	}
	return data
}

func (s settings) keepTimings(k Key, data []byte) error {
	if s.cache == "" || len(data) == 0 {
		return nil
	}
	if err := os.MkdirAll(s.cache, 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(s.timingPlace(k), 0o644, data)
}

// writable makes sure that a file can be written.
func writable(path string) error {
	if path == "" {
		return nil
	}
	dir := filepath.Dir(path)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".apexx-*"); err == nil {
			return errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	return unavailable(backends.EngineCacheUnwritable, "%s: %v; name another folder (--engine-cache), or none", dir, err)
}
