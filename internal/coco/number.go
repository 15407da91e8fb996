package coco

import (
	"math"
	"strconv"
)

// number is a JSON number. NaN and the infinities are no JSON, but some writers have them.
type number struct {
	value   float64
	integer bool // written without fraction and exponent, and within 64 bits
	whole   int64
}

func isNumber(c byte) bool { return c >= '0' && c <= '9' || c == '-' || c == 'N' || c == 'I' }

// powers are those powers of ten that a float64 holds exactly.
var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// number reads a number. Where the digits fit 53 bits and the power of ten is exact, one division rounds correctly (Clinger, "How to
// read floating point numbers accurately", 1990); strconv reads the others.
func (s *scanner) number() (number, error) {
	if s.end-s.at < longest {
		if err := s.need(longest); err != nil {
			return number{}, err
		}
	}
	text := s.buf[s.at:s.end]
	i, negative := 0, false
	if len(text) > 0 && text[0] == '-' {
		i, negative = 1, true
	}
	var digits uint64
	first := i
	for i < len(text) && text[i]-'0' <= 9 {
		digits = digits*10 + uint64(text[i]-'0')
		i++
	}
	whole := i - first
	if whole == 0 || whole > 1 && text[first] == '0' {
		return s.notFinite(negative)
	}
	fraction := 0
	if i < len(text) && text[i] == '.' {
		from := i + 1
		for i = from; i < len(text) && text[i]-'0' <= 9; i++ {
			digits = digits*10 + uint64(text[i]-'0')
		}
		if fraction = i - from; fraction == 0 {
			return number{}, s.syntax("a number has no digit behind its point")
		}
	}
	exponent := i < len(text) && text[i]|0x20 == 'e'
	if exponent || whole+fraction > 18 || digits >= 1<<53 || fraction > 22 {
		return s.slowNumber(text)
	}
	s.at += i
	n := number{value: float64(digits) / powers[fraction], integer: fraction == 0, whole: int64(digits)}
	if negative {
		n.value, n.whole = -n.value, -n.whole
	}
	return n, nil
}

// slowNumber reads any number.
func (s *scanner) slowNumber(text []byte) (number, error) {
	end, integer := 0, true
	for ; end < len(text); end++ {
		switch c := text[end]; {
		case c >= '0' && c <= '9', c == '-', c == '+':
			continue
		case c == '.', c == 'e', c == 'E':
			integer = false
			continue
		}
		break
	}
	if end >= longest {
		return number{}, s.syntax("a number of more than %d characters", longest)
	}
	token := string(text[:end])
	v, err := strconv.ParseFloat(token, 64)
	if err != nil && !math.IsInf(v, 0) { // too large a number is infinite
		return number{}, s.syntax("%q is no number", token)
	}
	n := number{value: v}
	if integer {
		n.whole, err = strconv.ParseInt(token, 10, 64)
		n.integer = err == nil
	}
	s.at += end
	return n, nil
}

// notFinite reads NaN and the infinities as Python's json module writes them.
func (s *scanner) notFinite(negative bool) (number, error) {
	if negative {
		s.at++
	}
	w, err := s.word("NaN", "Infinity")
	switch {
	case err != nil:
		return number{}, s.syntax("found %q, want a number", s.buf[s.at:min(s.at+10, s.end)])
	case w == "NaN":
		return number{value: math.NaN()}, nil
	case negative:
		return number{value: math.Inf(-1)}, nil
	}
	return number{value: math.Inf(1)}, nil
}
