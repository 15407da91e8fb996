// Package attest turns the evidence of a release into a signed statement, and checks one. ATTESTATION.md says what such a statement claims
// and what it does not.
//
// From files to a bundle:
//
//  1. ReadEvidence (evidence.go) reads every JSON file of the folders of evidence by its kind. A record_*.go for each kind reads it with the
//     reader of the package that wrote it, and derives its verdict anew from what it holds. What contradicts itself is not believed.
//  2. Assess (create.go) takes the commit from the released programs and judges each record (assess.go): is it about this commit, a clean
//     tree, and the released model; does it show what the Policy (policy.go) asks for. Findings add up to items (item.go), items and cells to
//     tests, and tests to one Result. No status is ever typed in.
//  3. Release.Document (document.go, markdown.go) is the attestation for people, Release.Statement (statement.go) the one for programs: an
//     in-toto statement of a test result. Seal (bundle.go) signs it with a PrivateKey (key.go): DSSE in a Sigstore bundle.
//
// Back: Verify (verify.go) unseals, parses strictly, and runs step 2 again over the evidence that is here. Each refusal has a Reason.
package attest
