"""What people are sent: within each service's limits, whatever the names in it are."""

import base64
import gzip
import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from urllib.parse import unquote

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nsgflow_core.digests import pagerduty, portal, slack, teams, wording
from nsgflow_core.digests.digest import MAX_SHOWN
from nsgflow_core.digests.groups import MANY_PORTS, MAX_PORTS, Key, Tally
from nsgflow_core.digests.message import ALLOWED, LATE, QUIET, TURNED, UNKNOWN, About, Digest, Ended
from nsgflow_core.digests.sample import COARSE, Sample, sample_of
from nsgflow_core.digests.silences import Held
from nsgflow_core.estate.causes import ENCRYPTION, PLATFORM
from nsgflow_core.estate.scope import INSIDE, INTERNET, OUTBOUND, SCOPES
from nsgflow_core.filter import compile_terms
from nsgflow_core.sinks.digest import Poster
from nsgflow_core.webhooks import WebhookSettings

AT = 1_795_421_000_000
KEY = "0123456789abcdefABCDEF0123456789"
WORKSPACE = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-111122223333/resourceGroups/ops"
    "/providers/Microsoft.OperationalInsights/workspaces/logs"
)
HOSTILE = [
    "<!channel> & <https://evil.example|click>",
    "`code` *bold* _it_ ~no~ @here #general :smile:",
    "**bold** [click](https://evil.example) ![](https://evil.example/i.png)",
    "{{DATE(2020-01-01T00:00:00Z)}} ${x} @{y}",
    "line\nbreak\r\n\ttab\0nul\x1b[31m\u2028\u202eright-to-left\u200b",
    'quote " and \\ backslash',
    "😀" * 300,
    "z\u0335\u0336\u0337\u0338\u0339algo\u3164\u2800\ufe0f\U000e0101",
    "see https://evil.example/a and WWW.evil.example",
    "\x9b31m\u2066isolate\u2069\ud800",
    "x" * 5000,
    "",
]
SCHEMA = json.loads(files("adaptive_cards").joinpath("schemas/schema-1.4.json").read_text())


def tally(
    number: int = 0, name: str = "WEB-NSG", scope: str = INSIDE, port: int | None = 1433
) -> Tally:
    """A group."""
    return Tally(
        Key(
            f"/nsgs/{number}",
            name,
            f"UserRule_{name}",
            inbound=True,
            protocol="TCP",
            port=port,
            scope=scope,
        ),
        number + 1,
        AT,
        AT + 61_000,
        Sample((f"10.0.0.{number}", name)),
        Sample(("10.1.0.1",)),
        {22: 5, 3389: 2} if port == MANY_PORTS else {},
    )


def digest(*tallies: Tally, **more: Any) -> Digest:
    """A digest of these groups."""
    return Digest("0f" * 16, AT / 1000, tallies, **more)


texts = st.sampled_from(HOSTILE) | st.text(max_size=300)
keys = st.builds(
    Key,
    texts,
    texts,
    texts,
    st.booleans(),
    st.sampled_from(["TCP", "UDP", "ICMP", "47"]) | texts,
    st.sampled_from([None, MANY_PORTS, 0, 443, 65535]),
    st.sampled_from(SCOPES),
    st.just(""),
    st.just("") | texts,
)
tallies = st.builds(
    Tally,
    keys,
    st.integers(1, 10**12),
    st.integers(0, 10**13),
    st.integers(0, 10**13),
    st.builds(Sample, st.lists(texts, max_size=12).map(tuple), st.booleans()),
    st.builds(Sample, st.lists(texts, max_size=12).map(tuple), st.booleans()),
    st.dictionaries(st.integers(0, 65535), st.integers(1, 9), max_size=12),
    texts,
    st.just(3),
    texts,
    st.sampled_from([Sample(), Sample((f"{'f' * 39} {'e' * 39} 65535",))]),
    interfaces=st.integers(0, 10**6),
)
ends = st.builds(
    Ended,
    keys,
    texts,
    st.sampled_from([QUIET, ALLOWED, TURNED, UNKNOWN, LATE]),
    *([st.integers(0, 10**13)] * 2),
    *([st.integers(0, 10**9)] * 3),
    incident=st.sampled_from(["", "1f" * 8]),
    said=texts,
)
held = st.builds(Held, texts, texts, st.just(0.0), st.integers(0, 10**9))
digests = st.builds(
    Digest,
    st.just("0f" * 16),
    st.floats(0, 4e9),
    st.lists(tallies, max_size=MAX_SHOWN).map(tuple),
    *([st.integers(0, 10**9)] * 5),
    ended=st.lists(ends, max_size=30).map(tuple),
    silenced=st.lists(held, max_size=10).map(tuple),
    behind_groups=st.integers(0, 99),
)
links = st.sampled_from(
    ["", "https://portal.azure.com/#blade/x/q/abc%252B", "https://p/" + "x" * 2900]
)


