package env

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf"
)

func TestClassify(t *testing.T) {
	e := Environment{CPU: CPU{Model: "Intel(R) Xeon(R) CPU @ 2.20GHz", Cores: 16, Total: 64}}
	h := GPU{Name: "NVIDIA H200", SMs: 132, PowerLimitW: 699.9, ECC: "on", MIG: "off"}
	locked, bare := h, GPU{Name: "Tesla T4"}
	locked.ClocksLocked = true
	for name, tt := range map[string]struct {
		threads int
		gpu     *GPU
		want    Class
	}{
		"processors":   {0, nil, Class{Kind: SharedCPU, ID: "cpu-intel-xeon-cpu-2.20ghz-16c", CPU: "Intel Xeon CPU 2.20GHz", Cores: 16}},
		"few threads":  {4, nil, Class{Kind: SharedCPU, ID: "cpu-intel-xeon-cpu-2.20ghz-4c", CPU: "Intel Xeon CPU 2.20GHz", Cores: 4}},
		"many threads": {99, nil, Class{Kind: SharedCPU, ID: "cpu-intel-xeon-cpu-2.20ghz-16c", CPU: "Intel Xeon CPU 2.20GHz", Cores: 16}},
		"unlocked": {0, &h, Class{Kind: UnlockedGPU, ID: "gpu-unlocked-nvidia-h200-132sm-700w-ecc-nomig--intel-xeon-cpu-2.20ghz-16c", CPU: "Intel Xeon CPU 2.20GHz",
			Cores: 16, GPU: "NVIDIA H200", SMs: 132, PowerLimitW: 700, ECC: "on", MIG: "off"}},
		"locked": {2, &locked, Class{Kind: LockedGPU, ID: "gpu-locked-nvidia-h200-132sm-700w-ecc-nomig--intel-xeon-cpu-2.20ghz-2c", CPU: "Intel Xeon CPU 2.20GHz",
			Cores: 2, GPU: "NVIDIA H200", SMs: 132, PowerLimitW: 700, ECC: "on", MIG: "off"}},
		"tells little": {0, &bare, Class{Kind: UnlockedGPU, ID: "gpu-unlocked-tesla-t4-0sm-0w-anyecc-anymig--intel-xeon-cpu-2.20ghz-16c", CPU: "Intel Xeon CPU 2.20GHz",
			Cores: 16, GPU: "Tesla T4"}},
	} {
		if got := Classify(e, tt.threads, tt.gpu); got != tt.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, tt.want)
		}
	}
	for kind, want := range map[Kind]float64{LockedGPU: 0.02, UnlockedGPU: 0.03, SharedCPU: 0.08} {
		if kind.Delta() != want {
			t.Errorf("δ of %s is %g, want %g", kind, kind.Delta(), want)
		}
	}
}

// TestClassesOf: a record of cells on a GPU may be of any that the machine has, and of the processors where it has none; another record is of these.
func TestClassesOf(t *testing.T) {
	e := Environment{CPU: CPU{Model: "a", Cores: 4}, GPUs: []GPU{{Name: "b"}, {Name: "c"}}}
	host, device := perf.Cell{Backend: "ort"}, perf.Cell{Backend: "cuda"}
	const gpu = "gpu-unlocked-%s-0sm-0w-anyecc-anymig--a-2c"
	for _, c := range []struct {
		gpus  []GPU
		cells []perf.Cell
		want  []string
	}{
		{e.GPUs, []perf.Cell{host, host}, []string{"cpu-a-2c"}},
		{e.GPUs, []perf.Cell{host, device}, []string{fmt.Sprintf(gpu, "b"), fmt.Sprintf(gpu, "c")}},
		{nil, []perf.Cell{device}, []string{"cpu-a-2c"}},
	} {
		e.GPUs = c.gpus
		var got []string
		for _, class := range ClassesOf(e, 2, c.cells) {
			got = append(got, class.ID)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v on %d GPUs: %q, want %q", c.cells, len(c.gpus), got, c.want)
		}
	}
}

