package coco

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// SyntaxError is a place where a file is no JSON. Nothing behind it can be read.
type SyntaxError struct {
	Offset int64 // in bytes from the beginning
	Text   string
}

// Error says where, and what is wrong there.
func (e *SyntaxError) Error() string { return fmt.Sprintf("no JSON at byte %d: %s", e.Offset, e.Text) }

// The bounds of what a file may ask for.
const (
	maxDepth  = 64       // of nesting
	maxString = 16 << 20 // of a text that is kept; longer ones are read over
	longest   = 512      // of a number
)

// scanner reads tokens of JSON from a stream through one buffer.
type scanner struct {
	in      io.Reader
	buf     []byte
	at, end int   // the unread part of buf
	before  int64 // bytes of the stream before buf
	eof     bool
	text    []byte // of a string that does not lie whole and plain in buf
	key     []byte // the last one read
}

func newScanner(in io.Reader) *scanner { return &scanner{in: in, buf: make([]byte, 1<<18)} }

func (s *scanner) syntax(format string, args ...any) error {
	return &SyntaxError{s.before + int64(s.at), fmt.Sprintf(format, args...)}
}

// need has at least n unread bytes in buf, or all that are left.
func (s *scanner) need(n int) error {
	for s.end-s.at < n && !s.eof {
		copy(s.buf, s.buf[s.at:s.end])
		s.before += int64(s.at)
		s.at, s.end = 0, s.end-s.at
		got, err := s.in.Read(s.buf[s.end:])
		s.end += got
		if errors.Is(err, io.EOF) {
			s.eof = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// next passes over blanks and returns the next byte, which stays unread; it is an error at the end.
func (s *scanner) next() (byte, error) {
	for {
		for s.at < s.end {
			c := s.buf[s.at]
			if c > ' ' {
				return c, nil
			}
			if c != ' ' && c != '\n' && c != '\t' && c != '\r' {
				return 0, s.syntax("a control character %#02x", c)
			}
			s.at++
		}
		if err := s.need(1); err != nil {
			return 0, err
		}
		if s.at == s.end {
			return 0, s.syntax("the file ends in the middle")
		}
	}
}

// take passes over blanks and one byte, which has to be c.
func (s *scanner) take(c byte) error {
	got, err := s.next()
	if err != nil {
		return err
	}
	if got != c {
		return s.syntax("found %q, want %q", got, c)
	}
	s.at++
	return nil
}

// more tells whether another element follows in a list or object that ends with a byte; first says that none was read yet.
func (s *scanner) more(end byte, first bool) (bool, error) {
	c, err := s.next()
	switch {
	case err != nil:
		return false, err
	case c == end:
		s.at++
		return false, nil
	case first:
		return true, nil
	case c != ',':
		return false, s.syntax("found %q, want ',' or %q", c, end)
	}
	s.at++
	if c, err = s.next(); err == nil && c == end {
		err = s.syntax("found %q behind ','", c)
	}
	return true, err
}

// object reads an object and calls each with every key, which is valid until the next one is read; each has to read the value.
func (s *scanner) object(each func(key []byte) error) error {
	if err := s.take('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		if more, err := s.more('}', first); err != nil || !more {
			return err
		}
		key, _, err := s.string(longest)
		if err != nil {
			return err
		}
		s.key = append(s.key[:0], key...)
		if err := s.take(':'); err != nil {
			return err
		}
		if err := each(s.key); err != nil {
			return err
		}
	}
}

// list reads a list and calls each with the index of every element; each has to read it.
func (s *scanner) list(each func(i int) error) error {
	if err := s.take('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if more, err := s.more(']', i == 0); err != nil || !more {
			return err
		}
		if err := each(i); err != nil {
			return err
		}
	}
}

// string reads a string. It is valid until the next token; of one longer than limit the beginning is returned and whole is false. A
// key that long is none that anyone knows.
func (s *scanner) string(limit int) (text []byte, whole bool, err error) {
	if err := s.take('"'); err != nil {
		return nil, false, err
	}
	if n := plain(s.buf[s.at:s.end]); s.at+n < s.end && s.buf[s.at+n] == '"' && n <= limit {
		text = s.buf[s.at : s.at+n]
		s.at += n + 1
		return text, true, nil
	}
	return s.longString(limit)
}

