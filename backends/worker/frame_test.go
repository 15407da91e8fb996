package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
)

func frame(payload string) string {
	var b bytes.Buffer
	if err := writeFrame(&b, []byte(payload)); err != nil {
		panic(err)
	}
	return b.String()
}

func TestReadFrame(t *testing.T) {
	long := strings.Repeat("x", trustedFrame+1)
	for _, c := range []struct {
		name, in, want string // want: the payload, or a part of the error after "!"
	}{
		{"empty", frame(""), ""},
		{"short", frame("{}"), "{}"},
		{"long", frame(long), long},
		{"end", "", "!EOF"},
		{"end in header", "apx", `!frame header after 3 of 8 bytes, starting "apx": unexpected EOF`},
		{"end in payload", frame("abcdef")[:11], "!frame ends after 3 of 6 bytes"},
		{"end in long payload", frame(long)[:1008], "!frame ends after 1000 of 65537 bytes"},
		{"other text", "Warning: no GPU", `!got "Warning:" where a frame has to start with "apxw"`},
		{"hostile length", "apxw\xff\xff\xff\xff", "!frame claims 4294967295 bytes, the limit is 16777216"},
	} {
		got, err := readFrame(strings.NewReader(c.in))
		if text, bad := strings.CutPrefix(c.want, "!"); bad {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v, want %s", c.name, err, text)
			}
		} else if err != nil || string(got) != c.want {
			t.Errorf("%s: %.20q, %v", c.name, got, err)
		}
	}
	if err := writeFrame(io.Discard, make([]byte, maxFrame+1)); err == nil {
		t.Error("a frame above the limit was written")
	}
}

// TestLyingLength does not hand out the memory that a header asks for.
func TestLyingLength(t *testing.T) {
	header := binary.LittleEndian.AppendUint32([]byte(frameMagic), maxFrame)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readFrame(bytes.NewReader(header)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > maxFrame/4 {
		t.Errorf("allocated %d bytes", got)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, s := range []string{"", "apxw", frame(""), frame("{}") + frame("[]"), "apxw\xff\xff\xff\xff", frame("abc")[:9]} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		for {
			start := len(in) - r.Len()
			payload, err := readFrame(r)
			if err != nil {
				return
			}
			if again := frame(string(payload)); again != string(in[start:len(in)-r.Len()]) {
				t.Fatalf("read %q from %q", payload, in[start:])
			}
		}
	})
}
