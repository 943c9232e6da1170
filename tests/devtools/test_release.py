"""What a release has: the app and the hook, each with all that it needs."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from devtools import release, templates


def unzipped(names: list[str], folder: Path) -> Path:
    """A zip of these files, unpacked."""
    release.write_zip(folder / "x.zip", names)
    with zipfile.ZipFile(folder / "x.zip") as archive:
        archive.extractall(folder / "x")
    return folder / "x"


def test_the_app_starts_from_its_zip(tmp_path: Path) -> None:
    """Every module and file that the app imports and reads is in it, and no test."""
    at = unzipped(release.app_files(), tmp_path)
    environ = {
        "FlowLogs": "UseDevelopmentStorage=true",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "PYTHONPATH": str(at),
        "PATH": os.environ["PATH"],
    }
    program = (
        "import function_app, nsgflow_core; print(nsgflow_core.__file__); function_app.service"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith(str(at))
    assert not [name for name in release.app_files() if name.startswith(("tests", "infra", "dev"))]


def test_the_hook_starts_from_its_zip(tmp_path: Path) -> None:
    """It finds its modules and the template where it looks for them."""
    at = unzipped(release.hook_files(), tmp_path)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from nsgflow_hooks import events, postdeploy\n"
        "print(events.TEMPLATE.read_text())"
    )
    run = subprocess.run(
        [sys.executable, "-P", "-c", program, at / "infra" / "hooks"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(run.stdout)["parameters"]


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """So that anyone can say whether a release is of its sources."""
    for name in ("a.zip", "b.zip"):
        release.write_zip(tmp_path / name, release.app_files())

    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_release_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five files, and sums that sha256sum takes."""
    monkeypatch.setattr(templates, "compiled", lambda name: f"{name} compiled\n")
    release.build(tmp_path / "dist")
    run = subprocess.run(
        ["sha256sum", "--check", "SHA256SUMS"],
        cwd=tmp_path / "dist",
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.stdout.splitlines() == [
        "events.json: OK",
        "main.json: OK",
        "nsgflow-hooks.zip: OK",
        "nsgflow.zip: OK",
    ]
    assert (tmp_path / "dist" / "main.json").read_text() == "main compiled\n"
