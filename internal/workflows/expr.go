package workflows

import (
	"fmt"
	"strings"

	"github.com/rhysd/actionlint"
)

// parseCondition reads the text of an if key, which may or may not be wrapped in ${{ }}.
func parseCondition(text string) (actionlint.ExprNode, error) {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "${{"); ok && strings.HasSuffix(text, "}}") {
		text = strings.TrimSuffix(inner, "}}")
	}
	node, err := actionlint.NewExprParser().Parse(actionlint.NewExprLexer(text + "}}"))
	if err != nil {
		return nil, fmt.Errorf("the condition %q cannot be read: %s", text, err.Message)
	}
	return node, nil
}

// segment is a piece of a text with placeholders: literal text, or the expression of one placeholder.
type segment struct {
	literal string
	node    actionlint.ExprNode // nil for literal text
}

// segments splits a text at its ${{ }} placeholders.
func segments(text string) ([]segment, error) {
	var out []segment
	for {
		before, rest, found := strings.Cut(text, "${{")
		if before != "" {
			out = append(out, segment{literal: before})
		}
		if !found {
			return out, nil
		}
		lexer := actionlint.NewExprLexer(rest)
		node, err := actionlint.NewExprParser().Parse(lexer)
		if err != nil {
			return nil, fmt.Errorf("the expression in %q cannot be read: %s", text, err.Message)
		}
		out = append(out, segment{node: node})
		text = rest[lexer.Offset():]
	}
}

// statusFunctions replace the success() that a condition without one of them begins with.
var statusFunctions = map[string]bool{"always": true, "success": true, "failure": true, "cancelled": true}

// hasStatusFunction tells whether the expression calls one of the statusFunctions.
func hasStatusFunction(node actionlint.ExprNode) bool {
	found := false
	actionlint.VisitExprNode(node, func(n, _ actionlint.ExprNode, entering bool) {
		if call, ok := n.(*actionlint.FuncCallNode); ok && entering {
			found = found || statusFunctions[strings.ToLower(call.Callee)]
		}
	})
	return found
}

// reads returns the dotted paths of the properties that the expression reads, such as needs.build.result or needs.*.result.
func reads(node actionlint.ExprNode) []string {
	var out []string
	actionlint.VisitExprNode(node, func(n, parent actionlint.ExprNode, entering bool) {
		if !entering || continues(parent, n) {
			return
		}
		if p, ok := path(n); ok {
			out = append(out, p)
		}
	})
	return out
}

// continues tells whether a node continues the path of its child: that of an index does not.
func continues(n, child actionlint.ExprNode) bool {
	switch n := n.(type) {
	case *actionlint.ObjectDerefNode, *actionlint.ArrayDerefNode:
		return true
	case *actionlint.IndexAccessNode:
		return n.Operand == child
	}
	return false
}

// path returns the dotted path of an access to properties, in lower case, as names in expressions have no case.
func path(n actionlint.ExprNode) (string, bool) {
	switch n := n.(type) {
	case *actionlint.VariableNode:
		return strings.ToLower(n.Name), true
	case *actionlint.ObjectDerefNode:
		p, ok := path(n.Receiver)
		return p + "." + strings.ToLower(n.Property), ok
	case *actionlint.ArrayDerefNode:
		p, ok := path(n.Receiver)
		return p + ".*", ok
	case *actionlint.IndexAccessNode:
		if s, ok := n.Index.(*actionlint.StringNode); ok {
			p, ok := path(n.Operand)
			return p + "." + strings.ToLower(s.Value), ok
		}
	}
	return "", false
}
