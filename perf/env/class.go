package env

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/perf"
)

// Kind is what decides how well a machine can be trusted with small differences.
type Kind string

// The kinds of machines, by what executes the cells.
const (
	LockedGPU   Kind = "gpu-locked"   // a GPU with fixed clocks
	UnlockedGPU Kind = "gpu-unlocked" // a GPU that chooses its clocks
	SharedCPU   Kind = "cpu"          // processors, shared with whatever else runs
)

// Delta returns δ, the least relative slowdown that counts as a regression on the kind of machine: 2 % with locked clocks, 3 %
// without, 8 % on processors.
func (k Kind) Delta() float64 {
	switch k {
	case LockedGPU:
		return 0.02
	case UnlockedGPU:
		return 0.03
	}
	return 0.08
}

// Class names the machines on which numbers may be compared with each other. It holds what is a property of the hardware and
// its settings; versions of drivers and libraries are recorded beside it (Fingerprint), so that an upgrade does not orphan a
// baseline.
type Class struct {
	Kind        Kind    `json:"kind"`
	ID          string  `json:"id"` // such as cpu-amd-epyc-2c or gpu-unlocked-nvidia-h200-132sm-700w-ecc-nomig--amd-epyc-9654-16c
	CPU         string  `json:"cpu"`
	Cores       float64 `json:"cores"` // processors at work, in tenths: see coresOf
	GPU         string  `json:"gpu,omitempty"`
	SMs         int     `json:"sms,omitempty"`
	PowerLimitW float64 `json:"power_limit_w,omitempty"` // rounded to whole watts
	ECC         string  `json:"ecc,omitempty"`
	MIG         string  `json:"mig,omitempty"`
}

// classID, of at most maxClassID bytes, is what fits a file name everywhere. (The regular expression says no length: compiling
// 200 repetitions took longer than all else that starts with the program.)
var classID = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

const maxClassID = 200

// ValidClass says what is wrong with a class: its kind is one of the three, its ID lower-case letters, digits, dots, dashes and
// underscores, at most 200 of them.
func ValidClass(c Class) error {
	if !slices.Contains([]Kind{LockedGPU, UnlockedGPU, SharedCPU}, c.Kind) {
		return fmt.Errorf("class.kind is %q, want gpu-locked, gpu-unlocked or cpu", c.Kind)
	}
	if len(c.ID) > maxClassID || !classID.MatchString(c.ID) {
		return fmt.Errorf("class.id %q is not fit for a file name (want lower-case letters, digits, dots and dashes)", c.ID)
	}
	return nil
}

// Classify returns the class of a machine for backends that compute on the given GPU of e, or on its processors for nil. Threads
// are those of a session, 0 for GOMAXPROCS.
func Classify(e Environment, threads int, gpu *GPU) Class {
	c := Class{Kind: SharedCPU, CPU: cleanModel(e.CPU.Model), Cores: coresOf(e.CPU, threads)}
	if gpu != nil {
		c.Kind = UnlockedGPU
		if gpu.ClocksLocked {
			c.Kind = LockedGPU
		}
		c.GPU, c.SMs, c.PowerLimitW = cleanModel(gpu.Name), gpu.SMs, math.Round(gpu.PowerLimitW)
		c.ECC, c.MIG = gpu.ECC, gpu.MIG
	}
	c.ID = c.slug()
	return c
}

// ClassesOf returns the classes that a record of cells may name: those of the GPUs of e where a cell computes on one, and of these only the devices, by
// NVML's index, that its measurements name, if they name any; that of the processors where no cell computes on a GPU or e tells of none.
func ClassesOf(e Environment, threads int, cells []perf.Cell, devices ...int) []Class {
	var list []Class
	if slices.ContainsFunc(cells, func(c perf.Cell) bool { return perf.OnDevice(c.Backend) }) {
		for i := range e.GPUs {
			if len(devices) == 0 || slices.Contains(devices, e.GPUs[i].Index) {
				list = append(list, Classify(e, threads, &e.GPUs[i]))
			}
		}
	}
	if list == nil {
		list = []Class{Classify(e, threads, nil)}
	}
	return list
}