def check_slack(body: bytes) -> dict[str, Any]:
    """The message, if Slack would take it."""
    message: dict[str, Any] = json.loads(body)
    blocks = message["blocks"]
    assert message.keys() == {"text", "blocks"}
    assert len(blocks) <= 50
    assert len(json.dumps(blocks, ensure_ascii=False, separators=(",", ":"))) <= 13_200
    assert blocks[0]["type"] == "header"
    assert 1 <= len(blocks[0]["text"]["text"]) <= 150
    for block in blocks[1:]:
        elements = block["elements"] if block["type"] == "context" else [block["text"]]
        assert block["type"] in ("section", "context")
        assert 1 <= len(elements) <= 10
        for element in elements:
            assert element["type"] == "mrkdwn"
            assert element["verbatim"] is True
            assert 1 <= len(element["text"]) <= 3000
            # What is left of < and > is our own link, and nothing but entities begins with &.
            bare = re.sub(r"<https://p[^|<> ]*\|[A-Za-z ]+>", "", element["text"])
            assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", bare)
    return message


def check_teams(body: bytes) -> dict[str, Any]:
    """The card, if Teams would take it: by Microsoft's schema of version 1.4."""
    assert len(json.dumps(body.decode(), ensure_ascii=False).encode()) <= 28_672 * 0.9
    message = json.loads(body)
    (attachment,) = message["attachments"]
    assert message["type"] == "message"
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card: dict[str, Any] = attachment["content"]
    jsonschema.Draft6Validator(SCHEMA).validate(card)
    assert "{{" not in json.dumps(card)
    return card


def check_pagerduty(body: bytes) -> dict[str, Any]:
    """The event, if PagerDuty would take it (the constraints of its OpenAPI document)."""
    event: dict[str, Any] = json.loads(body)
    assert len(body) <= 512_000
    assert event["routing_key"] == KEY
    assert event["event_action"] == "trigger"
    assert 1 <= len(event["dedup_key"]) <= 255
    payload = event["payload"]
    assert 1 <= len(payload["summary"]) <= 1024
    assert payload["severity"] in ("critical", "error", "warning", "info")
    assert payload["source"]
    assert isinstance(payload["custom_details"], dict)
    assert all(set(each) == {"href", "text"} for each in event.get("links", []))
    return event


def one_event(made: Digest, link: str) -> bytes:
    """A digest of groups that nobody follows: one incident, and what ends is resolved behind it."""
    silent = msgspec.structs.replace(made, ended=(), silenced=())
    body, *ended = pagerduty.events(made, lambda _: link, KEY) or one_event_of(silent, link)
    assert all(json.loads(each)["event_action"] == "resolve" for each in ended)
    return body if json.loads(body)["event_action"] == "trigger" else one_event(silent, link)


def one_event_of(made: Digest, link: str) -> list[bytes]:
    """The same where there is nothing but what is over."""
    return pagerduty.events(made, lambda _: link, KEY)


