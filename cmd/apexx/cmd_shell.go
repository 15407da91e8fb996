package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"
)

// The scripts ask the program itself for candidates, so they stay right when flags change.
const (
	bashCompletion = `_apexx() {
  local current="${COMP_WORDS[COMP_CWORD]}"
  local words=("${COMP_WORDS[@]:0:COMP_CWORD}")
  case "$current" in
    --) words+=("-") ;; # a bare -- would end the flags
    -*) words+=("$current") ;;
  esac
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current"))
}
complete -o default -F _apexx apexx
`
	zshCompletion = `#compdef apexx
_apexx() {
  local -a candidates
  local current="${words[CURRENT]}"
  if [[ "$current" == -- ]]; then # a bare -- would end the flags
    candidates=("${(@f)$("${words[@]:0:CURRENT-1}" - --generate-bash-completion 2>/dev/null)}")
  elif [[ "$current" == -* ]]; then
    candidates=("${(@f)$("${words[@]:0:CURRENT}" --generate-bash-completion 2>/dev/null)}")
  else
    candidates=("${(@f)$("${words[@]:0:CURRENT-1}" --generate-bash-completion 2>/dev/null)}")
  fi
  if [[ -n "${candidates[1]}" ]]; then compadd -- "${candidates[@]}"; else _files; fi
}
compdef _apexx apexx
`
)

func completionCommand() *cli.Command {
	script := func(shell, text string) *cli.Command {
		return &cli.Command{Name: shell, Usage: "print the " + shell + " script", Action: func(c *cli.Context) error {
			_, err := io.WriteString(c.App.Writer, text)
			return err
		}}
	}
	return &cli.Command{
		Name:        "completion",
		Usage:       "print a shell completion script",
		Description: "For bash: source <(apexx completion bash). For zsh: source <(apexx completion zsh). For fish: apexx completion fish | source.",
		Subcommands: []*cli.Command{
			script("bash", bashCompletion),
			script("zsh", zshCompletion),
			{Name: "fish", Usage: "print the fish script", Action: func(c *cli.Context) error {
				text, err := c.App.ToFishCompletion()
				if err != nil {
					return err
				}
				_, err = io.WriteString(c.App.Writer, text)
				return err
			}},
		},
	}
}

func manCommand() *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the manual page (apexx man | man -l -)",
		Action: func(c *cli.Context) error {
			text, err := c.App.ToManWithSection(1)
			if err != nil {
				return fmt.Errorf("render the manual page: %w", err)
			}
			_, err = io.WriteString(c.App.Writer, text)
			return err
		},
	}
}