// CheckClass refuses a class that no GPU and no processors of e give a record of cells (ClassesOf). Every part of it counts, not the name alone: pages
// show them, and limits belong to its kind.
func CheckClass(c Class, e Environment, threads int, cells []perf.Cell, devices ...int) error {
	list := ClassesOf(e, threads, cells, devices...)
	if slices.Contains(list, c) {
		return nil
	}
	const changed = "the file was changed after it was written"
	if slices.ContainsFunc(list, func(o Class) bool { return o.ID == c.ID && o.Kind == c.Kind }) {
		return fmt.Errorf("its class %s is described otherwise than its environment: %s", c.ID, changed)
	}
	return fmt.Errorf("its class is %q (%s), its environment is of %s (%s): %s", c.ID, c.Kind, list[0].ID, list[0].Kind, changed)
}

// coresOf returns how many processors can be at work: the least of those that the process may use, the quota of its control groups,
// GOMAXPROCS and the threads of a session, rounded down to a tenth. A part of a processor is not a slow whole one: a process that has
// spent its quota stands still until the next period.
func coresOf(c CPU, threads int) float64 {
	cores := float64(c.Cores)
	if c.Procs > 0 {
		cores = min(cores, float64(c.Procs))
	}
	if threads > 0 {
		cores = min(cores, float64(threads))
	}
	if c.Quota > 0 {
		const rounding = 1e-9 // of a quotient such as 30000/100000, whose tenths lie a little below
		cores = min(cores, max(math.Floor(10*c.Quota+rounding)/10, 0.1))
	}
	return cores
}

// cleanModel removes the marks and blanks that vendors put into the names of their products.
func cleanModel(name string) string {
	name = strings.NewReplacer("(R)", " ", "(r)", " ", "(TM)", " ", "(tm)", " ", "®", " ", "™", " ", " @ ", " ").Replace(name)
	if name = strings.Join(strings.Fields(name), " "); name == "" {
		return "unknown"
	}
	return name
}

// slug writes the class as a name that is fit for a file on every system: small letters, digits, dots, hyphens, underscores.
// Distinct classes have distinct names: every part is at a fixed place from the end, the GPU's and the processor's parts are
// joined by a double hyphen, and the name of a model is written so that it can be read back (see slugModel).
func (c Class) slug() string {
	host := fmt.Sprintf("%s-%sc", slugModel(c.CPU), strconv.FormatFloat(c.Cores, 'f', -1, 64))
	if c.Kind == SharedCPU {
		return fmt.Sprintf("%s-%s", c.Kind, host)
	}
	return fmt.Sprintf("%s-%s-%dsm-%.0fw-%s-%s--%s", c.Kind, slugModel(c.GPU), c.SMs, c.PowerLimitW,
		slugMode("ecc", c.ECC), slugMode("mig", c.MIG), host)
}

// slugMode writes on, off and "" (not told) as ecc, noecc and anyecc.
func slugMode(name, mode string) string {
	switch mode {
	case "on":
		return name
	case "off":
		return "no" + name
	}
	return "any" + name
}

// longestModel bounds a model's part of a file name.
const longestModel = 64

// slugModel writes the name of a model in small letters, with a hyphen for a blank and an underscore for a hyphen. Names that
// cannot be read back from that, because they hold other characters or are long, get the start of their SHA-256 appended.
// Names that differ in the case of letters alone are one model.
func slugModel(name string) string {
	var b strings.Builder
	exact := len(name) <= longestModel
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '.':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		case r == '-':
			b.WriteByte('_')
		default:
			exact = false
		}
	}
	slug := b.String()
	if exact {
		return slug
	}
	sum := sha256.Sum256([]byte(strings.ToLower(name)))
	words := strings.FieldsFunc(slug[:min(len(slug), longestModel)], func(r rune) bool { return r == '-' })
	return strings.Join(append(words, "x"+hex.EncodeToString(sum[:4])), "-")
}

// Fingerprint names the software under which a machine's numbers were measured: system, kernel, Go, driver, libraries and the variables that
// change how they work, such as "linux/amd64 6.8.0; go1.26.8; driver 580.95.05; onnxruntime 1.30.0; GOGC=50". It is recorded beside the class: when it changes, the
// numbers may change with it, and the machine stays in its class.
func Fingerprint(e Environment) string {
	parts := []string{strings.TrimSpace(e.OS + "/" + e.Arch + " " + e.Kernel), e.Go}
	for _, l := range e.Libraries {
		parts = append(parts, l.Key+" "+l.Value)
	}
	for _, v := range e.Variables {
		parts = append(parts, v.Key+"="+v.Value)
	}
	return strings.Join(parts, "; ")
}
