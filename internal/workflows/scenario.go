package workflows

import (
	"github.com/rhysd/actionlint"
)

// The repository of the scenarios, and a fork of it.
const (
	ownRepository  = "apex-x/apexx"
	forkRepository = "someone/apexx"
)

// scenario is one way to start a workflow.
type scenario struct {
	event string
	fork  bool // the pull request comes from a fork
	scope
}

// newScenario returns the scenario of an event. What the workflow's author or the event's sender may choose is unknown.
func newScenario(event string, fork bool) scenario {
	github := object{"event_name": event, "repository": ownRepository}
	payload := object{"pull_request": nil}
	if event == "pull_request" {
		head := object{"repo": object{"full_name": ownRepository, "fork": fork}}
		if fork {
			head["repo"].(object)["full_name"] = forkRepository
		}
		payload["pull_request"] = object{"head": head}
	}
	github["event"] = payload
	return scenario{event, fork, scope{contexts: object{"github": github}}}
}

// scenarios returns the ways to start the workflow.
func (f *file) scenarios() []scenario {
	var out []scenario
	for _, e := range f.On {
		out = append(out, newScenario(e.EventName(), false))
		if e.EventName() == "pull_request" {
			out = append(out, newScenario(e.EventName(), true))
		}
	}
	return out
}

// outcome is whether something runs.
type outcome string

const (
	runs     outcome = "runs"
	skipped  outcome = "is skipped"
	unclear  outcome = "may be skipped" // depends on what is not known
	badlyPut outcome = "has a condition that cannot be read"
)

// decide tells whether a job or step with the condition runs. A condition without a status function means success() as well,
// and so does none.
func (s scope) decide(condition *actionlint.String) outcome {
	text := "success()"
	if condition != nil {
		text = condition.Value
	}
	node, err := parseCondition(text)
	if err != nil {
		return badlyPut
	}
	v := s.eval(node)
	if !hasStatusFunction(node) {
		success, ok := s.status["success"]
		if !ok {
			success = unknown{}
		}
		v = logical(actionlint.LogicalOpNodeKindAnd, v, success)
	}
	switch truth, known := truth(v); {
	case !known:
		return unclear
	case truth:
		return runs
	}
	return skipped
}
