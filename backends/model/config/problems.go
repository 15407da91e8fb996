package config

import (
	"fmt"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	Key     string // section.key, or what stood in its place
	Message string // what was found and what is allowed
}

// Problems is everything wrong with a configuration, in the order of the file, the overrides, and then the table of keys.
type Problems []Problem

// Error lists the problems, one per line, each beginning with its key.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, problem := range p {
		lines[i] = problem.Key + ": " + problem.Message
	}
	return strings.Join(lines, "\n")
}

// maxProblems bounds the report on a file that is no configuration at all.
const maxProblems = 50

// report collects problems.
type report struct {
	list    Problems
	dropped int
	bad     map[string]bool // keys whose value must not be looked at further
}

func (r *report) add(key, message string) {
	if len(r.list) == maxProblems {
		r.dropped++
		return
	}
	r.list = append(r.list, Problem{clip(key), message})
}

// reject is add for a key without a usable value.
func (r *report) reject(key, message string) {
	if r.bad == nil {
		r.bad = map[string]bool{}
	}
	r.bad[key] = true
	r.add(key, message)
}

// unknown reports a key that does not exist, with the one it may have been meant to be.
func (r *report) unknown(key string) {
	message := "unknown key"
	if len(r.list) < maxProblems { // the search is not free, and a dropped message is not read
		if guess := nearest(key); guess != "" {
			message += "; did you mean " + guess + "?"
		} else if !strings.Contains(key, ".") {
			message += ", want section.key"
		}
	}
	r.add(key, message)
}

func (r *report) err() error {
	if len(r.list) == 0 {
		return nil
	}
	if r.dropped > 0 {
		return append(r.list, Problem{"…", fmt.Sprintf("%d more problems", r.dropped)})
	}
	return r.list
}

// mismatch words the usual problem.
func mismatch(found, want string) string { return fmt.Sprintf("found %s, want %s", found, want) }

// clip keeps a key or value from a file to one short line.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '�'
		}
		return r
	}, s), "�")
}

// nearest is the known key closest to key, "" when none is close. A key that exists in another section is closest.
func nearest(key string) string {
	section, name, dotted := strings.Cut(key, ".")
	if !dotted {
		section, name = "", key
	}
	best, least := "", 1+max(2, len(name)/3)
	for _, f := range fields {
		if f.name() == name {
			return f.key
		}
		distance := editDistance(name, f.name(), least)
		if dotted && f.section() != section {
			distance += editDistance(section, f.section(), least)
		}
		if distance < least {
			best, least = f.key, distance
		}
	}
	return best
}

// editDistance is the Levenshtein distance of a and b, or limit if the lengths alone differ by as much.
func editDistance(a, b string, limit int) int {
	if max(len(a)-len(b), len(b)-len(a)) >= limit {
		return limit
	}
	row := make([]int, len(b)+1) // distances of a[:i] to each b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
