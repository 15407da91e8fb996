package evaluate

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// mostPacked bounds what a text unpacks to, in bytes: the pairs of 10 million detections.
const mostPacked = 400 << 20

// packer collects numbers for a text: unsigned ones as varints, others as their bits. The text is base64 of them, deflated.
type packer struct{ data []byte }

func (p *packer) uint(v uint64) { p.data = binary.AppendUvarint(p.data, v) }
func (p *packer) float(v float64) {
	p.data = binary.LittleEndian.AppendUint64(p.data, math.Float64bits(v))
}
func (p *packer) string(s string) { p.uint(uint64(len(s))); p.data = append(p.data, s...) }

func (p *packer) bool(v bool) {
	if v {
		p.uint(1)
	} else {
		p.uint(0)
	}
}

func (p *packer) text() ([]byte, error) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(p.data)
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(deflated.Bytes())), nil
}

// unpacker reads what a packer wrote. Its first error stays, and numbers after it are 0.
type unpacker struct {
	data []byte
	err  error
}

func unpack(text []byte) *unpacker {
	deflated := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(deflated, text)
	if err != nil {
		return &unpacker{err: err}
	}
	data, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(deflated[:n])), mostPacked+1))
	if err == nil && len(data) > mostPacked {
		err = fmt.Errorf("more than %d bytes", mostPacked)
	}
	return &unpacker{data: data, err: err}
}

func (u *unpacker) fail(format string, args ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, args...)
	}
	u.data = nil
}

func (u *unpacker) uint() uint64 {
	v, n := binary.Uvarint(u.data)
	if n <= 0 {
		u.fail("it ends too early")
		return 0
	}
	u.data = u.data[n:]
	return v
}

// below reads a number below a limit.
func (u *unpacker) below(limit int, what string) int {
	v := u.uint()
	if v >= uint64(limit) && u.err == nil {
		u.fail("%s is %d, want less than %d", what, v, limit)
		return 0
	}
	return int(v)
}

// count reads how many things follow, of which each takes a byte or more.
func (u *unpacker) count(what string) int { return u.below(len(u.data)+1, what) }

func (u *unpacker) float() float64 {
	if len(u.data) < 8 {
		u.fail("it ends too early")
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(u.data))
	u.data = u.data[8:]
	return v
}

func (u *unpacker) string() string {
	n := u.count("the length of a name")
	if u.err != nil {
		return ""
	}
	s := string(u.data[:n])
	u.data = u.data[n:]
	return s
}

// end returns the first error; what is left over is one.
func (u *unpacker) end() error {
	if u.err == nil && len(u.data) > 0 {
		u.fail("%d bytes are left over", len(u.data))
	}
	return u.err
}
