"""What the deployed package holds: .funcignore is all that azd goes by where there is one."""

import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATTERNS = (ROOT / ".funcignore").read_text().splitlines()


def ignored(path: str) -> bool:
    """Whether .funcignore leaves a path out; a pattern with a slash at its end is a folder's."""
    parts = path.split("/")
    return any(
        fnmatch.fnmatch(part, pattern.rstrip("/"))
        for index, part in enumerate(parts)
        for pattern in PATTERNS
        if index < len(parts) - 1 or not pattern.endswith("/")
    )


@pytest.mark.parametrize(
    "path",
    [
        ".venv/pyvenv.cfg",
        "venv/lib/x.py",
        "env/lib/x.py",
        "nsgflow_env/lib/x.py",  # azd's own, in the project's folder
        "nsgflow_core/__pycache__/model.cpython-312.pyc",
        "nsgflow_core/model.pyc",
        "infra/hooks/hooks_env/pyvenv.cfg",
        "tests/unit/test_x.py",
        "local.settings.json",
        ".azure/prod/.env",
    ],
)
def test_what_is_not_deployed(path: str) -> None:
    """Virtual environments of any usual name, compiled files, secrets, and what only develops."""
    assert ignored(path)


def test_what_is_deployed() -> None:
    """The app, with all that it reads."""
    package = [at.relative_to(ROOT).as_posix() for at in (ROOT / "nsgflow_core").rglob("*.py")]

    assert [
        at for at in (*package, "function_app.py", "host.json", "requirements.txt") if ignored(at)
    ] == []
    assert not ignored("nsgflow_core/schema.json")
