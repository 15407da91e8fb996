package parity

import (
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
)

// betweenPolicies is a matrix of two profiles of which one accepts what the other does not.
func betweenPolicies() (*scripted, MatrixSpec) {
	r := &scripted{answers: map[string]evidence.Run{"off ort/fp32": ran(1.0003)}} // quality allows 2.2e-4 beside 1, balanced 5.5e-4
	return r, MatrixSpec{Cases: []Case{{Name: "off"}, {Name: "equal"}}, Columns: []Column{ref64, ort32}, Runner: r,
		Policies: []Policy{Quality.Policy(EndToEnd), Balanced.Policy(EndToEnd)}}
}

// A matrix of several policies executes every session once and judges it under each; a failure under one of them fails the matrix.
func TestPolicies(t *testing.T) {
	r, spec := betweenPolicies()
	b := &budgeter{}
	spec.Budgets = b
	m, err := Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if calls := r.calls.Load(); calls != 4 || b.asked != 2 {
		t.Errorf("%d executions and %d derivations of 2 cases in 2 columns", calls, b.asked)
	}
	var got []string
	for i := range m.Cells {
		got = append(got, m.Key(&m.Cells[i])+": "+string(m.Cells[i].State))
	}
	const want = "off, ort/fp32 vs reference/fp64, quality e2e: fail\n" +
		"off, ort/fp32 vs reference/fp64, balanced e2e: pass\n" +
		"equal, ort/fp32 vs reference/fp64, quality e2e: pass\n" +
		"equal, ort/fp32 vs reference/fp64, balanced e2e: pass"
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("%s\nwant %s", text, want)
	}
	if code := m.ExitCode(); code != exit.Failed {
		t.Errorf("exit code %d with a cell that fails under one of its policies", code)
	}
	if err := m.Check(); err != nil {
		t.Error(err)
	}
}

// Every edit takes a matrix of several policies apart: a cell cannot change its policy, lose it, or take the other's budget.
func TestCheckOfPolicies(t *testing.T) {
	for name, tt := range map[string]struct {
		edit func(m *Matrix)
		want string
	}{
		"a policy dropped with its cells": {func(m *Matrix) { m.Policies = m.Policies[1:] }, "cells were dropped or added"},
		"no policy":                       {func(m *Matrix) { m.Policies = nil }, "compares nothing"},
		"a policy twice":                  {func(m *Matrix) { m.Policies[0] = m.Policies[1] }, "used twice"},
		"policies exchanged":              {func(m *Matrix) { m.Policies[0], m.Policies[1] = m.Policies[1], m.Policies[0] }, `judged by "quality e2e"`},
		"a cell of another policy":        {func(m *Matrix) { m.Cells[0].Policy = m.Policies[1] }, `judged by "balanced e2e"`},
		"the other's report":              {func(m *Matrix) { m.Cells[0].Report, m.Cells[0].State = m.Cells[1].Report, m.Cells[1].State }, `want "quality e2e"`},
		"another λ":                       {func(m *Matrix) { m.Cells[0].Report.Budget.Factor = 60 }, "a budget at λ = 60"},
		"sets under one policy alone":     {func(m *Matrix) { m.Cells[1].Sets = &SetCount{} }, "under another policy"},
	} {
		_, spec := betweenPolicies()
		spec.Budgets = &budgeter{}
		m, err := Run(context.Background(), spec)
		if err != nil {
			t.Fatal(err)
		}
		tt.edit(m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A case that was finished under other policies is not taken for finished.
func TestFinishedUnderOtherPolicies(t *testing.T) {
	_, spec := betweenPolicies()
	var all []FinishedCase
	spec.OnCase = func(f FinishedCase) { all = append(all, f) }
	if _, err := Run(context.Background(), spec); err != nil {
		t.Fatal(err)
	}
	spec.Policies = []Policy{spec.Policies[1], spec.Policies[0]}
	spec.Finished = map[string]FinishedCase{all[0].Case: all[0]}
	if _, err := Run(context.Background(), spec); err == nil || !strings.Contains(err.Error(), "pairs and policies") {
		t.Errorf("error %v", err)
	}
}
