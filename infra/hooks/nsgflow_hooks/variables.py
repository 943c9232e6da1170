"""The variables that are no plain text, as azd reads them for infra/main.parameters.json.

azd leaves a parameter at its default, and says nothing, where a truth value or a number cannot be
read: what was to be private would be public. JSON that cannot be read stops it, one at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from nsgflow_hooks import app_values

SWITCHES = (
    "NSGFLOW_ALERTS_ENABLED",
    "NSGFLOW_DIAGNOSTICS_ENABLED",
    "NSGFLOW_DOCUMENTED_TRIGGER_ROLES",
    "NSGFLOW_FLOW_LOG_ENDPOINTS_ENABLED",
    "NSGFLOW_INVENTORY_ENABLED",
    "NSGFLOW_INVENTORY_ROLES_ENABLED",
    "NSGFLOW_KEY_VAULT_PURGE_PROTECTION",
    "NSGFLOW_KEY_VAULT_RECOVER",
    "NSGFLOW_PRIVATE_DNS_ZONES_ENABLED",
    "NSGFLOW_PRIVATE_NETWORKING",
    "NSGFLOW_RESOURCE_GROUP_EXISTS",
    "NSGFLOW_ZONE_REDUNDANT",
)
NUMBERS = (
    "NSGFLOW_ALWAYS_READY_INSTANCES",
    "NSGFLOW_DEAD_LETTER_RETENTION_DAYS",
    "NSGFLOW_INSTANCE_MEMORY_MB",
    "NSGFLOW_MAXIMUM_INSTANCE_COUNT",
    "NSGFLOW_RETENTION_IN_DAYS",
    "NSGFLOW_STATE_DAYS",
    "NSGFLOW_SWEEP_HOURS",
    "NSGFLOW_TOTAL_RETENTION_IN_DAYS",
    "NSGFLOW_WEBHOOK_INTERVAL_SECONDS",
    "NSGFLOW_WEBHOOK_MAX_AGE_MINUTES",
    "NSGFLOW_WEBHOOK_QUIET_MINUTES",
    "NSGFLOW_WEBHOOK_REPEAT_MINUTES",
)
LISTS = ("NSGFLOW_ALERT_EMAILS", "NSGFLOW_FLOW_LOG_ACCOUNTS", "NSGFLOW_INVENTORY_SCOPES")
OBJECTS = (
    "NSGFLOW_ALERTS",
    "NSGFLOW_APP_SETTINGS",
    "NSGFLOW_NAMES",
    "NSGFLOW_PRIVATE_DNS_ZONE_IDS",
    "NSGFLOW_TAGS",
    "NSGFLOW_WEBHOOK_HEADERS",
)
SECRETS = ("NSGFLOW_WEBHOOK_HEADERS",)
CHOICES = {
    "NSGFLOW_CHANGES": ("", "resourcegraph", "resourcegraph,names"),
    "NSGFLOW_PYTHON_VERSION": ("3.11", "3.12", "3.13", "3.14"),
    "NSGFLOW_TABLE_PLAN": ("Analytics", "Basic"),
    "NSGFLOW_TRIGGER_SOURCE": ("EventGrid", "Queue"),
    "NSGFLOW_WEBHOOK_CONTENT_TYPE": ("application/cloudevents+json", "application/json"),
}

# What Go's strconv.ParseBool takes, which is what azd asks.
_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_FALSE = {"0", "f", "F", "FALSE", "false", "False"}
_SHOWN = 60


def is_true(text: str | None) -> bool:
    """Whether azd reads it as true."""
    return text in _TRUE


def is_false(text: str | None) -> bool:
    """Whether azd reads it as false."""
    return text in _FALSE


def problems(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with each variable, and a value that would do.

    NSGFLOW_FLOW_LOG_ACCOUNTS is looked at more closely elsewhere.
    """
    for name in SWITCHES:
        text = environ.get(name)
        if text and not is_true(text) and not is_false(text):
            yield f"{name} is neither true nor false: {_shown(text)}", f"{name} true"
    for name in NUMBERS:
        text = environ.get(name)
        if text and not text.lstrip("+-").isdecimal():
            yield f"{name} is no number: {_shown(text)}", f"{name} NUMBER"
    yield from _json_problems(environ)
    for name, allowed in CHOICES.items():
        text = environ.get(name, allowed[0])
        if text not in allowed:
            wanted = " or ".join(each or "empty" for each in allowed)
            yield f"{name} is {_shown(text)}: {wanted}", f"{name} {allowed[0] or allowed[1]}"
    settings = {**CHOICES, "NSGFLOW_INVENTORY": ("", "resourcegraph")}
    yield from app_values.problems(environ, NUMBERS, settings)


def _json_problems(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for names, kind, what, empty in ((LISTS, list, "list", "[]"), (OBJECTS, dict, "object", "{}")):
        for name in names:
            text = environ.get(name, empty)
            if name != "NSGFLOW_FLOW_LOG_ACCOUNTS" and not _is(text, kind):
                shown = "it is not shown" if name in SECRETS else _shown(text)
                yield (
                    f"{name} is no JSON {what}: {shown}; a shell may have eaten the quotes",
                    f"{name} '{empty}'",
                )


def _is(text: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(text), kind)
    except ValueError:
        return False


def _shown(text: str) -> str:
    return repr(text[:_SHOWN])
