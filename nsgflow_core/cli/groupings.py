"""What flows are grouped by: words of filters and lists, or any column of the table."""

from collections.abc import Callable, Sequence

from nsgflow_core.cli.names import near, vnet_id, vnet_name
from nsgflow_core.cli.read import Found, nsg_name
from nsgflow_core.errors import BadInputError, did_you_mean
from nsgflow_core.estate import causes, enrich
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.model import Flow
from nsgflow_core.sinks.rows import record_time

Value = str | int | None
Getter = Callable[[Found, Knowledge], Value]


def _near(flow: Flow, knowledge: Knowledge) -> tuple[str, str]:
    """VM and subnet of the interface that the log is of; "" where they are not known."""
    place = enrich.near_end(flow, near(flow), knowledge)
    return (place.vm, place.subnet) if place is not None else ("", "")


KEYS: dict[str, Getter] = {
    "nsg": lambda found, known: nsg_name(found.log.path, found.flow.group, known.inventory),
    "rule": lambda found, _: found.flow.group.rule,
    "direction": lambda found, _: "in" if found.flow.inbound else "out",
    "action": lambda found, _: "denied" if found.flow.denied else "allowed",
    "protocol": lambda found, _: found.flow.protocol,
    "source": lambda found, _: found.flow.src,
    "sport": lambda found, _: found.flow.src_port,
    "destination": lambda found, _: found.flow.dst,
    "port": lambda found, _: found.flow.dst_port,
    "mac": lambda found, _: found.flow.group.mac,
    "account": lambda found, _: found.log.ref.account,
    "vnet": lambda found, known: vnet_name(found.flow, known.inventory),
    "vm": lambda found, known: _near(found.flow, known)[0],
    "subnet": lambda found, known: _near(found.flow, known)[1],
    "state": lambda found, _: found.flow.state,
    "encryption": lambda found, _: found.flow.encryption,
    "version": lambda found, _: found.flow.group.record.version,
    "service": lambda found, _: enrich.service_name(found.flow.protocol, found.flow.dst_port),
    "type": lambda found, known: enrich.flow_type(found.flow, known),
    "SrcVm": lambda found, known: enrich.ends(found.flow, known).src_vm,
    "DestVm": lambda found, known: enrich.ends(found.flow, known).dest_vm,
    "SrcSubnet": lambda found, known: enrich.ends(found.flow, known).src_subnet,
    "DestSubnet": lambda found, known: enrich.ends(found.flow, known).dest_subnet,
    "SrcServiceTags": lambda found, known: enrich.ends(found.flow, known).src_tags,
    "DestServiceTags": lambda found, known: enrich.ends(found.flow, known).dest_tags,
    "AclGroup": lambda found, _: found.flow.group.acl_group,
    "TargetResourceId": lambda found, _: found.flow.group.record.target,
    "RecordTime": lambda found, _: record_time(found.flow.group.record.time) or "",
    "SourceBlob": lambda found, _: found.log.ref.source,
}
"""Flows can be grouped by these; VM and subnet are those of the interface that the log is of."""
APART: dict[str, Callable[[Flow, Knowledge, tuple[str, str]], str]] = {
    "rule": lambda flow, *_: causes.reason(flow) if causes.cause_of(flow) else "",
    "vnet": lambda flow, known, _: vnet_id(flow, known.inventory),
    "source": lambda _flow, _known, names: names[0],
    "destination": lambda _flow, _known, names: names[1],
}
"""What is meant by a value of these keys, where several things may have it: a VNet by its id, an
address by what it is called there (the names of both ends are given), what no rule of an NSG
dropped by the reason. NSGs are told by their ids, too."""
_COLUMNS = {
    "AclName": "nsg",
    "AclRule": "rule",
    "FlowDirection": "direction",
    "FlowStatus": "action",
    "L4Protocol": "protocol",
    "SrcIp": "source",
    "SrcPort": "sport",
    "DestIp": "destination",
    "DestPort": "port",
    "MacAddress": "mac",
    "FlowState": "state",
    "FlowEncryption": "encryption",
    "FlowLogVersion": "version",
    "L7Protocol": "service",
    "FlowType": "type",
}
"""Columns of the table that have a word of their own."""
_ALSO = _COLUMNS | {"src": "source", "dst": "destination", "proto": "protocol"}
_FOLDED = {key.lower(): key for key in KEYS} | {word.lower(): key for word, key in _ALSO.items()}
_OF_INVENTORY = frozenset(("vm", "subnet", "SrcVm", "DestVm", "SrcSubnet", "DestSubnet"))
_OF_TAGS = frozenset(("SrcServiceTags", "DestServiceTags"))


