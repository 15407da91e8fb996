package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name:  "config",
		Usage: "show or validate a configuration",
		Subcommands: []*cli.Command{{
			Name:  "show",
			Usage: "print the complete configuration that the flags give, as YAML",
			Flags: append(modelFlags(), jsonSwitch()),
			Action: func(c *cli.Context) error {
				m, err := openModel(c)
				if err != nil {
					return err
				}
				if c.Bool("json") {
					data, err := m.Config.JSON()
					if err != nil {
						return err
					}
					var out bytes.Buffer
					if err := json.Indent(&out, data, "", "  "); err != nil {
						return err
					}
					_, err = fmt.Fprintln(c.App.Writer, out.String())
					return err
				}
				text, err := m.Config.YAML()
				if err != nil {
					return err
				}
				_, err = c.App.Writer.Write(text)
				return err
			},
		}, {
			Name:  "validate",
			Usage: "check a configuration and that the weights fit it",
			Flags: modelFlags(),
			Action: func(c *cli.Context) error {
				m, err := openModel(c)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.App.Writer, "valid: profile %s, %d classes, config %.12s, weights %.12s\n",
					m.Config.Model.Profile, m.Config.Model.NumClasses, m.ConfigDigest, m.WeightsDigest)
				return err
			},
		}},
	}
}

// jsonSwitch is --json for commands that print to standard output.
func jsonSwitch() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print JSON"} }
