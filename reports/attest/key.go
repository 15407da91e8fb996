package attest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// KeyType names a signature scheme.
type KeyType string

// The schemes: ECDSA over P-256 with SHA-256 and ASN.1 signatures, and pure Ed25519 (RFC 8032, no pre-hash).
const (
	ECDSA   KeyType = "ecdsa-p256"
	Ed25519 KeyType = "ed25519"
)

// KeyTypes lists the schemes, the default first.
var KeyTypes = []KeyType{ECDSA, Ed25519}

// PrivateKey signs statements.
type PrivateKey struct {
	signer crypto.Signer
	public *PublicKey
}

// PublicKey checks signatures.
type PublicKey struct {
	Type KeyType
	key  crypto.PublicKey
	der  []byte // PKIX form
}

// GenerateKey makes a key of the scheme from the system's randomness.
func GenerateKey(t KeyType) (*PrivateKey, error) {
	switch t {
	case ECDSA:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		return privateKey(k)
	case Ed25519:
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return privateKey(k)
	}
	return nil, fmt.Errorf("unknown key type %q (known: %s, %s)", t, ECDSA, Ed25519)
}

// ParsePrivateKey reads a key in PEM: PKCS #8 ("PRIVATE KEY") or, as openssl writes it, SEC 1 ("EC PRIVATE KEY"). Encrypted keys,
// other schemes and other curves are errors; no error quotes the file.
func ParsePrivateKey(text []byte) (*PrivateKey, error) {
	block, err := onePEM(text, "private key")
	if err != nil {
		return nil, err
	}
	var key any
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "ENCRYPTED PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		return nil, errors.New("the private key is encrypted; decrypt it first, or take one of apexx attest keygen")
	default:
		return nil, fmt.Errorf("the PEM block is %q, want PRIVATE KEY", block.Type)
	}
	if err != nil {
		return nil, errors.New("the PEM block holds no private key in PKCS #8 or SEC 1 form")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T cannot sign", key)
	}
	return privateKey(signer)
}

func privateKey(signer crypto.Signer) (*PrivateKey, error) {
	public, err := publicKey(signer.Public())
	if err != nil {
		return nil, err
	}
	return &PrivateKey{signer, public}, nil
}

// ParsePublicKey reads a key in PEM, PKIX form ("PUBLIC KEY").
func ParsePublicKey(text []byte) (*PublicKey, error) {
	block, err := onePEM(text, "public key")
	if err != nil {
		return nil, err
	}
	if block.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("the PEM block is %q, want PUBLIC KEY", block.Type)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the PEM block holds no public key: %w", err)
	}
	return publicKey(key)
}

// onePEM returns the only block of a text: of two keys nobody could tell which is meant.
func onePEM(text []byte, what string) (*pem.Block, error) {
	block, rest := pem.Decode(text)
	switch {
	case block == nil:
		return nil, fmt.Errorf("no PEM block: want a %s in PEM", what)
	case strings.TrimSpace(string(rest)) != "":
		return nil, fmt.Errorf("something follows the %s: want one PEM block", what)
	}
	return block, nil
}

func publicKey(key crypto.PublicKey) (*PublicKey, error) {
	p := &PublicKey{key: key}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil, fmt.Errorf("an ECDSA key on %s: want P-256", k.Curve.Params().Name)
		}
		p.Type = ECDSA
	case ed25519.PublicKey:
		p.Type = Ed25519
	default:
		return nil, fmt.Errorf("a key of type %T: want ECDSA on P-256, or Ed25519", key)
	}
	var err error
	p.der, err = x509.MarshalPKIXPublicKey(key)
	return p, err
}

// Public returns the key that checks what k signs.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// PEM returns the key in PKCS #8 form.
func (k *PrivateKey) PEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.signer)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// PEM returns the key in PKIX form.
func (p *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.der})
}

// Hint names the key in a bundle as Sigstore's clients do: SHA-256 of the PKIX form in base64. It helps to find a key and proves nothing.
func (p *PublicKey) Hint() string {
	sum := sha256.Sum256(p.der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (k *PrivateKey) sign(message []byte) ([]byte, error) {
	if k.public.Type == Ed25519 {
		return k.signer.Sign(rand.Reader, message, crypto.Hash(0))
	}
	sum := sha256.Sum256(message)
	return k.signer.Sign(rand.Reader, sum[:], crypto.SHA256)
}

func (p *PublicKey) verify(message, signature []byte) bool {
	switch k := p.key.(type) {
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, sum[:], signature)
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, signature)
	}
	return false
}
