"""One flow asked about: what was recorded of it, what rules say, and how that is shown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from nsgflow_core.cli import rule_changes
from nsgflow_core.cli.asked import Asked, fits, mend
from nsgflow_core.cli.clock import text_clock
from nsgflow_core.cli.formats import write_json
from nsgflow_core.cli.names import labelled, matcher, meant
from nsgflow_core.cli.nothing_found import nearest
from nsgflow_core.cli.tables import write_table, write_text
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import causes
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.judgement import Judgement
from nsgflow_core.estate.simulation import rule_name, tells
from nsgflow_core.estate.verdict import IN_SEVERAL, NO_INVENTORY, Judge
from nsgflow_core.model import Flow, flow_time

_WHERE = {"admin": "admin rules", "subnet": "subnet's NSG", "nic": "NIC's NSG"}


class Recorded:
    """What logs have of a flow, by NSG, rule, direction and outcome; times in milliseconds."""

    def __init__(self, judge: Judge, asked: Asked) -> None:
        self._judge = judge
        self._asked = asked
        self._found: dict[tuple[str, str, str, str], list[int]] = {}
        self._macs: dict[bool, set[str]] = {True: set(), False: set()}

    def add(self, flow: Flow) -> None:
        """Count a flow, if it is such a one."""
        if not fits(self._asked, flow, self._judge.inventory):
            return
        known = self._judge.nsg(flow.group.acl_group)
        self._macs[flow.inbound].add(flow.group.mac)
        self._learn(flow)
        nsg = known.id if known is not None else flow.group.acl_group
        direction = "in" if flow.inbound else "out"
        outcome = "denied" if flow.denied else "allowed"
        key = (nsg, rule_name(flow.group.rule), direction, outcome)
        when = flow.time_ms
        entry = self._found.setdefault(key, [0, when, when])
        entry[0] += 1
        entry[1] = min(entry[1], when)
        entry[2] = max(entry[2], when)

    def _learn(self, flow: Flow) -> None:
        """What a log says of the ends, where nothing else does."""
        near, far = (flow.dst, flow.src) if flow.inbound else (flow.src, flow.dst)
        chosen = self._asked.target if flow.inbound else self._asked.source
        space = self._judge.space(chosen or self._judge.near_nic(near, far))
        space.own(near)
        if (inside := tells(flow.group.rule)) is not None:
            space.learn(far, inside=inside)

    def settled(self) -> Asked:
        """What was asked, with the interfaces that logged it where others share their addresses."""
        asked = self._asked
        source = asked.source or self._interface(asked.src, inbound=False)
        target = asked.target or self._interface(asked.dst, inbound=True)
        return replace(asked, source=source, target=target)

    def _interface(self, address: str, *, inbound: bool) -> Nic | None:
        """The one network interface with an address that logged flows of a direction."""
        macs, inventory = self._macs[inbound], self._judge.inventory
        nic = inventory.nic(min(macs)) if inventory is not None and len(macs) == 1 else None
        return nic if nic is not None and address in nic.addresses else None

    def judge(self) -> Judgement:
        """What every layer says now; without an inventory, the NSGs that logged the flow."""
        asked = self.settled()
        if self._judge.inventory is not None:
            ends = self._judge.ends(asked.packet(), source=asked.source, target=asked.target)
            return _with_mends(self._judge.judge(asked.packet(), ends), asked, self._judge)
        found = [
            self._judge.one_layer(nsg, asked.packet(), inbound=direction == "in")
            for direction in ("out", "in")
            for nsg in dict.fromkeys(key[0] for key in self._found if key[2] == direction)
        ]
        layers = tuple(layer for one in found for layer in one.layers)
        denied = any(layer.verdict == "denied" for layer in layers)
        reasons = [NO_INVENTORY, *(reason for one in found for reason in one.unknown)]
        return Judgement("denied" if denied else "unknown", layers, tuple(dict.fromkeys(reasons)))

    def rows(self) -> list[dict[str, Any]]:
        """The newest first."""
        newest = sorted(self._found.items(), key=lambda entry: (-entry[1][2], entry[0]))
        return [
            {
                "nsg": nsg,
                "rule": rule,
                "direction": direction,
                "outcome": outcome,
                "flows": flows,
                "first": flow_time(first),
                "last": flow_time(last),
            }
            for (nsg, rule, direction, outcome), (flows, first, last) in newest
        ]


def _with_mends(now: Judgement, asked: Asked, judge: Judge) -> Judgement:
    """The same, with what to type where it is not known which of several has an address."""
    if judge.inventory is None:
        return now
    mends = {
        f"{at} {IN_SEVERAL}": f"{at} {IN_SEVERAL}; {mend(at, judge.inventory)}"
        for at in (asked.src, asked.dst)
        if len(judge.inventory.nics_at(at)) > 1
    }
    return msgspec.structs.replace(
        now, unknown=tuple(mends.get(reason, reason) for reason in now.unknown)
    )


def one_nsg(judge: Judge, name: str, direction: str, asked: Asked) -> Judgement:
    """What one NSG says of a flow, by its id or name.

    Raises:
        BadInputError: there is no such NSG, or several.
    """
    inbound = direction == "in"
    chosen = asked.target if inbound else asked.source
    nsg = name if name.startswith("/") else _nsg_named(judge, name, chosen)
    near, far = (asked.dst, asked.src) if inbound else (asked.src, asked.dst)
    nic = chosen or judge.near_nic(near, far) or _under(nsg, near, judge.inventory)
    if nic is None:
        judge.space(None).own(near)
    return judge.one_layer(nsg, asked.packet(), inbound=inbound, nic=nic)


def _nsg_named(judge: Judge, name: str, chosen: Nic | None) -> str:
    """The id of an NSG by name, of several that which a given network interface is under.

    One that no rules are known of is the name itself.
    """
    inventory = judge.inventory
    names = (
        {nsg: nsg.rpartition("/")[2] for nsg in inventory.nsg_ids()}
        if inventory is not None
        else {}
    )
    accepts = matcher(meant([name], inventory))
    wanted = [nsg for nsg, last in names.items() if accepts(last, nsg)]
    in_files = [one for one in judge.files.all() if accepts(one.name, one.id)]
    # What a file has without its group and subscription stands in for one of these.
    whole = [one.id for one in in_files if one.id.startswith("/subscriptions/") or not wanted]
    wanted = list(dict.fromkeys([*wanted, *whole]))
    if len(wanted) > 1 and chosen is not None and inventory is not None:
        wanted = [nsg for nsg in wanted if nsg in inventory.nsgs_of(chosen)] or wanted
    if len(wanted) > 1:
        shown = sorted(judge.shown(nsg, nsg.rpartition("/")[2]) for nsg in wanted)
        raise BadInputError(f"--nsg {name!r} is {', '.join(shown)}: give one of these")
    known = [*(one.name for one in judge.files.all()), *names.values()]
    if known and not wanted:
        raise BadInputError(f"no NSG is named {name!r}{nearest(name, known)}")
    return wanted[0] if wanted else name


def _under(nsg: str, address: str, inventory: Inventory | None) -> Nic | None:
    """The one network interface with an address that is under an NSG."""
    at = inventory.nics_at(address) if inventory is not None else ()
    found = [nic for nic in at if inventory is not None and nsg.lower() in inventory.nsgs_of(nic)]
    return found[0] if len(found) == 1 else None


def answer(asked: Asked, recorded: Sequence[dict[str, Any]], now: Judgement) -> dict[str, Any]:
    """The object that `nsgflow why -o json` prints.

    `agrees` says whether what was recorded last is what the rules say now; null where either is
    not known. A flow is denied where any of its last records is: each NSG has its own.
    """
    agrees = None
    if recorded and now.verdict != "unknown":
        asked_now = {layer.acl.lower() for layer in now.layers}
        last: dict[tuple[str, str], str] = {}
        for row in recorded:
            if len(asked_now) != 1 or row["nsg"].lower() in asked_now:
                last.setdefault((row["nsg"], row["direction"]), row["outcome"])
        if last:
            was = "denied" if "denied" in last.values() else "allowed"
            agrees = was == now.verdict
    return {
        "flow": asked.to_json(),
        "recorded": list(recorded),
        "now": now.to_json(),
        "agrees": agrees,
    }


def write(
    found: dict[str, Any],
    form: str,
    names: Mapping[str, str],
    shown: Callable[[str, str], str],
    *,
    logs: bool,
    logged: Sequence[str] = (),
) -> None:
    """Write an answer to stdout.

    `names` says what addresses are called, `shown` how to say an NSG of an id and a name, `logs`
    that some were read, and `logged` which flow logs record the ends: what it can mean that nothing
    was recorded.
    """
    if form == "json":
        write_json(msgspec.json.encode(found))
        return
    times = text_clock()
    write_text(*_lines(found, names, shown, times), "")
    if found["recorded"]:
        write_text("Recorded, the newest first:")
        columns = ("flows", "nsg", "rule", "direction", "outcome", "first", "last")
        cells = [
            [
                str(row["flows"]),
                _nsg(row["nsg"], row["rule"], shown),
                *(row[key] for key in ("rule", "direction", "outcome")),
                *(times(row[key]) for key in ("first", "last")),
            ]
            for row in found["recorded"]
        ]
        write_table(columns, cells)
    else:
        write_text(NOTHING_RECORDED if logs else NOTHING_READ, *logged)
    now = found["now"]
    write_text("", "The rules now, in the order in which they are asked:")
    columns = ("end", "layer", "name", "rule", "priority", "access", "verdict")
    cells = [
        [
            layer["end"],
            _WHERE[layer["layer"]],
            shown(layer["acl"], layer["name"]),
            layer["rule"] or layer.get("because", ""),
            "" if layer["priority"] is None else str(layer["priority"]),
            layer["access"] or "",
            layer["verdict"],
        ]
        for layer in now["layers"]
    ]
    if cells:
        write_table(columns, cells)
    write_text(*(f"not known: {reason}" for reason in now["unknown"]))
    if "changes" in found:
        rule_changes.write(found["changes"], times)


def _nsg(acl_group: str, rule: str, shown: Callable[[str, str], str]) -> str:
    """What denied or allowed a flow, in words."""
    kind = causes.cause(acl_group, rule)
    if kind:
        return causes.dropper(kind)
    return shown(acl_group, acl_group.rpartition("/")[2])


NOTHING_RECORDED = (
    "Nothing was recorded of it in the logs that were read. That can mean that no flow log covers "
    "the network interfaces of either end, or that it is filtered; that the flow is older or newer "
    "than what was read; that routing sends it elsewhere, or the host at the source drops it "
    "before Azure sees it."
)
NOTHING_READ = "No logs were read: name files or accounts to see what was recorded of it."
_UNKNOWN = "The rules changed since; when is not known here."


def _lines(
    found: dict[str, Any],
    names: Mapping[str, str],
    shown: Callable[[str, str], str],
    times: Callable[[str], str],
) -> Iterable[str]:
    flow, now = found["flow"], found["now"]
    ends = [labelled(flow[end], names[flow[end]]) for end in ("src", "dst")]
    port = "" if flow["port"] is None else f" port {flow['port']}"
    yield f"{ends[0]} to {ends[1]}, {flow['protocol']}{port}"
    if now["verdict"] == "denied":
        first = now["denying"][0]
        others = len(now["denying"]) - 1
        yield (
            f"It would be denied now, first by rule {first['rule']} (priority "
            f"{first['priority']}) of {shown(first['acl'], first['name'])}, at the {first['end']}"
            + (f"; {others} more would deny it too." if others else ".")
        )
    elif now["verdict"] == "allowed":
        yield "It would pass now: no layer that is asked denies it."
    else:
        yield "Whether it would pass now is not known."
    if found["agrees"] is False:
        last = found["recorded"][0]
        yield (
            f"That is not what was recorded: {last['outcome']} by {last['rule']}, last at "
            f"{times(last['last'])}. "
            + (
                rule_changes.sentence_of(found["changes"], times)
                if "changes" in found
                else _UNKNOWN
            )
        )
