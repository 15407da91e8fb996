package caps

import (
	"errors"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// usable lets a backend be used unless it has a reason.
func usable(missing map[string]backends.Reason) func(string) *backends.Unavailable {
	return func(name string) *backends.Unavailable {
		if r, ok := missing[name]; ok {
			return &backends.Unavailable{Backend: name, Reason: r, Detail: "as found"}
		}
		return nil
	}
}

func TestSelect(t *testing.T) {
	gone := map[string]backends.Reason{"tensorrt": backends.WorkerNotFound, "cuda": backends.CudaUnavailable, "ort-cuda": backends.ProviderUnavailable}
	for _, tt := range []struct {
		requested string
		policy    Policy
		missing   map[string]backends.Reason
		selected  string
		reason    backends.Reason
		text      string // sentence or error
	}{
		{"cuda", Strict, nil, "cuda", "", ""},
		{"cuda", Permissive, nil, "cuda", "", ""},
		{"cuda", Strict, gone, "", backends.CudaUnavailable, "backend cuda is unavailable: cuda_unavailable: as found"},
		{"tensorrt", Permissive, gone, "ort", backends.WorkerNotFound,
			"ort runs in place of tensorrt: tensorrt is unavailable (worker_not_found), cuda is unavailable (cuda_unavailable), ort-cuda is unavailable (provider_unavailable)"},
		{"ort", Permissive, map[string]backends.Reason{"ort": backends.LibraryNotFound, "reference": backends.PrecisionUnsupported}, "", backends.LibraryNotFound,
			"backend ort is unavailable: library_not_found: as found; nor can reference (precision_unsupported) take its place"},
		{"reference", Permissive, map[string]backends.Reason{"reference": backends.PrecisionUnsupported}, "", backends.PrecisionUnsupported,
			"backend reference is unavailable: precision_unsupported: as found"},
	} {
		s, err := Select(tt.requested, tt.policy, usable(tt.missing))
		text := s.Sentence()
		if err != nil {
			text = err.Error()
			if u := (*backends.Unavailable)(nil); !errors.As(err, &u) || u.Backend != tt.requested {
				t.Errorf("%s: the error is not of the requested backend: %v", tt.requested, err)
			}
		}
		if s.Selected != tt.selected || s.Reason() != tt.reason || text != tt.text {
			t.Errorf("%s %s: %q, %q, %q", tt.requested, tt.policy, s.Selected, s.Reason(), text)
		}
	}
}

// TestChain: every known backend has one that begins with itself and ends with the one that is always there.
func TestChain(t *testing.T) {
	for _, name := range backends.Known {
		if c := Chain(name); c[0] != name || c[len(c)-1] != "reference" {
			t.Errorf("%s: %v", name, c)
		}
	}
	if got := Chain("tensorrt"); !slices.Equal(got, []string{"tensorrt", "cuda", "ort-cuda", "ort", "reference"}) {
		t.Errorf("%v", got)
	}
}
