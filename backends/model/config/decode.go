package config

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decode stores each node in its field, or reports that its type is wrong.
func decode(values map[string]*yaml.Node, c *Config, problems *report) {
	for _, f := range fields {
		node, ok := values[f.key]
		if ok && !problems.bad[f.key] && !f.set(c, node) {
			problems.reject(f.key, mismatch(found(node), f.rule.want))
		}
	}
}

// set stores node in the field if its type fits, and reports whether it did.
func (f field) set(c *Config, node *yaml.Node) bool {
	switch at := f.at(c).(type) {
	case *int:
		return scalar(node, at, "!!int")
	case *bool:
		return scalar(node, at, "!!bool")
	case *float64:
		return scalar(node, at, "!!float", "!!int")
	case **float64:
		if isNull(node) {
			*at = nil
			return true
		}
		*at = new(float64)
		return scalar(node, *at, "!!float", "!!int")
	case *string:
		ok := scalar(node, at, "!!str")
		*at = f.canonical(*at)
		return ok
	case *[]int:
		return sequence(node, at, "!!int")
	case *[]string:
		return sequence(node, at, "!!str")
	}
	panic("config: the table's row " + f.key + " points to an unknown type")
}

// scalar decodes a node whose YAML type is one of tags. The types are those that YAML resolves: "2" in quotes is text.
func scalar[T any](node *yaml.Node, at *T, tags ...string) bool {
	if node.Kind != yaml.ScalarNode {
		return false
	}
	for _, tag := range tags {
		if node.ShortTag() == tag {
			return node.Decode(at) == nil
		}
	}
	return false
}

// sequence decodes a list of scalars.
func sequence[T any](node *yaml.Node, at *[]T, tag string) bool {
	if node.Kind != yaml.SequenceNode {
		return false
	}
	items := make([]T, len(node.Content))
	for i, item := range node.Content {
		if !scalar(item, &items[i], tag) {
			return false
		}
	}
	*at = items
	return true
}

// canonical gives an enumerated value the spelling that the rest of the program compares with; other text stays as it is.
func (f field) canonical(value string) string {
	if !f.rule.enum {
		return value
	}
	value = strings.ToLower(strings.TrimSpace(value))
	if name, ok := f.alias[value]; ok {
		return name
	}
	return value
}

// found describes a node for a message.
func found(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.AliasNode:
		return "a YAML alias"
	case yaml.SequenceNode:
		items := make([]string, 0, len(node.Content))
		for i, item := range node.Content {
			if i == 8 {
				items = append(items, "…")
				break
			}
			items = append(items, found(item))
			if item.Kind == yaml.SequenceNode {
				return "a list of lists"
			}
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	if isNull(node) {
		return "nothing"
	}
	if node.ShortTag() == "!!str" {
		return quote(node.Value)
	}
	return clip(node.Value)
}

// quote shows text from a file on one short line.
func quote(s string) string { return `"` + clip(s) + `"` }

// deref is the value that a pointer of the table points to. An optional number stays a pointer.
func deref(at any) any {
	switch at := at.(type) {
	case *int:
		return *at
	case *bool:
		return *at
	case *float64:
		return *at
	case **float64:
		return *at
	case *string:
		return *at
	case *[]int:
		return *at
	case *[]string:
		return *at
	}
	panic(fmt.Sprintf("config: the table holds a %T", at))
}

// format shows a field's value for a message.
func format(value any) string {
	switch v := value.(type) {
	case string:
		return quote(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case *float64:
		if v == nil {
			return "nothing"
		}
		return format(*v)
	case []int:
		return strings.ReplaceAll(fmt.Sprint(v), " ", ", ")
	case []string:
		return clip(fmt.Sprintf("%q", v))
	}
	return fmt.Sprint(value)
}