FORMATS: list[tuple[Callable[[Digest, str], bytes], Callable[[bytes], dict[str, Any]]]] = [
    (slack.render, check_slack),
    (teams.render, check_teams),
    (one_event, check_pagerduty),
]
NAMES = ["slack", "teams", "pagerduty"]


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
@settings(deadline=None)  # of what it takes to make up such digests
@given(made=digests, link=links)
def test_any_digest_is_taken(
    render: Callable[[Digest, str], bytes],
    check: Callable[[bytes], dict[str, Any]],
    made: Digest,
    link: str,
) -> None:
    """Whatever names, counts and samples there are, and the same each time."""
    body = render(made, link)
    check(body)
    assert body == render(made, link)


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(
    render: Callable[[Digest, str], bytes], check: Callable[[bytes], dict[str, Any]], name: str
) -> None:
    """Names stay on their line, without what does not show."""
    message = check(render(digest(tally(name=name)), ""))

    for text in strings(message):
        assert not re.search("[\0-\x09\x0b-\x1f\x7f\u2028\u2029\u202a-\u202e\u200b]", text)


def strings(value: Any) -> list[str]:
    """Every string in a JSON value."""
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
def test_every_group_says_what_it_is(
    render: Callable[[Digest, str], bytes], check: Callable[[bytes], dict[str, Any]]
) -> None:
    """NSG, rule, port with its service, direction, count, ends, times and totals."""
    made = digest(
        tally(3),
        tally(4, "EDGE-NSG", INTERNET, MANY_PORTS),
        more_groups=2,
        more_flows=1234,
        others=5,
        held_groups=1,
        held_flows=7,
    )
    said = " ".join(strings(check(render(made, "https://portal.azure.com/x"))))

    for words in (
        "WEB-NSG",
        "UserRule_WEB-NSG",
        "TCP 1433 (ms-sql-s)",
        "inbound, inside the network",
        "4 flows from 2 sources to 1 destination",
        "10.0.0.3",
        "10.1.0.1",
        "2026-11-23 08:03:20 to 08:04:21 UTC",
        "TCP ports 22, 3389",
        "inbound, from the internet",
        "1,248 denied flows in 4 groups",
        "2 more groups with 1,234 flows are not shown.",
        "5 flows in groups too many to name.",
        "1 group told before went on, with 7 flows so far",
        "https://portal.azure.com/x",
    ):
        assert words in said


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
def test_groups_that_do_not_fit_are_in_the_totals(
    render: Callable[[Digest, str], bytes], check: Callable[[bytes], dict[str, Any]]
) -> None:
    """The first ones are shown, and all are counted."""
    made = digest(*(tally(number, "N" * 300) for number in range(MAX_SHOWN)))
    said = " ".join(strings(check(render(made, ""))))
    shown = said.count("ms-sql-s") - (1 if '"dedup_key"' in render(made, "").decode() else 0)

    assert 5 <= shown <= MAX_SHOWN
    if shown < MAX_SHOWN:
        flows = sum(each.flows for each in made.groups[shown:])
        assert f"{MAX_SHOWN - shown} more groups with {flows} flows are not shown." in said
    assert f"{made.flows} denied flows in {MAX_SHOWN} groups" in said


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
def test_totals_alone(
    render: Callable[[Digest, str], bytes], check: Callable[[bytes], dict[str, Any]]
) -> None:
    """A digest without a group to show still says how much there was."""
    said = strings(check(render(digest(others=9), "")))
    assert "9 denied flows" in said


@pytest.mark.parametrize(("render", "check"), FORMATS, ids=NAMES)
def test_a_new_group_says_all_that_helps(render: Any, check: Any) -> None:
    """Verdict, names, the port's service, first and last time, link, and the command to paste."""
    group = msgspec.structs.replace(
        tally(port=1433),
        targets=Sample(("shop-rg/db1",)),
        now="now denied by prod-web-nsg rule DenySql",
        examples=Sample(("10.0.0.1 10.1.0.1 1433",)),
    )
    made = digest(
        group,
        about={group.key.id: About(0, AT, group.flows, "i" * 16)},
        before={group.key.id: ("5 min before web-nsg changed", "3 min before: deploy 4711")},
        look=("mylogs", "--inventory"),
    )
    said = "\n".join(strings(check(render(made, "https://portal.azure.com/#x"))))
    for words in (
        "now denied by prod-web-nsg rule DenySql",
        "shop-rg/db1",
        "TCP 1433 (ms-sql-s)",
        wording.times(group),
        "https://portal.azure.com/#x",
        "nsgflow why 10.0.0.1 10.1.0.1:1433 mylogs --inventory",
        "5 min before web-nsg changed",
        "3 min before: deploy 4711",
        "New",
    ):
        assert words.lower() in said.lower()


