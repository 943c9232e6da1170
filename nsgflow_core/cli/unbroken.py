"""Help whose words are not broken at their hyphens: `newly-denied` stays one."""

from collections.abc import Iterable
from typing import Any

from typer.core import TyperCommand

_Context: Any = TyperCommand.context_class  # typer has no public name for it, nor the next
_Formatter: Any = _Context.formatter_class
_HYPHEN = "\u2011"
"""A hyphen at which no line is broken; what is written has the usual one."""


class _Unbroken(_Formatter):  # type: ignore[misc]
    def write_text(self, text: str) -> None:
        super().write_text(text.replace("-", _HYPHEN))

    def write_dl(self, rows: Iterable[tuple[str, str]], *args: Any, **extra: Any) -> None:
        unbroken = [(name, told.replace("-", _HYPHEN)) for name, told in rows]
        super().write_dl(unbroken, *args, **extra)

    def getvalue(self) -> str:
        value: str = super().getvalue()
        return value.replace(_HYPHEN, "-")


class Context(_Context):  # type: ignore[misc]
    """What a command runs in."""

    formatter_class = _Unbroken
