// Command budget prints the launch plan of the complete model on an H100: what each launch moves and computes, and what it should take.
//
//	go run ./kernels/budget [evidence.json] > kernels/BUDGET.md
//
// The plan (plan.go) assigns every node of the real graph to a launch; bytes and operations follow from the graph (budget.go). The
// evidence is a result of the workbench, whose best time stands beside the expected one.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/fixtures"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "budget:", err)
		os.Exit(2)
	}
}

func run(w io.Writer, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("got %d arguments, want at most one: the evidence", len(args))
	}
	var measured evidence
	if len(args) == 1 {
		data, err := os.ReadFile(args[0])
		if err != nil {
			return err
		}
		if err := json.Unmarshal(data, &measured); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
	}
	g, err := nano(512)
	if err != nil {
		return err
	}
	costs, err := budget(g, plan)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, render(costs, len(g.Nodes), measured))
	return err
}

// nano builds the graph of the golden configuration for one square image. Only shapes count, so the weights are hashed ones.
func nano(side int) (*graph.Graph, error) {
	source, err := fixtures.GoldenConfig()
	if err != nil {
		return nil, err
	}
	cfg, err := config.Parse(source, nil)
	if err != nil {
		return nil, err
	}
	opts := model.Options{Batch: 1, Height: side, Width: side, Decode: model.DefaultDecode()}
	g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, 1)), opts)
	if err != nil {
		return nil, err
	}
	return g.WithTaps(nil) // without the nodes that serve taps alone
}

// evidence is a result file of the workbench.
type evidence struct {
	Device  string
	Results []struct {
		Group, Variant string
		P50            float64 `json:"p50_us"` // microseconds
	}
}

// best returns the least median of a group in microseconds, 0 for none.
func (e evidence) best(group string) float64 {
	least := 0.0
	for _, r := range e.Results {
		if r.Group == group && (least == 0 || r.P50 < least) {
			least = r.P50
		}
	}
	return least
}

func render(costs []cost, nodes int, measured evidence) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# The budget of the complete model\n")
	line("<!-- Written by go run ./kernels/budget; a test holds it to that. -->\n")
	line("Profile nano, 1×512², fp16: the %d nodes of the graph in %d launches. Bytes are what a launch must move if nothing stays in a", nodes, len(costs))
	line("cache; operations are those of matrix products. Expected on an H100: %.1f µs for each stage, and the operations at", stageMicros)
	line("%.0f TFLOP/s, and the bytes at %.1f TB/s, added. Rate and bandwidth are measured ceilings; the stage is fitted to the", matrixRate/1e12, bandwidth/1e12)
	line("launches that have been measured, and a guess for all others.\n")
	line("| launch | nodes | after | stages | read MB | write MB | weights MB | GFLOP | expected µs | measured µs | how |")
	line("|---|---|---|---|---|---|---|---|---|---|---|")
	sum, total := 0.0, cost{}
	for _, c := range costs {
		line("| %s | %d | %s | %d | %s | %.1f | %s | %s |", c.name, c.count, strings.Join(c.after, "; "), c.stages, amounts(c), c.micros(), took(c, measured), c.how)
		sum += c.micros()
		total.read, total.write, total.weight = total.read+c.read, total.write+c.write, total.weight+c.weight
		total.flop, total.stages = total.flop+c.flop, total.stages+c.stages
	}
	line("| **all** | %d | | %d | %s | %.1f | | |\n", nodes, total.stages, amounts(total), sum)
	path, micros := criticalPath(costs)
	line("The longest chain takes **%.0f µs**: %s.\n", micros, strings.Join(path, " → "))
	line("Operations alone would take %.0f µs and bytes %.0f µs: time is stages. A stage less is worth more than any kernel made faster.",
		total.flop/matrixRate*1e6, float64(total.read+total.write+total.weight)/bandwidth*1e6)
	if measured.Device != "" {
		line("\nMeasured: the best variant of the workbench on one %s, as a step of a replayed CUDA graph.", measured.Device)
	}
	return b.String()
}

// amounts is the cells of the table for what a launch moves and computes.
func amounts(c cost) string {
	mb := func(bytes int) float64 { return float64(bytes) / 1e6 }
	return fmt.Sprintf("%.2f | %.2f | %.2f | %.3f", mb(c.read), mb(c.write), mb(c.weight), c.flop/1e9)
}

// took is the cell for the measured time, empty for none.
func took(c cost, measured evidence) string {
	if t := measured.best(c.workbench); c.workbench != "" && t > 0 {
		return fmt.Sprintf("%.1f", t)
	}
	return ""
}
