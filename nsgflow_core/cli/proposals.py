"""The rules that would let denied flows through, as proposals to review: az, Bicep or Terraform.

What would let the internet in, and what has no priority to stand at, is a comment: it is not to be
used as it is.
"""

import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from nsgflow_core.cli import as_az, as_bicep, as_terraform, gathering, proposal_words
from nsgflow_core.cli.denials import Denials, Groups
from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.nothing_found import counted
from nsgflow_core.cli.nsg_target import identifier
from nsgflow_core.cli.session import note
from nsgflow_core.estate import addresses
from nsgflow_core.estate.proposals import Proposal, propose
from nsgflow_core.estate.verdict import Judge
from nsgflow_core.estate.wishes import Denied, Refusal

_MARKS = {
    "az": (as_az.COMMENT, as_az.VERB),
    "bicep": (as_bicep.COMMENT, as_bicep.VERB),
    "terraform": (as_terraform.COMMENT, as_terraform.VERB),
}
_DONE = {"run": "RUN", "deploy": "DEPLOYED", "apply": "APPLIED"}
_NARROWEST = 40
_GROUPS, _SOURCES = 2_000, 200_000
"""Groups that rules are proposed for where there are more than memory holds, and their sources."""


class _Form(Protocol):
    """A language that rules are written in."""

    def head(self) -> str:
        """What stands before all rules."""

    def rule(self, one: Proposal) -> str:
        """One rule."""


