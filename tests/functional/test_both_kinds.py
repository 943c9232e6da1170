"""A sink of all flows beside one of denied flows, each down at times, and tuples that are odd."""

from collections import Counter
from collections.abc import Sequence
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.flowlogs import Group, Nic, nsg_record
from nsgflow_core.errors import NsgflowError, TransientError
from nsgflow_core.logs import groups
from nsgflow_core.model import Flow
from tests.functional.logs import azure_blocks
from tests.functional.world import REF, MemorySink, World

GOOD_PORT, BAD_PORT = 443, 77777
TUPLES = st.lists(st.tuples(st.sampled_from("AD"), st.sampled_from((GOOD_PORT, BAD_PORT))))
Made = list[tuple[str, int]]


def accept(_: Sequence[Flow]) -> NsgflowError | None:
    """A sink that is up."""
    return None


def fail(_: Sequence[Flow]) -> NsgflowError | None:
    """A sink that is down."""
    return TransientError("down")


def texts(made: Made, minute: int, rule: int) -> tuple[str, ...]:
    """Tuples, no two of a log alike."""
    return tuple(
        f"{1637654400 + 60 * minute},192.0.2.{rule},10.5.16.4,{at},{port},T,I,"
        + ("D,,,,," if decision == "D" else "A,E,1,66,1,66")
        for at, (decision, port) in enumerate(made)
    )


@given(st.lists(st.tuples(TUPLES, TUPLES, st.booleans(), st.booleans()), min_size=1, max_size=5))
@settings(deadline=None)
def test_nothing_is_lost_whoever_is_ahead(updates: list[tuple[Made, Made, bool, bool]]) -> None:
    """Each sink gets what it wants once, and each tuple that makes no sense is told."""
    world = World([MemorySink("table", 100, "action=allowed,denied"), MemorySink("webhook")])
    table, webhook = world.sinks
    records: list[bytes] = []
    written: list[str] = []
    # Else all of so few tuples is judged to the last one.
    with mock.patch.object(groups, "JUDGED", 0):
        for minute, (first, second, table_is_up, webhook_is_up) in enumerate(updates):
            rules = [
                Group(f"UserRule_{number}", texts(made, minute, number))
                for number, made in enumerate((first, second))
            ]
            records.append(nsg_record(Nic(), world.clock_hour(), rules).data)
            written += [text for rule in rules for text in rule.tuples]
            world.blobs.write(REF, azure_blocks(records))
            table.answer = accept if table_is_up else fail
            webhook.answer = accept if webhook_is_up else fail
            world.clock.seconds += 100
            world.event()
        table.answer = webhook.answer = accept
        world.heal()

    good = [text for text in written if f",{BAD_PORT}," not in text]
    assert {piece.data.decode() for piece in world.letters.bad} == set(written) - set(good)
    assert Counter(table.texts) == Counter(good)
    assert Counter(webhook.texts) == Counter(text for text in good if ",D," in text)
