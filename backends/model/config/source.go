package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/apex-x/apexx/internal/input"
)

// maxSize is the largest configuration accepted, in bytes, the overrides included.
var maxSize = int(input.Configuration.Max)

// Parse reads YAML (nil or empty for the defaults), applies overrides of the form section.key=value over it in their order,
// fills what is left to the profile, and validates. Overrides are applied to what was read, before the profile expands:
// "model.profile=small" over a nano file gives small's channels, unless the file or another override lists channels.
//
// Enumerated values are read without regard to case and stored in their canonical spelling ("cpu" as "reference", "lr" as
// "l2r"). Nothing else is converted: 2.5 or "2" for an integer is an error. Broken YAML is reported by itself; otherwise the
// error is a Problems with all that is wrong.
func Parse(source []byte, overrides []string) (Config, error) {
	size := len(source)
	for _, o := range overrides {
		size += len(o)
	}
	if size > maxSize {
		return Config{}, fmt.Errorf("configuration larger than %d bytes", maxSize)
	}
	root, err := parseYAML(source)
	if err != nil {
		return Config{}, fmt.Errorf("not YAML: %s", clip(strings.TrimPrefix(err.Error(), "yaml: ")))
	}
	var problems report
	values := collect(root, &problems)
	for _, o := range overrides {
		override(values, o, &problems)
	}
	c := unexpanded()
	decode(values, &c, &problems)
	c.expand()
	c.check(&problems)
	if err := problems.err(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// parseYAML reads one document; nil means an empty one. Nodes are not decoded further by the YAML package, so aliases are
// never expanded: an alias is a value of a wrong type like any other.
func parseYAML(source []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.Join(err, errors.New("more than one document"))
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	return document.Content[0], nil
}

// isNull recognises an empty value, which stands for an empty mapping where one is expected.
func isNull(node *yaml.Node) bool {
	return node == nil || node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// collect flattens the mapping of sections into one node per known section.key.
func collect(root *yaml.Node, problems *report) map[string]*yaml.Node {
	values := map[string]*yaml.Node{}
	top := func(section string, node *yaml.Node) {
		switch {
		case !slices.Contains(sections, section):
			problems.add(section, mismatch("an unknown section", "one of "+strings.Join(sections, ", ")))
			return
		case isNull(node):
			return
		case node.Kind != yaml.MappingNode:
			problems.add(section, mismatch(found(node), "a mapping of keys to values"))
			return
		}
		each(section, node, problems, func(name string, value *yaml.Node) {
			key := section + "." + name
			if _, ok := byKey[key]; !ok {
				problems.unknown(key)
				return
			}
			values[key] = value
		})
	}
	switch {
	case isNull(root):
	case root.Kind != yaml.MappingNode:
		problems.add("the file", mismatch(found(root), "a mapping of sections: "+strings.Join(sections, ", ")))
	default:
		each("", root, problems, top)
	}
	return values
}

// each visits a mapping's pairs and reports keys that repeat or are no text.
func each(path string, mapping *yaml.Node, problems *report, visit func(key string, value *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		full := strings.TrimPrefix(path+"."+key.Value, ".")
		switch {
		case key.Kind != yaml.ScalarNode:
			problems.add(fmt.Sprintf("line %d", key.Line), mismatch(found(key)+" as a key", "text"))
		case seen[key.Value]:
			problems.add(full, fmt.Sprintf("given twice, again in line %d; keep one", key.Line))
		default:
			seen[key.Value] = true
			visit(key.Value, value)
		}
	}
}

// override sets one value from section.key=value, split at the first "=".
func override(values map[string]*yaml.Node, text string, problems *report) {
	key, value, ok := strings.Cut(text, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		problems.add("override "+text, "want section.key=value, such as model.profile=nano")
		return
	}
	if _, ok := byKey[key]; !ok {
		problems.unknown(key)
		return
	}
	node, err := parseYAML([]byte(value))
	if err != nil {
		problems.reject(key, mismatch(quote(value), byKey[key].rule.want))
		return
	}
	if node == nil {
		node = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	values[key] = node
}
