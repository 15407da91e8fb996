// Package workflows holds the rules for the files in .github/workflows. A test runs them, and actionlint's own, over every file
// there, so that a change which opens a hole fails before it is merged.
//
// Check parses a workflow with github.com/rhysd/actionlint and runs one rule after the other:
//
//	pinned-action        an action or workflow of others is named by a full commit hash, with its version beside it
//	permissions          the token can read the contents and nothing else, unless a job says what more it reads, or only publishes
//	secrets              a secret reaches one step, hosted, approved, and started by hand
//	privileged-trigger   nothing runs with the repository's rights on what a fork sent
//	fork-runner          no self-hosted runner can be reached from a fork, and each is behind an environment
//	runner-labels        every runner is named by literal labels; a self-hosted one by system, processor and purpose
//	timeout              every job ends
//	concurrency          runs that would repeat or disturb each other are grouped
//	persist-credentials  the token does not stay on the disk after the checkout
//	full-history         a job that asks for earlier commits has them
//	script-injection     no expression is pasted into a script
//	upload-always        evidence is uploaded also when a step failed
//	path-filter          a workflow with a required check starts for every pull request
//	required-check       the required check judges every other job, and nothing can skip it into success
//
// Conditions are not searched for words. They are evaluated, in a logic with a third value for what is not known, under each
// event that can start the workflow: "never from a fork" means that the condition is false there, whatever the unknown parts are.
package workflows
