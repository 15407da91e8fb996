package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/reports/attest"
)

// releasePolicy is where a repository keeps what its releases have to show.
const releasePolicy = baselineDir + "/release-policy.json"

func attestCommand() *cli.Command {
	policy := &cli.StringFlag{Name: "policy", Value: releasePolicy, Usage: "`FILE` that says what a release has to show"}
	return &cli.Command{
		Name:  "attest",
		Usage: "turn the evidence of a release into a signed statement, and check one",
		Subcommands: []*cli.Command{{
			Name:  "create",
			Usage: "judge the evidence of a release and sign what it shows",
			Description: "Every file of evidence is judged again: its schema and digests, its commit and its model, its verdict from its samples. DIR gets\n" +
				"a bundle for each released file (SUBJECT" + attest.BundleSuffix + "), release_attestation.json and .md, and a copy of the evidence.\n\n" +
				"Exit codes: 0 PASSED, 1 FAILED, 2 wrong usage, 3 WARNED: something required is pending, inconclusive or unverified. The\n" +
				"files are written in all of these cases but 2, and say so.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "release", Usage: "`VERSION` that is released"},
				&cli.StringSliceFlag{Name: "evidence", Usage: "folders `DIR` with the JSON files of matrix, gate, sweep, export, caps, replay, checks and sign-offs"},
				&cli.StringSliceFlag{Name: "subject", Usage: "released `FILE`s: programs, the exported model, checksums"},
				&cli.StringFlag{Name: "key", Usage: "private key in PEM, `FILE`; see apexx attest keygen"},
				&cli.StringFlag{Name: "out", Usage: "folder `DIR` to write to"}, policy,
				&cli.StringFlag{Name: "commit", Usage: "`SHA` of the release (default: that of the programs among the subjects, which have to agree with it)"},
			},
			Action: createAttestation,
		}, {
			Name:      "verify",
			Usage:     "check a bundle, offline",
			ArgsUsage: "BUNDLE",
			Description: "Checks the signature, the statement, the policy, each file that is given against what was signed, and judges the evidence among\n" +
				"these files again. A folder stands for all files in it.\n\n" +
				"Exit codes: 0 accepted, and the result is PASSED; 1 refused, with every reason, or the result is FAILED; 2 wrong usage;\n" +
				"3 accepted, and the result is WARNED.",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "key", Usage: "public key in PEM, `FILE`"}, policy,
				&cli.StringSliceFlag{Name: "subject", Usage: "`FILE`s, or folders, that should be what was signed"},
			},
			Action: verifyAttestation,
		}, {
			Name:  "keygen",
			Usage: "make a key that signs releases",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "type", Value: string(attest.ECDSA), Usage: "`TYPE` of the key: ecdsa-p256 or ed25519"},
				&cli.StringFlag{Name: "out", Usage: "folder `DIR` for " + privateKeyFile + " and " + publicKeyFile},
			},
			Action: generateKey,
		}},
	}
}

const (
	privateKeyFile = "attest.key"
	publicKeyFile  = "attest.pub"
)

func generateKey(c *cli.Context) error {
	dir := c.String("out")
	if dir == "" {
		return usagef("--out DIR is missing")
	}
	key, err := attest.GenerateKey(attest.KeyType(c.String("type")))
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	private, err := key.PEM()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return exit.With(exit.Usage, err)
	}
	for _, f := range []struct {
		name string
		perm fs.FileMode
		text []byte
	}{{privateKeyFile, 0o600, private}, {publicKeyFile, 0o644, key.Public().PEM()}} {
		path := filepath.Join(dir, f.name)
		if _, err := os.Lstat(path); err == nil {
			return usagef("%s exists; a key is never replaced, name another folder", path)
		}
		if err := atomicfile.WriteBytes(path, f.perm, f.text); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s signs (keep it secret), %s verifies: %s, sha256 %s\n", filepath.Join(dir, privateKeyFile), filepath.Join(dir, publicKeyFile),
		key.Public().Type, key.Public().Hint())
	return err
}

