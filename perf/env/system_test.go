package env

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestParseCPUInfo(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want cpuInfo
	}{
		"x86":      {"processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\nflags\t\t: fpu hypervisor avx\n", cpuInfo{"Intel(R) Xeon(R) CPU @ 2.20GHz", 1, true}},
		"metal":    {"processor : 0\nmodel name : X\nflags : fpu nohypervisor\nprocessor : 1\nmodel name : X\n", cpuInfo{"X", 2, false}},
		"arm":      {"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n\nprocessor\t: 1\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", cpuInfo{"arm 0x41:0xd0c", 2, false}},
		"two kind": {"CPU implementer: 0x41\nCPU part: 0xd05\nCPU implementer: 0x41\nCPU part: 0xd0a\n", cpuInfo{"arm 0x41:0xd05 + arm 0x41:0xd0a", 0, false}},
		"power":    {"processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t: 3800MHz\n", cpuInfo{"POWER9, altivec supported", 1, false}},
		"empty":    {"", cpuInfo{}},
		"no value": {"model name\nprocessor", cpuInfo{"", 1, false}},
	} {
		if got := parseCPUInfo(tt.text); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
}

func TestParseCPUList(t *testing.T) {
	for list, want := range map[string][]int{
		"0": {0}, "0-3": {0, 1, 2, 3}, "0-1,4": {0, 1, 4}, "4,0-1": {0, 1, 4}, "1-2,2-3": {1, 2, 3},
		"": nil, "a": nil, "3-1": nil, "-1": nil, "0-": nil, "0,": nil, "0-4294967295": nil, "0-65535,0-65535": nil, "1,x": nil,
	} {
		if got := parseCPUList(list); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", list, got, want)
		}
	}
}