class Document:
    """Proposals, and the refusal of some, in one of FORMS; `width` folds lines, 0 does not."""

    def __init__(
        self, found: Sequence[Proposal | Refusal], form: str = "az", width: int = 0
    ) -> None:
        self._found = found
        self._form = form
        self._comment, self._verb = _MARKS[form]
        self._width = max(width, _NARROWEST) - len(self._comment) - 1 if width else 0
        self._az = as_az.Az([one for one in found if isinstance(one, Proposal)], self._width)

    def write(self) -> None:
        """Write the whole of it to stdout."""
        sys.stdout.write(self._written(self._found).head())
        sys.stdout.write("\n".join(self.texts()))

    def texts(self) -> Iterator[str]:
        """Each proposal, with what is to be known of it as comments before it."""
        written = self._written(self._found)
        for number, one in enumerate(self._found, 1):
            lines = [f"{number}. {_title(one, self._verb)}"]
            lines += [f"WARNING: {note}" for note in self._notes(one)]
            if isinstance(one, Refusal):
                yield self._commented(self._folded(lines))
                continue
            lines += proposal_words.proof(one)
            yield self._commented(self._folded(lines)) + self._rule(written, one) + "\n"

    def into_rows(self, rows: Sequence[dict[str, Any]], first: int = 0) -> None:
        """Put into the rows of groups, by their numbers from `first` on, what is proposed."""
        of: list[list[Proposal]] = [[] for _ in rows]
        for row in rows:
            row |= {"proposal": "", "warnings": [], "proof": None}
        for one in self._found:
            notes = self._notes(one)
            for number in (each - first for each in one.groups):
                if not 0 <= number < len(rows):
                    continue
                row = rows[number]
                row["warnings"] += [note for note in notes if note not in row["warnings"]]
                if isinstance(one, Proposal):
                    of[number].append(one)
                    row["proof"] = _worse(row["proof"], _proof(one))
        for row, proposals in zip(rows, of, strict=True):
            written = self._written(proposals)
            rules = [self._rule(written, one) for one in proposals]
            row["proposal"] = written.head() + "\n".join(rules)

    def _written(self, found: Sequence[Proposal | Refusal]) -> _Form:
        active = [one for one in found if isinstance(one, Proposal) and _is_active(one)]
        if self._form == "bicep":
            return as_bicep.Bicep(active)
        return as_terraform.Terraform(active) if self._form == "terraform" else self._az

    def _rule(self, written: _Form, one: Proposal) -> str:
        text = written.rule(one)
        return text if _is_active(one) else self._commented(text.splitlines()).rstrip("\n")

    def _notes(self, one: Proposal | Refusal) -> list[str]:
        if isinstance(one, Refusal):
            return [escaped(one.why)]
        named = self._az.placeholder(one)
        if self._form != "az":
            named = f"priority_{identifier(one.rule.name)}"
        return proposal_words.warnings(one, named)

    def _commented(self, lines: Iterable[str]) -> str:
        return "".join(f"{self._comment} {line}".rstrip() + "\n" for line in lines)

    def _folded(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if not self._width:
                yield line
                continue
            yield from textwrap.wrap(
                line,
                self._width,
                subsequent_indent="  ",
                break_long_words=False,
                break_on_hyphens=False,
            )


def at_hand(groups: Groups) -> Groups:
    """Those groups that rules can be proposed for: all, or the first of those that are on disk."""
    found = gathering.at_hand(groups, _GROUPS, _SOURCES)
    if len(found) < len(groups):
        note(
            f"rules are proposed for the first {len(found)} of {len(groups)} groups: ask for less, "
            "such as --filter, to have them for others"
        )
    if said := cut_sources(found):
        note(f"{said}; ask for less, such as --filter")
    return found


def cut_sources(groups: Groups) -> str:
    """How many sources were left out where memory has not all of some groups; "" where it has."""
    cut = [one for _, one in groups if len(one.sources) < one.source_count]
    if not cut:
        return ""
    kept, there = sum(len(one.sources) for one in cut), sum(one.source_count for one in cut)
    return (
        f"{counted(len(cut), 'group has', 'groups have')} more sources than are looked at for "
        f"rules, {kept} of {there}: the others may need rules, too"
    )


def suggest(
    groups: Sequence[tuple[object, Denials]], judge: Judge, form: str, *, width: int = 0
) -> Document:
    """What to propose for groups of denied flows, by the keys of DEFAULT_BY."""
    known = judge.inventory is not None
    return Document(propose([_denied(one, known=known) for _, one in groups], judge), form, width)


def _denied(one: Denials, *, known: bool) -> Denied:
    flow = one.example
    ends = list(one.ends())
    sources = frozenset(address for address, *_ in ends)
    internet = frozenset(address for address, _, outside in ends if outside)
    public = () if known else (
        source for source in sources - internet
        if addresses.address_class(source) == addresses.INTERNET
    )  # fmt: skip
    return Denied(
        one.acl_group,
        flow.group.rule,
        flow.inbound,
        flow.protocol,
        sources,
        flow.dst,
        flow.dst_port,
        flow.src_port,
        internet,
        frozenset(public),
        frozenset((address, name) for address, name, _ in ends if known),
        one.names[1] if one.names is not None else "",
    )


def _is_active(one: Proposal) -> bool:
    return not (one.internet or one.no_room)


def _worse(
    one: Mapping[str, Any] | None, other: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """What is to say of two rules that a group needs."""
    if one is None or other is None:
        return one or other
    verdicts = ("denied", "unknown", "allowed")
    return {
        "verdict": min(one["verdict"], other["verdict"], key=verdicts.index),
        **{
            key: one[key] + [item for item in other[key] if item not in one[key]]
            for key in ("still", "because", "also")
        },
    }


def _proof(one: Proposal) -> dict[str, Any]:
    return {
        "verdict": one.proof.verdict,
        "still": list(one.proof.still),
        "because": list(one.proof.because),
        "also": [
            {"src": point.src, "dst": point.dst, "port": point.port,
             "protocol": point.protocol.lower()}
            for point in one.also
        ],
    }  # fmt: skip


def _title(one: Proposal | Refusal, verb: str) -> str:
    if isinstance(one, Refusal):
        return "no rule to propose"
    if one.internet:
        return f"NOT TO BE {_DONE[verb]} AS IT IS, it would let addresses of the internet in"
    if one.no_room:
        return f"NOT TO BE {_DONE[verb]} AS IT IS, there is no priority for it"
    return f"PROPOSAL, review it before you {verb} it"
