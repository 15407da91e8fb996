package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/cpu"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/mot"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/internal/video/videotest"
)

// TestMain lets the test binary be apexx, for the scripts and for the workers that they start, and an apexx whose workers say
// that they speak protocol 1.2.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"apexx": main, "apexx-1.2": func() {
		worker.Protocol = worker.Version{Major: 1, Minor: 2}
		main()
	}, "apexx-engines": serveEngines})
}

// TestScripts runs the command lines of testdata/script and checks what a user sees of them. Beside testscript's own
// commands there are:
//
//	status CODE apexx ARG…   run and compare the exit code; where the noise of the machine decides, one of several: 0,3
//	line FILE                the file has exactly one line, and no stack trace
//	tensors FILE HxW [KIND]  write an image tensor: noise, or one that is nan, rank3, float64, noimage
//	photo FILE WxH           write a small picture
//	walk DIR N               write the first frames of a walking sequence, and DIR.txt with its true tracks
//	damaged FILE KIND        write a hostile file: see hostile
//	names DIR                write cases of hostile names, and files that are no cases
//	sweep FILE [KIND]        write the result of a sweep: see syntheticSweep
//	lines FILE N             the file has N lines
//	busy DIR COMMAND ARG…    a command of this list, while another process writes to the folder
//	killed FILE:N apexx ARG… run, send SIGKILL once the file has N lines
//	disk DIR SIZE            a file system of that size, such as 8m
//	fill FILE N              a file that leaves N bytes of its file system
//	glob FILE PATTERN        copy the one file that matches
//	interrupt WHEN apexx ARG… run, send SIGINT at a moment, see startUntil, and expect exit code 130
//	interrupt2 WHEN apexx ARG… the same, twice: the first signal must not end it, the second must
//	daily FILE DAY COMMIT MS write the result of a sweep of one cell with that median
//	withoutcgo FILE          build apexx without cgo
func TestScripts(t *testing.T) {
	dir, err := filepath.Abs(filepath.Join("..", "..", ".deps"))
	if err != nil {
		t.Fatal(err)
	}
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			library := os.Getenv("APEXX_ORT_LIB")
			if found, _ := filepath.Glob(filepath.Join(dir, "libonnxruntime*")); library == "" && len(found) > 0 {
				library = found[0]
			}
			env.Setenv("ORT_LIB", library)
			self, err := exec.LookPath("apexx") // testscript puts it there
			env.Setenv("APEXX", self)
			engines, err1 := exec.LookPath("apexx-engines")
			env.Setenv("ENGINES", engines)
			nothing, err2 := exec.LookPath("true")
			env.Setenv("NOAPEXX", nothing)
			if err := errors.Join(err, err1, err2); err != nil {
				return err
			}
			env.Setenv("TESTDATA", testdata)
			env.Setenv("SOURCE", filepath.Join(testdata, "..", "..", ".."))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "ort":
				return cgoEnabled && (os.Getenv("APEXX_ORT_LIB") != "" || exists(filepath.Join(dir, "libonnxruntime.so.1"))), nil
			case "full":
				return exists("/dev/full"), nil
			case "nvidia":
				return exists("/proc/driver/nvidia/version") || exists("/usr/lib/wsl/lib/libnvidia-ml.so.1"), nil
			case "disks":
				return canMount(), nil
			case "avx2":
				return cpu.X86.HasAVX2 && cpu.X86.HasFMA, nil
			case "proc":
				return exists("/proc/self/stat"), nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "glob": copyMatch, "line": oneLine, "tensors": writeTensors, "photo": writePhoto, "walk": writeWalk,
			"damaged": writeDamaged, "names": writeNames, "interrupt": interrupt, "interrupt2": interruptTwice, "sweep": syntheticSweep, "daily": writeDaily,
			"lines": countLines, "busy": busy, "killed": killed, "disk": mountDisk, "fill": fillDisk, "withoutcgo": buildWithoutCgo,
		},
	})
}

