package workflows

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/testenv"
)

// gpuMachine is a machine with GPUs and what make gpu-tests builds, all of them scripts that write down how they were called.
type gpuMachine struct {
	t   *testing.T
	dir string
}

// caps are what apexx caps says there: backends, in its order.
const everyBackend = "reference    available\nort          available\nort-cuda     available\nort-tensorrt available\ncuda         available\ntensorrt     available\n"

// emptyArchive is what gzip makes of nothing.
const emptyArchive = "\x1f\x8b\b\x00\x00\x00\x00\x00\x00\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func newGPUMachine(t *testing.T, gpus int, caps string) gpuMachine {
	testenv.Clean(t)
	m := gpuMachine{t, t.TempDir()}
	called := "#!/bin/sh\necho \"gpu ${CUDA_VISIBLE_DEVICES:-any}: ${0##*/} $*\" >>" + m.path("calls") + "\n"
	for _, name := range []string{"device.test", "execute.test", "ort.test", "plugins.test", "tensorrt.test", "apexx-cuda", "tensorrt-peer"} {
		write(t, m.path("bin/"+name), called+"echo '    suite.go:9: backend cuda is unavailable: operator_unsupported: one case'\n")
	}
	write(t, m.path("caps"), caps)
	// The gate whose head has a slowed step finds it; ranges and engines become files.
	write(t, m.path("bin/apexx"), called+"case \"$*\" in\ncaps) cat "+m.path("caps")+" ;;\n*slowed*) exit 1 ;;\ncalibrate\\ --*|engine\\ build*) while [ $# -gt 1 ]; do [ \"$1\" != --out ] || echo >\"$2\"; shift; done ;;\nesac\n")
	write(t, m.path("bin/fixtures/golden/nano-512.safetensors.gz"), emptyArchive)
	write(t, m.path("bin/fixtures/scenes/images/000001.jpg"), "")
	write(t, m.path("path/nvidia-smi"), "#!/bin/sh\n[ $1 != --list-gpus ] || seq "+string(rune('0'+gpus))+"\n")
	write(t, m.path("path/nproc"), "#!/bin/sh\necho 16\n")
	write(t, m.path("path/taskset"), "#!/bin/sh\n")
	write(t, m.path("path/compute-sanitizer"), called+"while [ ! -x \"$1\" ]; do shift; done\nexec \"$@\"\n")
	return m
}

func (m gpuMachine) path(name string) string { return filepath.Join(m.dir, name) }

// try runs the script and returns the summary, in the order in which parts ended, and the calls of programs, in the order of their starts.
func (m gpuMachine) try(env ...string) (summary, calls string, code int) {
	m.t.Helper()
	env = append([]string{"BINARIES=" + m.path("bin"), "PATH=" + m.path("path") + ":" + os.Getenv("PATH"), "CUDA_VISIBLE_DEVICES=", "ONLY=", "SANITIZE=", "APEXX_PEER=", "NVRTC=",
		"SELFCHECK_FOR=", "SWEEP_CELLS=", "ENGINE_LEVEL=", "ENGINE_CACHE="}, env...)
	_, errs, code := script(m.t, m.dir, env, ci(m.t, "gpu"), m.path("out"))
	if errs != "" && code != 5 {
		m.t.Errorf("standard error: %s", errs)
	}
	return m.read("out/summary.txt"), m.read("calls"), code
}

func (m gpuMachine) read(name string) string {
	text, err := os.ReadFile(m.path(name))
	if err != nil {
		return ""
	}
	return string(text)
}

