package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/certify"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

func certifyCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "backends", Value: "available", Usage: "comma-separated `LIST` of backends, or available"},
		&cli.StringFlag{Name: "precision", Value: "fp32", Usage: "`NAME`: fp64, fp32, tf32, fp16 or bf16"},
		&cli.StringFlag{Name: "cases", Value: "builtin", Usage: "`DIR` of pictures and safetensors files, or builtin, as for apexx matrix"},
		&cli.StringFlag{Name: "case", Usage: "comma-separated `LIST` of the names of cases (default: all)"},
		&cli.StringFlag{Name: "out", Usage: "write the certificate to `FILE`, or - for standard output"},
		&cli.StringFlag{Name: "verify", Usage: "take the certificate in `FILE` again and compare: its backends, precision and cases"},
		&cli.DurationFlag{Name: "deadline", Value: 5 * time.Minute, Usage: "bound on compiling and on running once, a `DURATION`"},
	}
	flags = append(flags, modelFlags()...)
	flags = append(flags, backendFlags()...)
	return &cli.Command{
		Name:  "certify",
		Usage: "record when a backend gives the same bits, and check it again",
		Description: "Every case runs as one image in a fresh process; then again in the same session, after another image, in other processes, while a\n" +
			"session beside it computes something else, with other numbers of threads, and as a sample of larger batches at every position. The\n" +
			"certificate has the digest of the outputs for each, and those of libraries, drivers and devices.\n\n" +
			"Exit codes: 0 repeats, processes and sessions beside gave the same bits; 1 they did not. With --verify: 0 everything in the\n" +
			"certificate holds, 1 something does not, 3 something does not and libraries, driver or devices are others, 2 of another model.",
		Flags:  append(flags, decodeFlags()...),
		Action: runCertify,
	}
}

func runCertify(c *cli.Context) error {
	var old *certify.Certificate
	if path := c.String("verify"); path != "" {
		data, err := input.Read(path, input.Record)
		if err == nil {
			old, err = certify.Read(bytes.NewReader(data))
		}
		if err != nil {
			return usagef("--verify %s: %w", printable.Line(path), err)
		}
		for _, name := range []string{"backends", "precision", "case"} {
			if c.IsSet(name) {
				return usagef("--%s does not go with --verify: the certificate says what was taken", name)
			}
		}
	}
	columns, err := certifyColumns(c, old)
	if err != nil {
		return err
	}
	m, cases, err := certifyCases(c, old)
	if err != nil {
		return err
	}
	now, err := takeCertificate(c, m, columns, cases)
	if err != nil {
		return err
	}
	if old != nil {
		return verifyCertificate(c, old, now)
	}
	return writeCertificate(c, c.String("out"), now)
}

// certifyColumns lists the backends and the precision: those of the certificate, or of the flags.
func certifyColumns(c *cli.Context, old *certify.Certificate) ([]parity.Column, error) {
	var columns []parity.Column
	if old != nil {
		for _, e := range old.Entries {
			if _, err := knownBackend(c, e.Column.Backend); err != nil {
				return nil, err
			}
			if !slices.Contains(columns, e.Column) {
				columns = append(columns, e.Column)
			}
		}
		return columns, nil
	}
	precision, err := backends.ParsePrecision(c.String("precision"))
	if err != nil {
		return nil, exit.With(exit.Usage, err)
	}
	names, err := chosenBackends(c, c.String("backends"))
	for _, name := range names {
		columns = append(columns, parity.Column{Backend: name, Precision: precision})
	}
	return columns, err
}

// certifyCases opens the cases of the certificate, or those that the flags name.
func certifyCases(c *cli.Context, old *certify.Certificate) (*source.Model, []source.Case, error) {
	var names []string
	if s := c.String("case"); s != "" {
		names = strings.Split(s, ",")
	}
	if old != nil {
		for _, e := range old.Entries {
			if !slices.Contains(names, e.Case) {
				names = append(names, e.Case)
			}
		}
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, nil, err
	}
	m, err := openModel(c)
	if err != nil {
		return nil, nil, err
	}
	all, err := openCases(c, m, decode)
	if err != nil {
		return nil, nil, exit.With(exit.Usage, err)
	}
	if names == nil {
		return all[0].Model, all, nil
	}
	var cases []source.Case
	for _, name := range names {
		at := slices.IndexFunc(all, func(x source.Case) bool { return x.Name == name })
		if at < 0 {
			return nil, nil, usagef("no case %q in %s", name, c.String("cases"))
		}
		cases = append(cases, all[at])
	}
	return cases[0].Model, cases, nil
}

