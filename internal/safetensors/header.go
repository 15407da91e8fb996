package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
)

// metadataKey is the one header key that is not a tensor.
const metadataKey = "__metadata__"

// maxRank bounds a shape's length, so that a header of "1,1,1,…" stays cheap.
const maxRank = 64

// maxTensors bounds the work that a header of tiny entries can ask for; models have thousands of tensors at most.
const maxTensors = 100_000

// entry is one tensor of the header, its layout not yet checked.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end uint64 // bytes from the start of the data
}

// parser walks the header's tokens. It never recurses: whatever is nested deeper than the format allows is an error at
// its first bracket.
type parser struct {
	tokens *json.Decoder
}

// parseHeader reads the whole header. encoding/json.Unmarshal is not strict enough: it keeps the last of two equal keys.
func parseHeader(header []byte) (entries []entry, metadata map[string]string, err error) {
	p := parser{json.NewDecoder(bytes.NewReader(header))}
	p.tokens.UseNumber()
	seen := map[string]bool{}
	err = p.object("", func(key string) error {
		if seen[key] {
			return badFile("duplicate name %s", clip(key))
		}
		seen[key] = true
		if key == metadataKey {
			found, err := p.metadata()
			metadata = found
			return err
		}
		if len(entries) == maxTensors {
			return badFile("more than %d tensors", maxTensors)
		}
		found, err := p.entry(key)
		entries = append(entries, found)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if token, err := p.tokens.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, badFile("%v after the end of the header's JSON object", describe(token, err))
	}
	return entries, metadata, nil
}

// metadata reads the map of strings.
func (p parser) metadata() (map[string]string, error) {
	result := map[string]string{}
	err := p.object(metadataKey, func(key string) error {
		if _, ok := result[key]; ok {
			return badTensor(metadataKey, "duplicate key %s", clip(key))
		}
		token, err := p.tokens.Token()
		value, ok := token.(string)
		if err != nil || !ok {
			return badTensor(metadataKey, "key %s: got %s, want a string", clip(key), describe(token, err))
		}
		result[key] = value
		return nil
	})
	return result, err
}

// entry reads one tensor: {"dtype": …, "shape": […], "data_offsets": [begin, end]}, each key exactly once.
func (p parser) entry(name string) (entry, error) {
	e := entry{name: name}
	var hasDType, hasShape, hasOffsets bool
	err := p.object(name, func(key string) error {
		switch {
		case key == "dtype" && !hasDType:
			hasDType = true
			return p.dtype(&e)
		case key == "shape" && !hasShape:
			hasShape = true
			return p.shape(&e)
		case key == "data_offsets" && !hasOffsets:
			hasOffsets = true
			return p.offsets(&e)
		case key == "dtype" || key == "shape" || key == "data_offsets":
			return badTensor(name, "duplicate key %s", clip(key))
		}
		return badTensor(name, "unknown key %s, want dtype, shape and data_offsets", clip(key))
	})
	if err == nil && !(hasDType && hasShape && hasOffsets) {
		err = badTensor(name, "dtype, shape or data_offsets is missing")
	}
	return e, err
}

func (p parser) dtype(e *entry) error {
	token, err := p.tokens.Token()
	text, ok := token.(string)
	if err != nil || !ok {
		return badTensor(e.name, "dtype: got %s, want a string", describe(token, err))
	}
	e.dtype = DType(text)
	if e.dtype.Size() == 0 {
		return badTensor(e.name, "unknown dtype %s, want one of %s", clip(text), dtypeNames())
	}
	return nil
}

func (p parser) shape(e *entry) error {
	numbers, err := p.numbers(e.name, "shape", maxRank)
	if err != nil {
		return err
	}
	e.shape = make([]int, len(numbers))
	for i, n := range numbers {
		e.shape[i] = int(n)
		if e.shape[i] < 0 || uint64(e.shape[i]) != n {
			return badTensor(e.name, "shape: dimension %d is too large", n)
		}
	}
	return nil
}

func (p parser) offsets(e *entry) error {
	numbers, err := p.numbers(e.name, "data_offsets", 2)
	if err != nil {
		return err
	}
	if len(numbers) != 2 {
		return badTensor(e.name, "data_offsets: got %d numbers, want 2", len(numbers))
	}
	e.begin, e.end = numbers[0], numbers[1]
	return nil
}

// object reads a JSON object and calls value for each key; value consumes what the key maps to.
func (p parser) object(name string, value func(key string) error) error {
	token, err := p.tokens.Token()
	if err != nil || token != json.Delim('{') {
		return badTensor(name, "got %s, want a JSON object", describe(token, err))
	}
	for p.tokens.More() {
		token, err := p.tokens.Token()
		key, ok := token.(string)
		if err != nil || !ok {
			return badTensor(name, "got %s, want a key", describe(token, err))
		}
		if err := value(key); err != nil {
			return err
		}
	}
	if token, err := p.tokens.Token(); err != nil {
		return badTensor(name, "got %s, want the end of the JSON object", describe(token, err))
	}
	return nil
}

// numbers reads a JSON array of at most limit non-negative integers.
func (p parser) numbers(name, key string, limit int) ([]uint64, error) {
	token, err := p.tokens.Token()
	if err != nil || token != json.Delim('[') {
		return nil, badTensor(name, "%s: got %s, want a list", key, describe(token, err))
	}
	var result []uint64
	for p.tokens.More() {
		token, err := p.tokens.Token()
		number, ok := token.(json.Number)
		if err != nil || !ok {
			return nil, badTensor(name, "%s: got %s, want a non-negative integer", key, describe(token, err))
		}
		n, err := strconv.ParseUint(number.String(), 10, 64)
		if err != nil {
			return nil, badTensor(name, "%s: got %s, want a non-negative 64-bit integer", key, describe(token, nil))
		}
		if len(result) == limit {
			return nil, badTensor(name, "%s: more than %d numbers", key, limit)
		}
		result = append(result, n)
	}
	if token, err := p.tokens.Token(); err != nil {
		return nil, badTensor(name, "%s: got %s, want the end of the list", key, describe(token, err))
	}
	return result, nil
}

// describe names a token, or the reason why there is none, for a message.
func describe(token json.Token, err error) string {
	switch token := token.(type) {
	case nil:
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "the end of the header"
		}
		if err != nil {
			return "malformed JSON (" + err.Error() + ")"
		}
		return "null"
	case string:
		return clip(token)
	case json.Number:
		return clip(token.String())
	case bool:
		return strconv.FormatBool(token)
	case json.Delim:
		return token.String()
	}
	return "something else"
}
