"""`nsgflow report`: one HTML file that opens offline, and in which no name is more than text."""

import base64
import datetime as dt
import hashlib
import html
import http.server
import json
import random
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from devtools.flowlogs import Nic, large_log, nsg_path, random_record
from nsgflow_core.cli import reports
from nsgflow_core.cli.main import app
from tests.cli.browser import opened

HOUR = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
GOLDEN = Path(__file__).with_name("golden") / "report.html"
LARGEST = 1_500_000
HOSTILE = (
    "UserRule_</script><script>document.title='run'</script>",
    'UserRule_"><img src=x onerror="document.title=\'run\'">',
    "UserRule_</style></title></pre><svg onload=document.title='run'>",
    "UserRule_\u202egnp.exe\x1b[31m\x00\x7f\u2066&lt;b&gt;&#60;",
    "UserRule_'; document.title='run'//{{7*7}}${7*7}`",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
_VOID = {"meta", "link", "br", "img"}


class Read(HTMLParser):
    """What a browser makes of the file: tags with attributes, scripts, styles, ids, text."""

    def __init__(self, content: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inlined: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._open: list[str] = []
        self.feed(content)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A tag begins."""
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """The last one that is open ends."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        if self._open and self._open[-1] in self.inlined:
            self.inlined[self._open[-1]].append(data)
        else:
            self.text += data


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Two NSGs of three hours."""
    for number, name in enumerate(("PROD-WEB-NSG", "PROD-SQL-NSG")):
        nic = Nic(nsg=name, mac=f"000D3AF8785{number}")
        for after in range(3):
            rng = random.Random(10 * after + number)
            hour = HOUR + dt.timedelta(hours=after)
            records = [
                random_record(
                    nic, hour + dt.timedelta(minutes=at), rng, version=2, tuples=8, denied_share=0.3
                ).data
                for at in range(0, 60, 12)
            ]
            place = tmp_path / "logs" / nsg_path(nic, hour)
            place.parent.mkdir(parents=True)
            place.write_bytes(b'{"records":[' + b",".join(records) + b"]}")
    return tmp_path / "logs"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A log whose rules are called to do harm."""
    text = large_log(2, 20, 1, 2, 3).decode()
    names = iter(HOSTILE * 10)
    text = re.sub(r'"rule":"[^"]*"', lambda _: f'"rule":{json.dumps(next(names))}', text)
    place = tmp_path / "hostile.json"
    place.write_text(text)
    return place


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """The rules of one of the NSGs as they are now."""
    deny = {"access": "Deny", "direction": "Inbound", "priority": 300, "protocol": "Tcp"}
    any_end = {
        "sourceAddressPrefix": "*", "sourcePortRange": "*",
        "destinationAddressPrefix": "*", "destinationPortRange": "3389",
    }  # fmt: skip
    nsg = {
        "id": Nic(nsg="PROD-WEB-NSG").nsg_id,
        "name": "PROD-WEB-NSG",
        "securityRules": [{"name": "DenyRdp"} | deny | any_end],
        "defaultSecurityRules": [],
    }
    place = tmp_path / "nsgs.json"
    place.write_text(json.dumps([nsg]))
    return place


def run(*words: str | Path, status: int = 0) -> str:
    """The output of a command."""
    result = CliRunner().invoke(app, list(map(str, words)))
    assert result.exit_code == status, result.output
    return result.output


def report(tmp_path: Path, *words: str | Path) -> str:
    """The file that the command writes."""
    target = tmp_path / "denied.html"
    said = run("report", *words, "-o", target)
    assert f"to {target}, {target.stat().st_size} bytes\n" in said
    return target.read_text(encoding="utf-8")


def check_closed(content: str) -> Read:
    """Nothing is fetched or run but what the policy names by its digest."""
    page = Read(content)
    counts = Counter(tag for tag, _ in page.tags)
    assert (counts["script"], counts["style"]) == (1, 1)
    assert not {"img", "svg", "iframe", "object", "embed", "link", "base", "form"} & set(counts)
    digests = {
        tag: base64.b64encode(hashlib.sha256("".join(parts).encode()).digest()).decode()
        for tag, parts in page.inlined.items()
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{digests['script']}'; "
        f"style-src 'sha256-{digests['style']}'; base-uri 'none'; form-action 'none'"
    )
    # It is in force before anything that it is about.
    assert page.tags[:4] == [
        ("html", {"lang": "en"}),
        ("head", {}),
        ("meta", {"charset": "utf-8"}),
        ("meta", {"http-equiv": "Content-Security-Policy", "content": policy}),
    ]
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#"), tag
    css = "".join(page.inlined["style"])
    assert "url(" not in css
    assert "@import" not in css
    assert len(content.encode()) <= LARGEST
    return page


def test_the_whole_of_it(tmp_path: Path, logs: Path, rules: Path) -> None:
    """As it was looked at in a browser; without script, style and what changes with the day."""
    content = report(tmp_path, logs, "--rules", rules, "--filter", "port=3389", "--since",
                     "2026-01-01T12:30")  # fmt: skip
    check_closed(content)
    body = re.sub(r"<script>.*?</script>", "", content.partition("<body>")[2], flags=re.DOTALL)
    body = re.sub(r"Made by nsgflow [\d.]+ at [^.]*\.", "Made by nsgflow.", body)
    assert body == GOLDEN.read_text(encoding="utf-8")


def test_counts_are_those_of_denied(tmp_path: Path, logs: Path) -> None:
    """The total, the time line and the tables."""
    shown = [json.loads(line) for line in run("denied", logs, "-o", "json").splitlines()]
    flows = sum(row["flows"] for row in shown)
    content = report(tmp_path, logs)
    page = check_closed(content)
    assert f"denied flows{flows:,}" in page.text
    numbers = json.loads(re.search(r"const TIMELINE = (.*);\n", content)[1])  # type: ignore[index]
    times, inbound, outbound = numbers["columns"]
    assert sum(inbound) + sum(outbound) == flows
    assert {after - at for at, after in pairwise(times)} == {numbers["seconds"]}


def test_hostile_names_are_text(tmp_path: Path, hostile: Path) -> None:
    """They stand there to be read, and nothing of them is markup or steers."""
    content = report(tmp_path, hostile)
    page = check_closed(content)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", page.text)
    shown = re.sub(r"</?span[^>]*>", "", content)  # what keeps words from being broken
    for name in HOSTILE:
        text = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
        assert f"<bdi>{html.escape(text)}</bdi>" in shown
    assert "document.title" not in "".join(page.inlined["script"])


def test_it_is_never_too_large(tmp_path: Path) -> None:
    """However many rules there are and however long their names: what is left out is said."""
    text = large_log(400, 40, 1, 2, 3).decode()
    number = iter(range(10_000))
    text = re.sub(
        r'"rule":"[^"]*"', lambda _: f'"rule":"UserRule_{"&" * 2000}{next(number)}"', text
    )
    (tmp_path / "large.json").write_text(text)
    page = check_closed(report(tmp_path, tmp_path / "large.json"))
    assert re.search(r"The first [\d,]+ of [\d,]+ are here\.", page.text)


def test_rules_are_proposed_for_the_busiest(
    tmp_path: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a scan there may be millions of groups; what was not looked at is said."""
    monkeypatch.setattr(reports, "_PROPOSED", 1)
    content = report(tmp_path, logs)
    assert re.search(r" 1 of 1 for the 1 busiest of [2-9]\d* groups are shown;", content)


def test_it_serves_keyboard_and_screen_reader(tmp_path: Path, logs: Path, rules: Path) -> None:
    """Captions, scopes, labels that exist, one heading after the other, a text for the chart."""
    page = check_closed(report(tmp_path, logs, "--rules", rules))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    counts = Counter(tag for tag, _ in page.tags)
    assert counts["table"] == counts["caption"] == counts["thead"] == 4
    assert counts["main"] == counts["h1"] == 1
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for tag, attributes in page.tags:
        if tag == "th":
            assert attributes["scope"] == "col"
        if attributes.get("role") in ("region", "img") or tag in ("section", "nav"):
            label = attributes.get("aria-labelledby")
            assert attributes.get("aria-label") or label in ids
        if tag == "a":
            assert str(attributes["href"]).removeprefix("#") in ids
        assert attributes.get("tabindex") in (None, "0", "-1")
    regions = [each for _, each in page.tags if each.get("role") == "region"]
    assert regions
    marks = [each.get("aria-labelledby") for tag, each in page.tags if tag in ("section", "div")]
    named = [mark for mark in marks if mark]
    assert len(named) == len(set(named)), "landmarks that cannot be told apart"
    assert all(each["tabindex"] == "0" for each in regions)


def test_where_nothing_was_denied(tmp_path: Path, logs: Path) -> None:
    """It says so, and the file is there."""
    page = check_closed(report(tmp_path, logs, "--filter", "port=1"))
    assert "No flow was denied." in page.text
    assert "There is nothing to propose." in page.text


def test_wrong_words(tmp_path: Path, logs: Path) -> None:
    """They are told before anything is read."""
    assert "end in .html" in run("report", logs, "-o", tmp_path / "x.pdf", status=2)
    words = ("-o", tmp_path / "x.html", "--filter", "action=allowed")
    assert "a report is of denied flows" in run("report", logs, *words, status=2)
    assert not (tmp_path / "x.html").exists()


@contextmanager
def served(content: str) -> Iterator[tuple[str, list[str]]]:
    """A server on loopback that has the page, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path == "/denied.html" else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(content.encode() if self.path == "/denied.html" else b"")

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/denied.html", asked
        finally:
            server.shutdown()


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
@pytest.mark.parametrize("of", ["logs", "hostile"])
def test_in_a_browser(tmp_path: Path, of: str, request: pytest.FixtureRequest) -> None:
    """The chart is drawn, tables can be sorted, one file is asked for, and nothing else runs."""
    source = request.getfixturevalue(of)
    with served(report(tmp_path, source)) as (url, asked):
        assert CHROMIUM is not None
        done = subprocess.run(
            [
                CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom",
                "--disable-background-networking", "--disable-component-update",
                f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", url,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )  # fmt: skip
    assert asked == ["/denied.html"]
    assert "CONSOLE" not in done.stderr  # where a browser tells errors and refusals
    assert "<canvas" in done.stdout
    assert done.stdout.count('<button type="button"') > 20
    assert "<title>Denied flows</title>" in done.stdout
    assert "<img" not in done.stdout


_STOPS = """
[...document.querySelectorAll("a, summary, button, [tabindex='0']")]
.filter((each) => each.checkVisibility())
"""
_STOP = """
(() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const sorts = at.closest("th")?.getAttribute("aria-sort") ?? "";
  return {
    number: STOPS.indexOf(at), tag: at.tagName, text: at.textContent.slice(0, 20), sorts,
    seen: style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2
      && box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
  };
})()
"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_from_the_keyboard(tmp_path: Path, logs: Path) -> None:
    """Tab goes through all of it in its order, each stop is seen, and Enter sorts a table."""
    content = report(tmp_path, logs)
    assert CHROMIUM is not None
    with served(content) as (url, _), opened(CHROMIUM, url, tmp_path / "profile") as page:
        number = page.ask(f"globalThis.STOPS = {_STOPS}; STOPS.length")
        stops = []
        for _ in range(number):
            page.press("Tab")
            stops.append(page.ask(_STOP))
        assert [stop["number"] for stop in stops] == list(range(number))
        assert stops[0]["text"] == "To the content"
        assert {stop["tag"] for stop in stops} == {"A", "SUMMARY", "DIV", "BUTTON", "PRE"}
        assert [stop for stop in stops if not stop["seen"]] == []
        page.ask(
            "STOPS.find((each) => each.tagName === 'BUTTON' && each.textContent === 'port').focus()"
        )
        ports = (
            "[...document.activeElement.closest('table').tBodies[0].rows]"
            ".map((row) => Number(row.cells[4].textContent))"
        )
        for order, descending in (("ascending", False), ("descending", True)):
            page.press("Enter")
            assert page.ask(_STOP)["sorts"] == order
            found = page.ask(ports)
            assert len(set(found)) > 1
            assert found == sorted(found, reverse=descending)
