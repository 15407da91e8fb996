package worker

import (
	"errors"

	"github.com/apex-x/apexx/backends/graph"
)

// codec is a form in which a graph travels.
type codec struct {
	format string // the graph_format of a compile message
	encode func(*graph.Graph) ([]byte, error)
	decode func([]byte) (*graph.Graph, error)
}

var onnxCodec = &codec{
	format: "onnx",
	encode: func(*graph.Graph) ([]byte, error) { return nil, errors.ErrUnsupported },
	decode: func([]byte) (*graph.Graph, error) { return nil, errors.ErrUnsupported },
}
