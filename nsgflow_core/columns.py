"""The columns of the table, from schema.json.

The row, the settings, the table and stream in infra/ and the docs all read them there.
"""

from functools import cache
from pathlib import Path

import msgspec

ALWAYS_SENT = frozenset(("TimeGenerated", "FlowTime", "FlowId"))
"""Columns that no setting leaves out: when, and which flow."""

_SCHEMA = Path(__file__).with_name("schema.json")


@cache
def columns() -> dict[str, str]:
    """Name and type of each column, in the table's order."""
    schema = msgspec.json.decode(_SCHEMA.read_bytes())
    return {column["name"]: column["type"] for column in schema["columns"]}