// TestGPUEverything: with all backends and one GPU every part passes; nothing is timed before all that is right is known, and engines are built before
// they are timed.
func TestGPUEverything(t *testing.T) {
	m := newGPUMachine(t, 1, everyBackend)
	summary, calls, code := m.try("SANITIZE=1", "NVRTC=on", "SELFCHECK_FOR=1m", "APEXX_PEER=/peer.py", "PEER=", "ONLY=")
	for _, part := range strings.Fields(`compliance.cuda.Operators compliance.cuda.Modules compliance.cuda.Replay compliance.tensorrt.Modules compliance.tensorrt.Sessions
		compliance.tensorrt.Replay engine.fp16-512x512-b1-complete engine.fp16-512x512-b8-complete plugins golden.cuda golden.ort-cuda golden.tensorrt extremes.cuda scenes.tensorrt bits.cuda bits.tensorrt
		bits.plugins bits.all fallback ort-tensorrt matrix matrix-low.fp16 matrix-low.int8 matrix-low.fp8 nvrtc sanitizer.memcheck.cuda sanitizer.racecheck.plugins sanitizer.initcheck.cuda sanitizer.synccheck.plugins
		steps.cuda steps.tensorrt sweep engine-sweep gate.cuda gate.ort-cuda gate.tensorrt gate-step selfcheck
		calibrate twice peer.tensorrt.float32 peer.tensorrt.float16 peer.tensorrt.float16.means`) {
		if !strings.Contains(summary, "pass "+part+" (") {
			t.Errorf("%s did not pass:\n%s", part, summary)
		}
	}
	if want := "fail peer.float32: exit 2, want 0"; code != 1 || !strings.Contains(summary, want) { // there is no such script
		t.Errorf("exit code %d, want 1 for %q in\n%s", code, want, summary)
	}
	inOrder(t, calls, "TestGoldenCases", "--replicates 1", "TestStepTimes", "--replicates 2", "--engine-batches 1:4:8", "--head . --cells tensorrt", "tensorrt-peer --model", "/first.engine", "/second.engine",
		"engine show", "--head . --cells cuda", "slowed", "--selfcheck")
	if i, j := strings.LastIndex(calls, "gpu any: compute-sanitizer"), strings.Index(calls, "TestStepTimes"); i > j {
		t.Error("something is timed beside compute-sanitizer")
	}
	for _, want := range []string{
		"compute-sanitizer --tool initcheck --report-api-errors no --error-exitcode 1 ./device.test -test.v -test.run TestEveryKernel -chained=true\n",
		"--backends reference,ort,cuda,ort-cuda,tensorrt --precisions fp64,fp16 --engine-level 0 --jobs 8",
		"--backends reference,ort,ort-cuda,tensorrt --precisions fp64,int8 --engine-level 0 --jobs 8",
		"--cells tensorrt/nano/fp32/512x512/b1/complete --engine-level 3 --replicates 1",
		"cuda/nano/fp16/512x512/b8/complete", ",ort/nano/fp32/512x512/b1/complete,cuda",
	} {
		if !strings.Contains(calls, want) {
			t.Errorf("%q is not in\n%s", want, calls)
		}
	}
}

// TestGPUBuildTwice: two engines may differ, if it can be told in what, and a table has to stand for what it was found with.
func TestGPUBuildTwice(t *testing.T) {
	for name, c := range map[string]struct{ part, does, want string }{
		"engines differ":     {"twice", "engine\\ show*) exit 1 ;;", "pass twice"},
		"an engine is cut":   {"twice", "engine\\ show*) exit 5 ;;", "fail twice: exit 1, want 0"},
		"no second build":    {"twice", "*second*) exit 5 ;;", "fail twice: exit 5, want 0"},
		"ranges differ":      {"calibrate", "calibrate\\ show*) exit 1 ;;", "pass calibrate"},
		"no calibrator":      {"calibrate", "calibrate\\ --method*) exit 5 ;;", "fail calibrate: exit 5, want 0"},
		"the table is other": {"calibrate", "*table.json*) echo other >\"${9}\" ;;", "fail calibrate: exit 1, want 0"},
		"no int8":            {"calibrate", "engine\\ build*) exit 5 ;;", "fail calibrate: exit 5, want 0"},
	} {
		m := newGPUMachine(t, 1, everyBackend)
		honest := m.read("bin/apexx")
		write(t, m.path("bin/apexx"), strings.Replace(honest, "case \"$*\" in\n", "case \"$*\" in\n"+c.does+"\n", 1))
		if summary, calls, _ := m.try("ONLY=" + c.part); !strings.HasPrefix(summary, c.want) {
			t.Errorf("%s: %s want %s after\n%s", name, summary, c.want, calls)
		}
	}
}

// inOrder holds a text to have parts one after the other.
func inOrder(t *testing.T, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, p := range parts {
		i := strings.Index(text[at:], p)
		if i < 0 {
			t.Errorf("%q does not come in its turn in\n%s", p, text)
			return
		}
		at += i
	}
}

