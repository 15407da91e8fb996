// Package env tells where a measurement was made: processor, memory, load, versions, and by NVML every GPU; and which class of
// machines that makes it comparable with.
package env

// Environment is where a measurement was made. Host names and device UUIDs are hashed unless the facts were gathered with
// Identify.
type Environment struct {
	Host        string     `json:"host"`
	OS          string     `json:"os"`
	Arch        string     `json:"arch"`
	Kernel      string     `json:"kernel"`
	Container   string     `json:"container"` // docker, kubernetes, podman, lxc, none, … ; unknown where it cannot be told
	CPU         CPU        `json:"cpu"`
	MemoryBytes int64      `json:"memory_bytes"`
	LoadAverage [3]float64 `json:"load_average"` // 1, 5 and 15 minutes
	Go          string     `json:"go"`
	Libraries   []Fact     `json:"libraries"` // versions, such as onnxruntime 1.30.0, driver 580.1, in a fixed order
	Commit      string     `json:"commit"`    // of the program
	Dirty       bool       `json:"dirty"`     // built from a working tree with changes
	GPUs        []GPU      `json:"gpus"`
	GPUReason   string     `json:"gpu_reason,omitempty"` // why there are none: a code of backends.Reasons
}

// Fact is one observation.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// CPU is the processor as this process may use it.
type CPU struct {
	Model    string `json:"model"`
	Cores    int    `json:"cores"`    // logical processors that this process may use (affinity and cgroup quota considered)
	Total    int    `json:"total"`    // logical processors of the machine
	Governor string `json:"governor"` // of frequency scaling; "" where the kernel does not tell
	SMT      string `json:"smt"`      // on, off, or "" where the kernel does not tell
	Virtual  bool   `json:"virtual"`  // under a hypervisor
}

// GPU is one device, by NVML.
type GPU struct {
	Index          int     `json:"index"`
	Name           string  `json:"name"`
	UUID           string  `json:"uuid"`
	Driver         string  `json:"driver"`
	SMs            int     `json:"sms"`
	MemoryBytes    int64   `json:"memory_bytes"`
	PowerLimitW    float64 `json:"power_limit_w"`
	ECC            string  `json:"ecc"` // on, off, ""
	MIG            string  `json:"mig"` // on, off, ""
	ClocksLocked   bool    `json:"clocks_locked"`
	MaxSMClockMHz  int     `json:"max_sm_clock_mhz"`
	OtherProcesses int     `json:"other_processes"` // computing on the device beside ours
}
