"""Receivers of messages for people: an incoming webhook of Slack, a workflow of Teams, PagerDuty.

They refuse what the services refuse for its size or form, and answer as those do:
https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook
https://developer.pagerduty.com/docs/events-api-v2/overview
"""

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from devtools.http_server import Request, Response, Server, StandIn, serve

Kind = Literal["slack", "teams", "pagerduty"]
Message = dict[str, Any]

SLACK_BLOCKS = 50
SLACK_TEXT = 3000
SLACK_CHARACTERS = 13_200
TEAMS_BYTES = 28_672
PAGERDUTY_BYTES = 512 * 1024
PAGERDUTY_KEY = 255


@dataclasses.dataclass
class Chat(StandIn):
    """A running receiver and what it accepted.

    Attributes:
        messages: accepted ones in order, as parsed; bodies: the same as sent.
        times: time.monotonic() of acceptance of each.
        refusals: why requests were refused.
        server: url, count of requests, faults.
    """

    kind: Kind
    messages: list[Message] = dataclasses.field(default_factory=list)
    bodies: list[bytes] = dataclasses.field(default_factory=list)
    times: list[float] = dataclasses.field(default_factory=list)
    refusals: list[str] = dataclasses.field(default_factory=list)
    server: Server = dataclasses.field(init=False)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """Value of NSGFLOW_WEBHOOK_URL."""
        return f"{self.server.url}/hook"

    def answer(self, request: Request) -> Response:
        """Accept one message, or say why not."""
        check, accepted = _KINDS[self.kind]
        try:
            message = json.loads(request.body)
            problem = check(message, request.body)
        except (ValueError, KeyError, TypeError) as error:
            message, problem = {}, f"malformed: {error!r}"
        content_type = request.headers.get("Content-Type", "").partition(";")[0]
        if content_type != "application/json":
            problem = f"Content-Type is {content_type!r}"
        with self._lock:
            if problem:
                self.refusals.append(problem)
                return Response(400, problem.encode(), {"Content-Type": "text/plain"})
            self.messages.append(message)
            self.bodies.append(request.body)
            self.times.append(time.monotonic())
        return accepted


def _slack(message: Message, _: bytes) -> str:
    blocks = message["blocks"]
    if len(blocks) > SLACK_BLOCKS:
        return "invalid_blocks"
    for block in blocks:
        for part in block.get("elements", [block.get("text")]):
            limit = 150 if block["type"] == "header" else SLACK_TEXT
            if not 1 <= len(part["text"]) <= limit:
                return "invalid_blocks"
    characters = len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":")))
    return "msg_blocks_too_long" if characters > SLACK_CHARACTERS else ""


def _teams(message: Message, body: bytes) -> str:
    (attachment,) = message["attachments"]
    if attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
        return "not an Adaptive Card"
    if attachment["content"]["type"] != "AdaptiveCard":
        return "not an Adaptive Card"
    # The real one accepts this and fails later, where the sender does not see it.
    if len(json.dumps(body.decode(), ensure_ascii=False).encode()) > TEAMS_BYTES:
        return "MessageSizeExceeded"
    return ""


def _pagerduty(message: Message, body: bytes) -> str:
    if message["event_action"] == "resolve":
        return "" if 0 < len(message["dedup_key"]) <= PAGERDUTY_KEY else "Event object is invalid"
    payload = message["payload"]
    if len(body) > PAGERDUTY_BYTES:
        return "Event object is too large"
    if len(message["routing_key"]) != 32:
        return "Length of 'routing_key' is incorrect (should be 32 characters)"
    if message["event_action"] != "trigger" or len(message["dedup_key"]) > PAGERDUTY_KEY:
        return "Event object is invalid"
    if payload["severity"] not in ("critical", "error", "warning", "info"):
        return "'payload.severity' is invalid"
    return "" if payload["summary"] and payload["source"] else "Event object is invalid"


_JSON = {"Content-Type": "application/json"}
_KINDS: dict[Kind, tuple[Callable[[Message, bytes], str], Response]] = {
    "slack": (_slack, Response(200, b"ok", {"Content-Type": "text/html"})),
    "teams": (_teams, Response(202)),
    "pagerduty": (_pagerduty, Response(202, b'{"status":"success"}', _JSON)),
}


@contextlib.contextmanager
def chat(kind: Kind) -> Iterator[Chat]:
    """Receive messages while the context lasts."""
    running = Chat(kind)
    with serve(running.answer, None) as running.server:
        yield running
