package cuda

import "github.com/apex-x/apexx/backends/lower"

// A span is a stretch of the arena, in bytes.
type span struct{ from, to int }

// spans returns where values lie in the arena, by their sizes in bytes. Constants are never written, so they do not matter.
func spans(values []*lower.Value, bytes func(*lower.Value) int) []span {
	var list []span
	for _, v := range values {
		if v == nil || v.Len() == 0 {
			continue
		}
		if owner, _ := v.Root(); !owner.Constant {
			list = append(list, span{v.Place(), v.Place() + bytes(v)})
		}
	}
	return list
}

func meet(a, b []span) bool {
	for _, x := range a {
		for _, y := range b {
			if x.from < y.to && y.from < x.to {
				return true
			}
		}
	}
	return false
}

// dependencies returns for each step the earlier ones that must have ended before it begins: those that write what it reads or writes, and
// those that read what it writes, by their places in the arena. Steps that others of these wait for are left out.
func dependencies(steps []*step, bytes func(*lower.Value) int) [][]int {
	after := make([][]int, len(steps))
	reads, writes := make([][]span, len(steps)), make([][]span, len(steps))
	before := make([]map[int]bool, len(steps)) // all that a step waits for, directly or not
	for i, s := range steps {
		reads[i], writes[i], before[i] = spans(s.reads(), bytes), spans(s.Memory(), bytes), map[int]bool{}
		for j := i - 1; j >= 0; j-- {
			if before[i][j] || !meet(writes[j], reads[i]) && !meet(writes[j], writes[i]) && !meet(reads[j], writes[i]) {
				continue
			}
			after[i] = append(after[i], j)
			before[i][j] = true
			for k := range before[j] {
				before[i][k] = true
			}
		}
	}
	return after
}

// needs returns whether a step needs another one, directly or not, by the values that they read and write. Memory has not been placed yet.
func needs(steps []*step) func(step, other int) bool {
	writer := map[*lower.Value]int{}
	before := make([]map[int]bool, len(steps))
	for i, s := range steps {
		before[i] = map[int]bool{}
		for _, v := range s.reads() {
			if v == nil {
				continue
			}
			owner, _ := v.Root()
			if j, ok := writer[owner]; ok && j != i && !before[i][j] {
				before[i][j] = true
				for k := range before[j] {
					before[i][k] = true
				}
			}
		}
		for _, v := range s.Memory() {
			owner, _ := v.Root()
			writer[owner] = i
		}
	}
	return func(step, other int) bool { return before[other][step] }
}
