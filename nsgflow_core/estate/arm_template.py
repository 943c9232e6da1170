"""Resources of an ARM template, with its literal parameters and variables put in.

Templates are exported, or compiled from Bicep
(https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax). Of their expressions
those are evaluated that names and ids are made of: parameters and variables with literal values,
and a few functions of them. What is left stays as it is written, for whoever reads it to doubt.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.shapes import listed, mapping

_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(-?\d+)|([A-Za-z_]\w*)|(.))", re.DOTALL)
_DEPLOYMENT = "microsoft.resources/deployments"


_Placed = tuple[str, Mapping[str, Any]]


def resources_of(template: Mapping[str, Any]) -> Iterator[_Placed]:
    """Every resource with its place, nested ones included, the names in full.

    Raises:
        BadInputError: rules are made by a loop, which only Azure runs.
        ValueError: something is of another kind than it must be; names the place.
    """
    yield from _resources(template, {}, "")


def _resources(
    template: Mapping[str, Any], given: Mapping[str, Any], place: str
) -> Iterator[_Placed]:
    scope = _Scope(template, given, place)
    for at, resource in _listed(template, place):
        yield from _resource(at, resource, scope, "", "")


def _listed(template: Mapping[str, Any], place: str) -> Iterator[_Placed]:
    """The resources of a template: a list, or an object by symbolic names."""
    found, at = template.get("resources"), _below(place, "resources")
    if not isinstance(found, Mapping):
        yield from listed(found, at)
        return
    for name, resource in found.items():
        yield f"{at}.{name}", mapping(resource, f"{at}.{name}")


def _resource(
    place: str, resource: Mapping[str, Any], scope: "_Scope", above: str, named: str
) -> Iterator[_Placed]:
    kind = str(resource.get("type") or "")
    if kind.lower() == _DEPLOYMENT:
        yield from _deployment(place, resource, scope)
        return
    if above and kind.count("/") == 0:
        kind = f"{above}/{kind}"
    about_rules = "networksecuritygroups" in kind.lower()
    properties = resource.get("properties") or {}
    if about_rules and ("copy" in resource or "copy" in mapping(properties, place)):
        raise BadInputError(
            f"{resource.get('name')!r} is made by a loop (copy), which only Azure runs: "
            "use 'az deployment … what-if --no-pretty-print'"
        )
    made: dict[str, Any] = scope.value(resource) if about_rules or not kind else dict(resource)
    name = str(made.get("name") or "")
    if named and "/" not in name:
        name = f"{named}/{name}"
    yield place, made | {"name": name, "type": kind}
    for at, child in listed(resource.get("resources"), f"{place}.resources"):
        yield from _resource(at, child, scope, kind, name)


def _deployment(place: str, resource: Mapping[str, Any], scope: "_Scope") -> Iterator[_Placed]:
    inner = f"{place}.properties"
    properties = mapping(resource.get("properties"), inner)
    template = properties.get("template")
    if not isinstance(template, Mapping):  # a linked one is not in the file
        return
    name = "expressionEvaluationOptions"
    options = mapping(properties.get(name), f"{inner}.{name}")
    if str(options.get("scope")).lower() == "inner":
        passed = mapping(properties.get("parameters"), f"{inner}.parameters")
        given = {
            name: scope.value(mapping(entry, f"{inner}.parameters.{name}").get("value"))
            for name, entry in passed.items()
        }
        yield from _resources(template, given, f"{inner}.template")
        return
    for at, child in _listed(template, f"{inner}.template"):
        yield from _resource(at, child, scope, "", "")


def _below(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


class _UnresolvedError(Exception):
    """An expression that is not evaluated here."""


_UNRESOLVED = (
    _UnresolvedError, AttributeError, LookupError, StopIteration, TypeError, ValueError,
)  # fmt: skip
"""What an expression ends with that is malformed, or of values of another kind than it takes."""


class _Scope:
    """The literal parameters and variables of a template."""

    def __init__(self, template: Mapping[str, Any], given: Mapping[str, Any], place: str) -> None:
        parameters, variables = (
            mapping(template.get(key), _below(place, key)) for key in ("parameters", "variables")
        )
        self._parameters = {
            name.lower(): entry["defaultValue"]
            for name, entry in parameters.items()
            if isinstance(entry, Mapping) and "defaultValue" in entry
        } | {name.lower(): value for name, value in given.items()}
        self._variables = {name.lower(): value for name, value in variables.items()}
        self._within: set[str] = set()

    def value(self, found: Any) -> Any:
        """A value with the expressions in it evaluated, as far as they can be."""
        if isinstance(found, Mapping):
            return {key: self.value(value) for key, value in found.items()}
        if isinstance(found, list):
            return [self.value(item) for item in found]
        if isinstance(found, str) and found.startswith("[") and found.endswith("]"):
            if found.startswith("[["):
                return found[1:]
            try:
                return self._evaluated(found[1:-1])
            except _UNRESOLVED:
                return found
        return found

    def _evaluated(self, text: str) -> Any:
        if text in self._within:
            raise _UnresolvedError(text)
        self._within.add(text)
        try:
            tokens = [match for match in _TOKEN.finditer(text) if match[0].strip()]
            value, at = self._expression(tokens, 0)
            if at != len(tokens):
                raise _UnresolvedError(text)
            return value
        finally:
            self._within.discard(text)

    def _expression(self, tokens: Sequence[re.Match[str]], at: int) -> tuple[Any, int]:
        literal, number, name, _ = tokens[at].groups()
        at += 1
        if literal is not None:
            return literal.replace("''", "'"), at
        if number is not None:
            return int(number), at
        if name is None or tokens[at][4] != "(":
            raise _UnresolvedError(tokens[at - 1][0])
        arguments: list[Any] = []
        at += 1
        while tokens[at][4] != ")":
            argument, at = self._expression(tokens, at)
            arguments.append(argument)
            if tokens[at][4] == ",":
                at += 1
        value, at = self._call(name.lower(), arguments), at + 1
        while at + 1 < len(tokens) and tokens[at][4] == "." and tokens[at + 1][3]:
            value, at = value[tokens[at + 1][3]], at + 2
        return value, at

    def _call(self, name: str, arguments: Sequence[Any]) -> Any:
        if name in ("parameters", "variables"):
            known = self._parameters if name == "parameters" else self._variables
            value = self.value(known[str(arguments[0]).lower()])
            if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
                raise _UnresolvedError(value)
            return value
        return _FUNCTIONS[name](*arguments)


def _concat(*parts: Any) -> Any:
    if parts and isinstance(parts[0], list):
        return [item for part in parts for item in part]
    return "".join(str(part) for part in parts)


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: str(values[int(found[1])]), pattern)


def _resource_id(*parts: str) -> str:
    """An id as far as it is told: else subscription and group are the deployment's."""
    at = next(number for number, part in enumerate(parts) if "/" in part)
    kind, names = parts[at].split("/"), parts[at + 1 :]
    pairs = "".join(f"/{one}/{name}" for one, name in zip(kind[1:], names, strict=True))
    levels = ("subscriptions", "resourceGroups")[2 - at :] if at else ()
    scope = "".join(f"/{one}/{name}" for one, name in zip(levels, parts[:at], strict=True))
    return f"{scope}/providers/{kind[0]}{pairs}"


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "concat": _concat,
    "format": _format,
    "resourceid": _resource_id,
    "tolower": lambda text: text.lower(),
    "toupper": lambda text: text.upper(),
    "createarray": lambda *items: list(items),
    "string": str,
    "int": int,
}
