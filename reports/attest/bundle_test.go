package attest

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	testresult "github.com/in-toto/attestation/go/predicates/test_result/v0"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/apex-x/apexx/internal/must"
)

// The example of the specification (dsse, protocol.md).
func TestPreAuthEncoding(t *testing.T) {
	const want = "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	if got := string(preAuthEncoding("http://example.com/HelloWorld", []byte("hello world"))); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What is signed is what in-toto's own types hold, without a field that they do not have, and what is read is what was written.
func TestStatementIsStrict(t *testing.T) {
	a := newAttempt(t, newCandidate(t))
	var statement intoto.Statement
	if err := protojson.Unmarshal(a.payload, &statement); err != nil {
		t.Fatal(err)
	}
	if err := statement.Validate(); err != nil {
		t.Fatal(err)
	}
	fields := must.Get(protojson.Marshal(statement.GetPredicate()))(t)
	var predicate testresult.TestResult
	if err := protojson.Unmarshal(fields, &predicate); err != nil {
		t.Fatal(err)
	}
	for _, c := range predicate.GetConfiguration() {
		if err := c.Validate(); err != nil {
			t.Errorf("configuration %s: %v", c.GetName(), err)
		}
	}
	again := must.Get(must.Get(ParseStatement(a.payload))(t).Encode())(t)
	if !bytes.Equal(again, a.payload) {
		t.Errorf("read and written again:\n%s\nwant:\n%s", again, a.payload)
	}
}

func TestKeys(t *testing.T) {
	for _, kind := range KeyTypes {
		key := must.Get(GenerateKey(kind))(t)
		private := must.Get(key.PEM())(t)
		if got := must.Get(ParsePrivateKey(private))(t).Public(); got.Hint() != key.Public().Hint() || got.Type != kind {
			t.Errorf("%s reads as %s", kind, got.Type)
		}
		if got := must.Get(ParsePublicKey(key.Public().PEM()))(t); got.Hint() != key.Public().Hint() {
			t.Errorf("%s: another key is read", kind)
		}
		for name, text := range map[string][]byte{
			"a public key to sign":  key.Public().PEM(),
			"two keys":              append(private, private...),
			"no PEM":                []byte("secret"),
			"an encrypted key":      []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
			"something else in PEM": []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		} {
			if _, err := ParsePrivateKey(text); err == nil || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := ParsePublicKey(private); err == nil {
			t.Error("a private key verifies")
		}
	}
	if _, err := GenerateKey("rsa"); err == nil {
		t.Error("a key of an unknown type")
	}
}

// Keys in the forms of other programs: openssl writes curves as SEC 1.
func TestKeysOfOthers(t *testing.T) {
	p256, p384 := must.Get(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), must.Get(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))(t)
	rsaKey := must.Get(rsa.GenerateKey(rand.Reader, 2048))(t)
	for name, tt := range map[string]struct {
		kind string
		der  []byte
		want string
	}{
		"SEC 1":  {"EC PRIVATE KEY", must.Get(x509.MarshalECPrivateKey(p256))(t), "ecdsa-p256"},
		"P-384":  {"EC PRIVATE KEY", must.Get(x509.MarshalECPrivateKey(p384))(t), "on P-384: want P-256"},
		"RSA":    {"PRIVATE KEY", must.Get(x509.MarshalPKCS8PrivateKey(rsaKey))(t), "want ECDSA on P-256, or Ed25519"},
		"X25519": {"PRIVATE KEY", must.Get(x509.MarshalPKCS8PrivateKey(must.Get(ecdh.X25519().GenerateKey(rand.Reader))(t)))(t), "cannot sign"},
	} {
		key, err := ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: tt.kind, Bytes: tt.der}))
		if err == nil && string(key.Public().Type) != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
}