func TestMemoryAndLoad(t *testing.T) {
	for text, want := range map[string]int64{
		"MemTotal: 2 kB\n": 2048, "Foo: 1 kB\nMemTotal:\t 16 kB": 16384, "": 0, "MemTotal: x kB": 0, "MemTotal: 2": 0, "MemTotal: 2 MB": 0,
		"MemTotal: -2 kB": 0, "MemTotal: 9223372036854775807 kB": 0,
	} {
		if got := parseMemTotal(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for line, want := range map[string][3]float64{
		"1 2.5 3 4/5 6": {1, 2.5, 3}, "1 2 3": {1, 2, 3}, "": {}, "1 2": {}, "1 x 3": {}, "-1 2 3": {}, "NaN 2 3": {}, "1 Inf 3": {},
	} {
		if got := parseLoad(line); got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
}

const (
	v1Mounts = "31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n" +
		"32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	dockerV1 = "31 30 0:27 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"
	v2Mount  = "30 25 0:26 / /sys/fs/cgroup ro shared:4 - cgroup2 cgroup2 rw\n"
)

func TestFindGroups(t *testing.T) {
	for name, tt := range map[string]struct {
		cgroups, mounts string
		want            []group
	}{
		"v2":               {"0::/a/b\n", v2Mount, []group{{"sys/fs/cgroup/a/b", true}, {"sys/fs/cgroup/a", true}, {"sys/fs/cgroup", true}}},
		"v2 root":          {"0::/\n", v2Mount, []group{{"sys/fs/cgroup", true}}},
		"v2 outside":       {"0::/../x\n", "1 1 0:1 /mine /sys/fs/cgroup ro - cgroup2 c rw\n", []group{{"sys/fs/cgroup", true}}},
		"v1":               {"4:cpu,cpuacct:/job\n", v1Mounts, []group{{"sys/fs/cgroup/cpu,cpuacct/job", false}, {"sys/fs/cgroup/cpu,cpuacct", false}}},
		"v1 in docker":     {"4:cpu:/docker/abc\n", dockerV1, []group{{"sys/fs/cgroup/cpu", false}}},
		"v1 child":         {"4:cpu:/docker/abc/x\n", dockerV1, []group{{"sys/fs/cgroup/cpu/x", false}, {"sys/fs/cgroup/cpu", false}}},
		"v1 sibling":       {"4:cpu:/docker/abcdef\n", dockerV1, []group{{"sys/fs/cgroup/cpu", false}}},
		"another one only": {"4:cpuset:/job\n", v1Mounts, nil},
		"hybrid":           {"4:cpu:/j\n0::/k\n", dockerV1 + v2Mount, []group{{"sys/fs/cgroup/cpu", false}, {"sys/fs/cgroup/k", true}, {"sys/fs/cgroup", true}}},
		"not mounted":      {"0::/a\n", v1Mounts, nil},
		"blank in a path":  {"0::/a\n", `1 1 0:1 / /sys/my\040groups ro - cgroup2 c rw` + "\n", []group{{"sys/my groups/a", true}, {"sys/my groups", true}}},
		"damaged":          {"0:\nx\n", "1 2 - \n - cgroup2 c rw\n", nil},
	} {
		if got := findGroups("cpu", tt.cgroups, tt.mounts); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestLimits(t *testing.T) {
	v2 := func(entries ...string) host {
		return fakeHost(append([]string{"proc/self/cgroup", "0::/a/b\n", "proc/self/mountinfo", v2Mount}, entries...)...)
	}
	v1 := func(entries ...string) host {
		return fakeHost(append([]string{"proc/self/cgroup", "2:memory:/m\n1:cpu,cpuacct:/c\n", "proc/self/mountinfo", v1Mounts}, entries...)...)
	}
	const none = math.MaxInt64
	for name, tt := range map[string]struct {
		h      host
		quota  float64
		cores  int
		memory int64
	}{
		"no groups":      {fakeHost(), 0, 3, none},
		"v2 unlimited":   {v2("sys/fs/cgroup/a/b/cpu.max", "max 100000\n", "sys/fs/cgroup/a/b/memory.max", "max\n"), 0, 3, none},
		"v2 parent":      {v2("sys/fs/cgroup/a/cpu.max", "50000 100000\n", "sys/fs/cgroup/a/b/cpu.max", "200000 100000", "sys/fs/cgroup/memory.max", "77"), 0.5, 1, 77},
		"v2 exact":       {v2("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n"), 2, 2, none},
		"v2 generous":    {v2("sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n"), 64, 3, none},
		"v2 damaged":     {v2("sys/fs/cgroup/a/b/cpu.max", "12x 0\n", "sys/fs/cgroup/a/b/memory.max", "-3"), 0, 3, none},
		"v2 no period":   {v2("sys/fs/cgroup/a/b/cpu.max", "100000\n"), 0, 3, none},
		"v1 unlimited":   {v1("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "-1\n", "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n"), 0, 3, none},
		"v1 limited":     {v1("sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "120000\n", "sys/fs/cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n", "sys/fs/cgroup/memory/m/memory.limit_in_bytes", "4096\n"), 1.2, 2, 4096},
		"v1 root limits": {v1("sys/fs/cgroup/memory/memory.limit_in_bytes", "8192\n", "sys/fs/cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n"), 0, 3, 8192},
	} {
		c := tt.h.cpu()
		if memory := tt.h.memoryLimit(); math.Abs(c.Quota-tt.quota) > 1e-12 || c.Cores != tt.cores || memory != tt.memory {
			t.Errorf("%s: quota %g, %d cores, memory %d; want %g, %d, %d", name, c.Quota, c.Cores, memory, tt.quota, tt.cores, tt.memory)
		}
	}
}

func TestMemoryLimitAboveTheMachine(t *testing.T) {
	h := fakeHost("proc/meminfo", "MemTotal: 4 kB\n", "proc/self/cgroup", "0::/\n", "proc/self/mountinfo", v2Mount, "sys/fs/cgroup/memory.max", "4096\n")
	if h.memoryLimit() != 4096 || h.memory() != 4096 {
		t.Fatalf("limit %d of %d", h.memoryLimit(), h.memory())
	}
	if e := h.gather(t.Context(), Options{}); e.MemoryLimitBytes != 0 {
		t.Errorf("a limit that does not limit is told: %d", e.MemoryLimitBytes)
	}
}

func TestContainer(t *testing.T) {
	kernel := []string{"proc/sys/kernel/osrelease", "6.8.0\n"}
	for name, tt := range map[string]struct {
		entries []string
		env     string // NAME=VALUE
		want    string
	}{
		"bare":               {kernel, "", "none"},
		"unreadable":         {nil, "", "unknown"},
		"docker":             {append([]string{".dockerenv", ""}, kernel...), "", "docker"},
		"docker by its path": {append([]string{"proc/1/cgroup", "4:cpu:/docker/abc\n"}, kernel...), "", "docker"},
		"podman":             {append([]string{"run/.containerenv", ""}, kernel...), "", "podman"},
		"pod by variable":    {append([]string{".dockerenv", ""}, kernel...), "KUBERNETES_SERVICE_HOST=10.0.0.1", "kubernetes"},
		"pod by secret":      {append([]string{"var/run/secrets/kubernetes.io/serviceaccount/token", "x"}, kernel...), "", "kubernetes"},
		"pod by path":        {append([]string{"proc/self/cgroup", "0::/kubepods.slice/x/docker-y\n"}, kernel...), "", "kubernetes"},
		"lxc by variable":    {kernel, "container=lxc", "lxc"},
		"hostile variable":   {kernel, "container=a b\n", "none"},
		"nspawn":             {append([]string{"run/systemd/container", "systemd-nspawn\n"}, kernel...), "", "systemd-nspawn"},
		"lxc by path":        {append([]string{"proc/1/cgroup", "1:name=systemd:/lxc/box\n"}, kernel...), "", "lxc"},
		"containerd":         {append([]string{"proc/self/cgroup", "0::/system.slice/containerd.service/x\n"}, kernel...), "", "containerd"},
		"wsl":                {[]string{"proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2\n"}, "", "wsl"},
	} {
		h := fakeHost(tt.entries...)
		h.getenv = func(key string) string {
			if name, value, _ := strings.Cut(tt.env, "="); name == key {
				return value
			}
			return ""
		}
		if got := h.container(); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

func TestVirtualAndSMT(t *testing.T) {
	for name, tt := range map[string]struct {
		h       host
		virtual bool
		smt     string
	}{
		"metal":       {fakeHost("sys/devices/system/cpu/smt/active", "0\n"), false, "off"},
		"xen":         {fakeHost("sys/hypervisor/type", "xen\n"), true, ""},
		"device tree": {fakeHost("proc/device-tree/hypervisor/compatible", "linux,kvm\n", "sys/devices/system/cpu/smt/active", "?"), true, ""},
	} {
		if c := tt.h.cpu(); c.Virtual != tt.virtual || c.SMT != tt.smt {
			t.Errorf("%s: %+v", name, c)
		}
	}
	h := fakeHost("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n", "sys/devices/system/cpu/cpu2/cpufreq/scaling_governor", "performance\n")
	if got := h.cpu().Governor; got != "performance+powersave" {
		t.Errorf("governor %q", got)
	}
}

func FuzzParseCPUList(f *testing.F) {
	f.Add("0-3,8")
	f.Add("0-65535,1")
	f.Fuzz(func(t *testing.T, list string) {
		got := parseCPUList(list)
		if !slices.IsSorted(got) || len(got) != len(slices.Compact(slices.Clone(got))) || len(got) > mostProcessors {
			t.Errorf("%q: %d numbers, not ascending and unique", list, len(got))
		}
	})
}

func FuzzParseCPUInfo(f *testing.F) {
	f.Add("processor\t: 0\nmodel name\t: X\nflags\t: hypervisor\nCPU implementer: 0x41\nCPU part: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if got := parseCPUInfo(text); got.processors > strings.Count(text, "processor") || len(got.model) > 16*len(text) {
			t.Errorf("%+v", got)
		}
	})
}

func FuzzProc(f *testing.F) {
	f.Add("MemTotal: 12 kB\n", "1 2 3")
	f.Fuzz(func(t *testing.T, meminfo, loadavg string) {
		if parseMemTotal(meminfo) < 0 {
			t.Error("negative memory")
		}
		for _, v := range parseLoad(loadavg) {
			if !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("load %g", v)
			}
		}
	})
}

func FuzzFindGroups(f *testing.F) {
	f.Add("0::/a/b\n4:cpu,cpuacct:/c\n", v2Mount+v1Mounts+dockerV1)
	f.Add("0::/../../..\n", v2Mount)
	f.Fuzz(func(t *testing.T, cgroups, mounts string) {
		for _, g := range findGroups("cpu", cgroups, mounts) {
			if strings.HasPrefix(g.dir, "/") || strings.Contains("/"+g.dir+"/", "/../") {
				t.Errorf("group %q leaves the root", g.dir)
			}
		}
	})
}

func TestUsableMemory(t *testing.T) {
	for _, c := range []struct {
		meminfo, limit string
		want           int64
	}{{"MemTotal: 4 kB\n", "8192\n", 4096}, {"MemTotal: 4 kB\n", "2048\n", 2048}, {"MemTotal: 4 kB\n", "max\n", 4096}, {"", "2048\n", 2048}, {"", "max\n", 0}} {
		h := fakeHost("proc/meminfo", c.meminfo, "proc/self/cgroup", "0::/\n", "proc/self/mountinfo", v2Mount, "sys/fs/cgroup/memory.max", c.limit)
		if got := h.usableMemory(); got != c.want {
			t.Errorf("MemTotal %q, limit %q: %d, want %d", c.meminfo, c.limit, got, c.want)
		}
	}
}
