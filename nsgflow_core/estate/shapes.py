"""JSON from elsewhere: what is asked of it is there and of its kind, or its place is told.

A place is written as a path, such as `changes[2].after`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_KINDS: Mapping[type, str] = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def mapping(value: object, place: str) -> Mapping[str, Any]:
    """An object; nothing is an empty one.

    Raises:
        ValueError: it is something else; names the place.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise wrong(value, place, "an object")
    return value


def listed(value: object, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a list, each with its place; nothing is an empty list.

    Raises:
        ValueError: it is no list, or something else is in it.
    """
    if value is not None and not isinstance(value, list | tuple):
        raise wrong(value, place, "a list")
    for number, entry in enumerate(value or ()):
        yield f"{place}[{number}]", mapping(entry, f"{place}[{number}]")


def text(found: Mapping[str, Any], key: str, place: str) -> str:
    """A text that an object must have.

    Raises:
        ValueError: it is missing, empty or no text.
    """
    value = found.get(key)
    if value in (None, ""):
        raise ValueError(f"{place or 'the whole'} has no {key}")
    if not isinstance(value, str):
        raise wrong(value, f"{place}.{key}".lstrip("."), "a text")
    return value


def wrong(value: object, place: str, wanted: str) -> ValueError:
    """The error that a value at a place is of another kind than it should be."""
    kind = _KINDS.get(type(value), "nothing")
    return ValueError(f"{place or 'the whole'} is {kind}, where {wanted} belongs")
