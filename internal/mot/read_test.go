package mot

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/track"
)

func TestParse(t *testing.T) {
	rows, err := Parse([]byte("2,1,0,0,5,5\r\n\n 1 , 2 , 10.5 ,-3,20,40,0.25,1,1\n1,1,0,0,5,5,0,-1,-1,-1"))
	want := []Row{{1, 1, track.Box{0, 0, 5, 5}, 0}, {1, 2, track.Box{10.5, -3, 30.5, 37}, 0.25}, {2, 1, track.Box{0, 0, 5, 5}, 1}}
	if err != nil || !reflect.DeepEqual(rows, want) {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestParseRejects(t *testing.T) {
	for text, want := range map[string]string{
		"1,1,0,0,5":                    "line 1: 5 columns, want frame,id,left,top,width,height,score and up to three more",
		"1,1,0,0,5,5,1,1,1,1,1":        "line 1: 11 columns, want frame,id,left,top,width,height,score and up to three more",
		"frame,id,x,y,w,h":             `line 1: the frame is "frame", want a finite number`,
		"1,1,0,0,5,5\n1.5,1,0,0,5,5":   "line 2: the frame is 1.5, want an integer from 1 to 2147483647",
		"0,1,0,0,5,5":                  "line 1: the frame is 0, want an integer from 1 to 2147483647",
		"1,-1,0,0,5,5":                 "line 1: the id is -1, want an integer from 1 to 2147483647",
		"1,1e18,0,0,5,5":               "line 1: the id is 1e18, want an integer from 1 to 2147483647",
		"1,1,nan,0,5,5":                `line 1: the left is "nan", want a finite number`,
		"1,1,0,1e999,5,5":              `line 1: the top is "1e999", want a finite number`,
		"1,1,0,0,1e308,5":              "line 1: the width is 1e308, want at most 1000000000 pixels",
		"1,1,0,0,-1,5":                 "line 1: the width is -1, want at least 0",
		"1,1,0,0,5,5,":                 `line 1: the score is "", want a finite number`,
		"1,1,0,0,5,5,\x1b[2J":          `line 1: the score is "\\x1b[2J", want a finite number`,
		"1,1,0,0,5,5\n\n1,1,9,9,5,5,1": "line 3: the id 1 is in frame 1 already, on line 1",
	} {
		if _, err := Parse([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gt.txt")
	if err := os.WriteFile(path, []byte("1,x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+": line 1: 2 columns") {
		t.Error(err)
	}
	if _, err := Load(filepath.Dir(path)); err == nil || !strings.HasSuffix(err.Error(), "is a folder; want a file of tracks in a regular file") {
		t.Error(err)
	}
}

// FuzzParse wants every file that is read to be read again after it was written, with the same frames and ids, and to be evaluated.
func FuzzParse(f *testing.F) {
	f.Add([]byte("1,1,0,0,5,5,1,-1,-1,-1\n2,1,1,0,5,5,0.5,1,0.3\n"))
	f.Add([]byte("3,7,-1e3,.5,1e2,0\n\n3,8,0,0,1,1,0"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 4096 {
			return
		}
		rows, err := Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x1b") {
				t.Errorf("%q", err)
			}
			return
		}
		var b bytes.Buffer
		if err := Write(&b, rows); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(b.Bytes())
		if err != nil || len(again) != len(rows) {
			t.Fatalf("%d rows, written and read %d, %v\n%s", len(rows), len(again), err, &b)
		}
		for i := range rows {
			if rows[i].Frame != again[i].Frame || rows[i].ID != again[i].ID {
				t.Fatalf("%+v became %+v", rows[i], again[i])
			}
		}
		if _, err := Evaluate(rows, again); err != nil {
			t.Fatal(err)
		}
	})
}
