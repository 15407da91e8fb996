package worker

import (
	"reflect"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

func TestVariables(t *testing.T) {
	for _, c := range []struct{ entry, want string }{
		{"NVIDIA_TF32_OVERRIDE=0", "NVIDIA_TF32_OVERRIDE=0"},
		{"NVIDIA_TF32_OVERRIDE=", "NVIDIA_TF32_OVERRIDE="}, // who knows what that means
		{"CUDA_LAUNCH_BLOCKING=1", "CUDA_LAUNCH_BLOCKING=1"},
		{"CUBLASLT_WORKSPACE_SIZE=1024", "CUBLASLT_WORKSPACE_SIZE=1024"},
		{"CUBLAS_WORKSPACE_CONFIG=:4096:8", "CUBLAS_WORKSPACE_CONFIG=:4096:8"},
		{"CUDNN_LOGDEST_DBG=/home/jane/log", "CUDNN_LOGDEST_DBG=log"},
		{"LD_PRELOAD=/home/jane/libjemalloc.so.2:/opt/x/liby.so", "LD_PRELOAD=libjemalloc.so.2:liby.so"},
		{"GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1", "GLIBC_TUNABLES=glibc.malloc.tcache_count=0:glibc.malloc.arena_max=1"},
		{"APEXX_INJECT=slow=5@*/ort/*", "APEXX_INJECT=slow=5@*/ort/*"},
		{"OMP_NUM_THREADS=1\n::error::", `OMP_NUM_THREADS=1\n::error::`},
		{"GOGC", ""},
		{"APEXX_INJECT=", ""},
		{"CUDNN_VERSION=9.14", ""},
		{"CUDNN_PATH=/usr", ""},
		{"ORT_LIB=/opt/libonnxruntime.so", ""},
		{"CUDA_VISIBLE_DEVICES=1", ""},
		{"CUDA_VERSION=13.0", ""},
		{"GOMAXPROCS=2", ""},
		{"ORT_DISABLE_TELEMETRY=1", ""},
		{"MY_GODEBUG=1", ""},
		{"SECRET=hush", ""},
	} {
		var got []string
		for _, v := range Variables([]string{c.entry}) {
			got = append(got, v.Key+"="+v.Value)
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%q is recorded as %q, want %q", c.entry, text, c.want)
		}
	}
	got, want := Variables([]string{"MALLOC_ARENA_MAX=1", "A=b", "GOGC=50"}), []backends.Fact{{Key: "GOGC", Value: "50"}, {Key: "MALLOC_ARENA_MAX", Value: "1"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
