"""What the tests of the hooks and those of the queries share."""

from collections.abc import Iterator

import pytest

from devtools.kql import Workspace
from devtools.table_rows import Row, estate, new_workspace
from tests.infra.azure_world import World, running
from tests.infra.lines import App, logging_app


@pytest.fixture
def world() -> Iterator[World]:
    """Azure, on loopback."""
    with running() as world:
        yield world


@pytest.fixture(scope="session")
def rows() -> list[Row]:
    """The rows of the estate, repeats included."""
    return estate()


@pytest.fixture(scope="session")
def workspace(rows: list[Row]) -> Workspace:
    """A workspace that holds them."""
    made = new_workspace()
    made.add("NSGFlow_CL", rows)
    return made


@pytest.fixture
def app() -> Iterator[App]:
    """The app, whose lines are filed at times that the test sets."""
    with logging_app() as app:
        yield app
