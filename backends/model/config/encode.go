package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// YAML writes every key with its value, in the table's order. Parse reads the same Config back.
func (c Config) YAML() ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, section := range sections {
		body := &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range fields {
			if f.section() == section {
				body.Content = append(body.Content, plain("!!str", f.name()), f.node(&c))
			}
		}
		root.Content = append(root.Content, plain("!!str", section), body)
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return out.Bytes(), nil
}

// node is the field's value as YAML. The names of an enumeration need no quotes.
func (f field) node(c *Config) *yaml.Node {
	value := node(deref(f.at(c)))
	if f.rule.enum && f.rule.ok(value.Value) {
		value.Style = 0
	}
	return value
}

// isWhole reports whether v is short to write without a fraction or exponent.
func isWhole(v float64) bool { return v == math.Trunc(v) && math.Abs(v) < 1e15 }

// node is a value as YAML. Floats keep a point, so that a reader sees their type.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case int:
		return plain("!!int", strconv.Itoa(v))
	case bool:
		return plain("!!bool", strconv.FormatBool(v))
	case float64:
		if isWhole(v) {
			return plain("!!float", strconv.FormatFloat(v, 'f', 1, 64))
		}
		return plain("!!float", strconv.FormatFloat(v, 'g', -1, 64))
	case *float64:
		if v == nil {
			return plain("!!null", "null")
		}
		return node(*v)
	case []int:
		return flow(v)
	case []string:
		return flow(v)
	}
	// Quoted text needs no rules on what YAML would otherwise take for a number, a comment or a block.
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value.(string), Style: yaml.DoubleQuotedStyle}
}

func plain(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

// flow is a list on one line.
func flow[T any](items []T) *yaml.Node {
	sequence := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, item := range items {
		sequence.Content = append(sequence.Content, node(item))
	}
	return sequence
}

// JSON is the configuration as canonical JSON: one object per section, keys sorted, no blanks. Only a Config that does not
// validate, with a number that is not finite, cannot be written.
func (c Config) JSON() ([]byte, error) {
	object := map[string]map[string]any{}
	for _, f := range fields {
		if object[f.section()] == nil {
			object[f.section()] = map[string]any{}
		}
		object[f.section()][f.name()] = deref(f.at(&c))
	}
	data, err := json.Marshal(object) // sorts the keys of maps
	if err != nil {
		return nil, fmt.Errorf("write configuration: %w", err)
	}
	return data, nil
}

// Digest identifies the configuration: the SHA-256 of JSON, in hexadecimal.
func (c Config) Digest() (string, error) {
	data, err := c.JSON()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}
