"""A digest as an Adaptive Card for a Teams workflow.

The workflow is "Post to a channel when a webhook request is received"
(https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook); the card is of version
1.4 (https://adaptivecards.io/explorer). A message of more than 28 KB is refused, and not by the
answer to our POST but later, where nobody sees it; the card counts as a string in JSON then, so
that 24,453 bytes have been seen to be 28,897
(https://github.com/MicrosoftDocs/msteams-docs/issues/11274). Names stand in text runs, in which
nothing is Markdown (https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features).
"""

from typing import Any

import msgspec

from nsgflow_core.digests import wording
from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.message import Digest, Ended
from nsgflow_core.digests.wording import fit
from nsgflow_core.estate.scope import INSIDE

MAX_BYTES = 24_000
"""The largest message in bytes, the card taken for a string in JSON."""


def render(digest: Digest, link: str) -> bytes:
    """The body of the POST: as many groups as fit."""
    return fit(digest, lambda part: _body(part, link), _fits)


def _fits(body: bytes) -> bool:
    return len(msgspec.json.encode(body.decode())) <= MAX_BYTES


def _body(digest: Digest, link: str) -> bytes:
    headline = wording.headline(digest)
    body: list[dict[str, Any]] = [
        {
            "type": "TextBlock",
            "text": headline,
            "size": "Large",
            "weight": "Bolder",
            "wrap": True,
        }
    ]
    body += [_group(digest, tally) for tally in digest.groups]
    body += [_ended(at) for at in digest.ended]
    body += [_line(_run(at, isSubtle=True), separator=True) for at in wording.remainder(digest)]
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": headline,
        "body": body,
    }
    if link:
        card["actions"] = [
            {"type": "Action.OpenUrl", "title": "Look into it in Log Analytics", "url": link}
        ]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return msgspec.json.encode({"type": "message", "attachments": [attachment]})


def _ended(at: Ended) -> dict[str, Any]:
    what, how = wording.ended(at)
    return {
        "type": "Container",
        "separator": True,
        "items": [_line(_run(what, color="Good")), _line(_run(how, isSubtle=True))],
    }


def _group(digest: Digest, tally: Tally) -> dict[str, Any]:
    state, since = wording.life(digest, tally)
    who, name, why, reason = wording.denied_by(tally)
    color = "Attention" if tally.key.scope == INSIDE else "Default"
    return {
        "type": "Container",
        "separator": True,
        "items": [
            _line(
                *([_run(state)] if state else []),
                _run(wording.port(tally), weight="Bolder", color=color),
                _run(f" {wording.direction(tally)}"),
            ),
            _line(
                _run(who),
                _run(name, weight="Bolder"),
                _run(why),
                _run(reason, weight="Bolder"),
            ),
            _line(_run(f"{wording.flows(tally)}, {wording.times(tally)}")),
            *([_line(_run(since))] if since else []),
            _line(_run(f"{wording.sources(tally)} → {wording.targets(tally)}", isSubtle=True)),
            *([_line(_run(said))] if (said := wording.now(tally)) else []),
            *(
                [_line(_run(said, fontType="Monospace"))]
                if (said := wording.why(digest, tally))
                else []
            ),
            *(_line(_run(said)) for said in wording.before(digest, tally)),
        ],
    }


def _line(*runs: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "spacing": "None", "inlines": list(runs), **options}


def _run(text: str, **style: Any) -> dict[str, Any]:
    # Two braces begin a date for the reader's clock even here.
    return {"type": "TextRun", "text": text.replace("{{", "{ {"), **style}