def meanings(keys: Sequence[str]) -> Callable[[Flow, Knowledge, tuple[str, str]], str]:
    """What tells flows apart whose keys read alike: what is meant by each key, in lines."""
    getters = [APART[key] for key in keys if key in APART]

    def meant(flow: Flow, knowledge: Knowledge, names: tuple[str, str]) -> str:
        found = [get(flow, knowledge, names) for get in getters]
        if any(found):  # what a log says may have ends of lines
            return "\n".join([" ".join(one.splitlines()) for one in found])
        return ""

    return meant


def meaning(key: str, keys: Sequence[str], apart: str) -> str:
    """What a group means by a key that is in `APART`; "" where nothing tells it from others."""
    return apart.split("\n")[line_of(key, keys)] if apart else ""


def line_of(key: str, keys: Sequence[str]) -> int:
    """In which of the lines of `meanings` it stands what a key means; from 0."""
    return [one for one in keys if one in APART].index(key)


def in_words(key: str, value: Value, flow: Flow) -> str:
    """A value for a person, as digests word it; `flow` is one of those that have it."""
    kind = causes.cause_of(flow)
    if key == "nsg" and kind != causes.RULE:
        return causes.dropper(kind)
    if key == "rule" and kind != causes.RULE:
        return causes.reason(flow) or causes.NO_REASON
    if key == "protocol":
        return causes.protocol_name(flow.protocol)
    if key in ("port", "sport") and not value and not causes.has_ports(flow.protocol):
        return ""
    return "" if value is None else str(value)


def all_in_words(key: str, values: Sequence[Value], flows: Sequence[Flow]) -> list[str]:
    """Many values of a key, each as `in_words` has it; mostly they are in words already."""
    plain = True
    if key in ("nsg", "rule"):
        plain = not any(
            causes.cause(*pair)
            for pair in {(flow.group.acl_group, flow.group.rule) for flow in flows}
        )
    elif key == "protocol":
        plain = not any(flow.protocol.isdigit() for flow in flows)
    elif key in ("port", "sport"):
        plain = all(map(causes.has_ports, {flow.protocol for flow in flows}))
    if plain:
        return ["" if value is None else str(value) for value in values]
    return [in_words(key, value, flow) for value, flow in zip(values, flows, strict=True)]


def parse_by(by: str) -> list[str]:
    """The keys to group by.

    Raises:
        BadInputError: names one that there is not, or none.
    """
    words = [word.strip() for word in by.split(",") if word.strip()]
    unknown = [word for word in words if word.lower() not in _FOLDED]
    if unknown or not words:
        wrong = unknown[0] if unknown else ""
        if near := did_you_mean(wrong, [*KEYS, *_ALSO]):  # all of them would hide it
            raise BadInputError(f"--by {wrong!r} is nothing to group by: {near}")
        raise BadInputError(f"--by {wrong!r} is not one of {', '.join([*KEYS, *_COLUMNS])}")
    return list(dict.fromkeys(_FOLDED[word.lower()] for word in words))


def check_known(keys: Sequence[str], knowledge: Knowledge) -> None:
    """See that what flows are grouped by can be known.

    Raises:
        BadInputError: a key needs an inventory, or service tags, and there is none.
    """
    for key in keys:
        if key in _OF_INVENTORY and knowledge.inventory is None:
            raise BadInputError(f"--by {key} needs an inventory: give --inventory")
        if key in _OF_TAGS and knowledge.tags is None:
            raise BadInputError(f"--by {key} needs service tags: give --inventory azure")
