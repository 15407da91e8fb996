package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Write writes tensors and metadata as one file. Equal arguments give equal bytes, whatever the tensors' order: data is
// sorted by falling element size, then by name, and begins at a multiple of 8 bytes, so that every tensor is aligned to its
// element. Everything is checked before the first byte is written: names that repeat or are reserved, data that does not
// fit its shape, text that is not UTF-8.
func Write(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), strings.Compare(a.Name, b.Name))
	})
	if err := checkTensors(sorted); err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	header, err := encodeHeader(metadata, sorted)
	if err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	for _, t := range sorted {
		if _, err := w.Write(t.Data); err != nil {
			return fmt.Errorf("write tensor %s: %w", clip(t.Name), err)
		}
	}
	return nil
}

// checkTensors applies the reader's rules to what is to be written.
func checkTensors(tensors []Tensor) error {
	if len(tensors) > maxTensors {
		return fmt.Errorf("%d tensors, at most %d allowed", len(tensors), maxTensors)
	}
	seen := map[string]bool{}
	for _, t := range tensors {
		want, ok := byteLen(t.DType, t.Shape)
		switch {
		case t.Name == metadataKey || seen[t.Name]:
			return fmt.Errorf("the name %s is taken", clip(t.Name))
		case !utf8.ValidString(t.Name):
			return fmt.Errorf("the name %s is not UTF-8", clip(t.Name))
		case t.DType.Size() == 0:
			return fmt.Errorf("tensor %s: unknown type %s", clip(t.Name), clip(string(t.DType)))
		case len(t.Shape) > maxRank:
			return fmt.Errorf("tensor %s: %d dimensions, at most %d allowed", clip(t.Name), len(t.Shape), maxRank)
		case !ok || want != uint64(len(t.Data)):
			return fmt.Errorf("tensor %s: %d bytes do not fit shape %v of %s", clip(t.Name), len(t.Data), t.Shape, t.DType)
		}
		seen[t.Name] = true
	}
	return nil
}

// encodeHeader renders the JSON object, padded with spaces to a multiple of 8 bytes.
func encodeHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	if len(metadata) > 0 {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("metadata %s: %s is not UTF-8", clip(key), clip(value))
			}
		}
		if err := appendJSON(&out, metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	var offset int64
	for _, t := range tensors {
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		end := offset + int64(len(t.Data))
		entry := struct {
			DType   DType    `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int64{offset, end}} // a nil shape would become null
		if err := appendJSON(&out, t.Name, entry); err != nil {
			return nil, err
		}
		offset = end
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 {
		out.WriteByte(' ')
	}
	if out.Len() > MaxHeader {
		return nil, fmt.Errorf("the header needs %d bytes, at most %d allowed", out.Len(), MaxHeader)
	}
	return out.Bytes(), nil
}

// appendJSON writes "key":value. Maps are written in the order of their keys.
func appendJSON(out *bytes.Buffer, key string, value any) error {
	name, err := json.Marshal(key)
	if err != nil {
		return err
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	out.Write(name)
	out.WriteByte(':')
	out.Write(text)
	return nil
}
