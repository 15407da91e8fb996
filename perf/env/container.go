package env

import "strings"

// container tells what kind of container this process runs in. The signs are those that systemd-detect-virt(1) and the
// container engines document, the most specific first: a pod's container also has the files of its engine.
func (h host) container() string {
	if h.getenv("KUBERNETES_SERVICE_HOST") != "" || h.exists("var/run/secrets/kubernetes.io") {
		return "kubernetes"
	}
	if kind := h.getenv("container"); containerName(kind) { // podman, lxc, systemd-nspawn, oci
		return kind
	}
	if kind := h.line("run/systemd/container"); containerName(kind) {
		return kind
	}
	if h.exists("run/.containerenv") {
		return "podman"
	}
	if h.exists(".dockerenv") {
		return "docker"
	}
	groups := h.text("proc/self/cgroup") + h.text("proc/1/cgroup")
	for _, sign := range [][2]string{{"kubepods", "kubernetes"}, {"libpod", "podman"}, {"docker", "docker"}, {"containerd", "containerd"}, {"/lxc", "lxc"}} {
		if strings.Contains(groups, sign[0]) {
			return sign[1]
		}
	}
	switch kernel := h.line("proc/sys/kernel/osrelease"); {
	case strings.Contains(strings.ToLower(kernel), "microsoft"):
		return "wsl"
	case kernel == "":
		return "unknown"
	}
	return "none"
}

// containerName tells whether a container engine's name for itself can be repeated in reports.
func containerName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