def end(because: str, said: str = "how it is known") -> Ended:
    """The end of a group."""
    return Ended(tally().key, "WEB-NSG", because, AT, AT + 60_000, 7, 2, 3, "i", said)


@pytest.mark.parametrize(
    ("because", "headline", "words"),
    [
        (QUIET, "1 group over", "Over: TCP 1433 (ms-sql-s)"),
        (ALLOWED, "1 group over", "Over: TCP 1433 (ms-sql-s)"),
        (TURNED, "1 group over", "Over: TCP 1433 (ms-sql-s)"),
        (UNKNOWN, "1 group followed no longer", "Not known whether over: TCP 1433 (ms-sql-s)"),
        (LATE, "2 denied flows", "Was over already: TCP 1433 (ms-sql-s)"),
    ],
)
def test_an_end_names_its_beginning_and_how_it_is_known(
    because: str, headline: str, words: str
) -> None:
    """What nobody knows, and what came late, is said to be so."""
    made = digest(ended=(end(because),))
    assert wording.headline(made) == headline
    what, how = wording.ended(end(because))
    assert what.startswith(words)
    assert how.startswith("how it is known; began 2026-11-23 ")
    assert how.endswith(" UTC, 7 flows in all on 3 interfaces")


def test_severity_follows_what_matters_most() -> None:
    """What is denied inside is worth a page; what the internet tries is not."""
    severities = [
        check_pagerduty(one_event(digest(tally(scope=scope)), ""))["payload"]["severity"]
        for scope in SCOPES
    ]
    assert severities == ["error", "warning", "info"]


def test_a_digest_is_one_event_under_its_id() -> None:
    """Posted again it is the same alert."""
    made = digest(tally())
    assert check_pagerduty(one_event(made, ""))["dedup_key"] == made.id


def test_flows_that_no_group_could_name_open_no_incident_that_nobody_ends() -> None:
    """They are counted in one that is; only where there is none are they one themselves."""
    one, two = tally(1), tally(2)
    about = {
        at.key.id: About(0, AT, at.flows, f"{number}" * 16) for number, at in enumerate((one, two))
    }
    made = digest(one, two, others=9, held_groups=3, held_flows=5, about=about)
    first, second = map(check_pagerduty, pagerduty.events(made, lambda _: "", KEY))
    assert (first["dedup_key"], second["dedup_key"]) == ("0" * 16, "1" * 16)
    details = [event["payload"]["custom_details"] for event in (first, second)]
    assert [at["flows"] for at in details] == [one.flows + 9, two.flows]
    assert len(details[0]["not_shown"]) == 2
    assert not details[1]["not_shown"]
    (alone,) = pagerduty.events(digest(others=9), lambda _: "", KEY)
    assert check_pagerduty(alone)["dedup_key"] == made.id
    more = digest(one, more_groups=3, more_flows=30, others=9, about=about)
    first, rest = map(check_pagerduty, pagerduty.events(more, lambda _: "", KEY))
    assert first["payload"]["custom_details"]["flows"] == one.flows
    assert (rest["dedup_key"], rest["payload"]["custom_details"]["flows"]) == (made.id, 39)


def test_slack_code_spans_cannot_be_left() -> None:
    """A backtick in a name does not end the span that it stands in."""
    assert slack.code("a`<b>&`") == "`a\u02bc&lt;b&gt;&amp;\u02bc`"


def test_estimates_say_so() -> None:
    """A sample that is not complete gives two digits and no list of all."""
    sample = Sample()
    for number in range(5000):
        sample = sample.union(Sample((f"10.{number >> 8}.{number & 255}.1",)))
    said = wording.flows(Tally(tally().key, 5000, AT, AT, sample, Sample((), complete=False)))

    assert re.fullmatch(r"5,000 flows from about \d,\d00 sources to many destinations", said)
    assert wording.sources(Tally(tally().key, 1, AT, AT, sample)).endswith(", …")
    assert wording.targets(tally()) == "10.1.0.1"


