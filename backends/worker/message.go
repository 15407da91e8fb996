package worker

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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
var Protocol = Version{Major: 2, Minor: 3}

// The kinds of messages. A reply has the kind of its request, or kindError.
const (
	kindHello     = "hello"
	kindProbe     = "probe"
	kindCompile   = "compile"
	kindCalibrate = "calibrate"
	kindUpload    = "upload"
	kindExecute   = "execute"
	kindDownload  = "download"
	kindMeasure   = "measure"
	kindClose     = "close"    // of a session
	kindShutdown  = "shutdown" // of the worker
	kindError     = "error"

	// kindProgress is no reply: a compile or calibrate request that asks for it may have any number of these before its reply, with its id.
	kindProgress = "progress"
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

	Variables []string `json:"variables,omitempty"` // of the environment that the worker is to tell; a name that ends in * stands for all that begin so
}

// Hello is what a worker says of itself.
type Hello struct {
	Protocol Version           `json:"protocol"`
	Backend  string            `json:"backend"`
	Pid      int               `json:"pid"`
	Build    map[string]string `json:"build,omitempty"` // such as "go", "version", "revision", "modified", "os", "arch"

	Variables map[string]string `json:"variables,omitzero"` // of its environment, those that were asked for; nil where it does not tell
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
	Available  bool       `json:"available"`
	Reason     string     `json:"reason,omitempty"`
	Detail     string     `json:"detail,omitempty"`
	Precisions []string   `json:"precisions,omitempty"` // those that sessions can compute in, widest first
	Facts      []wireFact `json:"facts,omitempty"`
}

type wireFact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func toProbeReply(a backends.Availability) probeReply {
	r := probeReply{Available: a.Available, Reason: string(a.Reason), Detail: a.Detail}
	for _, p := range a.Precisions {
		r.Precisions = append(r.Precisions, string(p))
	}
	for _, f := range a.Facts {
		r.Facts = append(r.Facts, wireFact(f))
	}
	return r
}

// availability returns what the worker said. Precisions of which this program knows nothing are left out: it cannot ask for them.
func (r probeReply) availability() backends.Availability {
	a := backends.Availability{Available: r.Available, Reason: backends.Reason(oneLine(r.Reason)), Detail: oneLine(r.Detail)}
	for _, name := range r.Precisions {
		if p := backends.Precision(name); slices.Contains(backends.Precisions, p) {
			a.Precisions = append(a.Precisions, p)
		}
	}
	for _, f := range r.Facts {
		a.Facts = append(a.Facts, backends.Fact{Key: oneLine(f.Key), Value: oneLine(f.Value)})
	}
	return a
}

// formatONNX is the graph_format of an ONNX model without function bodies. Its metadata declare the taps.
const formatONNX = "onnx"

// compileRequest names four files of one folder: the graph, which the worker reads before it answers, its weights, and the shared inputs
// and outputs, which it keeps open.
type compileRequest struct {
	Folder      string            `json:"folder"`
	Graph       string            `json:"graph"`
	GraphFormat string            `json:"graph_format"`
	Weights     string            `json:"weights,omitempty"` // file of constants of the graph
	Inputs      string            `json:"inputs"`
	Outputs     string            `json:"outputs"`
	Layout      []place           `json:"layout"` // of the inputs
	Precision   string            `json:"precision,omitempty"`
	Threads     int               `json:"threads,omitempty"`
	Taps        []string          `json:"taps,omitempty"`
	Replay      []string          `json:"replay,omitempty"`
	Extra       map[string]string `json:"extra,omitempty"`
	StepTimes   bool              `json:"step_times,omitempty"`
	Progress    bool              `json:"progress,omitempty"` // the client takes progress messages
}

// progressMessage is a backends.Stage.
type progressMessage struct {
	Stage string `json:"stage"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

type compileReply struct {
	Session int           `json:"session"`
	Memory  wireMemory    `json:"memory"`
	Plan    backends.Plan `json:"plan"`
}

// printablePlan returns a plan whose texts are fit to print.
func printablePlan(p backends.Plan) backends.Plan {
	lines := func(lists ...[]string) {
		for _, list := range lists {
			for i, s := range list {
				list[i] = oneLine(s)
			}
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		s.Name, s.Op, s.Reason = oneLine(s.Name), oneLine(s.Op), backends.Reason(oneLine(string(s.Reason)))
		lines(s.Nodes, s.Inputs, s.Outputs, s.Aside)
	}
	for i, s := range p.Split {
		p.Split[i] = backends.Split{Node: oneLine(s.Node), Step: oneLine(s.Step), Value: oneLine(s.Value)}
	}
	lines(p.Folded, p.Views)
	p.Library = oneLine(p.Library)
	if a := p.Autotune; a != nil {
		a.Cache = oneLine(a.Cache)
		for i := range a.Entries {
			e := &a.Entries[i]
			e.Op, e.Kernel, e.Bucket, e.Source = oneLine(e.Op), oneLine(e.Kernel), oneLine(e.Bucket), backends.AutotuneSource(oneLine(string(e.Source)))
		}
	}
	return p
}

type sessionRequest struct {
	Session int `json:"session"`
}

type uploadReply struct {
	Upload int64 `json:"upload_ns"`
}

type executeReply struct {
	Execute int64      `json:"execute_ns"`
	Device  int64      `json:"device_ns,omitempty"`
	Steps   []int64    `json:"steps_ns,omitempty"` // of the plan's steps
	Memory  wireMemory `json:"memory"`
}

type downloadRequest struct {
	Session int      `json:"session"`
	Outputs []string `json:"outputs,omitempty"` // none: all
}

// downloadReply tells where the outputs are.
type downloadReply struct {
	Layout   []place `json:"layout"`
	Size     int64   `json:"size"` // of the file of outputs, which may have grown
	Download int64   `json:"download_ns"`
}

type wireMemory struct {
	Host   int64 `json:"host_bytes"`
	Device int64 `json:"device_bytes"`
}

func memoryOnWire(m backends.MemoryUse) wireMemory { return wireMemory{Host: m.Host, Device: m.Device} }

func (m wireMemory) use() backends.MemoryUse {
	return backends.MemoryUse{Host: m.Host, Device: m.Device}
}
