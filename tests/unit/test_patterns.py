"""The product's regular expressions mean the same on every Python that it runs on."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import nsgflow_core


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Each compiled pattern that a module of the product holds, and its name."""
    for module in pkgutil.walk_packages(nsgflow_core.__path__, "nsgflow_core."):
        if not module.name.endswith("__main__"):
            for name, value in vars(importlib.import_module(module.name)).items():
                if isinstance(value, re.Pattern):
                    yield f"{module.name}.{name}", value


def gives_nothing_back(
    pattern: "re.Pattern[str] | re.Pattern[bytes]", capsys: pytest.CaptureFixture[str]
) -> bool:
    """Whether a part of it, once matched, is kept whatever follows: a++ or (?>a)."""
    capsys.readouterr()
    re.compile(pattern.pattern, re.DEBUG)
    shown = capsys.readouterr().out
    return "POSSESSIVE_REPEAT" in shown or "ATOMIC_GROUP" in shown


@pytest.mark.parametrize("pattern", [rb"(?:a|b)*+", rb"a++", rb"(?>a*)b", rb"x(y(?:a?+))"])
def test_what_gives_nothing_back_is_found(
    pattern: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeats and groups, wherever they stand."""
    assert gives_nothing_back(re.compile(pattern), capsys)


def test_no_pattern_relies_on_giving_nothing_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Python up to 3.11.4 gets some of those wrong, and Debian 12 has 3.11.2."""
    found = dict(patterns())

    assert "nsgflow_core.logs.records._BETWEEN" in found
    assert [name for name, pattern in found.items() if gives_nothing_back(pattern, capsys)] == []
