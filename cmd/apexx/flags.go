package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
)

// modelFlags choose the model and its calibration, in every command that runs it.
func modelFlags() []cli.Flag {
	return append(sourceFlags(),
		&cli.StringFlag{Name: "calibration", Usage: "`FILE` of apexx calibrate, for int8 and fp8 (default: that of the trained nano weights in the binary)"})
}

// sourceFlags choose the model alone.
func sourceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "weights", Usage: "`FILE` in safetensors form, or hashed:SEED (default: the trained nano weights in the binary)"},
		&cli.StringFlag{Name: "config", Usage: "YAML configuration `FILE` (default: profile and classes of the weights)"},
		&cli.StringSliceFlag{Name: "set", Usage: "override one configuration key, `SECTION.KEY=VALUE`; may be repeated"},
	}
}

// openModel reads what modelFlags say.
func openModel(c *cli.Context) (*source.Model, error) {
	m, err := source.Open(modelRequest(c))
	return m, exit.With(exit.Usage, err)
}

// modelRequest is what modelFlags say.
func modelRequest(c *cli.Context) source.ModelRequest {
	return source.ModelRequest{
		Weights: c.String("weights"), Config: c.String("config"), Set: c.StringSlice("set"), Embedded: fixtures.NanoWeights(),
		Calibration: c.String("calibration"), Calibrations: fixtures.Calibrations(),
	}
}

// namedCalibration reads the file that --calibration names, if one of the precisions needs it, so that one that is not the model's is wrong
// usage, told before anything runs. Without the flag a model that is not calibrated does not have these precisions.
func namedCalibration(c *cli.Context, m *source.Model, precisions ...backends.Precision) error {
	if c.String("calibration") == "" || !slices.ContainsFunc(precisions, backends.Precision.Scaled) {
		return nil
	}
	_, err := m.Calibration()
	return exit.With(exit.Usage, err)
}

// decodeFlags set decoding and suppression.
func decodeFlags() []cli.Flag {
	d := model.DefaultDecode()
	return []cli.Flag{
		&cli.Float64Flag{Name: "score-threshold", Value: 0.05, Usage: "least score of a detection, `X` from 0 to 1"},
		&cli.IntFlag{Name: "pre-nms-topk", Value: d.PreNMSTopK, Usage: "candidates kept per pyramid level, `N` of at least 1"},
		&cli.Float64Flag{Name: "iou-threshold", Value: 0.6, Usage: "overlap `X` from 0 to 1 above which the weaker box of a class is dropped"},
		&cli.IntFlag{Name: "max-detections", Value: d.MaxDetections, Usage: "rows of the detection outputs, `N`"},
	}
}

func decodeOf(c *cli.Context) (model.Decode, error) {
	d := model.Decode{
		ScoreThreshold: float32(c.Float64("score-threshold")), PreNMSTopK: c.Int("pre-nms-topk"),
		IoUThreshold: float32(c.Float64("iou-threshold")), MaxDetections: c.Int("max-detections"),
	}
	return d, exit.With(exit.Usage, d.Validate())
}

// decodeText writes what decodeFlags say by flag, for records.
func decodeText(d model.Decode) map[string]string {
	return map[string]string{
		"score-threshold": fmt.Sprint(d.ScoreThreshold), "pre-nms-topk": fmt.Sprint(d.PreNMSTopK),
		"iou-threshold": fmt.Sprint(d.IoUThreshold), "max-detections": fmt.Sprint(d.MaxDetections),
	}
}

// backendFlags are the options of a session.
func backendFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.IntFlag{Name: "threads", Usage: "threads of a session, `N` from 1 to 1024", DefaultText: "all processors"},
		&cli.StringFlag{Name: "provider", Value: "cpu", Usage: "what the name ort stands for, `NAME`: cpu (ort itself), cuda (ort-cuda) or tensorrt (ort-tensorrt)"},
		&cli.StringFlag{Name: "opt-level", Value: "all", Usage: "graph optimisation of ort, `LEVEL`: none, basic, extended or all"},
		&cli.StringFlag{Name: "winograd", Value: "on", Usage: "Winograd's algorithm for 3×3 convolutions of reference in fp32, `SWITCH`: on or off"},
		&cli.StringFlag{Name: "autotune", Usage: "let cuda measure its launch configurations, and keep them in `FILE`; the outputs stay the same, bit for bit"},
		&cli.BoolFlag{Name: "autotune-rounding", Usage: "with --autotune: also try configurations that round otherwise"},
	}, engineFlags()...)
}

// engineFlags are the options of the backend tensorrt.
func engineFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{Name: "engine-level", Value: tensorrt.DefaultLevel, Usage: "how long tensorrt and ort-tensorrt search for kernels when they build an engine, `N` from 0 to 5"},
		&cli.StringFlag{Name: "engine-batches", Usage: "let an engine of tensorrt serve batches of a range, `MIN:OPT:MAX`, with kernels chosen for OPT (default: the session's batch alone)"},
		&cli.StringFlag{Name: "engine-cache", Usage: "where tensorrt and ort-tensorrt keep engines, `DIR`, or none (default: apexx/NAME in the user's caches)"},
	}
}