// buildWithoutCgo builds with the environment of the test, whose caches a script does not see.
func buildWithoutCgo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: withoutcgo FILE")
	}
	build := exec.Command("go", "build", "-o", ts.MkAbs(args[0]), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		ts.Fatalf("%v\n%s", err, out)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE program ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := err.(*exec.ExitError); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if !slices.Contains(strings.Split(args[0], ","), strconv.Itoa(got)) {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}

func oneLine(ts *testscript.TestScript, neg bool, args []string) {
	text := ts.ReadFile(args[0])
	lines := strings.Count(text, "\n")
	if neg || lines != 1 || !strings.HasSuffix(text, "\n") || strings.Contains(text, "goroutine ") {
		ts.Fatalf("%s has %d lines, want one:\n%s", args[0], lines, text)
	}
}

func copyMatch(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("%s matches %q, want one file", args[1], found)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(ts.ReadFile(found[0])), 0o644))
}

func writeTensors(ts *testscript.TestScript, _ bool, args []string) {
	var h, w int
	if _, err := fmt.Sscanf(args[1], "%dx%d", &h, &w); err != nil {
		ts.Fatalf("%s: want HxW", args[1])
	}
	kind := "noise"
	if len(args) > 2 {
		kind = args[2]
	}
	image, name := tensor.New(tensor.Float32, 1, 3, h, w), "image"
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = float32(i*7919%1000) / 1000
	}
	switch kind {
	case "nan":
		tensor.Data[float32](image)[5] = float32(math.NaN())
	case "rank3":
		image, _ = image.Reshaped(3, h, w)
	case "float64":
		image = tensor.New(tensor.Float64, 1, 3, h, w)
	case "noimage":
		name = "picture"
	}
	ts.Check(source.WriteTensors(ts.MkAbs(args[0]), nil, tensor.List{{Name: name, Tensor: image}}))
}

func writePhoto(ts *testscript.TestScript, _ bool, args []string) {
	var w, h int
	if _, err := fmt.Sscanf(args[1], "%dx%d", &w, &h); err != nil {
		ts.Fatalf("%s: want WxH", args[1])
	}
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x * 3), uint8(y * 5), uint8((x ^ y) * 2), 255})
		}
	}
	var buf bytes.Buffer
	ts.Check(png.Encode(&buf, img))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), buf.Bytes(), 0o644))
}

func writeWalk(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	w, err := videotest.NewWalk()
	ts.Check(err)
	_, err = w.Write(ts.MkAbs(args[0]), n)
	ts.Check(err)
	var truth bytes.Buffer
	ts.Check(mot.Write(&truth, slices.DeleteFunc(w.Rows(), func(r mot.Row) bool { return r.Frame > n })))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".txt"), truth.Bytes(), 0o644))
}

func TestRepeatFlags(t *testing.T) {
	for _, c := range [][2]string{
		{"run --image a b c --json -", "run --image a --image b --image c --json -"},
		{"run --image a --image b c", "run --image a --image b --image c"},
		{"run --image=a b", "run --image=a b"},
		{"run --image", "run --image"},
		{"run --set image b", "run --set image b"},
	} {
		if got := strings.Join(repeatFlags(strings.Fields(c[0]), []string{"--image"}), " "); got != c[1] {
			t.Errorf("%s: got %s", c[0], got)
		}
	}
}

func TestParseShape(t *testing.T) {
	if b, h, w, err := parseShape("2x3x384x640"); err != nil || b != 2 || h != 384 || w != 640 {
		t.Errorf("%d %d %d %v", b, h, w, err)
	}
	for _, bad := range []string{"", "512", "1x3x512", "1x4x512x512", "0x3x512x512", "1x3x512x512x1", "1x3x512x512 2", "1,3,512,512", "1x3x-5x512"} {
		if _, _, _, err := parseShape(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestPanicIsOneLine checks that a fault of the program ends as one line and exit code 6.
func TestPanicIsOneLine(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(context.Background(), nil, nil, &out, &errs); code == 0 && errs.Len() == 0 && out.Len() == 0 {
		t.Error("a command line without a program name did nothing at all")
	}
}
