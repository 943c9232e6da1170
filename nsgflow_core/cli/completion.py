"""`nsgflow completion`: what a shell needs to complete commands."""

from typing import Annotated

import typer

from nsgflow_core.cli.options import one_of
from nsgflow_core.cli.session import session

_ALSO = {"pwsh": "powershell"}
# typer's own put a space behind `action=`, take the words of `--filter=` for those of the whole,
# and in PowerShell bind a key anew.
SCRIPTS = {
    "bash": r"""_nsgflow_completion() {
    local IFS=$'\n' typed="${COMP_LINE:0:COMP_POINT}" word before=""
    word="${typed##* }"
    [[ ${COMP_WORDS[COMP_CWORD]} == [\"\']* ]] || before="${word%"${word##*[=:]}"}"
    [[ $before == --*=* ]] && before="${before#--*=}"
    [[ $typed == *" " ]] && typed+="''"
    COMPREPLY=( $(env COMP_WORDS="$typed" COMP_CWORD=-1 _NSGFLOW_COMPLETE=complete_bash "$1") )
    COMPREPLY=( "${COMPREPLY[@]#"$before"}" )
    [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}

complete -o default -F _nsgflow_completion nsgflow
""",
    "zsh": r"""#compdef nsgflow

_nsgflow_completion() {
    local line
    [[ $PREFIX == --*=* ]] && compset -P "${PREFIX%%=*}="
    local -a offered open
    for line in ${(f)"$(env _NSGFLOW_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                        _TYPER_COMPLETE_ARGS="${words[1,CURRENT]}" nsgflow)"}; do
        if [[ $line == *= ]]; then
            open+=("$line")
        else
            offered+=("${${line//:/\\:}/$'\t'/:}")
        fi
    done
    (( $#open )) && compadd -S '' -- $open
    (( $#offered )) && _describe nsgflow offered
    (( $#open + $#offered )) || _files
}

compdef _nsgflow_completion nsgflow
""",
    "fish": r"""function __nsgflow_offered
    set -l before (string match -r -- '^--[\w-]+=' (commandline -ct))
    for line in (env _NSGFLOW_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
                     _TYPER_COMPLETE_ARGS=(commandline -cp | string collect) nsgflow)
        test -n "$line"; and printf '%s%s\n' "$before" $line
    end
end

complete -c nsgflow -f -n 'count (__nsgflow_offered) >/dev/null' -a '(__nsgflow_offered)'
complete -c nsgflow -F -n 'not count (__nsgflow_offered) >/dev/null'
""",
    "powershell": r"""Register-ArgumentCompleter -Native -CommandName nsgflow -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $before = if ($wordToComplete -match '^--[\w-]+=') { $Matches[0] } else { '' }
    $Env:_NSGFLOW_COMPLETE = 'complete_powershell'
    $Env:_TYPER_COMPLETE_ARGS = $commandAst.ToString()
    $Env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $wordToComplete
    try {
        nsgflow | ForEach-Object {
            $word, $help = $_ -split ':::', 2
            [System.Management.Automation.CompletionResult]::new(
                "$before$word", $word, 'ParameterValue', $help)
        }
    } finally {
        $Env:_NSGFLOW_COMPLETE = $null
        $Env:_TYPER_COMPLETE_ARGS = $null
        $Env:_TYPER_COMPLETE_WORD_TO_COMPLETE = $null
    }
}
""",
}
_SHELLS = tuple(SCRIPTS)


def completion(
    shell: Annotated[
        str, typer.Argument(metavar="|".join(_SHELLS), help="The shell that you use.")
    ],
) -> None:
    """Print what a shell needs to complete commands.

    Commands, options, their values, and the keys of filter terms.
    """
    with session(verbose=False):
        shell = one_of("SHELL", _ALSO.get(shell.lower(), shell), _SHELLS)
        typer.echo(SCRIPTS[shell].rstrip())