def test_the_link_opens_the_query() -> None:
    """The portal's own form: gzip, base64, escaped twice."""
    made = digest(tally(name='a"b\\c\n'), tally(1))
    link = portal.link(made, WORKSPACE, "NSGFlow_CL", portal.portal(""))
    found = re.fullmatch(
        r"https://portal\.azure\.com/#blade/Microsoft_OperationsManagementSuite_Workspace"
        r"/Logs\.ReactView/resourceId/([^/]+)/source/LogsBlade\.AnalyticsShareLinkToQuery/q/([^/]+)",
        link,
    )
    assert found is not None
    assert unquote(found[1]) == WORKSPACE
    query = gzip.decompress(base64.b64decode(unquote(unquote(found[2])))).decode()
    assert query == portal.query(made, "NSGFlow_CL")
    lines = query.splitlines()
    assert lines[0] == "NSGFlow_CL"
    assert "datetime(2026-11-23T08:02:20.000Z)" in query
    assert lines[3] == r'| where AclRule in ("UserRule_a\"b\\c\u000a", "UserRule_WEB-NSG")'
    assert len(link) < 2900


def test_no_workspace_no_link() -> None:
    """Nothing to look into."""
    assert portal.link(digest(tally()), "", "T", "https://p") == ""


def test_the_portal_of_each_cloud() -> None:
    """As the ingestion endpoint says."""
    assert portal.portal("https://x.ingest.monitor.azure.us/") == "https://portal.azure.us"
    assert portal.portal("https://x.ingest.monitor.azure.cn") == "https://portal.azure.cn"
    assert portal.portal("https://x.ingest.monitor.azure.com") == "https://portal.azure.com"


@pytest.mark.parametrize("form", NAMES)
def test_the_poster_renders_its_format(form: str) -> None:
    """By the setting; the routing key is nowhere but in PagerDuty's event."""
    webhook = WebhookSettings(
        "https://x",
        b"",
        compile_terms("action=denied"),
        None,
        form,
        KEY if form == NAMES[2] else "",
    )
    (body,) = Poster(webhook, lambda _: "").bodies(digest(tally()))
    dict(zip(NAMES, (check for _, check in FORMATS), strict=True))[form](body)
    assert (KEY in body.decode()) == (form == "pagerduty")


BODIES: list[Callable[[Digest], bytes]] = [
    lambda one: slack.render(one, ""),
    lambda one: teams.render(one, ""),
    lambda one: one_event(one, ""),
]


def said(body: bytes) -> str:
    """All text of a message, one piece behind the other."""
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
        elif isinstance(node, str):
            found.append(node)

    walk(json.loads(body))
    return " ".join(found)


@pytest.mark.parametrize("render", BODIES)
@pytest.mark.parametrize("name", HOSTILE)
def test_names_from_outside_are_harmless_in_every_format(
    render: Callable[[Digest], bytes], name: str
) -> None:
    """Nothing steers the text, hides in it, runs over other lines or becomes a link."""
    key = Key(name, name, name, inbound=True, protocol="TCP", port=22, scope=INSIDE)
    group = Tally(key, 1, AT, AT, Sample((name,)), Sample((name,)), {}, name)
    text = said(render(digest(group))).replace("http://adaptivecards.io", "")

    assert all(char == "\n" or char.isprintable() for char in text)
    assert not re.search("[\u3164\u2800\ufe0f\U000e0101\u200b\u202e\u2066]", text)
    assert not re.search("[\u0300-\u036f]{3}", text)
    assert not re.search(r"(?i)://|\bwww\.", text)


