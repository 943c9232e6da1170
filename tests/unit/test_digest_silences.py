"""What a silence matches, and that it never holds back more than it says."""

import pytest

from nsgflow_core.digests.groups import MANY_PORTS, Key, Tally
from nsgflow_core.digests.sample import Sample
from nsgflow_core.digests.silences import Silence, silencing
from nsgflow_core.estate.scope import INSIDE

ONE = Sample(("10.0.0.1 10.0.1.1 1433",))
APP = Sample(("app-1",))


def tally(
    port: int | None = 1433, examples: Sample = ONE, source: str = "", sources: Sample = APP
) -> Tally:
    """A group."""
    key = Key("/s/nsgs/prod-db", "prod-db", "UserRule_Deny", True, "TCP", port, INSIDE, "", source)  # noqa: FBT003
    return Tally(key, 3, 0, 0, sources, Sample(("db-1",)), name="PROD-DB", examples=examples)


SOME = Sample(("10.0.0.1 10.0.1.1 1433",), complete=False)
TWO = Sample(("10.0.0.1 10.0.1.1 1433", "10.0.0.2 10.0.1.1 1433"))
PORTS = Sample(("10.0.0.1 10.0.1.1 22", "10.0.0.1 10.0.1.1 23"))


@pytest.mark.parametrize(
    ("terms", "one", "matches"),
    [
        ("nsg=prod-* port=1433", tally(), True),
        ("nsg=prod-* port=1434", tally(), False),
        ("!nsg=prod-*", tally(), False),
        ("rule=UserRule_* direction=in proto=tcp", tally(), True),
        ("direction=out", tally(), False),
        ("nsg=prod-db", tally(examples=SOME), True),
        ("dst=10.0.1.1", tally(), True),
        ("dst=10.0.1.1", tally(examples=SOME), False),
        ("src=10.0.0.1", tally(examples=TWO, sources=Sample(("a", "b"))), False),
        ("src=10.0.0.0/24", tally(examples=TWO, sources=Sample(("a", "b"))), True),
        ("src=10.0.0.1", tally(examples=SOME), True),
        ("!src=10.0.0.1", tally(examples=SOME), False),
        ("src=10.0.0.1", tally(examples=SOME, sources=Sample(("a",), complete=False)), False),
        ("port=22-23", tally(MANY_PORTS, PORTS), True),
        ("port=22", tally(MANY_PORTS, PORTS), False),
        ("port=22-23", tally(MANY_PORTS, SOME), False),
        ("src=10.0.0.1", tally(MANY_PORTS, SOME, source="app-1"), True),
        ("nsg=*", tally(MANY_PORTS, SOME, source="app-1"), False),
        ("ip=10.0.1.1", tally(), True),
        ("src=10.0.0.1", tally(examples=Sample((), complete=False)), False),
        ("color=red", tally(), False),
    ],
)
def test_what_a_silence_matches(terms: str, one: Tally, matches: bool) -> None:
    """All of a group or nothing; what is not known of a group is not held back."""
    silence = Silence("id", terms, 10.0, 0.0)
    assert (silencing(one, [silence]) == silence) is matches
