package graph

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestOperatorsComplete reads the types with a method Infer, and the constants of function types, from this package's
// source.
func TestOperatorsComplete(t *testing.T) {
	listed := map[string]bool{}
	for _, op := range Operators() {
		listed[reflect.TypeOf(op).Name()], listed[op.OpType()] = true, true
	}
	files, err := filepath.Glob("ops_*.go")
	if err != nil {
		t.Fatal(err)
	}
	var declared []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if recv, ok := receiver(n); ok && n.Name.Name == "Infer" {
					declared = append(declared, recv)
				}
			case *ast.ValueSpec:
				if kind, ok := n.Type.(*ast.Ident); ok && strings.HasSuffix(kind.Name, "Fn") {
					declared = append(declared, n.Names[0].Name)
				}
			}
			return true
		})
	}
	if len(declared) < 30 || !slices.Contains(declared, "Sigmoid") {
		t.Fatalf("found %v alone", declared)
	}
	for _, name := range declared {
		if !listed[name] {
			t.Errorf("Operators lacks %s", name)
		}
	}
}

func receiver(f *ast.FuncDecl) (name string, ok bool) {
	if f.Recv == nil {
		return "", false
	}
	id, ok := f.Recv.List[0].Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}
