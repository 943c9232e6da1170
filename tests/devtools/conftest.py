"""What the tests of the stand-ins share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.azurite import Azurite, azurite
from devtools.identity import Identity, identity
from devtools.tls import Certificate, make_certificate


@pytest.fixture(scope="session")
def storage() -> Iterator[Azurite]:
    """One emulator for all tests."""
    with azurite() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One authority and server certificate for all tests."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def managed_identity() -> Iterator[Identity]:
    """An identity endpoint that has given no token yet."""
    with identity() as running:
        yield running


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    """A schema of four columns."""
    path = tmp_path / "schema.json"
    path.write_text(
        '{"table": "T_CL", "stream": "Custom-T_CL", "columns": ['
        '{"name": "TimeGenerated", "type": "datetime"},'
        '{"name": "FlowId", "type": "string"},'
        '{"name": "DestPort", "type": "int"},'
        '{"name": "Bytes", "type": "long"}]}'
    )
    return path
