"""A digest as a Slack message for an incoming webhook.

Blocks, and their limits (https://docs.slack.dev/reference/block-kit/blocks): 50 blocks, 150
characters in a header, 3,000 in a section or an element of a context. A message whose blocks have
more than about 13,200 characters in all is refused (`msg_blocks_too_long`,
https://github.com/slackapi/bolt-js/issues/2509). `&`, `<` and `>` are escaped
(https://docs.slack.dev/messaging/formatting-message-text), and names stand in code spans, where
nothing else is markup. One message a second may be posted
(https://docs.slack.dev/apis/web-api/rate-limits); an interval is no shorter.
"""

from typing import Any

import msgspec

from nsgflow_core.digests import wording
from nsgflow_core.digests.groups import Tally
from nsgflow_core.digests.message import Digest, Ended
from nsgflow_core.digests.wording import fit

MAX_BLOCKS = 50
MAX_HEADER = 150
MAX_TEXT = 3000
MAX_CHARACTERS = 12_000
"""The most characters of all blocks as JSON; Slack counts some of it, and does not say what."""


def render(digest: Digest, link: str) -> bytes:
    """The body of the POST: as many groups as fit."""
    return fit(digest, lambda part: _body(part, link), _fits)


def _fits(body: bytes) -> bool:
    return len(msgspec.json.encode(msgspec.json.decode(body)["blocks"])) <= MAX_CHARACTERS


def _body(digest: Digest, link: str) -> bytes:
    headline = wording.headline(digest)
    blocks: list[dict[str, Any]] = [
        {
            "type": "header",
            "text": {"type": "plain_text", "text": headline[:MAX_HEADER], "emoji": False},
        }
    ]
    blocks += [{"type": "section", "text": _mrkdwn(_group(digest, at))} for at in digest.groups]
    blocks += [{"type": "section", "text": _mrkdwn(_ended(at))} for at in digest.ended]
    closing = [escape(sentence) for sentence in wording.remainder(digest)]
    if link and len(link) <= MAX_TEXT - 100:
        closing.append(f"<{link}|Look into it in Log Analytics>")
    if closing:
        blocks.append({"type": "context", "elements": [_mrkdwn("\n".join(closing))]})
    return msgspec.json.encode({"text": escape(headline), "blocks": blocks})


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: names must not turn into links or mentions
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _group(digest: Digest, tally: Tally) -> str:
    state, since = wording.life(digest, tally)
    return "\n".join(
        [
            f"{state}*{escape(wording.port(tally))}* {wording.direction(tally)}",
            _denied_by(tally),
            f"{wording.flows(tally)}, {wording.times(tally)}",
            *([since] if since else []),
            f"{code(wording.sources(tally))} → {code(wording.targets(tally))}",
            *[code(said) for said in (wording.now(tally), wording.why(digest, tally)) if said],
            *map(code, wording.before(digest, tally)),
        ]
    )


def _ended(at: Ended) -> str:
    return "\n".join(map(code, wording.ended(at)))


def _denied_by(tally: Tally) -> str:
    who, name, why, reason = wording.denied_by(tally)
    return f"{who}{code(name)}{why}{code(reason)}"


def escape(text: str) -> str:
    """Text in which Slack sees no control sequence."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: str) -> str:
    """Text in a code span; the one character that would end it is replaced."""
    return f"`{escape(text.replace('`', chr(0x2BC)))}`"
