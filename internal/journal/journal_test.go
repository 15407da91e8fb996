package journal

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary is also another process that has a journal: with modeVariable set, it does what the mode says with the one in
// the folder of its argument.
const modeVariable = "APEXX_JOURNAL_TEST_MODE"

func TestMain(m *testing.M) {
	mode := os.Getenv(modeVariable)
	if mode == "" {
		os.Exit(m.Run())
	}
	if err := other(mode, os.Args[1]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// entry is a line of these tests, long enough for a write to be torn.
type entry struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

func line(n int) entry { return entry{n, strings.Repeat("x", 4000)} }

func other(mode, dir string) error {
	j, lines, err := Open(dir, "log")
	if err != nil {
		return err
	}
	defer j.Close()
	switch mode {
	case "hold":
		fmt.Println("open")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "write": // until it is killed; tells of every line that is on disk
		for n := len(lines); ; n++ {
			if err := j.Append(line(n)); err != nil {
				return err
			}
			fmt.Println(n)
		}
	}
	return otherLimited(j, mode)
}

func start(t *testing.T, mode, dir string) (*exec.Cmd, *bufio.Scanner, io.Closer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), modeVariable+"="+mode)
	out, err1 := cmd.StdoutPipe()
	in, err2 := cmd.StdinPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out), in
}

func open(t *testing.T, dir string) (*Journal, [][]byte) {
	t.Helper()
	j, lines, err := Open(dir, "log")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, lines
}

// numbers decodes lines and checks that they are 0, 1, 2, …
func numbers(t *testing.T, lines [][]byte) int {
	t.Helper()
	for i, l := range lines {
		var e entry
		if err := json.Unmarshal(l, &e); err != nil || e != line(i) {
			t.Fatalf("line %d is %.40s…: %v", i, l, err)
		}
	}
	return len(lines)
}

func TestJournalKeepsLinesInOrder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	total := 0
	for range 4 {
		j, lines := open(t, dir)
		if got := numbers(t, lines); got != total {
			t.Errorf("%d lines, want %d", got, total)
		}
		for range 3 {
			if err := j.Append(line(total)); err != nil {
				t.Fatal(err)
			}
			total++
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTornLine opens files as interruptions leave them.
func TestTornLine(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{{"", 0}, {`{"n":`, 0}, {"{}\n", 1}, {"{}\n{}\n{\"n\"", 2}, {"{}\n{}", 1}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "log")
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		j, lines := open(t, dir)
		if len(lines) != c.want {
			t.Errorf("%q: %d lines, want %d", c.text, len(lines), c.want)
		}
		if err := j.Append(struct{}{}); err != nil {
			t.Fatal(err)
		}
		j.Close()
		if got, _ := os.ReadFile(path); string(got) != strings.Repeat("{}\n", c.want+1) {
			t.Errorf("%q and a line more: %q", c.text, got)
		}
	}
}

func TestBusy(t *testing.T) {
	dir := t.TempDir()
	cmd, said, in := start(t, "hold", dir)
	if !said.Scan() || said.Text() != "open" {
		t.Fatalf("the other process said %q", said.Text())
	}
	_, _, err := Open(dir, "log")
	if !errors.Is(err, ErrBusy) || err.Error() != dir+": another process is writing to it" {
		t.Errorf("a second opener: %v", err)
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, _, err := Open(dir, "log"); !errors.Is(err, ErrBusy) {
		t.Errorf("a second opener of this process: %v", err)
	}
	if _, err := Claim(dir); !errors.Is(err, ErrBusy) {
		t.Errorf("a claim: %v", err)
	}
	other := filepath.Join(dir, "other")
	release, err := Claim(other)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(other, "log"); !errors.Is(err, ErrBusy) {
		t.Errorf("an opener beside a claim: %v", err)
	}
	release()
	open(t, other)
}

// TestKilledWriter kills writers in the middle of their work: what they said was written is there.
func TestKilledWriter(t *testing.T) {
	dir, total := t.TempDir(), 0
	for round := range 5 {
		cmd, said, _ := start(t, "write", dir)
		promised := total
		for said.Scan() {
			var n int
			if _, err := fmt.Sscan(said.Text(), &n); err != nil {
				t.Fatalf("the writer says %q", said.Text())
			}
			if promised = n + 1; promised == total+1+7*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		j, lines := open(t, dir)
		if total = numbers(t, lines); total < promised || total > promised+1 { // one may be on disk and not told of
			t.Errorf("round %d: %d lines are left of %d", round, total, promised)
		}
		j.Close()
	}
	t.Logf("%d lines", total)
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "x", "log"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below"), filepath.Join(dir, "x")} {
		if _, _, err := Open(bad, "log"); err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), strings.TrimSuffix(bad, "/below")) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	// A failure leaves the folder free.
	if err := os.Remove(filepath.Join(dir, "x", "log")); err != nil {
		t.Fatal(err)
	}
	j, _ := open(t, filepath.Join(dir, "x"))
	if err := j.Append(make(chan int)); err == nil || !strings.Contains(err.Error(), j.path) {
		t.Errorf("a value that is no JSON: %v", err)
	}
	if err := j.Append(line(0)); err != nil {
		t.Error(err)
	}
}
