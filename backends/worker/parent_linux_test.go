package worker

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// beParent starts a worker, prints the id of its process once it hangs in Compile, and leaves it there, with its files in place. The
// mode "parent-of-shell" puts a shell between, so that the worker does not get the signal of a dying parent.
func beParent(mode string) {
	self, _ := os.Executable()
	s := Spec{Name: "fake", Command: []string{self}, Env: []string{modeVariable + "=ok"}}
	if mode == "parent-of-shell" {
		s.Command = []string{"/bin/sh", "-c", self + "; exit $?"}
	}
	w, err := Start(context.Background(), s)
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		hanging(w)
		fmt.Println(w.Hello().Pid)
	}()
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("y", graph.Unary{Fn: graph.Identity}, b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1}})))
	g, _ := b.Build()
	w.Compile(context.Background(), g, backends.Options{Extra: map[string]string{"compile": "hang"}})
}

// TestParentKilled kills a parent whose worker computes, and looks for what it leaves.
func TestParentKilled(t *testing.T) {
	for _, mode := range []string{"parent", "parent-of-shell"} {
		t.Run(mode, func(t *testing.T) {
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			parent := exec.Command(self)
			parent.Env = append(os.Environ(), modeVariable+"="+mode)
			out, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			line, _, err := bufio.NewReader(out).ReadLine()
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(string(line))
			if err != nil {
				t.Fatalf("the parent says %q", line)
			}
			if made := folders(t, parent.Process.Pid); len(made) != 1 {
				t.Errorf("the session has the folders %q", made)
			}
			parent.Process.Kill()
			parent.Wait()
			vanishes(t, pid)

			if mode == "parent" { // its worker was killed, too: nobody but the next apexx can remove the folder
				left := folders(t, parent.Process.Pid)
				for _, path := range left {
					old := time.Now().Add(-2 * sweepAge)
					os.Chtimes(path, old, old)
					sweep(filepath.Dir(path))
				}
			}
			waitFor(t, "the folder to be removed", func() bool { return len(folders(t, parent.Process.Pid)) == 0 })
		})
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// TestSweep spares what is in use, new or not ours.
func TestSweep(t *testing.T) {
	base := t.TempDir()
	old := time.Now().Add(-2 * sweepAge)
	make := func(name string, withLock, held, aged bool) {
		path := filepath.Join(base, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if withLock {
			lock, err := lockFile(filepath.Join(path, lockName), true)
			if err != nil {
				t.Fatal(err)
			}
			if held {
				t.Cleanup(func() { lock.Close() })
			} else {
				lock.Close()
			}
		}
		if aged {
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	make(folderPrefix+"1-dead", true, false, true)
	make(folderPrefix+"2-unlocked", false, false, true)
	make(folderPrefix+"3-alive", true, true, true)
	make(folderPrefix+"4-young", true, false, false)
	make("other", true, false, true)
	sweep(base)
	entries, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	want := []string{folderPrefix + "3-alive", folderPrefix + "4-young", "other"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("left %v, want %v", got, want)
	}
}
