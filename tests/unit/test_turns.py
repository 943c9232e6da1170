"""How often Python looks for circles of objects."""

import gc
from collections.abc import Iterator
from contextlib import suppress

import pytest

from nsgflow_core.turns import collect_rarely, uncollected


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    threshold, enabled = gc.get_threshold(), gc.isenabled()
    yield
    gc.set_threshold(*threshold)
    (gc.enable if enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_no_look_while_it_lasts_and_as_before_behind_it(enabled: bool) -> None:
    """Also where the work fails, and where the process did without already."""
    (gc.enable if enabled else gc.disable)()

    with uncollected():
        meanwhile = gc.isenabled()
    behind = gc.isenabled()
    with suppress(KeyError), uncollected():
        raise KeyError

    assert not meanwhile
    assert behind == enabled
    assert gc.isenabled() == enabled


def test_rarely_is_not_never() -> None:
    """Circles are found, later."""
    gc.set_threshold(700)

    collect_rarely()

    assert 700 < gc.get_threshold()[0] < 100_000
    assert gc.isenabled()
