"""`nsgflow completion`: what a shell needs to complete commands."""

# ruff: noqa: PLC0415 - what the work needs is imported when there is work

from typing import Annotated

import typer

from nsgflow_core.cli.options import one_of
from nsgflow_core.cli.session import session

_ALSO = {"pwsh": "powershell"}
_SHELLS = ("bash", "zsh", "fish", "powershell")
# typer's own of these two put a space behind `action=`, and bash takes that for two words.
_SCRIPTS = {
    "bash": r"""_nsgflow_completion() {
    local IFS=$'\n' typed="${COMP_LINE:0:COMP_POINT}" word before=""
    word="${typed##* }"
    [[ ${COMP_WORDS[COMP_CWORD]} == [\"\']* ]] || before="${word%"${word##*[=:]}"}"
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
}


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
        typer.echo(_script(shell).rstrip())


def _script(shell: str) -> str:
    if shell in _SCRIPTS:
        return _SCRIPTS[shell]
    from typer import completion as typers

    script: str = typers.get_completion_script(  # type: ignore[attr-defined]
        prog_name="nsgflow", complete_var="_NSGFLOW_COMPLETE", shell=shell
    )
    return script
