// Command asm writes the amd64 assembly of package kernel and the Go declarations that go with it.
//
// Each file of the package covers one step of the pipeline that package kernel describes: panels (pack.go), micro-kernels (gemm.go),
// moments (moments.go), depthwise convolution (depthwise.go), Winograd's transforms (winograd.go) and elementwise functions (elementwise.go, loops.go). A last
// one, peak.go, is for package peak. A generator is written once and run for each vector width.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// files lists what is generated, with the folder relative to package kernel's.
var files = []struct {
	pkg, folder, name string
	generate          func(*build.Context)
}{
	{"kernel", ".", "gemm", gemm},
	{"kernel", ".", "pack", pack},
	{"kernel", ".", "depthwise", depthwise},
	{"kernel", ".", "winograd", winograd},
	{"kernel", ".", "moments", moments},
	{"kernel", ".", "elementwise", elementwise},
	{"peak", "peak", "loop", peak},
}

func main() {
	flags := flag.NewFlagSet("asm", flag.ExitOnError) // avo has taken names of the default set
	out := flags.String("out", "..", "folder of package kernel")
	_ = flags.Parse(os.Args[1:])
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "asm:", err)
		os.Exit(1)
	}
}

func generate(dir string) error {
	for _, f := range files {
		if err := write(filepath.Join(dir, f.folder), f.pkg, f.name, f.generate); err != nil {
			return err
		}
	}
	return nil
}

// write generates <name>_amd64.s and <name>_amd64.go.
func write(dir, pkg, name string, generate func(*build.Context)) error {
	ctx := build.NewContext()
	ctx.ConstraintExpr("amd64,!purego")
	generate(ctx)
	file, err := ctx.Result()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := pass.Compile.Execute(file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	cfg := printer.Config{Name: "asm", Argv: []string{"go", "run", ".", "-out", "../"}, Pkg: pkg}
	for ext, p := range map[string]printer.Printer{".s": printer.NewGoAsm(cfg), ".go": printer.NewStubs(cfg)} {
		text, err := p.Print(file)
		if err != nil {
			return fmt.Errorf("%s%s: %w", name, ext, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+"_amd64"+ext), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
