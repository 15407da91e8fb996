package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/printable"
)

// run executes one command line and returns its exit code. Errors are printed here and nowhere else: one line that names
// the program, on stderr (a list of problems has one line each).
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(stderr, "apexx: internal error: %v (please report it with the command line)\n", r)
			code = exit.Internal
		}
	}()
	app := newApp(stdin, stdout, stderr)
	err := app.RunContext(ctx, fileLast(repeatFlags(args, listFlags(args))))
	if err == nil {
		return exit.OK
	}
	code = exit.Code(err)
	var coded *exit.Error
	switch {
	case errors.Is(err, context.Canceled): // and not the record of what was interrupted
		fmt.Fprintln(stderr, "apexx: interrupted")
	case !errors.As(err, &coded) || coded.Err != nil:
		fmt.Fprintf(stderr, "apexx: %s\n", printable.Text(err.Error())) // names of files and messages of workers are in it
	}
	return code
}

// listFlags names the flags of the command that may have several values in a row.
func listFlags(args []string) []string {
	if len(args) > 1 {
		switch args[1] {
		case "trend":
			return []string{"--from"}
		case "attest":
			return []string{"--evidence", "--subject"}
		}
	}
	return []string{"--image"}
}

// repeatFlags lets flags take several values in a row, as a shell's *.png gives them: "--image a b" becomes
// "--image a --image b".
func repeatFlags(args []string, flags []string) []string {
	var out []string
	list := "" // the flag whose values these are
	for i, a := range args {
		switch {
		case strings.HasPrefix(a, "-") && a != "-":
			list = ""
		case list != "":
			out = append(out, list)
		}
		out = append(out, a)
		if i > 0 && slices.Contains(flags, args[i-1]) && !slices.Contains(flags, a) {
			list = args[i-1]
		}
	}
	return out
}

// fileLast lets the file of "attest verify" and "replay verify", and the case of "locate", come before the flags, as people write it;
// urfave/cli takes it behind them alone.
func fileLast(args []string) []string {
	if len(args) > 3 && args[1] == "locate" && !strings.HasPrefix(args[2], "-") {
		return append(slices.Concat(args[:2], args[3:]), args[2])
	}
	if len(args) < 4 || args[2] != "verify" || args[1] != "attest" && args[1] != "replay" || strings.HasPrefix(args[3], "-") {
		return args
	}
	return append(slices.Concat(args[:3], args[4:]), args[3])
}

func newApp(stdin io.Reader, stdout, stderr io.Writer) *cli.App {
	cli.FlagStringer, cli.HelpPrinter = flagHelp, printHelp
	app := &cli.App{
		Name:                      "apexx",
		Usage:                     "run the Apex-X model on several backends and prove that they agree",
		Description:               exitCodeTable,
		HideVersion:               true,
		HideHelpCommand:           true,
		EnableBashCompletion:      true,
		DisableSliceFlagSeparator: true, // --set model.pv_channels=[64,128,192] is one value
		Reader:                    stdin,
		Writer:                    stdout,
		ErrWriter:                 stderr,
		ExitErrHandler:            func(*cli.Context, error) {}, // run maps errors to exit codes
		Commands: []*cli.Command{
			runCommand(), matrixCommand(), evalCommand(), datasetCommand(), locateCommand(), certifyCommand(), sweepCommand(), gateCommand(), baselineCommand(), trendCommand(), exportCommand(), planCommand(),
			replayCommand(), attestCommand(), selfcheckCommand(), calibrateCommand(),
			capsCommand(), envCommand(), engineCommand(), configCommand(), versionCommand(),
			completionCommand(), manCommand(), workerCommand(),
		},
	}
	app.Action = func(c *cli.Context) error {
		if c.NArg() > 0 {
			return usagef("unknown command %q%s", c.Args().First(), suggest(c.Args().First(), app.Commands))
		}
		return cli.ShowAppHelp(c)
	}
	app.Description = wrapText(app.Description, helpWidth-descriptionIndent)
	fitHelp(app.Commands)
	strict(app.Commands)
	app.OnUsageError = onUsageError
	return app
}

