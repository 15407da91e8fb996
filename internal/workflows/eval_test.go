package workflows

import (
	"math"
	"testing"

	"github.com/rhysd/actionlint"
)

func TestEval(t *testing.T) {
	s := scope{
		contexts: object{
			"github": object{"event_name": "push", "event": object{"pull_request": nil}, "run": 2.0},
			"inputs": nil,
			"needs":  object{"a": object{"result": "success"}},
		},
		status: map[string]any{"failure": false},
	}
	for text, want := range map[string]any{
		"null":                              nil,
		"true":                              true,
		"1":                                 1.0,
		"0x10":                              16.0,
		"1.5":                               1.5,
		"'it''s'":                           "it's",
		"github.event_name":                 "push",
		"GitHub.Event_Name":                 "push",
		"github['event_name']":              "push",
		"needs['a'].result":                 "success",
		"github.event.pull_request.head":    nil, // a property of null
		"inputs.any":                        nil,
		"github.sha":                        unknown{},
		"secrets.x":                         unknown{},
		"needs.*.result":                    unknown{},
		"github.event_name == 'PUSH'":       true, // without case
		"github.event_name != 'pull'":       true,
		"github.run == '2'":                 true, // as numbers
		"null == 0":                         true,
		"null == false":                     true,
		"'' == 0":                           true,
		"'x' == 0":                          false,
		"'x' == null":                       false,
		"github.sha == github.sha":          unknown{},
		"1 < 2":                             unknown{}, // not needed
		"!github.event_name":                false,
		"!github.sha":                       unknown{},
		"!null":                             true,
		"github.event_name && 'a' || 'b'":   "a",
		"inputs.any && 'a' || 'b'":          "b",
		"inputs.any || 'b'":                 "b",
		"github.sha && false":               false,
		"false && github.sha":               false,
		"github.sha || true":                true,
		"true || github.sha":                true,
		"github.sha && true":                unknown{},
		"github.sha || false":               unknown{},
		"always()":                          true,
		"Always()":                          true,
		"failure()":                         false,
		"success()":                         unknown{},
		"contains('ab', 'a')":               unknown{},
		"!(github.event_name == 'push')":    false,
		"github.event_name == github.event": false, // an object equals nothing
	} {
		node, err := parseCondition(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := s.eval(node); got != want {
			t.Errorf("%s = %#v, want %#v", text, got, want)
		}
	}
}

// TestKleene: a result that is known beside an unknown operand is the result for every value of it.
func TestKleene(t *testing.T) {
	kinds := []actionlint.LogicalOpNodeKind{actionlint.LogicalOpNodeKindAnd, actionlint.LogicalOpNodeKindOr}
	values := []any{nil, true, false, 0.0, 1.0, math.NaN(), "", "x", object{}}
	for _, kind := range kinds {
		for _, v := range values {
			for _, got := range []any{logical(kind, unknown{}, v), logical(kind, v, unknown{})} {
				truthOf, known := truth(got)
				if !known {
					continue
				}
				for _, other := range values {
					for _, real := range []any{logical(kind, other, v), logical(kind, v, other)} {
						if b, _ := truth(real); b != truthOf {
							t.Errorf("%v of unknown and %#v is %#v, with %#v %#v", kind, v, got, other, real)
						}
					}
				}
			}
		}
	}
}

func TestText(t *testing.T) {
	s := scope{contexts: object{"a": "x", "n": nil, "o": object{}}}
	for template, want := range map[string]string{
		"":                          "",
		"plain }}":                  "plain }}",
		"${{ a }}":                  "x",
		"-${{ a }}${{a}}- ${{ n }}": "-xx- ",
		"${{ '}}' }}":               "}}",
		"${{ 1 }}${{ true }}":       "1true",
	} {
		if got, known := s.text(template); got != want || !known {
			t.Errorf("%q = %q, %v, want %q", template, got, known, want)
		}
	}
	for _, template := range []string{"${{ b }}", "${{ o }}", "${{ a", "${{ }}", "${{ a +}}"} {
		if got, known := s.text(template); known {
			t.Errorf("%q = %q, want unknown", template, got)
		}
	}
}

func TestReads(t *testing.T) {
	for text, want := range map[string]string{
		"needs.a.result":           "needs.a.result",
		"Needs['A'].Result":        "needs.a.result",
		"needs.*.result":           "needs.*.result",
		"contains(needs.a.b, 'x')": "needs.a.b",
		"'needs.a.result'":         "",
		"github.ref":               "github.ref",
		"!(github.ref == 'x')":     "github.ref",
		"needs[github.job].result": "github.job",
	} {
		node, err := parseCondition(text)
		if err != nil {
			t.Fatal(err)
		}
		got := reads(node)
		if want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != want) {
			t.Errorf("%s reads %q, want %q", text, got, want)
		}
	}
}
