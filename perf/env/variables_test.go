package env

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
)

// TestMeasured: a record has the variables of this program and of the workers that it is of.
func TestMeasured(t *testing.T) {
	own := Software{"GOGC", "50"}
	e := Environment{Variables: append([]Software{own}, VariablesOf("cuda", []backends.Fact{{Key: "GOGC", Value: worker.Unset}})...)}
	of := Software{"cuda:GOGC", worker.Unset}
	for _, c := range []struct {
		names []string
		want  []Software
	}{{nil, []Software{own}}, {[]string{"ort"}, []Software{own}}, {[]string{"ort", "cuda"}, []Software{own, of}}} {
		if got := e.Measured(c.names...).Variables; !reflect.DeepEqual(got, c.want) {
			t.Errorf("of %q: %v, want %v", c.names, got, c.want)
		}
	}
	if got := ToldOf("cuda", e.Variables); !reflect.DeepEqual(got, []backends.Fact{{Key: "GOGC", Value: worker.Unset}}) {
		t.Errorf("the worker of cuda told %v", got)
	}
	if !reflect.DeepEqual(e.Variables, []Software{own, of}) {
		t.Errorf("the environment itself became %v", e.Variables)
	}
}

func TestInjected(t *testing.T) {
	for key, want := range map[string]string{"APEXX_INJECT": "slow=9@*", "cuda:APEXX_INJECT": "slow=9@*", "cuda:GOGC": ""} {
		if got := (Environment{Variables: []Software{{"GOGC", "50"}, {key, "slow=9@*"}}}).Injected(); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if got := Injected([]Software{{"cuda:APEXX_INJECT", worker.Unset}}); got != "" {
		t.Errorf("a worker without faults has %q", got)
	}
}

func TestOtherVariable(t *testing.T) {
	type list = []Software
	for _, c := range []struct {
		before, now list
		want        string
	}{
		{nil, nil, ""},
		{list{{"GOGC", "50"}, {"cuda:GOGC", "9"}}, list{{"cuda:GOGC", "9"}, {"GOGC", "50"}}, ""},
		{list{{"GOGC", "50"}}, nil, `GOGC "50" unset`},
		{nil, list{{"cuda:GOGC", "50"}}, `cuda:GOGC unset "50"`},
		{list{{"cuda:GOGC", "50"}}, list{{"ort:GOGC", "50"}}, `cuda:GOGC "50" unset`},
		{list{{"NVIDIA_TF32_OVERRIDE", ""}}, nil, `NVIDIA_TF32_OVERRIDE "" unset`},
		{nil, list{{"APEXX_INJECT", "slow=9@*"}, {"cuda:APEXX_INJECT", "slow=9@*"}}, ""},
		{list{{"cuda:APEXX_INJECT", "slow=9@*"}}, list{{"cuda:APEXX_INJECT", "slow=9@*"}}, `cuda:APEXX_INJECT "slow=9@*" "slow=9@*"`},
	} {
		key, was, is := OtherVariable(ByKey(c.before), ByKey(c.now))
		if got := fmt.Sprintf("%s %s %s", key, was, is); key != "" && got != c.want || key == "" && c.want != "" {
			t.Errorf("%v, %v: %q, want %q", c.before, c.now, got, c.want)
		}
	}
}
