package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/apex-x/apexx/backends"
)

// Version numbers a protocol. Ends with different majors do not talk; between minors, an end ignores fields that it does not
// know and answers kinds that it does not know with CodeUnknownKind.
type Version struct {
	Major int `json:"major"`
	Minor int `json:"minor"`
}

// String returns "MAJOR.MINOR".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Protocol is the version that this package speaks, at both ends.
var Protocol = Version{Major: 1, Minor: 2}

// The kinds of messages. A reply has the kind of its request, or kindError.
const (
	kindHello    = "hello"
	kindProbe    = "probe"
	kindSupports = "supports"
	kindCompile  = "compile"
	kindRun      = "run"
	kindMeasure  = "measure"  // since 1.1
	kindOutputs  = "outputs"  // of the session's last run; since 1.2
	kindClose    = "close"    // of a session
	kindShutdown = "shutdown" // of the worker
	kindError    = "error"
)

// message is the payload of a frame. Requests carry ids that rise from 1; a reply repeats the id of its request.
type message struct {
	ID   uint64          `json:"id"`
	Kind string          `json:"kind"`
	Body json.RawMessage `json:"body,omitempty"`
}

func encodeMessage(id uint64, kind string, body any) ([]byte, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("%s message: %w", kind, err)
	}
	return json.Marshal(message{id, kind, raw})
}

func decodeMessage(payload []byte) (message, error) {
	var m message
	if err := json.Unmarshal(payload, &m); err != nil {
		return message{}, fmt.Errorf("message is not the JSON object of the protocol: %w", err)
	}
	if m.Kind == "" || m.ID == 0 {
		return message{}, errors.New("message has no kind or no id")
	}
	return m, nil
}

// decode fills body from the message. A missing body stands for an object without fields.
func (m message) decode(body any) error {
	if len(m.Body) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.Body, body); err != nil {
		return fmt.Errorf("body of %s message: %w", m.Kind, err)
	}
	return nil
}

// helloRequest opens the conversation; the limits apply to the worker's process from then on.
type helloRequest struct {
	Protocol    Version `json:"protocol"`
	MemoryLimit int64   `json:"memory_limit,omitempty"`  // bytes of address space beyond what is mapped already; 0: none
	OOMScoreAdj int     `json:"oom_score_adj,omitempty"` // Linux: what the worker raises its oom_score_adj to
}

// Hello is what a worker says of itself.
type Hello struct {
	Protocol Version           `json:"protocol"`
	Backend  string            `json:"backend"`
	Pid      int               `json:"pid"`
	Build    map[string]string `json:"build,omitempty"` // such as "go", "version", "revision", "modified", "os", "arch"
}

// printable returns h with facts that are fit to print.
func (h Hello) printable() Hello {
	build := make(map[string]string, len(h.Build))
	for key, value := range h.Build {
		build[oneLine(key)] = oneLine(value)
	}
	h.Build = build
	return h
}

type probeReply struct {
	Available bool       `json:"available"`
	Reason    string     `json:"reason,omitempty"`
	Detail    string     `json:"detail,omitempty"`
	Facts     []wireFact `json:"facts,omitempty"`
}

type wireFact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func toProbeReply(a backends.Availability) probeReply {
	r := probeReply{Available: a.Available, Reason: string(a.Reason), Detail: a.Detail}
	for _, f := range a.Facts {
		r.Facts = append(r.Facts, wireFact(f))
	}
	return r
}

func (r probeReply) availability() backends.Availability {
	a := backends.Availability{Available: r.Available, Reason: backends.Reason(oneLine(r.Reason)), Detail: oneLine(r.Detail)}
	for _, f := range r.Facts {
		a.Facts = append(a.Facts, backends.Fact{Key: oneLine(f.Key), Value: oneLine(f.Value)})
	}
	return a
}

type supportsRequest struct {
	Op        wireOp `json:"op"`
	Precision string `json:"precision"`
}

type supportsReply struct {
	Level  string `json:"level"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (r supportsReply) support() (backends.Support, error) {
	for l := backends.Unsupported; l <= backends.Native; l++ {
		if r.Level == l.String() {
			return backends.Support{Level: l, Reason: backends.Reason(oneLine(r.Reason)), Detail: oneLine(r.Detail)}, nil
		}
	}
	return backends.Support{}, fmt.Errorf("unknown support level %.40q", r.Level)
}

// formatONNX is the graph_format of an ONNX model without function bodies. Its metadata declare the taps.
const formatONNX = "onnx"

// compileRequest names three files of one folder: the graph, which the worker reads before it answers, and the shared
// inputs and outputs, which it keeps open.
type compileRequest struct {
	Folder      string            `json:"folder"`
	Graph       string            `json:"graph"`
	GraphFormat string            `json:"graph_format"`
	Inputs      string            `json:"inputs"`
	Outputs     string            `json:"outputs"`
	Layout      []place           `json:"layout"` // of the inputs
	Precision   string            `json:"precision,omitempty"`
	Threads     int               `json:"threads,omitempty"`
	Taps        []string          `json:"taps,omitempty"`
	Extra       map[string]string `json:"extra,omitempty"`
}

type compileReply struct {
	Session int        `json:"session"`
	Memory  wireMemory `json:"memory"`
}

type sessionRequest struct {
	Session int `json:"session"`
}

// outputsReply tells where the outputs of the last run are.
type outputsReply struct {
	Layout []place `json:"layout"`
	Size   int64   `json:"size"` // of the file of outputs, which may have grown
}

type runReply struct {
	outputsReply
	Timing wireTiming `json:"timing"`
	Memory wireMemory `json:"memory"`
}

type wireTiming struct {
	Upload   int64 `json:"upload_ns"`
	Execute  int64 `json:"execute_ns"`
	Download int64 `json:"download_ns"`
}

func toTiming(t backends.Timing) wireTiming {
	return wireTiming{t.Upload.Nanoseconds(), t.Execute.Nanoseconds(), t.Download.Nanoseconds()}
}

func (t wireTiming) timing() backends.Timing {
	return backends.Timing{Upload: time.Duration(t.Upload), Execute: time.Duration(t.Execute), Download: time.Duration(t.Download)}
}

type wireMemory struct {
	Host   int64 `json:"host_bytes"`
	Device int64 `json:"device_bytes"`
}
