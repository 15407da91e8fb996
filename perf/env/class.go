package env

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
// its settings; versions of drivers and libraries are recorded beside it, so that an upgrade does not orphan a baseline.
type Class struct {
	Kind        Kind    `json:"kind"`
	ID          string  `json:"id"` // such as cpu-amd-epyc-2c or gpu-nvidia-h200-132sm-700w-ecc-nomig; fit for a file name
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	GPU         string  `json:"gpu,omitempty"`
	SMs         int     `json:"sms,omitempty"`
	PowerLimitW float64 `json:"power_limit_w,omitempty"`
	ECC         string  `json:"ecc,omitempty"`
	MIG         string  `json:"mig,omitempty"`
}
