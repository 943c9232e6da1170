"""The drain: bounded threads, turns, nothing twice at once, nothing lost in silence."""

import threading
import time
from collections.abc import Callable

from nsgflow_core.delivery.drain import WORKERS, Drain
from nsgflow_core.delivery.report import Report
from nsgflow_core.errors import TransientError
from nsgflow_core.model import BlobRef


def ref(number: int) -> BlobRef:
    """A blob."""
    return BlobRef("a", "c", f"p{number}")


def beside(work: Callable[[], None]) -> None:
    """A thread."""
    threading.Thread(target=work, daemon=True).start()


def test_backlogs_take_turns_until_nothing_is_left() -> None:
    """Each blob has its slices, no more than so many at once, and nobody waits for a timer."""
    left = {ref(number): 5 for number in range(10)}
    running: set[BlobRef] = set()
    most = 0
    lock = threading.Lock()

    def run(at: BlobRef) -> Report:
        nonlocal most
        with lock:
            assert at not in running
            running.add(at)
            most = max(most, len(running))
        time.sleep(0.01)
        with lock:
            running.discard(at)
            left[at] -= 1
        return Report(at, more=left[at] > 0)

    drain = Drain(run, beside)
    for at in left:
        drain.add(at)
    assert drain.wait(10)
    assert set(left.values()) == {0}
    assert most == WORKERS
    assert len(drain.told()) == 50
    assert drain.told() == []


def test_a_blob_that_waits_waits_once() -> None:
    """Sixty events of one backlog are one."""
    begun: list[Callable[[], None]] = []
    runs: list[BlobRef] = []

    def run(at: BlobRef) -> Report:
        runs.append(at)
        return Report(at)

    drain = Drain(run, begun.append)
    for _ in range(60):
        drain.add(ref(1))
    for work in begun:
        work()
    assert (runs, len(begun)) == ([ref(1)], WORKERS)


def test_what_breaks_is_told_and_holds_up_nobody() -> None:
    """An error ends the turn of its blob, which stays marked; the others go on."""

    def run(at: BlobRef) -> Report:
        if at == ref(0):
            raise TransientError("away")
        if at == ref(1):
            raise KeyError(at)
        return Report(at)

    drain = Drain(run, beside)
    for number in range(3):
        drain.add(ref(number))
    assert drain.wait(5)
    told = {done.ref: type(done.error) for done in drain.told()}
    assert told == {ref(0): TransientError, ref(1): KeyError, ref(2): type(None)}


def test_a_stop_ends_after_the_slice_that_runs() -> None:
    """What waits is left to the sweep."""
    begun, go = threading.Event(), threading.Event()
    runs: list[BlobRef] = []

    def run(at: BlobRef) -> Report:
        runs.append(at)
        begun.set()
        go.wait(5)
        return Report(at, more=True)

    drain = Drain(run, beside)
    drain.add(ref(0))
    begun.wait(5)
    threading.Timer(0.1, go.set).start()
    drain.stop(5)
    drain.add(ref(1))
    assert (drain.wait(0), runs) == (True, [ref(0)])


def test_waiting_ends_with_the_time_or_with_the_work() -> None:
    """A slice that hangs is not waited for longer than was said, one that ends no longer."""
    hung = threading.Event()

    def run(at: BlobRef) -> Report:
        hung.wait(10)
        return Report(at)

    drain = Drain(run, beside)
    drain.add(ref(1))
    begun = time.monotonic()
    assert not drain.wait(0.05)
    drain.stop(0.05)
    assert time.monotonic() - begun < 5
    threading.Timer(0.2, hung.set).start()
    drain.stop(60)
    assert drain.wait(0)
    assert time.monotonic() - begun < 30
