package onnx

import (
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
)

// The versions of the standard operator set in which the operators of package graph mean what they mean there.
const (
	oldestOpset = 18
	newestOpset = 23
)

// Read rebuilds the graph of an ONNX model: of one that Write made in the forms Functions or Plain (functions are not read:
// an operator of ours is known by its type and attributes), or of any other that has static shapes and uses only operators of
// package graph with constant parameters, in versions 18 to 23 of the standard operator set. Anything else is an error
// that names the node and its operator. The graph shares no memory with data, which need not be trusted.
func Read(data []byte) (*graph.Graph, error) {
	g, err := readModel(data, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("read ONNX model: %w", err)
	}
	return g, nil
}

// rawModel is a decoded ModelProto.
type rawModel struct {
	graph     []byte
	opsets    map[string]int64
	functions map[functionKey]bool
	metadata  map[string]string
}

func decodeModel(data []byte) (*rawModel, error) {
	m := &rawModel{opsets: map[string]int64{}, functions: map[functionKey]bool{}, metadata: map[string]string{}}
	err := fields(data, func(f field) error {
		switch f.num {
		case modelGraph:
			if m.graph != nil {
				return errors.New("the model has two graphs")
			}
			return f.bytes(&m.graph)
		case modelOpsetImport:
			domain, version, err := decodeOpset(f.data)
			m.opsets[domain] = version
			return err
		case modelFunctions:
			key, err := decodeFunctionKey(f.data)
			m.functions[key] = true
			return err
		case modelMetadata:
			key, value, err := decodeEntry(f.data)
			if _, dup := m.metadata[key]; dup {
				return fmt.Errorf("the metadata key %q is given twice", key)
			}
			m.metadata[key] = value
			return err
		}
		return nil
	})
	return m, err
}

func decodeOpset(b []byte) (domain string, version int64, err error) {
	err = fields(b, func(f field) error {
		switch f.num {
		case opsetDomain:
			return f.str(&domain)
		case opsetVersion:
			return f.int(&version)
		}
		return nil
	})
	if domain == "ai.onnx" { // a synonym
		domain = ""
	}
	return domain, version, err
}

// readModel reads a model. Opaque operators are taken from elsewhere, and where the model says that it holds some.
func readModel(data []byte, weights *external, elsewhere *anyModel) (*graph.Graph, error) {
	m, err := decodeModel(data)
	if err != nil {
		return nil, err
	}
	if m.graph == nil {
		return nil, errors.New("there is no graph in it")
	}
	oldest := int64(oldestOpset)
	if _, marked := m.metadata[opaqueKey]; marked && elsewhere == nil {
		elsewhere = &anyModel{}
	}
	delete(m.metadata, opaqueKey)
	if elsewhere != nil {
		oldest = oldestOpaque
	}
	if v, ok := m.opsets[""]; !ok || v < oldest || v > newestOpset {
		return nil, fmt.Errorf("it uses version %d of the standard operator set, want %d to %d", v, oldest, newestOpset)
	}
	if v, ok := m.opsets[graph.Domain]; ok && v != graph.DomainVersion {
		return nil, fmt.Errorf("it uses version %d of the operator set %s, want %d: export the model again with this version of apexx", v, graph.Domain, graph.DomainVersion)
	}
	if domain, ok := m.metadata[inlinedKey]; ok {
		return nil, fmt.Errorf("the operators of the domain %s are inlined in it: read the file that apexx export writes without --inline", domain)
	}
	r := &reader{external: weights, opsets: m.opsets, values: map[string]*graph.Value{}, ports: map[string]*graph.Value{}, nodes: map[string]bool{}, g: &graph.Graph{Metadata: m.metadata}}
	if elsewhere != nil {
		r.takeOpaque, r.functions, r.declared, r.dims = true, m.functions, map[string]rawValue{}, elsewhere.dims
	}
	if err := r.read(m.graph); err != nil {
		return nil, err
	}
	if elsewhere != nil && r.g.Name == "" {
		r.g.Name = "model"
	}
	return r.g, r.marks()
}