const exitCodeTable = `Exit codes: 0 pass · 1 regression or parity failure · 2 wrong usage or bad input ·
3 inconclusive · 4 no baseline · 5 backend or environment unavailable · 6 internal error, crash or
hang · 130 interrupted.

Environment: APEXX_ORT_LIB names the ONNX Runtime library, APEXX_ORT_GPU_LIB that of ort-cuda and
ort-tensorrt, APEXX_WORKER_CUDA and APEXX_WORKER_TENSORRT the workers of those backends, APEXX_TRT_LIB
TensorRT's library or its folder, APEXX_TRT_PLUGIN_LIB our plugins for it, APEXX_TRT_ENGINE an engine
built ahead, APEXX_ISA=portable|avx2|avx512 chooses the reference's code path, APEXX_TREND_STORE names the
history of trend, NO_COLOR turns colours off. APEXX_INJECT: see the help of gate and of locate.`

// strict makes every command reject what urfave/cli would ignore or print help for.
func strict(commands []*cli.Command) {
	for _, c := range commands {
		c.OnUsageError = onUsageError
		c.HideHelpCommand = true
		strict(c.Subcommands)
		if len(c.Subcommands) > 0 && c.Action == nil {
			name, subs := c.Name, c.Subcommands
			c.Action = func(ctx *cli.Context) error {
				if ctx.NArg() > 0 {
					return usagef("unknown command %q%s", name+" "+ctx.Args().First(), suggest(ctx.Args().First(), subs))
				}
				return cli.ShowSubcommandHelp(ctx)
			}
			continue
		}
		action, files := c.Action, c.ArgsUsage != ""
		c.Action = func(ctx *cli.Context) error {
			if err := reference.Check(); err != nil {
				return exit.With(exit.Usage, err)
			}
			if files { // urfave/cli takes a flag behind a file for a file
				for _, a := range ctx.Args().Slice() {
					if strings.HasPrefix(a, "-") {
						return usagef("flag %s follows a file; flags come first (see %s --help)", a, ctx.Command.HelpName)
					}
				}
			} else if ctx.NArg() > 0 && !ctx.Bool("help") {
				return usagef("unexpected argument %q (every value belongs to a flag; see %s --help)", ctx.Args().First(), ctx.Command.HelpName)
			}
			return action(ctx)
		}
	}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: "); ok {
		text = "unknown flag " + name
	}
	return usagef("%s (see %s --help)", text, c.Command.HelpName)
}

func usagef(format string, args ...any) error {
	return exit.With(exit.Usage, fmt.Errorf(format, args...))
}

// suggest returns a hint at the command that a misspelt name is closest to, by common prefix.
func suggest(name string, commands []*cli.Command) string {
	var names []string
	for _, c := range commands {
		if c.Hidden {
			continue
		}
		if len(name) > 1 && strings.HasPrefix(c.Name, name[:2]) {
			return fmt.Sprintf(" (did you mean %q?)", c.Name)
		}
		names = append(names, c.Name)
	}
	return fmt.Sprintf(" (commands: %s)", strings.Join(names, ", "))
}

// knownBackend resolves the alias cpu and the name ort, which stands for ONNX Runtime with --provider, and rejects names that apexx does not know.
func knownBackend(c *cli.Context, name string) (string, error) {
	switch provider := ort.Provider(c.String("provider")); {
	case name == "cpu":
		name = "reference"
	case name == ort.CPU.Backend() && slices.Contains(ort.Providers, provider): // there are commands without the flag
		name = provider.Backend()
	}
	if !slices.Contains(backends.Known, name) {
		return "", usagef("unknown backend %q (known: %s)", name, strings.Join(backends.Known, ", "))
	}
	return name, nil
}

// parsePrecisions reads a comma-separated list.
func parsePrecisions(list string) ([]backends.Precision, error) {
	var out []backends.Precision
	for _, s := range strings.Split(list, ",") {
		if strings.TrimSpace(s) == "" { // which by itself would be the default
			return nil, usagef("the list of precisions %q has an empty name", list)
		}
		p, err := backends.ParsePrecision(strings.TrimSpace(s))
		if err != nil {
			return nil, exit.With(exit.Usage, err)
		}
		if !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out, nil
}
