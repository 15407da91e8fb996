package env

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Options of Gather. The zero value gathers everything, with pseudonyms and no libraries but the driver's.
type Options struct {
	Identify  bool       // keep the host's name and the UUIDs of devices
	Workers   []Software // variables of workers that run under another environment than this process: VariablesOf
	Libraries []Software // versions that the caller knows of its backends, such as onnxruntime
}

// Gather reads the environment of this process. It never fails: what cannot be read is left out, and GPUs that cannot be had
// are a reason. When ctx ends before a hanging driver answers, the reason is cuda_query_failed. It takes milliseconds, and five
// seconds where a GPU has locked clocks or has just been used (see clocksLocked).
//
// Without Identify the host's name is replaced by HMAC-SHA-256 of it under the machine's own secret (/etc/machine-id), cut to
// 64 bits, and a device's UUID, which is random, by the same under a fixed key. The pseudonyms are stable, so that runs on one
// machine can be told from runs on another. They keep names out of published files: without the machine-id nobody can find a
// host's name by trying names. They do not hide that two files came from the same machine, they let whoever knows a UUID
// recognise it, and where there is no machine-id (some containers, other systems than Linux) whoever guesses a name can check it.
func Gather(ctx context.Context, opts Options) Environment {
	return thisHost().gather(ctx, opts)
}

// host is what Gather asks of the machine.
type host struct {
	files   fs.FS // the root folder, with proc, sys, etc and run
	name    func() (string, error)
	getenv  func(string) string
	environ func() []string
	allowed func() []int // logical processors that the scheduler may give to this process
	procs   func() int   // GOMAXPROCS
	build   func() (*debug.BuildInfo, bool)
	nvml    func() (driver, error) // its error is a *gpuError
	sleep   func(time.Duration)
}

func thisHost() host {
	return host{os.DirFS("/"), os.Hostname, os.Getenv, os.Environ, allowedProcessors, func() int { return runtime.GOMAXPROCS(0) }, debug.ReadBuildInfo, openNVML, time.Sleep}
}

func (h host) gather(ctx context.Context, opts Options) Environment {
	e := Environment{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Go: runtime.Version(), Kernel: h.line("proc/sys/kernel/osrelease"),
		Container: h.container(), CPU: h.cpu(), MemoryBytes: h.memory(), LoadAverage: h.load(),
		Libraries: slices.Clone(opts.Libraries), Variables: slices.Concat(Variables(h.environ()), opts.Workers), GPUs: []GPU{},
	}
	if limit := h.memoryLimit(); limit < e.MemoryBytes {
		e.MemoryLimitBytes = limit
	}
	if name, err := h.name(); err == nil {
		e.Host = name
	}
	fillPlatform(&e)
	e.Commit, e.Dirty = h.commit()
	h.gatherGPUs(ctx, &e)
	slices.SortFunc(e.Libraries, func(a, b Software) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Value, b.Value))
	})
	if e.Libraries == nil {
		e.Libraries = []Software{}
	}
	if !opts.Identify {
		e.Host = pseudonym("host", h.line("etc/machine-id"), e.Host)
		for i := range e.GPUs {
			e.GPUs[i].UUID = pseudonym("gpu", "", e.GPUs[i].UUID)
		}
	}
	return e
}

// commit returns what the go command recorded of the working tree that the program was built from.
func (h host) commit() (revision string, dirty bool) {
	info, ok := h.build()
	if !ok {
		return "", false
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	return revision, dirty
}

// line returns the first line of a file without surrounding blanks, "" where it cannot be read.
func (h host) line(path string) string {
	first, _, _ := strings.Cut(h.text(path), "\n")
	return strings.TrimSpace(first)
}

// text returns a file, "" where it cannot be read.
func (h host) text(path string) string {
	data, err := fs.ReadFile(h.files, path)
	if err != nil {
		return ""
	}
	return string(data)
}

func (h host) exists(path string) bool {
	_, err := fs.Stat(h.files, path)
	return err == nil
}

// pseudonym returns the first 64 bits of HMAC-SHA-256 of an identity, in hexadecimal; no identity stays none.
func pseudonym(kind, secret, identity string) string {
	if identity == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte("apexx "+kind+"\n"+secret))
	mac.Write([]byte(identity)) // a hash does not fail
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
