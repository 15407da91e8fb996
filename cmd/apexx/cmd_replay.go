package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/manifest"
	"github.com/apex-x/apexx/internal/replay"
)

func replayCommand() *cli.Command {
	root := &cli.StringFlag{Name: "root", Value: ".", Usage: "folder `DIR` that the paths in the manifest are relative to: the source tree"}
	return &cli.Command{
		Name:  "replay",
		Usage: "record and check what the released model comes from",
		Subcommands: []*cli.Command{{
			Name:  "create",
			Usage: "write the replay manifest of an exported model",
			Description: "The manifest holds the digests of the weights, the configuration, the export, the pictures and the expected results of\n" +
				"the source tree, and one digest of all of them.",
			Flags: []cli.Flag{root,
				&cli.StringFlag{Name: "export", Usage: "folder `DIR` that apexx export wrote, from the weights of the source tree"},
				&cli.StringFlag{Name: "out", Usage: "`FILE` to write"},
			},
			Action: createReplay,
		}, {
			Name:      "verify",
			Usage:     "compare the files with a replay manifest, and export the model anew",
			ArgsUsage: "FILE",
			Description: "Every file has to have its digest, and the weights and the configuration have to give the released model again, byte for\n" +
				"byte. Exit codes: 0 they do, 1 they do not, 2 the manifest contradicts itself or cannot be read.",
			Flags:  []cli.Flag{root},
			Action: verifyReplay,
		}},
	}
}

// replayFiles names what a release comes from: its export, the weights, and every other file of the fixtures but code and texts.
func replayFiles(root, export string) (map[string]string, error) {
	files := map[string]string{
		replay.Export: filepath.Join(export, modelFile), replay.ExportManifest: filepath.Join(export, manifestFile),
		replay.Weights: filepath.Join(root, "fixtures", "weights", "nano.safetensors"),
	}
	err := filepath.WalkDir(filepath.Join(root, "fixtures"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path == files[replay.Weights] || strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".md") {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = path
		return err
	})
	return files, err
}

func createReplay(c *cli.Context) error {
	if c.String("export") == "" || c.String("out") == "" {
		return usagef("--export DIR and --out FILE are needed")
	}
	files, err := replayFiles(c.String("root"), c.String("export"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	m, err := replay.Create(replay.Request{Root: c.String("root"), Files: files, Build: ownBuild(), Go: runtime.Version()})
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	text, err := m.JSON()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(c.String("out")), 0o755); err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := atomicfile.WriteBytes(c.String("out"), 0o644, text); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d files, manifest sha256 %s\n", c.String("out"), len(files), m.ManifestSHA256)
	return err
}

func verifyReplay(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("want one file: apexx replay verify FILE")
	}
	text, err := input.Read(c.Args().First(), input.Record)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	m, err := manifest.ParseReplay(text)
	if err != nil {
		return exit.With(exit.Usage, fmt.Errorf("%s: %w", c.Args().First(), err))
	}
	differences, err := replay.Verify(m, c.String("root"))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if len(differences) > 0 {
		return exit.With(exit.Failed, fmt.Errorf("%s", strings.Join(differences, "\n")))
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s: %d files and the model exported anew are the same, manifest sha256 %s\n", c.Args().First(), len(m.ArtifactHashes), m.ManifestSHA256)
	return err
}
