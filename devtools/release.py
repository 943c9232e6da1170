"""Builds what a release has: all that deploys nsgflow without azd and without a compiler.

    main.json        infra/main.bicep, compiled
    events.json      infra/events.bicep, compiled
    nsgflow.zip      the app
    nsgflow-hooks.zip  the hook that subscribes it to the events
    SHA256SUMS       of these

The same sources give the same bytes.

    python -m devtools.release DIR
"""

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from devtools import bicep, templates

ROOT = bicep.ROOT
_APP = ("function_app.py", "host.json", "requirements.txt", "LICENSE")
_HOOKS = ("infra/events.json", "LICENSE")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time that a zip can hold


def app_files() -> list[str]:
    """What the app needs, relative to the repository."""
    return [*_APP, *_below("nsgflow_core", (".py", ".json", ".typed"))]


def hook_files() -> list[str]:
    """What the postdeploy hook needs, where it looks for it."""
    return [*_HOOKS, *_below("infra/hooks", (".py",))]


def _below(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    """Files of these kinds that the repository has: no caches, no virtual environments."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", folder], capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return sorted(at for at in listed if at.endswith(suffixes))


def write_zip(path: Path, names: Iterable[str]) -> None:
    """Zip files of the repository, with no times in it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(names):
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, (ROOT / name).read_bytes())


def build(folder: Path) -> None:
    """Write everything into a folder.

    Raises:
        bicep.BicepError: a template does not compile, or there is no compiler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("main", "events"):
        (folder / f"{name}.json").write_text(templates.compiled(name))
    write_zip(folder / "nsgflow.zip", app_files())
    write_zip(folder / "nsgflow-hooks.zip", hook_files())
    made = ["events.json", "main.json", "nsgflow-hooks.zip", "nsgflow.zip"]
    sums = [f"{hashlib.sha256((folder / at).read_bytes()).hexdigest()}  {at}\n" for at in made]
    (folder / "SHA256SUMS").write_text("".join(sums))


def main() -> int:
    """Build into the folder that is named."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        build(Path(sys.argv[1]))
    except bicep.BicepError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
