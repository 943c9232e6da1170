"""What the tests of the hooks share."""

from collections.abc import Iterator

import pytest

from tests.infra.azure_world import World, running


@pytest.fixture
def world() -> Iterator[World]:
    """Azure, on loopback."""
    with running() as world:
        yield world
