"""What a command asks for: which flows, by the words of get_nsg_logs and by filter terms."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nsgflow_core.cli.names import matcher
from nsgflow_core.cli.options import Wanted
from nsgflow_core.cli.times import Span
from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import Filter, all_of, compile_terms
from nsgflow_core.model import Flow

_KEY = re.compile(r"!?([A-Za-z]+)=")
_VERSIONS = (1, 2, 4)
_DIRECTIONS = ("in", "out", "both")


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a command shows where nothing else is asked for.

    `direction` is in, or "" for both. A filter that names the action, the direction or `lb`
    itself takes the place of the default for it.
    """

    allowed: bool = False
    probes: bool = False
    direction: str = ""


def flow_filter(wanted: Wanted, defaults: Defaults, span: Span | None = None) -> Filter:
    """What a flow must be to be shown.

    Raises:
        BadInputError: names every wrong value.
    """
    given = " ".join(wanted.filter_terms or ())
    named = {key.lower() for key in _KEY.findall(given)}
    terms = [given]
    if not defaults.allowed and "action" not in named:
        terms.append("action=denied")
    if not (defaults.probes or wanted.display_lb or "lb" in named):
        terms.append("lb=no")
    direction = "" if "direction" in named else defaults.direction
    if wanted.display_direction is not None:
        direction = wanted.display_direction.lower()
        if direction not in _DIRECTIONS:
            raise BadInputError(f"--display-direction {direction!r} is not in, out or both")
    if direction in ("in", "out"):
        terms.append(f"direction={direction}")
    for flag, key, values in (
        ("--flow-state", "state", [wanted.flow_state] if wanted.flow_state else []),
        ("--ip", "ip", wanted.ip or []),
    ):
        terms += [_term(flag, key, value) for value in values]
    compiled = compile_terms(" ".join(terms))
    predicates = _predicates(wanted, span)
    if not predicates:
        return compiled
    return all_of(
        compiled,
        Filter("", frozenset((True, False)), lambda flow: all(test(flow) for test in predicates)),
    )


def _term(flag: str, key: str, value: str) -> str:
    if len(value.split()) != 1:
        raise BadInputError(f"{flag} takes one value")
    try:
        compile_terms(f"{key}={value}")
    except BadInputError as exc:
        raise BadInputError(f"{flag} {value!r}: {exc}") from exc
    return f"{key}={value}"


def _predicates(wanted: Wanted, span: Span | None) -> Sequence[Callable[[Flow], bool]]:
    """What the filter terms have no word for."""
    found: list[Callable[[Flow], bool]] = []
    if span is not None:
        since, until = span.milliseconds()
        found.append(lambda flow: since <= flow.time_ms < until)
    if (version := wanted.version) is not None:
        if version not in _VERSIONS:
            raise BadInputError(f"--version {version} is not 1, 2 or 4")
        found.append(lambda flow: flow.group.record.version == version)
    if wanted.only_non_zero:
        found.append(_counters_present)
    if ports := set(wanted.port or ()):
        found.append(lambda flow: ports <= {flow.src_port, flow.dst_port})
    if wanted.nsg_name:
        # The NSG of an NSG log is told by its path, so those were chosen when they were listed.
        accepts = matcher(wanted.nsg_name)
        found.append(
            lambda flow: (
                flow.group.record.version != 4  # noqa: PLR2004 - the VNet format
                or accepts(flow.group.acl_name or flow.group.acl_group, flow.group.acl_group)
            )
        )
    return found


def _counters_present(flow: Flow) -> bool:
    return any(counter is not None for counter in flow.counters)
