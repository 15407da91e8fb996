// Package env tells where a measurement was made: processor, memory, load, versions, and by NVML every GPU; and which class of
// machines that makes it comparable with.
//
//  1. Gather reads the Environment: /proc, /sys and the control groups (system.go, cpu.go, cgroup.go, container.go), and the
//     GPUs (gpu.go) through the few questions that the interfaces of nvml.go name. Only nvml_linux.go calls NVIDIA's library.
//  2. Classify reduces it to the Class, a property of hardware and settings; Fingerprint to the versions beside it.
//  3. A Monitor samples the GPUs between timed regions, and ThrottleReasons tells which samples spoil a block.
//
// What cannot be read is left at its zero value, never guessed; a machine without GPUs says why in GPUReason.
package env

// Environment is where a measurement was made. Host names and device UUIDs are pseudonyms unless they were gathered with
// Identify.
type Environment struct {
	Host        string `json:"host"`
	OS          string `json:"os"`
	Arch        string `json:"arch"`
	Kernel      string `json:"kernel"`
	Container   string `json:"container"` // docker, kubernetes, podman, lxc, none, … ; unknown where it cannot be told
	CPU         CPU    `json:"cpu"`
	MemoryBytes int64  `json:"memory_bytes"` // of the machine
	// MemoryLimitBytes is the least limit of the control groups that this process is in; 0 where none is below MemoryBytes.
	MemoryLimitBytes int64      `json:"memory_limit_bytes,omitempty"`
	LoadAverage      [3]float64 `json:"load_average"` // 1, 5 and 15 minutes
	Go               string     `json:"go"`
	Libraries        []Software `json:"libraries"` // versions, such as onnxruntime 1.30.0, driver 580.1, in the order of the keys
	// Variables are those environment variables that are set and change what workers compute or how fast, with their values: this process's in the order
	// of names, then, as BACKEND:NAME, those in which a backend's worker differs, because a script that starts it sets them.
	Variables []Software `json:"variables,omitempty"`
	Commit    string     `json:"commit"` // of the program; "" where the build did not record it
	Dirty     bool       `json:"dirty"`  // built from a working tree with changes
	GPUs      []GPU      `json:"gpus"`
	GPUReason string     `json:"gpu_reason,omitempty"` // why there are none: a code of backends.Reasons
	GPUDetail string     `json:"gpu_detail,omitempty"` // what was found, for people; also where some of the devices cannot be read
}

// Software is one thing that decides how fast backends are beside the hardware, and its version or choice.
type Software struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// CPU is the processor as this process may use it.
type CPU struct {
	Model    string  `json:"model"`                 // as the kernel names it; several kinds of core are joined by " + "
	Cores    int     `json:"cores"`                 // logical processors that this process may use (affinity and cgroup quota considered)
	Total    int     `json:"total"`                 // logical processors of the machine that are online
	Quota    float64 `json:"quota_cores,omitempty"` // processor time per time that the control groups grant; 0 where they do not limit it
	Procs    int     `json:"gomaxprocs,omitempty"`  // GOMAXPROCS, on how many threads a worker computes unless it is told otherwise; 0 where it was not recorded
	Governor string  `json:"governor"`              // of frequency scaling; "" where the kernel does not tell
	SMT      string  `json:"smt"`                   // on, off, or "" where the kernel does not tell
	Virtual  bool    `json:"virtual"`               // under a hypervisor
}

// GPU is one device, by NVML.
type GPU struct {
	Index       int     `json:"index"` // of NVML: in the order of PCI addresses
	Name        string  `json:"name"`
	UUID        string  `json:"uuid"`
	Driver      string  `json:"driver"`
	SMs         int     `json:"sms"` // streaming multiprocessors; with MIG on, of the first instance; 0 where NVML does not tell
	MemoryBytes int64   `json:"memory_bytes"`
	PowerLimitW float64 `json:"power_limit_w"` // enforced: the least of all limits in effect
	ECC         string  `json:"ecc"`           // on, off, "" where the device does not tell
	MIG         string  `json:"mig"`           // on, off, "" where the device does not tell
	// ClocksLocked is an inference, because NVML sets locked clocks and cannot read them back: see clocksLocked in clocks.go
	// for its rules and its limit. ClocksEvidence is the observation that it rests on.
	ClocksLocked   bool   `json:"clocks_locked"`
	ClocksEvidence string `json:"clocks_evidence"`
	MaxSMClockMHz  int    `json:"max_sm_clock_mhz"`
	OtherProcesses int    `json:"other_processes"` // that compute or draw on the device beside this one, as far as the driver shows them here
}