// extraOptions returns the options that belong to one backend alone. Values that no build of it knows are wrong usage,
// whichever backend runs.
func extraOptions(c *cli.Context, backend string) (map[string]string, error) {
	for _, f := range []struct {
		name  string
		known []string
	}{{"provider", []string{"cpu", "cuda", "tensorrt"}}, {"opt-level", []string{"none", "basic", "extended", "all"}}, {"winograd", []string{"on", "off"}}} {
		if v := c.String(f.name); !slices.Contains(f.known, v) {
			return nil, usagef("unknown --%s %q (known: %s)", f.name, v, strings.Join(f.known, ", "))
		}
	}
	if c.Bool("autotune-rounding") && c.String("autotune") == "" {
		return nil, usagef("--autotune-rounding needs --autotune FILE")
	}
	engine, err := engineOptions(c)
	if err != nil {
		return nil, err
	}
	switch {
	case backend == tensorrt.Name:
		return engine, nil
	case backend == ort.TensorRT.Backend():
		return providerOptions(c, engine), nil
	case backend == "cuda" && c.String("autotune") != "":
		path, err := filepath.Abs(c.String("autotune")) // a worker may run elsewhere
		if err != nil {
			return nil, err
		}
		extra := map[string]string{"autotune": path}
		if c.Bool("autotune-rounding") {
			extra["autotune-rounding"] = "on"
		}
		return extra, nil
	case backend == ort.CPU.Backend():
		return map[string]string{"provider": string(ort.CPU), "opt-level": c.String("opt-level")}, nil
	case strings.HasPrefix(backend, ort.CPU.Backend()) && c.String("opt-level") != "all":
		return map[string]string{"opt-level": c.String("opt-level")}, nil
	case backend == "reference" && c.String("winograd") == "off":
		return map[string]string{"winograd": "off"}, nil
	}
	return nil, nil
}

// providerOptions is what of the options of engines the backend ort-tensorrt has, under its own keys, beside its own.
func providerOptions(c *cli.Context, engine map[string]string) map[string]string {
	extra := map[string]string{}
	for _, o := range []struct{ to, value string }{
		{ort.LevelOption, engine[tensorrt.LevelOption]}, {ort.CacheOption, engine[tensorrt.CacheOption]}} {
		if o.value != "" {
			extra[o.to] = o.value
		}
	}
	if level := c.String("opt-level"); level != "all" {
		extra["opt-level"] = level
	}
	return extra
}

// engineOptions is what engineFlags say. Only what differs from the backend's own defaults is told, so that other workers of it understand.
func engineOptions(c *cli.Context) (map[string]string, error) {
	extra := map[string]string{}
	if n := c.Int("engine-level"); n < 0 || n > tensorrt.MaxLevel {
		return nil, usagef("--engine-level %d is outside [0, %d]", n, tensorrt.MaxLevel)
	} else if n != tensorrt.DefaultLevel {
		extra[tensorrt.LevelOption] = strconv.Itoa(n)
	}
	if text := c.String("engine-batches"); text != "" {
		if _, err := tensorrt.ParseBatches(text); err != nil {
			return nil, usagef("--engine-batches: %v", err)
		}
		extra[tensorrt.BatchesOption] = text
	}
	if dir := c.String("engine-cache"); dir != "" {
		if dir != tensorrt.NoCache {
			var err error
			if dir, err = filepath.Abs(dir); err != nil { // a worker may run elsewhere
				return nil, err
			}
		}
		extra[tensorrt.CacheOption] = dir
	}
	return extra, nil
}

// extraOfAll returns the options of every backend that has some.
func extraOfAll(c *cli.Context) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	for _, backend := range []string{"ort", "ort-cuda", "ort-tensorrt", "reference", "cuda", tensorrt.Name} {
		extra, err := extraOptions(c, backend)
		if err != nil {
			return nil, err
		}
		if extra != nil {
			all[backend] = extra
		}
	}
	return all, nil
}

func threadsOf(c *cli.Context) (int, error) {
	n := c.Int("threads")
	if n < 0 || n > maxThreads || c.IsSet("threads") && n == 0 {
		return 0, usagef("--threads %d is outside [1, %d]", n, maxThreads)
	}
	return n, nil
}

const maxThreads = 1024

// parseShape reads BxCxHxW, such as 1x3x512x512.
func parseShape(s string) (batch, height, width int, err error) {
	var channels int
	var rest string
	n, _ := fmt.Sscanf(s+" .", "%dx%dx%dx%d %s", &batch, &channels, &height, &width, &rest)
	if n != 5 || rest != "." || channels != 3 || slices.Min([]int{batch, height, width}) < 1 {
		return 0, 0, 0, usagef("--shape %q: want Bx3xHxW, such as 1x3x512x512", s)
	}
	return batch, height, width, nil
}
