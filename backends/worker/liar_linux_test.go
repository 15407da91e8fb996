package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lieVariable holds the lie of a worker in mode "liar", as JSON.
const lieVariable = "APEXX_WORKER_TEST_LIE"

// lie is what a worker does to its first reply of a kind; all others are honest.
type lie struct {
	Kind   string
	Always bool   // not only the first
	Path   string // of a field of the body, such as layout.0.dtype; empty: the whole body
	Set    string // what the field becomes; empty: it goes
	Cut    *int64 // what the session's files are cut to before the reply, instead of a lie in words
}

// serveLies serves the fake backend with one lie.
func serveLies(text string) error {
	var l lie
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return err
	}
	out, err := claimStdout()
	if err != nil {
		return err
	}
	return Serve(context.Background(), os.Stdin, &liar{out: out, lie: &l}, fake{})
}

// liar passes frames on, each of which comes in one Write.
type liar struct {
	out io.Writer
	lie *lie // nil once it is told
}

func (l *liar) Write(frame []byte) (int, error) {
	payload, err := readFrame(bytes.NewReader(frame))
	if err != nil {
		return 0, err
	}
	m, err := decodeMessage(payload)
	if err != nil {
		return 0, err
	}
	if l.lie != nil && m.Kind == l.lie.Kind {
		if err := l.lie.tell(&m); err != nil {
			return 0, err
		}
		if !l.lie.Always {
			l.lie = nil
		}
		payload = []byte(fmt.Sprintf(`{"id":%d,"kind":%q,"body":%s}`, m.ID, m.Kind, m.Body)) // whatever the body is now
	}
	return len(frame), writeFrame(l.out, payload)
}

func (l *lie) tell(m *message) (err error) {
	if l.Cut != nil {
		return cutFiles(*l.Cut)
	}
	if l.Path == "" {
		m.Body = json.RawMessage(l.Set)
		return nil
	}
	m.Body, err = edit(m.Body, strings.Split(l.Path, "."), json.RawMessage(l.Set))
	return err
}

// edit sets a field of a JSON value, or removes it where there is nothing to set. An index at the end of a list appends.
func edit(value json.RawMessage, path []string, set json.RawMessage) (json.RawMessage, error) {
	if len(path) == 0 {
		return set, nil
	}
	if i, err := strconv.Atoi(path[0]); err == nil {
		var list []json.RawMessage
		if err := json.Unmarshal(value, &list); err != nil {
			return nil, err
		}
		if i == len(list) {
			list = append(list, nil)
		}
		if list[i], err = edit(list[i], path[1:], set); err != nil {
			return nil, err
		}
		if len(list[i]) == 0 {
			list = append(list[:i], list[i+1:]...)
		}
		return joined("[", list, "]"), nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(value, &fields); err != nil {
		return nil, err
	}
	changed, err := edit(fields[path[0]], path[1:], set)
	if err != nil {
		return nil, err
	}
	delete(fields, path[0])
	var list []json.RawMessage
	for key, v := range fields {
		list = append(list, fmt.Appendf(nil, "%q:%s", key, v))
	}
	if len(changed) > 0 {
		list = append(list, fmt.Appendf(nil, "%q:%s", path[0], changed))
	}
	return joined("{", list, "}"), nil
}

// joined writes JSON without reading it, as lies may be no JSON.
func joined(open string, list []json.RawMessage, end string) json.RawMessage {
	var out bytes.Buffer
	out.WriteString(open)
	for i, x := range list {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(x)
	}
	out.WriteString(end)
	return out.Bytes()
}

// cutFiles makes the files that this process shares with its parent shorter.
func cutFiles(size int64) error {
	files, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return err
	}
	for _, fd := range files {
		if name, err := os.Readlink(fd); err == nil && strings.Contains(name, folderPrefix) {
			if err := os.Truncate(fd, size); err != nil {
				return err
			}
		}
	}
	return nil
}