// plain counts the bytes before a quote, an escape or a control character.
func plain(b []byte) int {
	for i, c := range b {
		if c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return len(b)
}

// longString collects a string with escapes or over the end of the buffer.
func (s *scanner) longString(limit int) (text []byte, whole bool, err error) {
	s.text, whole = s.text[:0], true
	for {
		if err := s.need(12); err != nil { // two escapes \uXXXX
			return nil, false, err
		}
		if s.at == s.end {
			return nil, false, s.syntax("the file ends in a string")
		}
		n := plain(s.buf[s.at:s.end])
		piece := s.buf[s.at : s.at+n]
		s.at += n
		if n == 0 {
			switch c := s.buf[s.at]; {
			case c == '"':
				s.at++
				return s.text, whole, nil
			case c < ' ':
				return nil, false, s.syntax("a control character %#02x in a string", c)
			}
			if piece, err = s.escape(); err != nil {
				return nil, false, err
			}
		}
		if room := limit - len(s.text); len(piece) > room {
			piece, whole = piece[:max(room, 0)], false
		}
		s.text = append(s.text, piece...)
	}
}

// escape reads an escape in a string, or two that are one character together.
func (s *scanner) escape() ([]byte, error) {
	rest := s.buf[s.at:s.end]
	if len(rest) < 2 {
		return nil, s.syntax("the file ends in a string")
	}
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), rest[1]); i >= 0 {
		s.at += 2
		return []byte("\"\\/\b\f\n\r\t")[i : i+1], nil
	}
	r, ok := hexEscape(rest)
	if !ok {
		return nil, s.syntax("a string has the escape %q", rest[:2])
	}
	s.at += 6
	if utf16.IsSurrogate(r) {
		low, _ := hexEscape(rest[6:])
		if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
			s.at += 6
		}
	}
	return utf8.AppendRune(nil, r), nil
}

// hexEscape decodes \uXXXX.
func hexEscape(b []byte) (r rune, ok bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	for _, c := range b[2:6] {
		digit := bytes.IndexByte([]byte("0123456789abcdefABCDEF"), c)
		if digit < 0 {
			return 0, false
		}
		if digit > 15 {
			digit -= 6
		}
		r = r<<4 | rune(digit)
	}
	return r, true
}

// skip reads over a value of any kind.
func (s *scanner) skip() error { return s.skipTo(0) }

func (s *scanner) skipTo(depth int) error {
	c, err := s.next()
	switch {
	case err != nil:
		return err
	case depth > maxDepth:
		return s.syntax("more than %d lists and objects in each other", maxDepth)
	case c == '{':
		return s.object(func([]byte) error { return s.skipTo(depth + 1) })
	case c == '[':
		return s.list(func(int) error { return s.skipTo(depth + 1) })
	case c == '"':
		_, _, err = s.string(0)
		return err
	case isNumber(c):
		_, err = s.number()
		return err
	}
	_, err = s.word("true", "false", "null")
	return err
}

// word reads one of some words.
func (s *scanner) word(words ...string) (string, error) {
	if err := s.need(longest); err != nil {
		return "", err
	}
	for _, w := range words {
		if bytes.HasPrefix(s.buf[s.at:s.end], []byte(w)) {
			s.at += len(w)
			return w, nil
		}
	}
	return "", s.syntax("found %q, want a value", s.buf[s.at:min(s.at+10, s.end)])
}

// finish makes sure that nothing but blanks follows.
func (s *scanner) finish() error {
	for {
		if err := s.need(1); err != nil || s.at == s.end {
			return err
		}
		if c, err := s.next(); err == nil {
			return s.syntax("found %q behind the end of the value", c)
		} else if !s.eof {
			return err
		}
	}
}

// kindOf names what begins with a byte.
func kindOf(c byte) string {
	switch {
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "a boolean"
	case c == 'n':
		return "null"
	}
	return "a number"
}