// TestGPUSeveralDevices: what is right is tried on the last, and everything else is timed on the others and, when nothing is tried any more, on the last: all
// have something to do.
func TestGPUSeveralDevices(t *testing.T) {
	for devices := 2; devices <= 4; devices++ {
		m := newGPUMachine(t, devices, everyBackend)
		// No device but the last finds the time to do all.
		honest := m.read("bin/apexx")
		write(t, m.path("bin/apexx"), honest+fmt.Sprintf("case \"$CUDA_VISIBLE_DEVICES $*\" in\n%d*) ;;\n*' sweep '*) for i in $(seq 100); do ! grep -q '^gpu %[1]d: apexx sweep ' %s || break; sleep 0.1; done ;;\nesac\n",
			devices-1, m.path("calls")))
		summary, calls, code := m.try("SANITIZE=1")
		if code != 0 {
			t.Errorf("exit code %d:\n%s", code, summary)
		}
		last, used, timing := fmt.Sprintf("gpu %d: ", devices-1), map[string]bool{}, false
		for _, line := range strings.Split(strings.TrimSpace(calls), "\n") {
			timed := false
			for _, part := range []string{".engine", " sweep ", " gate ", "TestStepTimes", "tensorrt-peer", " export ", " run "} {
				timed = timed || strings.Contains(line, part) && !strings.Contains(line, "int8.engine")
			}
			switch {
			case strings.Contains(line, " caps"):
				if !strings.HasPrefix(line, "gpu any: ") {
					t.Error(line)
				}
			case strings.HasPrefix(line, "gpu any: "), !timed && (timing || !strings.HasPrefix(line, last)):
				t.Errorf("of %d devices: %s", devices, line)
			default:
				used[line[:len(last)]] = true
				timing = timing || timed && strings.HasPrefix(line, last)
			}
		}
		if len(used) != devices || !timing {
			t.Errorf("of %d devices %d are used, the last to time something: %t\n%s", devices, len(used), timing, calls)
		}
	}
}

// TestGPUPart: names choose parts and whole families; one that does not exist, or whose needs are not here, is no pass.
func TestGPUPart(t *testing.T) {
	const noTensorRT = "reference    available\nort          unavailable: library_not_found\ncuda         available\ntensorrt     unavailable: library_not_found\n"
	for name, c := range map[string]struct {
		caps, only string
		code       int
		want       []string // parts, in any order
	}{
		"family":   {everyBackend, "golden", 0, []string{"pass golden.cuda", "pass golden.ort-cuda", "pass golden.tensorrt"}},
		"member":   {everyBackend, "golden.cuda gate-step", 0, []string{"pass golden.cuda", "pass gate-step"}},
		"not here": {noTensorRT, "engine sweep", 1, []string{"pass sweep", "fail engine: there is no such part"}},
		"unknown":  {everyBackend, "gates", 1, []string{"fail gates: there is no such part"}},
	} {
		summary, _, code := newGPUMachine(t, 1, c.caps).try("ONLY=" + c.only)
		if code != c.code || strings.Count(summary, "\n") != len(c.want) {
			t.Errorf("%s: exit code %d and\n%s", name, code, summary)
		}
		for _, want := range c.want {
			if !strings.Contains(summary, want) {
				t.Errorf("%s: %q is not in\n%s", name, want, summary)
			}
		}
	}
}

// TestGPUFails: what goes wrong in a part fails it, and no other.
func TestGPUFails(t *testing.T) {
	for name, c := range map[string]struct {
		program, says string
		want          string
	}{
		"fails":       {"device.test", "exit 1", "fail steps.cuda: exit 1, want 0"},
		"no such":     {"device.test", "echo 'testing: warning: no tests to run'", "fail steps.cuda: exit 1, want 0"},
		"is skipped":  {"device.test", "echo '    device_test.go:9: cuda is unavailable: cuda_device_not_found: none'", "fail steps.cuda: exit 1, want 0"},
		"takes long":  {"device.test", "exec sleep 60", "fail steps.cuda: not done after 100s"},
		"finds no 5%": {"apexx", "[ $1 != caps ] || cat ../caps", "fail gate-step: exit 0, want 1"},
	} {
		m := newGPUMachine(t, 1, everyBackend)
		write(t, m.path("bin/"+c.program), "#!/bin/sh\n"+c.says+"\n")
		if name == "takes long" { // does not take its time
			write(t, m.path("path/timeout"), "#!/bin/sh\ncase $* in *TestStepTimes*) exit 124 ;; esac\nshift 3\nexec \"$@\"\n")
		}
		summary, _, code := m.try("ONLY=steps.cuda sweep gate-step")
		if code != 1 || !strings.Contains(summary, c.want) || strings.Count(summary, "fail") != 1 || !strings.Contains(summary, "pass sweep") {
			t.Errorf("%s: exit code %d, want %q and no other failure in\n%s", name, code, c.want, summary)
		}
	}
}

