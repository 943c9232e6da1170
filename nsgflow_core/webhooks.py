"""Settings of the webhooks: the first, and up to eight more with the same settings each."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from nsgflow_core import variables
from nsgflow_core.filter import Filter, all_of, compile_terms

FORMATS = ("cloudevents", "slack", "teams", "pagerduty")
CONTENT_TYPES = ("application/cloudevents+json", "application/json")
NAMES = ("webhook", *(f"webhook_{number}" for number in range(2, 10)))
"""The sinks that webhooks may be; a checkpoint knows each cursor by its sink's name."""

SETTINGS = (
    "URL",
    "FORMAT",
    "SECRET",
    "FILTER",
    "MAX_AGE_MINUTES",
    "INTERVAL_SECONDS",
    "REPEAT_MINUTES",
    "QUIET_MINUTES",
    "HEADERS",
    "CONTENT_TYPE",
)
"""What follows `NSGFLOW_WEBHOOK_`, or `NSGFLOW_WEBHOOK_2_` and so on."""

_SECRETS = ("URL", "SECRET", "HEADERS")
_DAY_SECONDS = 86_400
_MINUTE_SECONDS = 60
_MAX_HEADERS = 8 * 1024
"""Bytes of all headers: many servers take no more than that in a request
(https://httpd.apache.org/docs/current/mod/core.html#limitrequestfieldsize)."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2."""

_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
"""A header's value, in what HTTP libraries can write: no line breaks, and Latin-1 at most."""

_OURS = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    )
)
"""Headers that say how a message is sent, or sign it."""

_HEADERS = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """A webhook: where alerts go, the key that signs them, and which flows alert.

    Every format but `cloudevents` is sent as digests; `routing_key` is PagerDuty's. `headers` go
    with every POST. `waits_for` names the setting whose secret is not there yet: until it is,
    nothing is sent.
    """

    url: str
    secret: bytes
    filter: Filter
    max_age_minutes: int | None
    format: str = "cloudevents"
    routing_key: str = ""
    interval_seconds: int = 30
    repeat_minutes: int = 15
    quiet_minutes: int = 30
    name: str = NAMES[0]
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = CONTENT_TYPES[0]
    waits_for: str = ""

    @property
    def digest_schedule(self) -> str:
        """NCRONTAB of a timer that fires at least once an interval; "" where there is no digest.

        https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer
        """
        if self.format == "cloudevents":
            return ""
        if self.interval_seconds >= _MINUTE_SECONDS:
            return "0 * * * * *"
        steps = range(1, self.interval_seconds + 1)
        return f"*/{max(step for step in steps if _MINUTE_SECONDS % step == 0)} * * * * *"

    @property
    def what_is_missing(self) -> str:
        """Why nothing can be sent, "" where it can."""
        if not self.waits_for:
            return ""
        return f"{self.waits_for} is a Key Vault reference that is not resolved yet"


def prefix(name: str) -> str:
    """What the settings of a webhook begin with."""
    return f"NSGFLOW_{name.upper()}_"


def known() -> Iterator[str]:
    """Every setting of every webhook."""
    return (prefix(name) + setting for name in NAMES for setting in SETTINGS)


def webhooks_of(env: Mapping[str, str], problems: list[str]) -> tuple[WebhookSettings, ...]:
    """The webhooks that have a URL; what is wrong with any is noted."""
    found = (_webhook(env, name, problems) for name in NAMES)
    return tuple(webhook for webhook in found if webhook is not None)


def _webhook(env: Mapping[str, str], name: str, problems: list[str]) -> WebhookSettings | None:
    of = prefix(name)
    url = env.get(f"{of}URL")
    form = variables.choice(env, f"{of}FORMAT", FORMATS, problems)
    terms = variables.filter_terms(env, f"{of}FILTER", problems)
    if True not in terms.decisions:
        problems.append(f"{of}FILTER: {terms.terms!r} lets no denied flow pass: only those alert")
    unresolved = (f"{of}{each}" for each in _SECRETS)
    waits_for = next((key for key in unresolved if variables.is_unresolved(env.get(key, ""))), "")
    secret, routing_key = _keys(env, f"{of}SECRET", form, url, problems)
    max_age = None
    if (key := f"{of}MAX_AGE_MINUTES") in env:
        max_age = variables.number(env, key, 0, (1, 525_600), problems)
    interval = variables.number(env, f"{of}INTERVAL_SECONDS", 30, (1, _DAY_SECONDS), problems)
    repeat = variables.number(env, f"{of}REPEAT_MINUTES", 15, (0, 10_080), problems)
    quiet = variables.number(env, f"{of}QUIET_MINUTES", 30, (5, 1440), problems)
    headers = _headers(env, f"{of}HEADERS", problems)
    content_type = variables.choice(env, f"{of}CONTENT_TYPE", CONTENT_TYPES, problems)
    if url is None:
        return None
    if not variables.is_unresolved(url):
        variables.check_url(f"{of}URL", url, problems, secret_url=True)
    denied = all_of(compile_terms("action=denied"), terms)
    return WebhookSettings(
        url,
        secret,
        denied,
        max_age,
        form,
        routing_key,
        interval,
        repeat,
        quiet,
        name,
        headers,
        content_type,
        waits_for,
    )


def _keys(
    env: Mapping[str, str], key: str, form: str, url: str | None, problems: list[str]
) -> tuple[bytes, str]:
    """The key that signs, and PagerDuty's routing key; a format has only one of them."""
    text = env.get(key, "")
    if variables.is_unresolved(text):
        return b"", ""
    if form == "pagerduty":
        if (url or text) and not re.fullmatch(r"[A-Za-z0-9]{32}", text):
            problems.append(f"{key}: it must be the routing key, 32 letters and digits")
        return b"", text
    secret = b""
    if text:
        try:
            secret = base64.b64decode(text.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            secret = b""
        if not text.startswith("whsec_") or not secret:
            problems.append(f"{key}: it must be whsec_ followed by base64")
    return secret, ""


def _headers(env: Mapping[str, str], key: str, problems: list[str]) -> dict[str, str]:
    """The headers of one's own; their values are secrets, and are never shown."""
    text = env.get(key, "")
    if not text or variables.is_unresolved(text):
        return {}
    try:
        headers = _HEADERS.decode(text)
    except (msgspec.MsgspecError, UnicodeError):
        problems.append(f'{key}: it must be a JSON object of texts, like {{"Authorization": "…"}}')
        return {}
    folded = [name.lower() for name in headers]
    for number, (name, value) in enumerate(headers.items(), 1):
        if not _TOKEN.fullmatch(name):  # and it may be a secret in the wrong place
            problems.append(f"{key}: name {number} of it is no name of a header")
        elif name.lower() in _OURS:
            problems.append(f"{key}: {name} is set by nsgflow")
        elif folded.count(name.lower()) > 1:
            problems.append(f"{key}: {name} is there twice")
        elif value != value.strip() or not _VALUE.fullmatch(value):
            problems.append(f"{key}: the value of {name} cannot be sent in a header")
    if sum(len(name) + len(value) + 4 for name, value in headers.items()) > _MAX_HEADERS:
        problems.append(f"{key}: it is larger than {_MAX_HEADERS // 1024} KiB")
    return headers
