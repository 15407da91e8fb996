package worker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// A frame is the magic, the length of the payload as a little-endian uint32, and the payload: one JSON object.
const (
	frameMagic   = "apxw"
	frameHeader  = len(frameMagic) + 4
	maxFrame     = 16 << 20 // bytes of payload; graphs and tensors travel in files
	trustedFrame = 64 << 10 // payloads up to this size are allocated before they have arrived
)

// writeFrame sends one payload with a single Write, so that a small frame reaches a pipe whole or not at all.
func writeFrame(w io.Writer, payload []byte) error {
	if len(payload) > maxFrame {
		return fmt.Errorf("message of %d bytes exceeds the limit of %d", len(payload), maxFrame)
	}
	frame := make([]byte, frameHeader, frameHeader+len(payload))
	copy(frame, frameMagic)
	binary.LittleEndian.PutUint32(frame[len(frameMagic):], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// readFrame returns the next payload. It returns io.EOF where the stream ends between two frames, and
// io.ErrUnexpectedEOF, wrapped, where it ends within one. Memory for a long payload grows with what arrives, not with what
// the length claims.
func readFrame(r io.Reader) ([]byte, error) {
	var header [frameHeader]byte
	if n, err := io.ReadFull(r, header[:]); err == io.EOF {
		return nil, io.EOF
	} else if err != nil {
		return nil, fmt.Errorf("frame header after %d of %d bytes, starting %q: %w", n, frameHeader, header[:n], err)
	}
	if string(header[:len(frameMagic)]) != frameMagic {
		return nil, fmt.Errorf("got %q where a frame has to start with %q: something else writes to the channel of the protocol",
			header[:], frameMagic)
	}
	n := binary.LittleEndian.Uint32(header[len(frameMagic):])
	if n > maxFrame {
		return nil, fmt.Errorf("frame claims %d bytes, the limit is %d", n, maxFrame)
	}
	if n <= trustedFrame {
		payload := make([]byte, n)
		if got, err := io.ReadFull(r, payload); err != nil {
			return nil, fmt.Errorf("frame ends after %d of %d bytes: %w", got, n, io.ErrUnexpectedEOF)
		}
		return payload, nil
	}
	var payload bytes.Buffer
	if got, err := io.CopyN(&payload, r, int64(n)); err != nil {
		return nil, fmt.Errorf("frame ends after %d of %d bytes: %w", got, n, io.ErrUnexpectedEOF)
	}
	return payload.Bytes(), nil
}
