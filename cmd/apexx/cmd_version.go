package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/reports"
)

// version is set by the build (-ldflags "-X main.version=…"); a module build knows its own.
var version = ""

// versionInfo is what apexx version prints.
type versionInfo struct {
	Version        string `json:"version"`
	Commit         string `json:"commit,omitempty"`
	Modified       bool   `json:"modified"`
	Go             string `json:"go"`
	Platform       string `json:"platform"`
	Cgo            bool   `json:"cgo"`
	WorkerProtocol string `json:"worker_protocol"`
	ONNXOpset      int    `json:"onnx_opset"`
}

func readVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		WorkerProtocol: worker.Protocol.String(), ONNXOpset: graph.OpsetVersion, Cgo: cgoEnabled}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// ownBuild tells which source this program was made of.
func ownBuild() reports.Build {
	v := readVersion()
	return reports.Build{Revision: v.Commit, Modified: v.Modified}
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:  "version",
		Usage: "print versions of the program and of what it is built from",
		Flags: []cli.Flag{jsonSwitch()},
		Action: func(c *cli.Context) error {
			v := readVersion()
			if c.Bool("json") {
				return reports.IndentedJSON(c.App.Writer, v)
			}
			commit := v.Commit
			if commit == "" {
				commit = "unknown commit"
			}
			_, err := fmt.Fprintf(c.App.Writer, "apexx %s (%s), %s, %s, worker protocol %s, ONNX opset %d\n",
				v.Version, commit, v.Go, v.Platform, v.WorkerProtocol, v.ONNXOpset)
			return err
		},
	}
}
