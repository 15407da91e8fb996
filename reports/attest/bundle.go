package attest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	bundlev1 "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonv1 "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

const (
	// BundleMediaType names the version of the Sigstore bundle.
	BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	// PayloadType names what the envelope carries: an in-toto statement.
	PayloadType = "application/vnd.in-toto+json"
	// BundleSuffix is what a client appends to the name of an artifact to find its bundle.
	BundleSuffix = ".sigstore.json"
)

// preAuthEncoding is what DSSE signs: the payload with its type, so that neither can be taken for another
// (github.com/secure-systems-lab/dsse, protocol.md).
func preAuthEncoding(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// Seal signs a payload of type PayloadType and returns the bundle as JSON: a DSSE envelope with one signature, and the hint of the key
// instead of a certificate. There is no entry of a transparency log and no timestamp in it.
func Seal(payload []byte, key *PrivateKey) ([]byte, error) {
	signature, err := key.sign(preAuthEncoding(PayloadType, payload))
	if err != nil {
		return nil, err
	}
	hint := key.Public().Hint()
	return compactJSON(&bundlev1.Bundle{
		MediaType: BundleMediaType,
		VerificationMaterial: &bundlev1.VerificationMaterial{
			Content: &bundlev1.VerificationMaterial_PublicKey{PublicKey: &commonv1.PublicKeyIdentifier{Hint: hint}}},
		Content: &bundlev1.Bundle_DsseEnvelope{DsseEnvelope: &dsse.Envelope{
			PayloadType: PayloadType, Payload: payload, Signatures: []*dsse.Signature{{Sig: signature}}}},
	})
}

// compactJSON writes a message. protojson varies its white space on purpose; without any, equal messages have equal bytes.
func compactJSON(m proto.Message) ([]byte, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Compact(&b, text); err != nil {
		return nil, err
	}
	return append(b.Bytes(), '\n'), nil
}

// The ways in which a bundle is refused before its content is looked at.
var (
	ErrNoBundle     = errors.New("not a Sigstore bundle")
	ErrOtherKey     = errors.New("signed with another key")
	ErrBadSignature = errors.New("the signature does not fit")
)

// Unseal checks a bundle against a key and returns its payload, of which every byte is then what the key's owner signed. What else a
// bundle can hold (certificates, log entries, timestamps) is refused and not ignored: nobody here would check it.
func Unseal(bundle []byte, key *PublicKey) ([]byte, error) {
	var b bundlev1.Bundle
	if err := protojson.Unmarshal(bundle, &b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, plainly(err))
	}
	material, envelope := b.GetVerificationMaterial(), b.GetDsseEnvelope()
	switch {
	case b.GetMediaType() != BundleMediaType:
		return nil, fmt.Errorf("%w: its media type is %q, want %q", ErrNoBundle, b.GetMediaType(), BundleMediaType)
	case envelope == nil:
		return nil, fmt.Errorf("%w: it has no DSSE envelope", ErrNoBundle)
	case material.GetPublicKey() == nil:
		return nil, fmt.Errorf("%w: it is to be verified by a certificate; want one that was signed with a key", ErrNoBundle)
	case len(material.GetTlogEntries()) > 0 || material.GetTimestampVerificationData() != nil:
		return nil, fmt.Errorf("%w: it has entries of a log or timestamps, which apexx does not check; verify it with cosign", ErrNoBundle)
	case envelope.GetPayloadType() != PayloadType:
		return nil, fmt.Errorf("%w: its payload is of type %q, want %q", ErrNoBundle, envelope.GetPayloadType(), PayloadType)
	case len(envelope.GetSignatures()) != 1:
		return nil, fmt.Errorf("%w: its envelope has %d signatures, want one", ErrNoBundle, len(envelope.GetSignatures()))
	case material.GetPublicKey().GetHint() != key.Hint():
		return nil, fmt.Errorf("%w: the bundle names the key %q, the one given is %q", ErrOtherKey, material.GetPublicKey().GetHint(), key.Hint())
	case !key.verify(preAuthEncoding(PayloadType, envelope.GetPayload()), envelope.GetSignatures()[0].GetSig()):
		return nil, fmt.Errorf("%w: the statement or the signature was changed, or another key signed it", ErrBadSignature)
	}
	return envelope.GetPayload(), nil
}

// plainly makes one stable line of an error of protojson, which varies its spaces.
func plainly(err error) error {
	return errors.New(string(bytes.Join(bytes.Fields([]byte(err.Error())), []byte(" "))))
}