// takeCertificate runs every case on every backend.
func takeCertificate(c *cli.Context, m *source.Model, columns []parity.Column, cases []source.Case) (*certify.Certificate, error) {
	threads, err := threadsOf(c)
	if err != nil {
		return nil, err
	}
	decode, err := decodeOf(c)
	if err != nil {
		return nil, err
	}
	build := ownBuild()
	cert := &certify.Certificate{Schema: certify.SchemaID, Revision: build.Revision, Modified: build.Modified, Config: m.ConfigDigest, Weights: m.WeightsDigest, Decode: decodeText(decode)}
	var names []string
	for _, col := range columns {
		if !slices.Contains(names, col.Backend) {
			names = append(names, col.Backend)
		}
		extra, err := extraOptions(c, col.Backend)
		if err != nil {
			return nil, err
		}
		b, err := openBackend(c, col.Backend, execute.Options{Isolate: true, Deadline: c.Duration("deadline")})
		if err == nil {
			err = available(c.Context, b, col.Backend)
		}
		if err != nil {
			return nil, err
		}
		for i := range cases {
			if isTerminal(c.App.ErrWriter) {
				fmt.Fprintf(c.App.ErrWriter, "%s on %s\n", cases[i].Name, col)
			}
			e, err := certify.Take(c.Context, execute.CertifySubject(&cases[i], b, backends.Options{Precision: col.Precision, Threads: threads, Extra: extra}))
			if err != nil {
				return nil, exit.With(evidence.ExitCode([]evidence.State{evidence.Of(c.Context, err).State}, false), err)
			}
			cert.Entries = append(cert.Entries, *e)
		}
	}
	cert.Facts = execute.CertifyFacts(c.Context, names)
	cert.Seal()
	return cert, nil
}

// writeCertificate writes it to a file, prints the table, and turns what it says into an exit code.
func writeCertificate(c *cli.Context, path string, cert *certify.Certificate) error {
	write := func(w io.Writer) error { return reports.IndentedJSON(w, cert) }
	if path != "" && path != "-" {
		if err := atomicfile.WriteFile(path, 0o644, write); err != nil {
			return err
		}
	}
	if path != "-" {
		write = cert.Text
	}
	if err := write(c.App.Writer); err != nil {
		return err
	}
	if !cert.Deterministic() {
		return exit.Silent(exit.Failed)
	}
	return nil
}

// verifyCertificate prints what does not hold any more.
func verifyCertificate(c *cli.Context, old, now *certify.Certificate) error {
	if old.Config != now.Config || old.Weights != now.Weights {
		return usagef("the certificate is of another model: name its configuration and weights (%s)", certify.Compare(old, now)[0])
	}
	changes := certify.Compare(old, now)
	for _, change := range changes {
		fmt.Fprintln(c.App.Writer, change)
	}
	same := old.FactsDigest == now.FactsDigest
	for _, f := range now.Facts {
		if !same && !slices.Contains(old.Facts, f) {
			fmt.Fprintf(c.App.Writer, "other here: %s is %s\n", f.Key, f.Value)
		}
	}
	switch {
	case len(changes) == 0:
		_, err := fmt.Fprintf(c.App.Writer, "VERIFIED: every digest and every claim of the certificate holds, which says:\n%s\n", now.Verdict())
		return err
	case same:
		return exit.With(exit.Failed, fmt.Errorf("%d lines of the certificate do not hold", len(changes)))
	}
	return exit.With(exit.Inconclusive, fmt.Errorf("%d lines of the certificate do not hold, and libraries, driver or devices are others", len(changes)))
}
