package env

import (
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// cpuQuota returns the processor time per time that the control groups grant, in processors; 0 where they do not limit it.
// A group's limit holds for everything below it, so that the least on the way up counts.
func (h host) cpuQuota() float64 {
	least := math.Inf(1)
	for _, g := range h.groups("cpu") {
		quota, period := h.line(g.dir+"/cpu.cfs_quota_us"), h.line(g.dir+"/cpu.cfs_period_us")
		if g.unified {
			quota, period, _ = strings.Cut(h.line(g.dir+"/cpu.max"), " ")
		}
		q, err1 := strconv.ParseFloat(quota, 64) // "max" and -1 are no limit
		p, err2 := strconv.ParseFloat(period, 64)
		if err1 == nil && err2 == nil && q > 0 && p > 0 {
			least = min(least, q/p)
		}
	}
	if math.IsInf(least, 1) {
		return 0
	}
	return least
}

// memoryLimit returns the least memory limit of the control groups in bytes, MaxInt64 where there is none.
func (h host) memoryLimit() int64 {
	least := int64(math.MaxInt64)
	for _, g := range h.groups("memory") {
		file := "/memory.limit_in_bytes"
		if g.unified {
			file = "/memory.max"
		}
		if n, err := strconv.ParseInt(h.line(g.dir+file), 10, 64); err == nil && n > 0 {
			least = min(least, n)
		}
	}
	return least
}

// group is the folder of a control group.
type group struct {
	dir     string
	unified bool // of version 2
}

// groups returns the folders of the groups that this process is in and that a controller may limit, from the innermost up,
// of both versions of control groups: a machine can have either or both.
func (h host) groups(controller string) []group {
	return findGroups(controller, h.text("proc/self/cgroup"), h.text("proc/self/mountinfo"))
}

// findGroups joins /proc/self/cgroup (lines "ID:CONTROLLERS:PATH", version 2 without controllers) with the mounts of
// /proc/self/mountinfo ("… ROOT POINT … - TYPE SOURCE OPTIONS"). In a container the path may lie outside what is mounted;
// then the mounted root is all that can be seen.
func findGroups(controller, cgroups, mounts string) []group {
	var out []group
	for line := range strings.Lines(cgroups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		unified := parts[0] == "0" && parts[1] == ""
		if !unified && !slices.Contains(strings.Split(parts[1], ","), controller) {
			continue
		}
		root, point, ok := findMount(mounts, unified, controller)
		if !ok {
			continue
		}
		below, inside := strings.CutPrefix(path.Clean("/"+parts[2]), strings.TrimSuffix(root, "/"))
		if !inside || below != "" && below[0] != '/' {
			below = ""
		}
		for {
			out = append(out, group{strings.TrimPrefix(path.Join(point, below), "/"), unified})
			if below == "" || below == "/" {
				break
			}
			below = path.Dir(below)
		}
	}
	return out
}

// findMount returns the root and the place of the mounted hierarchy of version 2, or of a controller of version 1.
func findMount(mounts string, unified bool, controller string) (root, point string, ok bool) {
	for line := range strings.Lines(mounts) {
		mount, system, found := strings.Cut(line, " - ")
		m, s := strings.Fields(mount), strings.Fields(system)
		if !found || len(m) < 5 || len(s) < 3 {
			continue
		}
		if unified && s[0] == "cgroup2" || !unified && s[0] == "cgroup" && slices.Contains(strings.Split(s[2], ","), controller) {
			return unescapeMount.Replace(m[3]), path.Clean("/" + unescapeMount.Replace(m[4])), true
		}
	}
	return "", "", false
}

// unescapeMount undoes the octal escapes of mountinfo.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
