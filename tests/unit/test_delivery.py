"""deliver_in_order: halving, dead letters, configuration errors, deadlines, exact prefixes."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.delivery.report import Report
from nsgflow_core.errors import BadInputError, DataRefusedError, RefusedError, TransientError
from nsgflow_core.model import BlobRef, Position
from nsgflow_core.sinks.in_order import deliver_in_order
from nsgflow_core.sinks.patience import Patience
from nsgflow_core.sinks.sink import Delivery, Item

START = Position(0)
END = Position(10_000)


def item(number: int, flows: int = 1) -> Item:
    """Item number so and so; the place behind it is its number plus one."""
    return Item(b"%d" % number, Position(number + 1), flows, f"item {number}")


class Service:
    """Takes posts, but refuses those that hold a bad item, and is away from some post on."""

    def __init__(self, bad: Sequence[int] = (), away_after: int | None = None) -> None:
        self.bad = {b"%d" % number for number in bad}
        self.away_after = away_after
        self.posts = 0
        self.accepted: list[int] = []

    def __call__(self, batch: Sequence[Item]) -> None:
        """One post."""
        if self.away_after is not None and self.posts >= self.away_after:
            raise TransientError("away", retry_after=3)
        self.posts += 1
        refused = [one.payload.decode() for one in batch if one.payload in self.bad]
        if refused:
            raise DataRefusedError(f"refused {refused[0]}")
        self.accepted += [int(one.payload) for one in batch]


def deliver(service: Service, *batches: Sequence[Item], seconds: float = 60) -> Delivery:
    """Deliver the batches to the service."""
    return deliver_in_order(batches, service, START, END, Patience(seconds, seconds))


def batch(first: int, last: int) -> list[Item]:
    """The items from first to last, last not included."""
    return [item(number) for number in range(first, last)]


def test_everything_accepted() -> None:
    """What is accepted whole reaches the end of the stretch."""
    service = Service()

    assert deliver(service, batch(0, 5), batch(5, 8)) == Delivery(END, 8, [], None)
    assert (service.posts, service.accepted) == (2, list(range(8)))


def test_nothing_to_deliver_reaches_the_end() -> None:
    """A stretch in which no flow is wanted is done."""
    assert deliver(Service()) == Delivery(END, 0, [], None)


def test_accepted_counts_flows() -> None:
    """An alert counts for the flows it tells of."""
    assert deliver(Service(), [item(0, flows=7)], [item(1, flows=3)]).accepted == 10


@pytest.mark.parametrize("bad", range(7))
def test_one_bad_row_among_good(bad: int) -> None:
    """A bad row, wherever it is, becomes a dead letter; all others are accepted once, in order."""
    service = Service(bad=[bad])
    done = deliver(service, batch(0, 7))

    assert service.accepted == [number for number in range(7) if number != bad]
    assert (done.reached, done.accepted, done.error) == (END, 6, None)
    assert [(one.item, one.reason) for one in done.refused] == [(item(bad), f"refused {bad}")]


def test_halving_costs_few_posts() -> None:
    """One bad row among 1024 is found by halving, not by posting each."""
    service = Service(bad=[777])
    done = deliver(service, batch(0, 1024))

    assert (done.accepted, len(done.refused)) == (1023, 1)
    assert service.posts <= 22


def test_bad_batch_before_a_good_one() -> None:
    """A row refused before anything was accepted is a dead letter once something is."""
    done = deliver(Service(bad=[0]), [item(0)], [item(1)])

    assert (done.reached, done.accepted, len(done.refused), done.error) == (END, 1, 1, None)


@pytest.mark.parametrize("batches", [[batch(0, 5)], [batch(0, 1)], [batch(0, 1), batch(1, 2)]])
def test_all_refused_is_configuration(batches: list[list[Item]]) -> None:
    """When all is refused nothing moves, nothing is a dead letter, and the error says so."""
    done = deliver(Service(bad=range(5)), *batches)

    assert (done.reached, done.accepted, list(done.refused)) == (START, 0, [])
    assert isinstance(done.error, RefusedError)
    assert "refused 0" in str(done.error)


def test_all_refused_of_many_is_found_soon() -> None:
    """A configuration that refuses everything is not asked about every row."""
    posts: list[int] = []

    def refuse(some: Sequence[Item]) -> None:
        posts.append(len(some))
        raise DataRefusedError("no such stream")

    done = deliver_in_order([batch(0, 5000)] * 20, refuse, START, END, Patience(60, 60))

    assert (done.reached, done.accepted) == (START, 0)
    assert len(posts) < 200


@pytest.mark.parametrize("count", [31, 32, 33, 100])
def test_many_bad_rows_before_good_ones(count: int) -> None:
    """Bad rows at the front, however many, do not block the good ones behind them for ever."""
    service = Service(bad=range(count))
    done = deliver(service, batch(0, count + 50))

    assert service.accepted == list(range(count, count + 50))
    assert (done.reached, len(done.refused), done.error) == (END, count, None)


def test_transient_error_keeps_the_exact_prefix() -> None:
    """What was accepted before the failure is passed, and nothing more."""
    service = Service(away_after=2)
    done = deliver(service, batch(0, 3), batch(3, 5), batch(5, 9))

    assert (done.reached, done.accepted) == (Position(5), 5)
    assert isinstance(done.error, TransientError)
    assert done.error.retry_after == 3


def test_transient_error_amid_halving() -> None:
    """A failure amid halving keeps what was accepted and refused before it."""
    service = Service(bad=[2], away_after=5)  # 0-7, 0-3, 0-1 ok, 2-3, 2 refused, then away
    done = deliver(service, batch(0, 8))

    assert service.accepted == [0, 1]
    assert (done.reached, done.accepted) == (Position(3), 2)
    assert [one.item for one in done.refused] == [item(2)]
    assert isinstance(done.error, TransientError)


def test_transient_error_at_once() -> None:
    """A service that is away from the start moves nothing."""
    done = deliver(Service(away_after=0), batch(0, 3))

    assert (done.reached, done.accepted, list(done.refused)) == (START, 0, [])
    assert isinstance(done.error, TransientError)


def test_refusal_of_the_request_never_moves_the_place() -> None:
    """401 and the like fail as they are: no halving, no dead letter, no step."""
    posts: list[int] = []

    def forbid(some: Sequence[Item]) -> None:
        posts.append(len(some))
        raise RefusedError("403")

    done = deliver_in_order([batch(0, 8)], forbid, START, END, Patience(60, 60))

    assert (done.reached, done.accepted, list(done.refused), posts) == (START, 0, [], [8])
    assert type(done.error) is RefusedError


def test_refusal_of_the_request_in_the_middle() -> None:
    """A refusal of the request after some was accepted keeps the prefix."""

    def forbid_late(some: Sequence[Item]) -> None:
        if some[0].payload != b"0":
            raise RefusedError("403")

    done = deliver_in_order([batch(0, 2), batch(2, 4)], forbid_late, START, END, Patience(60, 60))

    assert (done.reached, done.accepted) == (Position(2), 2)
    assert type(done.error) is RefusedError


def test_deadline_in_the_middle_is_no_error() -> None:
    """Out of time after some was accepted: the prefix, and no error."""
    patience = Patience(10, 3.2)
    posts: list[int] = []

    def slow(some: Sequence[Item]) -> None:
        posts.append(len(some))
        time.sleep(0.25)

    done = deliver_in_order([batch(0, 2), batch(2, 4)], slow, START, END, patience)

    assert (done.reached, done.accepted, done.error, posts) == (Position(2), 2, None, [2])


def test_deadline_before_anything() -> None:
    """Out of time with nothing accepted is a failure to try again, not a success."""
    done = deliver(Service(), batch(0, 2), seconds=2.9)

    assert (done.reached, done.accepted) == (START, 0)
    assert isinstance(done.error, TransientError)


def test_refused_then_away_does_not_blame_the_configuration_for_data() -> None:
    """One row refused and the rest not tried: nothing moves and nothing is a dead letter."""
    done = deliver(Service(bad=[0], away_after=1), [item(0)], [item(1)])

    assert (done.reached, list(done.refused)) == (START, [])
    assert done.error is not None


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.sets(st.integers(0, 40), max_size=6),
    st.one_of(st.none(), st.integers(0, 30)),
)
@settings(deadline=None, max_examples=300)
def test_accounts_always_add_up(sizes: list[int], bad: set[int], away_after: int | None) -> None:
    """Everything before `reached` was accepted or is a dead letter, once; nothing behind it was."""
    total = sum(sizes)
    batches, first = [], 0
    for size in sizes:
        batches.append(batch(first, first + size))
        first += size
    service = Service(sorted(bad), away_after)
    done = deliver(service, *batches)

    reached = total if done.reached == END else done.reached.offset
    dead = [int(one.item.payload) for one in done.refused]
    assert sorted(service.accepted + dead) == list(range(reached))
    assert service.accepted == sorted(service.accepted)
    assert done.accepted == len(service.accepted)
    assert (done.error is None) == (done.reached == END)
    if done.reached == END:
        assert dead == sorted(number for number in bad if number < total)


def test_one_error_stands_for_all_of_a_run() -> None:
    """It names each sink; one refusal among them is no matter of trying again."""
    ref = BlobRef("logs", "container", "path")
    report = Report(ref, errors={"webhook": TransientError("503"), "table": TransientError("429")})
    assert str(report.error()) == f"table: 429; webhook: 503 ({ref})"
    assert isinstance(report.error(), TransientError)
    report.errors["table"] = RefusedError("403")
    assert isinstance(report.error(), RefusedError)
    assert Report(ref).error() is None


def test_what_no_service_takes_is_a_dead_letter_of_its_own() -> None:
    """Nobody is asked, and the items behind it go their way."""

    def post(items: Sequence[Item]) -> None:
        if any(one == item(1) for one in items):
            raise BadInputError("too large")

    done = deliver_in_order([[item(0)], [item(1)], [item(2)]], post, START, END, Patience(10))
    assert (done.reached, done.accepted, done.error) == (END, 2, None)
    assert [(one.item, one.reason) for one in done.refused] == [(item(1), "too large")]
