"""What the deployed app is made of: `python -m devtools.supply lock | sbom | check`.

lock makes requirements.txt from pyproject.toml, every version and hash in it: one file for each
Python that pyproject.toml allows, with markers where they differ. sbom makes
sbom/nsgflow.cdx.json (CycloneDX) and docs/licences.md from an installation of exactly that on the
Python that is deployed. check asks no registry: it says whether the three and pyproject.toml agree.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ;([^\\]*))? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
_DEPLOYED = re.compile(r"^param pythonVersion string = '([0-9.]+)'$", re.MULTILINE)
_CLASSIFIER = "License :: OSI Approved :: "


def pythons(requires: str) -> list[str]:
    """The Pythons that requires-python allows, oldest first: 3.11, 3.12 and so on."""
    allowed = SpecifierSet(requires)
    return [f"3.{minor}" for minor in range(30) if allowed.contains(f"3.{minor}.0")]


def deployed() -> str:
    """The Python that infra/ deploys on unless it is told another."""
    found = _DEPLOYED.search((ROOT / "infra" / "main.bicep").read_text())
    if found is None:
        raise SystemExit("infra/main.bicep: no default of pythonVersion")
    return found[1]


def locked(text: str, python: str) -> dict[str, str]:
    """Version by name, in the normal form of names, of what requirements.txt holds for a Python.

    Raises:
        ValueError: two versions of one package are meant for it.
    """
    versions: dict[str, str] = {}
    for line in text.splitlines():
        found = _PIN.fullmatch(line)
        if found is None or not _applies(Marker(found[3]) if found[3] else None, python):
            continue
        name = canonicalize_name(found[1])
        if name in versions:
            raise ValueError(f"{name} is locked twice for Python {python}")
        versions[name] = found[2]
    return versions


def _applies(marker: Marker | None, python: str) -> bool:
    """Whether what has this marker is installed where the app runs, on Linux with this Python."""
    return marker is None or marker.evaluate(
        {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{python}.0",
            "python_version": python,
            "sys_platform": "linux",
        }
    )


def form_problems(text: str) -> Iterator[str]:
    """What requirements.txt holds beside pinned packages and their hashes."""
    pin = ""
    pins: set[str] = set()
    hashed: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _PIN.fullmatch(line):
            pin = f"{found[1]} {found[2]}"
            pins.add(pin)
        elif _HASH.fullmatch(line):
            hashed.add(pin)
        elif line and not line.lstrip().startswith("#"):
            yield f"requirements.txt, line {number}: neither a pinned package nor a hash"
        if "://" in line:
            yield f"requirements.txt, line {number}: names a place to install from"
    for pin in sorted(pins - hashed):
        yield f"requirements.txt: {pin} has no hash"


def lock_problems(text: str, dependencies: list[str], python: str) -> Iterator[str]:
    """What keeps requirements.txt from being a lock of these dependencies on this Python."""
    try:
        versions = locked(text, python)
    except ValueError as exc:
        yield f"requirements.txt: {exc}"
        return
    for dependency in map(Requirement, dependencies):
        version = versions.get(canonicalize_name(dependency.name))
        if not _applies(dependency.marker, python):
            continue
        if version is None or not dependency.specifier.contains(version):
            yield (
                f"requirements.txt: {version or 'nothing'} is locked for {dependency} "
                f"on Python {python}"
            )


def sbom_problems(sbom: Mapping[str, Any], versions: Mapping[str, str]) -> Iterator[str]:
    """Where the SBOM differs from what is locked, or does not name a licence."""
    listed: dict[str, str] = {
        canonicalize_name(at["name"]): at["version"] for at in sbom["components"]
    }
    for name in sorted(listed.keys() | versions.keys()):
        if listed.get(name) != versions.get(name):
            yield f"sbom: {name} {listed.get(name)} listed, {versions.get(name)} locked"
    for component in sbom["components"]:
        if not licence(component):
            yield f"sbom: {component['name']} names no licence"


def licence(component: Mapping[str, Any]) -> str:
    """The licence of a component: SPDX's name for it where its package tells that."""
    found = component.get("licenses", [])
    names = [at["expression"] for at in found if "expression" in at]
    names += [at["license"]["id"] for at in found if "id" in at.get("license", {})]
    others = [at["license"]["name"] for at in found if "name" in at.get("license", {})]
    return ", ".join(names or [at.removeprefix(_CLASSIFIER) for at in others])


def licences(sbom: Mapping[str, Any]) -> str:
    """docs/licences.md."""
    lines = [
        "# Licences of what the deployed app installs",
        "",
        "As each package declares it.",
        "Made from `sbom/nsgflow.cdx.json` by `make sbom`.",
        "",
        "| package | version | licence |",
        "|---|---|---|",
        *(
            f"| {at['name']} | {at['version']} | {licence(at)} |"
            for at in sorted(sbom["components"], key=lambda at: str(at["name"]).lower())
        ),
        "",
    ]
    return "\n".join(lines)


def lock() -> None:
    """Write requirements.txt: the newest versions that pyproject.toml takes."""
    oldest = pythons(_project()["requires-python"])[0]
    options = (
        *("--quiet", "--no-config", "--universal", "--python-version", oldest),
        *("--generate-hashes", "--no-header", "--upgrade"),
        *("--output-file", "requirements.txt", "pyproject.toml"),
    )
    subprocess.run([sys.executable, "-m", "uv", "pip", "compile", *options], cwd=ROOT, check=True)
    path = ROOT / "requirements.txt"
    path.write_text(
        "# What the deployed app installs, made from pyproject.toml by `make lock`.\n"
        + path.read_text()
    )


def sbom() -> None:
    """Write the SBOM and the licences, from an installation of what is locked."""
    if f"{sys.version_info.major}.{sys.version_info.minor}" != deployed():
        raise SystemExit(f"the app is deployed on Python {deployed()}: make the SBOM with that")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=False)
        python = Path(folder, "bin", "python")
        subprocess.run(
            (
                *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
                *("--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt"),
            ),
            cwd=ROOT,
            check=True,
        )
        made = subprocess.run(
            (
                *(sys.executable, "-m", "cyclonedx_py", "environment", python),
                *("--pyproject", "pyproject.toml", "--output-reproducible"),
            ),
            cwd=ROOT,
            check=True,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )
    found = json.loads(made.stdout)
    # Who made the file, and links to projects, change without anything installed changing.
    del found["metadata"]["tools"]
    for component in found["components"]:
        component.pop("externalReferences", None)
    path = ROOT / "sbom" / "nsgflow.cdx.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    (ROOT / "docs" / "licences.md").write_text(licences(found))


def check() -> list[str]:
    """What does not agree."""
    project = _project()
    text = (ROOT / "requirements.txt").read_text()
    found = json.loads((ROOT / "sbom" / "nsgflow.cdx.json").read_text())
    problems = list(form_problems(text))
    for python in pythons(project["requires-python"]):
        problems += lock_problems(text, project["dependencies"], python)
    if not problems:
        problems += sbom_problems(found, locked(text, deployed()))
    if (ROOT / "docs" / "licences.md").read_text() != licences(found):
        problems.append("docs/licences.md is not that of the SBOM")
    return problems


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return project


def main() -> int:
    """Run a command."""
    commands: dict[str, Callable[[], object]] = {"lock": lock, "sbom": sbom, "check": check}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=commands)
    problems = commands[parser.parse_args().command]()
    for problem in problems if isinstance(problems, list) else ():
        print(problem)
    if problems:
        print("run make lock, then make sbom")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
