"""What changed on the path of a flow, for `nsgflow why`: asked of Azure, and shown as evidence.

A change is told as Resource Graph has it. That one of them is the reason is never said: only that
it is of the rule that decides now, or newer than the rules that were judged.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nsgflow_core.cli.inventories import signed_in
from nsgflow_core.cli.session import sentence
from nsgflow_core.cli.tables import write_table, write_text
from nsgflow_core.errors import NsgflowError
from nsgflow_core.estate.changes import Change, ends_of, read_changes, since
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.judgement import Judgement
from nsgflow_core.model import flow_time

_SHOWN = 10
_PROPERTIES = 3


def path_ids(inventory: Inventory, nics: Iterable[Nic], now: Judgement) -> set[str]:
    """The resources whose changes may change a verdict; see `ends_of`."""
    judged = {layer.acl for layer in now.layers if layer.layer != "admin"}
    return judged | ends_of(inventory, nics)


def asked(
    environ: Mapping[str, str],
    ids: Iterable[str],
    now: Judgement,
    answer: Mapping[str, Any],
    *,
    made: float,
    who: bool,
) -> dict[str, Any]:
    """What `nsgflow why -o json` has as `changes`: those that Azure has.

    Where the rules say something else than was recorded, those since the last record. `made` is
    when the rules were read, in seconds since the epoch; `because` says where Azure refuses.
    """
    last = str(answer["recorded"][0]["last"]) if answer["agrees"] is False else ""
    try:
        with signed_in(environ) as manager:
            found = since(read_changes(manager, ids, who=who), last)
    except NsgflowError as exc:
        return {"since": last or None, "found": [], "because": sentence(exc)}
    read = flow_time(round(made * 1000))
    rows = [_row(one, now, read) for one in found]
    return {"since": last or None, "found": rows, "because": ""}


def _row(change: Change, now: Judgement, read: str) -> dict[str, Any]:
    decides = [
        layer.rule
        for layer in now.layers
        if layer.rule and layer.acl.lower() == change.target and change.names(layer.rule)
    ]
    row = {
        "time": change.time,
        "resource": change.target,
        "kind": change.kind,
        "decides": decides[0] if decides else None,
        "newerThanRules": change.time > read,
        "properties": [
            {"path": one.path, "before": one.before, "after": one.after}
            for one in change.properties
        ],
    }
    return row | ({"by": change.by} if change.by else {})


def sentence_of(told: Mapping[str, Any], times: Callable[[str], str]) -> str:
    """What is known of when rules changed, where they say something else than was recorded.

    `times` shows one.
    """
    if told["because"]:
        return f"The rules changed since; when could not be asked: {told['because']}."
    found = told["found"]
    deciding = next((one for one in found if one["decides"]), None)
    if deciding is not None:
        name = deciding["resource"].rpartition("/")[2]
        return (
            f"The rule that decides now, {deciding['decides']} of {name}, was last changed at "
            f"{times(deciding['time'])}."
        )
    if found:
        return "What changed on its path since then is below."
    return (
        "Azure has no change on its path since then; its history goes back 14 days, and is some "
        "minutes late."
    )


def write(told: Mapping[str, Any], times: Callable[[str], str]) -> None:
    """Write changes to stdout as a table; `times` shows when they were."""
    found = told["found"]
    when = "since then" if told["since"] else "in the last 14 days"
    if told["because"]:
        write_text(f"What changed could not be asked: {told['because']}.")
        return
    if not found:
        write_text("", f"Nothing changed on its path {when}, as far as Azure has it.")
        return
    write_text("", f"Changed on its path {when}, the newest first:")
    columns = ["time", "resource", "change"] + ["by"] * any("by" in one for one in found)
    cells = [
        [times(one["time"]), one["resource"].rpartition("/")[2], _told(one), one.get("by", "")]
        for one in found[:_SHOWN]
    ]
    write_table(columns, [row[: len(columns)] for row in cells])
    if len(found) > _SHOWN:
        write_text(f"{len(found) - _SHOWN} more are not shown; -o json has all.")
    if any(one["newerThanRules"] for one in found):
        write_text("The rules that were judged are older than some of these: --refresh.")


def _told(one: Mapping[str, Any]) -> str:
    said = [
        f"{each['path'].removeprefix('properties.')}: {each['before'] or 'none'} to "
        f"{each['after'] or 'none'}"
        for each in one["properties"][:_PROPERTIES]
    ]
    if more := len(one["properties"]) - _PROPERTIES:
        said += [f"{more} more"] if more > 0 else []
    return "; ".join(said) or one["kind"].lower()
