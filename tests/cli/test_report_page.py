"""The page of `nsgflow report` as it is seen: at widths, zoomed, printed, by a checker of pages."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from devtools import pictures
from devtools.flowlogs import large_log
from nsgflow_core.cli.main import app
from tests.cli.browser import Page, opened

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(pictures.__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
WIDTHS = (400, 500, 768, 1200, 1280, 1920)
A4 = 703
"""Pixels of CSS between the margins of a sheet of A4; 1032 where it lies on its side."""
A4_WIDE = 1032
LONG = (
    "A" * 71,
    "allow-" * 50,
    "W" * 291,
    "\u05d0\u05d1\u05d2-\u05e9\u05dc\u05d5\u05dd " * 20,
    "\u65e5\u672c\u8a9e\u306e\u898f\u5247" * 40,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


@pytest.fixture(scope="module", params=["demo", "long"])
def page(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Page]:
    """The report of the demo's data with verdicts; or of names that no column has room for."""
    place = tmp_path_factory.mktemp("page")
    with pictures.data() as folder:
        logs = folder / "logs"
        if request.param == "long":
            names = cycle(LONG)
            text = large_log(6, 30, 1, 2, 3).decode()
            text = re.sub(r'"rule":"[^"]*"', lambda _: f'"rule":{json.dumps(next(names))}', text)
            logs = folder / "long.json"
            logs.write_text(text)
        words = [
            "report",
            logs,
            "--inventory",
            folder / "network.nsgflow",
            "-o",
            place / "page.html",
        ]
        result = CliRunner().invoke(app, list(map(str, words)))
        assert result.exit_code == 0, result.output
    assert CHROMIUM is not None
    with opened(CHROMIUM, (place / "page.html").as_uri(), place / "profile") as shown:
        yield shown


def seen(page: Page, width: int, media: str = "screen", scheme: str = "light") -> dict[str, Any]:
    """How wide things are in a window or on a sheet of a width, and which words are broken."""
    page.call(
        "Emulation.setEmulatedMedia",
        media=media,
        features=[{"name": "prefers-color-scheme", "value": scheme}],
    )
    page.call("Emulation.setScrollbarsHidden", hidden=media == "print")
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=900, deviceScaleFactor=1, mobile=False,
    )  # fmt: skip
    time.sleep(0.2)  # until the chart is drawn anew
    found: dict[str, Any] = page.ask(_SEEN)
    return found


_SEEN = """
(() => {
  const wide = (each) => each.scrollWidth - each.clientWidth;
  const word = (each) => new Set([...each.getClientRects()].map((box) => box.top)).size > 1;
  return {
    page: wide(document.documentElement),
    tables: Object.fromEntries([...document.querySelectorAll(".wide")]
      .map((each) => [each.getAttribute("aria-labelledby").replace("-about", ""), wide(each)])),
    chart: document.querySelector("canvas").getBoundingClientRect().right - innerWidth,
    broken: [...document.querySelectorAll("td span:not(.long), code span:not(.long), p span")]
      .filter(word).map((each) => each.textContent),
    background: getComputedStyle(document.body).backgroundColor,
    overlong: [...document.querySelectorAll("td")].filter((each) => wide(each) > 0).length,
    commands: [...document.querySelectorAll("pre")].filter((each) => wide(each) > 0).length,
  };
})()
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_at_any_width(page: Page, scheme: str) -> None:
    """Only tables scroll sideways, none in a window of 1200; no word is broken, no text cut."""
    for width in WIDTHS:
        found = seen(page, width, scheme=scheme)
        assert (found["page"], found["overlong"]) == (0, 0), width
        assert (found["commands"], found["chart"] < 0) == (0, True)
        assert found["broken"] == []
        if width >= 1200:
            assert set(found["tables"].values()) == {0}, found["tables"]
        assert (found["background"] == "rgb(255, 255, 255)") == (scheme == "light")


def test_with_text_twice_as_large(page: Page) -> None:
    """What a reader enlarges stays within the window, whose tables scroll."""
    page.ask("document.documentElement.style.fontSize = '32px'; 0")
    try:
        for width in (400, 768, 1280):
            found = seen(page, width)
            assert (found["page"], found["overlong"]) == (0, 0), width
            assert found["broken"] == []
    finally:
        page.ask("document.documentElement.style.fontSize = ''; 0")


def test_on_paper(page: Page) -> None:
    """Black on white whatever the screen has, and no table is wider than its sheet of A4."""
    for width, names in ((A4, ("rules", "pairs")), (A4_WIDE, ("verdicts",))):
        found = seen(page, width, "print", "dark")
        assert found["background"] == "rgb(255, 255, 255)"
        assert [found["tables"][name] for name in names] == [0] * len(names)


def test_a_checker_of_pages_finds_nothing(page: Page) -> None:
    """WCAG 2.2 AA and best practice, as far as axe-core knows them (https://dequeuniversity.com)."""
    page.ask(f"{AXE.read_text(encoding='utf-8')}\n0")
    for width, scheme in [*((each, "light") for each in WIDTHS), (400, "dark"), (1280, "dark")]:
        seen(page, width, scheme=scheme)
        answer = page.call(
            "Runtime.evaluate", expression=_CHECKED, returnByValue=True, awaitPromise=True
        )
        passed, violations = answer["result"]["value"]
        assert violations == [], (width, scheme)
        assert passed > 40


_CHECKED = """
axe.run(document, { resultTypes: ["violations"] }).then((found) => [
  found.passes.length, found.violations.map((each) => [each.id, each.nodes[0].html.slice(0, 200)]),
])
"""