// TestCheckClass: a record is of a GPU that it was taken on, and everything in its class is that of the environment.
func TestCheckClass(t *testing.T) {
	e := Environment{CPU: CPU{Model: "a", Cores: 4}, GPUs: []GPU{{Name: "b"}, {Index: 1, Name: "c", ClocksLocked: true}}}
	host, device := []perf.Cell{{Backend: "ort"}}, []perf.Cell{{Backend: "cuda"}}
	cpu, b, c := Classify(e, 0, nil), Classify(e, 0, &e.GPUs[0]), Classify(e, 0, &e.GPUs[1])
	described := b
	described.PowerLimitW = 700
	for name, tt := range map[string]struct {
		class   Class
		threads int
		cells   []perf.Cell
		devices []int
		want    string
	}{
		"processors":             {cpu, 0, host, nil, ""},
		"either GPU":             {c, 0, device, nil, ""},
		"the GPU at work":        {b, 0, device, []int{0}, ""},
		"both GPUs":              {b, 0, device, []int{1, 0}, ""},
		"the processors, for it": {cpu, 0, device, []int{5}, ""}, // of which the environment tells nothing
		"the other GPU":          {c, 0, device, []int{0}, "its environment is of gpu-unlocked-b-"},
		"processors of a GPU":    {cpu, 0, device, nil, `its class is "cpu-a-4c" (cpu), its environment is of gpu-unlocked-b-`},
		"a GPU of processors":    {b, 0, host, nil, "its environment is of cpu-a-4c (cpu)"},
		"other threads":          {cpu, 2, host, nil, "its environment is of cpu-a-2c (cpu)"},
		"none":                   {Class{}, 0, host, nil, `its class is "" ()`},
		"another description":    {described, 0, device, nil, "is described otherwise than its environment"},
	} {
		err := CheckClass(tt.class, e, tt.threads, tt.cells, tt.devices...)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestValidClass lists classes that name a file everywhere, and others.
func TestValidClass(t *testing.T) {
	for id, valid := range map[string]bool{
		"cpu-test-2c": true, "0": true, strings.Repeat("a", 200): true,
		"": false, strings.Repeat("a", 201): false, "Cpu": false, ".hidden": false, "a/b": false, "a b": false, "é": false,
	} {
		if err := ValidClass(Class{Kind: SharedCPU, ID: id}); (err == nil) != valid {
			t.Errorf("%.20q (%d bytes): %v", id, len(id), err)
		}
	}
	if ValidClass(Class{Kind: "cloud", ID: "a"}) == nil {
		t.Error("an unknown kind passes")
	}
}

// TestCores lists what decides how many processors are at work, with the name that the class gets.
func TestCores(t *testing.T) {
	const period = " 100000\n"
	v2 := func(quota string) host {
		return fakeHost("proc/self/cgroup", "0::/a\n", "proc/self/mountinfo", v2Mount, "sys/fs/cgroup/a/cpu.max", quota+period)
	}
	v1 := func(quota string) host {
		return fakeHost("proc/self/cgroup", "1:cpu,cpuacct:/c\n", "proc/self/mountinfo", v1Mounts,
			"sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", quota+"\n", "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n")
	}
	for name, tt := range map[string]struct {
		h              host
		procs, threads int
		want           string
	}{
		"all":                            {fakeHost(), 3, 0, "3c"},
		"GOMAXPROCS=1":                   {fakeHost(), 1, 0, "1c"},
		"--threads 1":                    {fakeHost(), 3, 1, "1c"},
		"GOMAXPROCS above":               {fakeHost(), 64, 0, "3c"},
		"threads above":                  {fakeHost(), 3, 9, "3c"},
		"three tenths":                   {v2("30000"), 2, 0, "0.3c"}, // Go takes 2 at least
		"the same, of version 1":         {v1("30000"), 2, 0, "0.3c"},
		"1.2":                            {v2("120000"), 2, 0, "1.2c"},
		"1.5, of version 1":              {v1("150000"), 2, 0, "1.5c"},
		"1.2 and GOMAXPROCS=1":           {v2("120000"), 1, 0, "1c"},
		"1.2 and --threads 1":            {v2("120000"), 2, 1, "1c"},
		"0.3 and --threads 1":            {v2("30000"), 2, 1, "0.3c"},
		"2.99":                           {v2("299000"), 3, 0, "2.9c"},
		"a whole quota":                  {v2("200000"), 2, 0, "2c"},
		"a hundredth":                    {v2("1000"), 2, 0, "0.1c"},
		"a generous quota":               {v2("6400000"), 3, 0, "3c"},
		"no quota":                       {v2("max"), 3, 0, "3c"},
		"no quota either":                {v1("-1"), 3, 0, "3c"},
		"a file that says no GOMAXPROCS": {fakeHost(), 0, 0, "3c"},
	} {
		tt.h.procs = func() int { return tt.procs }
		if got, want := Classify(Environment{CPU: tt.h.cpu()}, tt.threads, nil).ID, "cpu-unknown-"+tt.want; got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestModelNames(t *testing.T) {
	for name, want := range map[string]string{
		"AMD EPYC 9654 96-Core Processor": "cpu-amd-epyc-9654-96_core-processor-1c",
		"  Apple   M3 ":                   "cpu-apple-m3-1c",
		"":                                "cpu-unknown-1c",
		"(R)":                             "cpu-unknown-1c",
		"arm 0x41:0xd0c":                  "cpu-arm-0x410xd0c-x", // followed by a digest
		"../../etc/passwd":                "cpu-....etcpasswd-x",
		"Ускоритель":                      "cpu-x",
	} {
		got := Classify(Environment{CPU: CPU{Model: name, Cores: 1}}, 0, nil).ID
		if strings.HasSuffix(want, "-x") && regexp.MustCompile("^"+regexp.QuoteMeta(want)+"[0-9a-f]{8}-1c$").MatchString(got) {
			continue
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// TestClassIDsAreDistinct draws machines from names that were made to collide and checks that an ID stands for one class alone,
// that it is stable, and that it is fit for a file name everywhere.
func TestClassIDsAreDistinct(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "1", "2c", "132sm", "700w", "ecc", "noecc", "anyecc", "mig", "nomig", "-", "--", "x", ".", "/", ":", "é", " ", "_", "A", "xdeadbeef",
		strings.Repeat("long", 20)}
	name := func() string {
		var b strings.Builder
		for range 1 + random.IntN(4) {
			b.WriteString(words[random.IntN(len(words))])
			if random.IntN(2) == 0 {
				b.WriteByte(' ')
			}
		}
		return b.String()
	}
	modes := []string{"", "on", "off"}
	fit := regexp.MustCompile(`^[a-z0-9._-]{1,200}$`)
	seen := map[string]string{}
	for range 40_000 {
		e := Environment{CPU: CPU{Model: name(), Cores: 1 + random.IntN(3)}}
		var g *GPU
		if random.IntN(3) > 0 {
			g = &GPU{Name: name(), SMs: random.IntN(2) * 132, PowerLimitW: float64(random.IntN(2) * 700), ECC: modes[random.IntN(3)],
				MIG: modes[random.IntN(3)], ClocksLocked: random.IntN(2) == 0}
		}
		c := Classify(e, random.IntN(3), g)
		if !fit.MatchString(c.ID) || c.ID != Classify(e, int(c.Cores), g).ID {
			t.Fatalf("%+v: ID %q", c, c.ID)
		}
		class := c
		class.ID = ""
		text := strings.ToLower(fmt.Sprintf("%+v", class)) // case does not distinguish models
		if other, ok := seen[c.ID]; ok && other != text {
			t.Fatalf("%s stands for\n%s and\n%s", c.ID, other, text)
		}
		seen[c.ID] = text
	}
	if len(seen) < 10_000 {
		t.Errorf("only %d classes were drawn", len(seen))
	}
}

func TestFingerprint(t *testing.T) {
	e := Environment{OS: "linux", Arch: "amd64", Kernel: "6.8.0", Go: "go1.26.8", Libraries: []Software{{"driver", "580.95.05"}, {"onnxruntime", "1.30.0"}}}
	const want = "linux/amd64 6.8.0; go1.26.8; driver 580.95.05; onnxruntime 1.30.0"
	if got := Fingerprint(e); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	same := e
	same.Host, same.LoadAverage, same.CPU.Cores, same.Commit, same.Container = "x", [3]float64{1}, 9, "abc", "docker"
	if Fingerprint(same) != want {
		t.Error("the fingerprint depends on more than software")
	}
	if got := Fingerprint(Environment{OS: "plan9", Arch: "386", Go: "go1"}); got != "plan9/386; go1" {
		t.Error(got)
	}
}
