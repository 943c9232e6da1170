"""What a command asks for: which flows, by the words of get_nsg_logs and by filter terms."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nsgflow_core.cli.bare_names import without
from nsgflow_core.cli.names import matcher, meant
from nsgflow_core.cli.options import Wanted, one_of
from nsgflow_core.cli.times import Span
from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.estate.knowledge import NOTHING, Knowledge
from nsgflow_core.filter import Filter, compile_terms
from nsgflow_core.model import Flow
from nsgflow_core.terms import in_keys

_KEY = re.compile(r"!?([A-Za-z]+)=")
_ALWAYS = 2**63
"""Milliseconds that no time reaches."""
_ACTIONS = {"denied": {True}, "allowed": {False}, "both": {True, False}}
_DIRECTIONS = ("in", "out", "both")
_BY_NAME = frozenset(
    ("ip", "src", "dst", "port", "sport", "nsg", "rule", "mac", "vm", "subnet", "vnet", "tag")
)
"""Keys of filters by which flows are asked for that no default may hide."""
_PROBE = "168.63.129.16"
"""Where probes of the load balancer come from; who names it wants to see them."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a command shows where nothing else is asked for.

    `direction` is in, or "" for both. A filter that names the action, the direction or `lb`
    itself takes the place of the default for it; where the defaults may be `lifted`, naming an
    end of flows, a port, a rule or an NSG lifts those for direction and probes. `offers_allowed`
    says that the command has --display-allowed, `always_denied` that a filter cannot ask it for
    others. `hourly` ones are of the newest hourly logs, else of the last sixty minutes. What only
    counts need not be `ordered` by time.
    """

    allowed: bool = False
    probes: bool = False
    direction: str = ""
    offers_allowed: bool = False
    always_denied: bool = False
    ordered: bool = True
    hourly: bool = False
    lifted: bool = True


def action_of(wanted: Wanted) -> str:
    """Denied flows, allowed ones or both: as --action says, else the filter; "" if neither does.

    Raises:
        BadInputError: there is no such word, or the filter leaves no flow of it.
    """
    terms = compile_terms(without(wanted.filter_terms))
    if not wanted.action:
        if "action" not in terms.keys:
            return ""
        return next(word for word, of in _ACTIONS.items() if of >= terms.decisions)
    action = one_of("--action", wanted.action, tuple(_ACTIONS))
    if not terms.decisions & _ACTIONS[action]:
        raise BadInputError(f"--action {action} and the filter leave no flow: drop one of them")
    return action


class Query:
    """What a flow must be to be shown, and a count of what the command's defaults left out.

    `left_out` counts flows by the flag that would show them; `names` are the NSGs of VNet flow
    logs that were met, where one was asked for by name, and `ids` the same by their ids.
    `everything_in` is the span of time, in milliseconds, where nothing but the time matters; None
    where more is asked of a flow.
    """

    def __init__(
        self,
        wanted: Wanted,
        defaults: Defaults,
        span: Span | None = None,
        knowledge: Knowledge = NOTHING,
        *,
        by_records: bool = False,
    ) -> None:
        """Compile what is wanted; `by_records` where no path of a log tells its NSG.

        Raises:
            BadInputError: names every wrong value.
        """
        self.left_out: Counter[str] = Counter()
        self.names: set[str] = set()
        self.ids: set[str] = set()
        given = in_keys(" ".join(wanted.filter_terms or ()))
        named = {key.lower() for key in _KEY.findall(given)}
        terms = [given]
        asked = action_of(wanted)
        self.only_denied = defaults.always_denied or not (defaults.allowed or asked)
        if self.only_denied or wanted.action:
            alone = "denied" if self.only_denied else asked
            terms += [f"action={alone}"] if alone != "both" else []
        for flag, key, values in (
            ("--flow-state", "state", [wanted.flow_state] if wanted.flow_state else []),
            ("--ip", "ip", wanted.ip or []),
        ):
            terms += [_term(flag, key, value) for value in values]
        defaults = _of_what_is_named(defaults, wanted, given)
        hidden = dict[str, str]()
        if wanted.display_direction is not None:
            direction = one_of("--display-direction", wanted.display_direction, _DIRECTIONS)
            terms += [f"direction={direction}"] if direction != "both" else []
        elif defaults.direction and "direction" not in named:
            hidden["--display-direction both"] = f"direction={defaults.direction}"
        asked_for = {*(wanted.ip or ()), *_values(given, "ip"), *_values(given, "src")}
        if not (defaults.probes or wanted.display_lb or "lb" in named or _PROBE in asked_for):
            hidden["--display-lb"] = "lb=no"
        compiled = compile_terms(" ".join(terms))
        self.asked_names = [*(wanted.nsg_name or ()), *_values(given, "nsg")]
        asked_more = _predicates(wanted, knowledge.inventory, by_records=by_records)
        tests = [compiled.knowing(knowledge), *asked_more]
        self.everything_in: tuple[int, int] | None = None
        if span is not None:
            since, until = span.milliseconds()
            tests.append(lambda flow: since <= flow.time_ms < until)
        by_flow = compiled.keys - {"action"} or len(compiled.decisions) == 1
        if not (by_flow or asked_more or self.asked_names or hidden):
            self.everything_in = span.milliseconds() if span is not None else (0, _ALWAYS)
        if self.asked_names:
            tests.insert(0, self._name_met)
        shown = [(flag, compile_terms(term).accepts) for flag, term in hidden.items()]
        self.filter = Filter(
            compiled.terms, compiled.decisions, self._accepting(tests, shown), None, compiled.keys
        )

    def _accepting(
        self,
        tests: Sequence[Callable[[Flow], bool]],
        shown: Sequence[tuple[str, Callable[[Flow], bool]]],
    ) -> Callable[[Flow], bool]:
        left_out = self.left_out

        def asked(flow: Flow) -> bool:
            return all(test(flow) for test in tests)

        accepts = tests[0] if len(tests) == 1 else asked
        if not shown:
            return accepts

        def accepted(flow: Flow) -> bool:
            if not accepts(flow):
                return False
            for flag, shows in shown:
                if not shows(flow):
                    left_out[flag] += 1
                    return False
            return True

        return accepted

    def _name_met(self, flow: Flow) -> bool:
        self.names.add(flow.group.acl_name or flow.group.acl_group)
        self.ids.add(flow.group.acl_group)
        return True


def _of_what_is_named(defaults: Defaults, wanted: Wanted, terms: str) -> Defaults:
    """The defaults, less those that would hide what is asked for by its name."""
    named = any(term.partition("=")[0].lower() in _BY_NAME for term in terms.split())
    if defaults.lifted and (named or wanted.ip or wanted.port or wanted.nsg_name):
        return replace(defaults, direction="", probes=True)
    return defaults


def _values(terms: str, key: str) -> list[str]:
    """The values that terms ask for by a key."""
    return [
        value
        for term in terms.split()
        if term.lower().startswith(f"{key}=")
        for value in term.partition("=")[2].split(",")
    ]


def _term(flag: str, key: str, value: str) -> str:
    if len(value.split()) != 1:
        raise BadInputError(
            f"{flag} {value!r} is not one value: repeat it, or say --filter {key}=…"
        )
    try:
        compile_terms(f"{key}={value}")
    except BadInputError as exc:
        raise BadInputError(f"{flag} {value!r}: {exc}") from exc
    return f"{key}={value}"


def _predicates(
    wanted: Wanted, inventory: Inventory | None, *, by_records: bool
) -> Sequence[Callable[[Flow], bool]]:
    """What the filter terms have no word for."""
    found: list[Callable[[Flow], bool]] = []
    if (version := wanted.version) is not None:
        found.append(lambda flow: flow.group.record.version == version)
    if wanted.only_non_zero:
        found.append(_counters_present)
    found += [_either_end(frozenset(map(int, one.split(",")))) for one in wanted.port or ()]
    if wanted.nsg_name:
        # The NSG of an NSG log is told by its path, so those were chosen when they were listed.
        accepts = matcher(meant(wanted.nsg_name, inventory))
        found.append(
            lambda flow: (
                (flow.group.record.version != 4 and not by_records)  # noqa: PLR2004 - the VNet format
                or accepts(flow.group.acl_name or flow.group.acl_group, flow.group.acl_group)
            )
        )
    return found


def _either_end(ports: frozenset[int]) -> Callable[[Flow], bool]:
    return lambda flow: flow.dst_port in ports or flow.src_port in ports


def _counters_present(flow: Flow) -> bool:
    return any(counter is not None for counter in flow.counters)
