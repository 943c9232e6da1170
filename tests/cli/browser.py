"""A page in headless Chromium, with a keyboard: its DevTools protocol over a pipe.

https://chromedevtools.github.io/devtools-protocol/
"""

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

_KEYS = {"Tab": (9, ""), "Enter": (13, "\r")}


class Page:
    """A page that is open; the pipe has messages that end in a zero."""

    def __init__(self, commands: FileIO, answers: FileIO) -> None:
        self._commands, self._answers = commands, answers
        self._numbers = itertools.count(1)
        self._rest = b""
        self._session: dict[str, str] = {}
        (page,) = (
            each for each in self.call("Target.getTargets")["targetInfos"] if each["type"] == "page"
        )
        attached = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = {"sessionId": attached["sessionId"]}

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """What a method of the protocol gives."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params, **self._session}
        self._commands.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            piece = self._answers.read(65_536)
            assert piece, "the browser has ended"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, text = _KEYS[key]
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)


@contextmanager
def opened(chromium: str, url: str, profile: Path) -> Iterator[Page]:
    """The page of a URL, once it is loaded."""
    theirs, commands = os.pipe()
    answers, their_answers = os.pipe()
    words = [
        chromium, "--headless=new", "--no-sandbox", "--disable-gpu",
        "--disable-background-networking", "--disable-component-update",
        "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
    ]  # fmt: skip
    # The browser has the pipe at 3 and 4, where subprocess puts nothing.
    process = os.posix_spawn(
        chromium,
        words,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs, 3),
            (os.POSIX_SPAWN_DUP2, their_answers, 4),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )
    os.close(theirs)
    os.close(their_answers)
    with os.fdopen(commands, "wb", buffering=0) as asking, os.fdopen(answers, "rb", 0) as told:
        try:
            page = Page(asking, told)
            page.call("Page.navigate", url=url)
            there = f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
            while not page.ask(there):
                time.sleep(0.05)
            yield page
        finally:
            os.kill(process, signal.SIGTERM)
            os.waitpid(process, 0)