var (
	keyFile    = input.Kind{Name: "a key", Max: 64 << 10}
	policyFile = input.Kind{Name: "a release policy", Max: 1 << 20}
	bundleFile = input.Kind{Name: "a Sigstore bundle", Max: 64 << 20}
)

// readNamed reads and parses the file of a flag. The error names it, and is one of usage.
func readNamed[T any](path string, kind input.Kind, parse func([]byte) (T, error)) (T, error) {
	var none T
	text, err := input.Read(path, kind)
	if err != nil {
		return none, exit.With(exit.Usage, err)
	}
	v, err := parse(text)
	if err != nil {
		return none, exit.With(exit.Usage, fmt.Errorf("%s: %w", printable.Line(path), err))
	}
	return v, nil
}

func createAttestation(c *cli.Context) error {
	for _, name := range []string{"release", "evidence", "subject", "key", "out"} {
		if !c.IsSet(name) {
			return usagef("--%s is missing (see apexx attest create --help)", name)
		}
	}
	key, err := readNamed(c.String("key"), keyFile, attest.ParsePrivateKey)
	if err != nil {
		return err
	}
	request := attest.Request{Release: c.String("release"), Commit: c.String("commit"), Owner: ownerOf(os.Getenv), URL: runURL(os.Getenv),
		Tool: readVersion().Version, Now: time.Now()}
	if request.Policy, err = readNamed(c.String("policy"), policyFile, attest.ParsePolicy); err != nil {
		return err
	}
	for _, path := range c.StringSlice("subject") {
		f, err := attest.ReadFile(path)
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		request.Subjects = append(request.Subjects, f)
	}
	var leftOut []string
	if request.Evidence, leftOut, err = attest.ReadEvidence(c.StringSlice("evidence")); err != nil {
		return exit.With(exit.Usage, err)
	}
	for _, path := range leftOut {
		fmt.Fprintf(c.App.ErrWriter, "apexx: %s is no evidence of a known kind, and left out\n", printable.Line(path))
	}
	release, err := attest.Assess(request)
	if err != nil {
		return exit.With(exit.Usage, err)
	}
	if err := writeRelease(c.String("out"), release, key); err != nil {
		return err
	}
	return reportRelease(c.App.Writer, release, c.String("out"))
}

// ownerOf and runURL ask the environment of a GitHub job, as the original does (spec/perf.md 14.1).
func ownerOf(getenv func(string) string) string {
	if actor := getenv("GITHUB_ACTOR"); actor != "" {
		return actor
	}
	return "unknown"
}

func runURL(getenv func(string) string) string {
	server, repository, id := getenv("GITHUB_SERVER_URL"), getenv("GITHUB_REPOSITORY"), getenv("GITHUB_RUN_ID")
	if server == "" || repository == "" || id == "" {
		return ""
	}
	return server + "/" + repository + "/actions/runs/" + id
}

// The documents of a release, which are signed like its other files.
const (
	attestationJSON     = "release_attestation.json"
	attestationMarkdown = "release_attestation.md"
)

