package routing

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// The readers below take values in plain form; what names the value in errors.

func asObject(v any, what string) (map[string]any, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is %s: want an object", what, jsonKind(v))
	}
	return m, nil
}

// optionalObject returns the object under key, or an empty one when the key is absent.
func optionalObject(obj map[string]any, key string) (map[string]any, error) {
	v, ok := obj[key]
	if !ok {
		return map[string]any{}, nil
	}
	return asObject(v, key)
}

func asList(v any, what string) ([]any, error) {
	l, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is %s: want a list", what, jsonKind(v))
	}
	return l, nil
}

func asString(v any, what string) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is %s: want a string", what, jsonKind(v))
	}
	return s, nil
}

// asNumber takes JSON numbers only.
func asNumber(v any, what string) (float64, error) {
	switch v := v.(type) {
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64() // infinite when too large, which callers reject
		return f, nil
	case float64:
		return v, nil
	}
	return 0, fmt.Errorf("%s is %s: want a number", what, jsonKind(v))
}

// asLooseNumber also takes strings with a decimal float, in which single underscores may separate digits.
func asLooseNumber(v any, what string) (float64, error) {
	s, ok := v.(string)
	if !ok {
		return asNumber(v, what)
	}
	text := strings.TrimSpace(s)
	if strings.ContainsAny(text, "xXpP") {
		return 0, fmt.Errorf("%s is %q: want a decimal number", what, s)
	}
	digits, err := dropUnderscores(text)
	if err != nil {
		return 0, fmt.Errorf("%s is %q: %w", what, s, err)
	}
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil && !isRange(err) {
		return 0, fmt.Errorf("%s is %q: want a number", what, s)
	}
	return f, nil
}

// isRange reports a float too large for float64, which ParseFloat returns as infinity.
func isRange(err error) bool {
	n, ok := err.(*strconv.NumError)
	return ok && n.Err == strconv.ErrRange
}

func dropUnderscores(s string) (string, error) {
	digit := func(i int) bool { return i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9' }
	for i := range len(s) {
		if s[i] == '_' && !(digit(i-1) && digit(i+1)) {
			return "", fmt.Errorf("an underscore must separate digits")
		}
	}
	return strings.ReplaceAll(s, "_", ""), nil
}

// asIndex takes integers, floats of integral value, and strings of digits with an optional minus sign.
func asIndex(v any, what string) (int, error) {
	switch v := v.(type) {
	case int64:
		return int(v), nil
	case float64:
		if v >= -(1<<53) && v <= 1<<53 && v == float64(int64(v)) {
			return int(v), nil
		}
		return 0, fmt.Errorf("%s is %v: want an integer", what, v)
	case string:
		s := strings.TrimSpace(v)
		if i, err := strconv.Atoi(s); err == nil && s[0] != '+' {
			return i, nil
		}
		return 0, fmt.Errorf("%s is %q: want an integer", what, v)
	}
	return 0, fmt.Errorf("%s is %s: want an integer", what, jsonKind(v))
}

func jsonKind(v any) string {
	switch v.(type) {
	case nil:
		return "null or missing"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return "a number"
}