// TestGPUOpen: a question that apexx leaves open is no pass and no failure, and the script ends as apexx did, unless something failed, too.
func TestGPUOpen(t *testing.T) {
	for name, c := range map[string]struct {
		cases string // of apexx
		want  string
		code  int
	}{
		"inconclusive gate": {"gate*ort-cuda*) exit 3 ;;", "open gate.ort-cuda: inconclusive (", 3},
		"open step":         {"*slowed*) exit 3 ;;", "open gate-step: inconclusive (", 3},
		"and a failure":     {"gate*ort-cuda*) exit 3 ;;\nsweep*) exit 1 ;;", "open gate.ort-cuda: inconclusive (", 1},
	} {
		m := newGPUMachine(t, 1, everyBackend)
		write(t, m.path("bin/apexx"), strings.Replace(m.read("bin/apexx"), "case \"$*\" in\n", "case \"$*\" in\n"+c.cases+"\n", 1))
		if summary, _, code := m.try("ONLY=sweep gate.ort-cuda gate-step"); code != c.code || !strings.Contains(summary, c.want) || strings.Count(summary, "\n") != 3 {
			t.Errorf("%s: exit code %d, want %d and %q in\n%s", name, code, c.code, c.want, summary)
		}
	}
}

// TestGPUInterrupted: nothing goes on after the script was told to end, neither what runs beside others nor what runs alone.
func TestGPUInterrupted(t *testing.T) {
	// Where these tests run in the background of a shell, SIGINT is ignored, and a shell that starts so cannot catch it. What a Go program catches is
	// as ever in the programs that it starts.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(caught)
	for name, sent := range map[string]syscall.Signal{"told to end": syscall.SIGTERM, "interrupted": syscall.SIGINT} {
		m := newGPUMachine(t, 2, everyBackend)
		for _, program := range []string{"execute.test", "device.test"} {
			write(t, m.path("bin/"+program), "#!/bin/sh\necho $$ >"+m.path(program+".pid")+"\nexec sleep 180\n")
		}
		cmd := exec.Command(ci(t, "gpu"), m.path("out"))
		cmd.Env = append(os.Environ(), "BINARIES="+m.path("bin"), "PATH="+m.path("path")+":"+os.Getenv("PATH"), "ONLY=golden.cuda steps.cuda", "CUDA_VISIBLE_DEVICES=")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var pids []int
		for _, program := range []string{"execute.test", "device.test"} {
			pids = append(pids, m.pid(program+".pid"))
		}
		if err := syscall.Kill(-cmd.Process.Pid, sent); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 143 {
			t.Errorf("%s: the script ends with %v, want exit code 143", name, err)
		}
		for _, pid := range pids {
			if !endsSoon(pid) {
				t.Errorf("%s: a part goes on", name)
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

// patience is how long what has to come may take on a busy machine, and less than parts sleep that nobody ends.
const patience = time.Minute

// pid waits for a file with the number of a process.
func (m gpuMachine) pid(name string) int {
	m.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if pid, err := strconv.Atoi(strings.TrimSpace(m.read(name))); err == nil {
			return pid
		}
	}
	m.t.Fatalf("there is no %s", name)
	return 0
}

// endsSoon tells whether a process ends, or has ended and waits to be reaped.
func endsSoon(pid int) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return true
		}
	}
	return false
}

// TestGPUNoDevice: without one nothing is tried.
func TestGPUNoDevice(t *testing.T) {
	m := newGPUMachine(t, 0, "reference    available\ncuda         unavailable: cuda_device_not_found\n    no device\ntensorrt     unavailable: x\n")
	if summary, calls, code := m.try(); code != 5 || summary != "" || strings.Count(calls, "\n") != 2 {
		t.Errorf("exit code %d, summary %q, calls\n%s", code, summary, calls)
	}
}