@pytest.mark.parametrize("render", BODIES)
def test_what_no_rule_denied_is_worded_as_what_it_is(render: Callable[[Digest], bytes]) -> None:
    """Encryption with its reason, the platform, and never an NSG that there is not."""
    nobody = "00000000-0000-0000-0000-000000000000"

    def group(acl: str, rule: str, cause: str) -> Tally:
        key = Key(acl, "", rule, True, "TCP", 443, INSIDE, cause)  # noqa: FBT003
        return Tally(key, 1, AT, AT)

    encryption = said(render(digest(group("unspecified", "NX_NOT_ACCEPTED", ENCRYPTION))))
    platform = said(render(digest(group(nobody, "PlatformRule", PLATFORM))))
    assert "VNet encryption" in encryption
    assert "NX_NOT_ACCEPTED" in encryption
    assert "unspecified" not in encryption
    assert "Azure's platform" in platform
    assert nobody not in platform
    for text in (encryption, platform):
        assert "NSG" not in text


@pytest.mark.parametrize(
    ("protocol", "port", "words"),
    [
        ("ICMP", None, "ICMP"),
        ("58", None, "ICMPv6"),
        ("47", None, "GRE (protocol 47)"),
        ("99", None, "protocol 99"),
        ("TCP", 1433, "TCP 1433 (ms-sql-s)"),
        ("132", 3868, "SCTP (protocol 132) 3868"),
    ],
)
def test_protocols_are_named(protocol: str, port: int | None, words: str) -> None:
    """Without a port where they have none."""
    key = Key("a", "n", "r", True, protocol, port, INSIDE)  # noqa: FBT003
    assert wording.port(Tally(key, 1, AT, AT)) == words


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ({}, "TCP, many ports"),
        ({3389: 5}, "TCP 3389 (ms-wbt-server)"),
        ({3389: 5, 22: 1}, "TCP ports 3389, 22"),
        (
            dict.fromkeys(range(1, MAX_PORTS + 1), 1),
            "TCP ports 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, …",
        ),
    ],
)
def test_several_ports_are_listed(ports: dict[int, int], words: str) -> None:
    """A single one is said as where there is no other."""
    key = Key("a", "n", "r", True, "TCP", MANY_PORTS, INTERNET)  # noqa: FBT003
    assert wording.port(Tally(key, 1, AT, AT, ports=ports)) == words


@pytest.mark.parametrize(
    ("count", "least", "most"), [(13, 12, 14), (78, 70, 86), (1_234, 1_110, 1_360)]
)
def test_estimates_have_as_many_digits_as_they_are_worth(count: int, least: int, most: int) -> None:
    """And where the sketch is coarse, words."""
    sample = sample_of({f"10.0.{number >> 8}.{number & 255}" for number in range(count)})
    group = Tally(tally().key, count, AT, AT, sample, sample.cut(2, COARSE))
    found = re.fullmatch(
        r"[\d,]+ flows from about ([\d,]+) sources to (.*) of destinations", wording.flows(group)
    )
    assert found is not None
    assert least <= int(found[1].replace(",", "")) <= most
    assert found[2] == {13: "dozens", 78: "dozens", 1_234: "thousands"}[count]
    bare = Tally(tally().key, count, AT, AT, sample.cut(0, 0))
    assert "from many sources" in wording.flows(bare)


def test_what_may_be_logged_twice_says_so() -> None:
    """In NSG and VNet flow logs over one network."""
    key = tally().key
    both = Tally(key, 1, AT, AT, logs=1).merged(Tally(key, 1, AT, AT, logs=2))
    assert "the same flow may count twice" in wording.flows(both)
    assert "twice" not in wording.flows(Tally(key, 2, AT, AT, logs=2))


@pytest.mark.parametrize(
    ("scope", "cause", "severity"),
    [
        (INSIDE, "", "error"),
        (INSIDE, ENCRYPTION, "error"),
        (OUTBOUND, "", "warning"),
        (INSIDE, PLATFORM, "warning"),
        (INTERNET, "", "info"),
        ("of another release", "of another release", "info"),
    ],
)
def test_severities(scope: str, cause: str, severity: str) -> None:
    """By where the flows went, and whose rule it is."""
    key = Key("a", "n", "r", True, "TCP", 22, scope, cause)  # noqa: FBT003
    event = check_pagerduty(one_event(digest(Tally(key, 1, AT, AT)), ""))
    assert event["payload"]["severity"] == severity