// writeRelease writes the documents, a copy of the evidence, and the bundle beside the name of each released file.
func writeRelease(dir string, r *attest.Release, key *attest.PrivateKey) error {
	for _, e := range r.Evidence {
		path := filepath.Join(dir, filepath.FromSlash(e.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return exit.With(exit.Usage, err)
		}
		if err := copyFile(path, e.Path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return exit.With(exit.Usage, err)
	}
	var documents []attest.File
	for _, d := range []struct {
		name  string
		write func(io.Writer) error
	}{{attestationJSON, r.Document().WriteJSON}, {attestationMarkdown, r.Document().WriteMarkdown}} {
		path := filepath.Join(dir, d.name)
		if err := atomicfile.WriteFile(path, 0o644, d.write); err != nil {
			return err
		}
		f, err := attest.ReadFile(path)
		if err != nil {
			return err
		}
		documents = append(documents, f)
	}
	payload, err := r.Statement(documents).Encode()
	if err != nil {
		return err
	}
	bundle, err := attest.Seal(payload, key)
	if err != nil {
		return err
	}
	for _, f := range r.Subjects {
		if err := atomicfile.WriteBytes(filepath.Join(dir, f.Name+attest.BundleSuffix), 0o644, bundle); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	data, err := input.Read(from, input.Record)
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(to, 0o644, data)
}

// reportRelease prints every item that counts and the line of the original. The exit code is that of the result.
func reportRelease(w io.Writer, r *attest.Release, dir string) error {
	for _, i := range slices.Concat(r.Artifacts, r.Gates, r.SignOffs) {
		if i.Status != attest.NA {
			fmt.Fprintf(w, "%-7s  %-31s  %s\n", i.Status, i.Key, printable.Line(i.Why))
		}
	}
	for _, f := range r.Findings {
		if len(f.Items) == 0 {
			fmt.Fprintf(w, "%-7s  %-31s  %s\n", f.Status, printable.Line(f.File.Name), printable.Line(f.Why))
		}
	}
	s := r.Document().Summary
	_, err := fmt.Fprintf(w, "%s  release %s of commit %s\nrelease_attestation status=%s required_failed=%d gates_failed=%d gates_pending=%d json=%s md=%s\n",
		s.Result, printable.Line(r.Release), r.Commit, s.Overall, s.RequiredFailed, s.GatesFailed, s.GatesPending,
		filepath.Join(dir, attestationJSON), filepath.Join(dir, attestationMarkdown))
	return errors.Join(err, resultError(s.Result))
}

// resultError is the exit code of a result.
func resultError(r attest.Result) error {
	switch r {
	case attest.Passed:
		return nil
	case attest.Warned:
		return exit.Silent(exit.Inconclusive)
	}
	return exit.Silent(exit.Failed)
}

func verifyAttestation(c *cli.Context) error {
	if c.NArg() != 1 {
		return usagef("want one bundle: apexx attest verify BUNDLE --key FILE")
	}
	if c.String("key") == "" {
		return usagef("--key FILE is missing: the public key of whoever signs the releases, from a place that you trust")
	}
	q := attest.Question{Now: time.Now()}
	var err error
	if q.Key, err = readNamed(c.String("key"), keyFile, attest.ParsePublicKey); err != nil {
		return err
	}
	if q.Policy, err = readNamed(c.String("policy"), policyFile, attest.ParsePolicy); err != nil {
		return err
	}
	if q.Bundle, err = input.Read(c.Args().First(), bundleFile); err != nil {
		return exit.With(exit.Usage, err)
	}
	if q.Files, q.Given, err = attest.ReadFiles(c.StringSlice("subject")); err != nil {
		return exit.With(exit.Usage, err)
	}
	answer, err := attest.Verify(q)
	if err != nil {
		return exit.With(exit.Failed, err)
	}
	if err := reportAnswer(c.App.Writer, answer, q); err != nil {
		return err
	}
	return resultError(answer.Result)
}

// reportAnswer says what was accepted, and what was not looked at.
func reportAnswer(w io.Writer, a *attest.Answer, q attest.Question) error {
	release := a.Setting("release")
	line := func(s string) string { return printable.Line(s) }
	fmt.Fprintf(w, "%s  release %s of commit %s, attested %s\n", a.Result, line(release.Annotations["version"]), line(release.Digest["gitCommit"]), line(release.Annotations["created"]))
	fmt.Fprintf(w, "signed with the %s key %s; no log and no timestamp vouch for when\n", q.Key.Type, q.Key.Hint())
	fmt.Fprintf(w, "policy %s: %d tests passed, %d warned, %d failed\n", line(q.Policy.Name), len(a.Passed), len(a.Warned), len(a.Failed))
	for _, name := range slices.Concat(a.Failed, a.Warned) {
		fmt.Fprintf(w, "  not shown: %s\n", line(name))
	}
	_, err := fmt.Fprintf(w, "files: %d are what was signed, %d files of evidence were judged again\n", len(a.Checked), a.Rejudged)
	if len(a.Unchecked) > 0 && err == nil {
		_, err = fmt.Fprintf(w, "not looked at: %s\n", line(strings.Join(a.Unchecked, ", ")))
	}
	return err
}