func TestPolicy(t *testing.T) {
	text := must.Get(os.ReadFile("../../baselines/release-policy.json"))(t)
	committed := must.Get(ParsePolicy(text))(t)
	if committed.Digest() != fileOf("", "", text).SHA256 || !committed.requires(CPUGate) || !committed.requires(BackendParity) {
		t.Errorf("the committed policy: %+v", committed)
	}
	for _, tt := range []struct{ old, new, want string }{
		{`"schema": "apexx.release-policy/1"`, `"schema": "apexx.release-policy/9"`, "the schema is"},
		{`"required"`, `"Required!"`, "unknown field"},
		{`"eval_report"`, `"x"`, `the required item "x" is unknown`},
		{`"executions": ["ort fp16", "ort fp32"]`, `"executions": []`, "evaluation has to name"},
		{`"min_map": 0.8`, `"min_map": 0`, "evaluation has to name"},
		{`"max_map_drop": 0.01, `, "", "evaluation has to name"},
		{`"security_review"]`, `"security"]`, `the required item "security" is unknown`},
		{`"security_review"]`, `"onnx_graph"]`, "required twice"},
		{`"expires": "2027-01-01T00:00:00Z", `, "", "a time at which it expires"},
		{`"runtime_target": "cpu"`, `"runtime_target": "tpu"`, "runtime target"},
		{`["lint", "test"]`, `[]`, "checks names none"},
		{`["balanced e2e"]`, `[]`, "matrix has to name"},
		{`"columns": ["reference/fp64", "reference/fp32", "ort/fp32"]`, `"columns": ["reference/fp64"]`, "two columns or more"},
		{`"ort/fp32"`, `"ort/fp33"`, "not a release policy"},
		{`"gates": {"cpu_perf_regression"`, `"gates": {"gpu_perf_regression"`, "gates has no rule for it"},
		{`"gates": {`, `"gates": {"tpu": {}, `, `"tpu" is no gate`},
		{`"max_delta": 0.08`, `"max_delta": 0`, "needs max_delta"},
		{`{"cells": ["reference/nano/fp32/256x256/b1/complete"]}`, `{}`, "sweep names no cells"},
		{`"notes"`, `"notes"`, ""},
		{"{\n", "[\n", "not a release policy"},
		{"\n}", "\n} {}", "something follows"},
	} {
		_, err := ParsePolicy([]byte(strings.Replace(testPolicy, tt.old, tt.new, 1)))
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %s: %v, want %q", tt.new, tt.old, err, tt.want)
		}
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(testPolicy), &fields); err != nil {
		t.Fatal(err)
	}
	fields["required"] = []string{}
	if _, err := ParsePolicy(must.Get(json.Marshal(fields))(t)); err == nil || !strings.Contains(err.Error(), "requires nothing") {
		t.Errorf("a policy without requirements: %v", err)
	}
}

// FuzzUnseal: no text is a bundle but what the key sealed.
func FuzzUnseal(f *testing.F) {
	key, err := GenerateKey(Ed25519)
	if err != nil {
		f.Fatal(err)
	}
	payload := []byte(`{"a":1}`)
	good, err := Seal(payload, key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(bytes.Replace(good, []byte("v0.3"), []byte("v0.1"), 1))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Unseal(text, key.Public())
		if err == nil && !bytes.Equal(got, payload) {
			t.Errorf("%q was never signed", got)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is more than a line", err)
		}
	})
}

// FuzzParseStatement: what is read strictly is written as it was meant, and read again.
func FuzzParseStatement(f *testing.F) {
	s := &Statement{Subjects: []Subject{{"a", strings.Repeat("0", 64)}}, Result: Passed, Passed: []string{"x"},
		Settings: []Setting{{"release", map[string]string{"gitCommit": commit}, map[string]string{"version": "v1"}}}}
	good, err := s.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a"}]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := ParseStatement(payload)
		if err != nil {
			return
		}
		text, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseStatement(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(second, text) {
			t.Errorf("%s\n%s, %v", second, text, err)
		}
	})
}
