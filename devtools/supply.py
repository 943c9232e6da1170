"""What the deployed app is made of: `python -m devtools.supply lock | sbom | check`.

lock makes requirements.txt from pyproject.toml, every version and hash in it. sbom makes
sbom/nsgflow.cdx.json (CycloneDX) and docs/licences.md from an installation of exactly that.
check asks no registry: it says whether the three and pyproject.toml agree.
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

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)(?: ;[^\\]*)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")
_CLASSIFIER = "License :: OSI Approved :: "


def locked(text: str) -> dict[str, str]:
    """Version by name, in the normal form of names, of each package in requirements.txt."""
    return {
        canonicalize_name(found[1]): found[2]
        for line in text.splitlines()
        if (found := _PIN.fullmatch(line))
    }


def lock_problems(text: str, dependencies: list[str]) -> Iterator[str]:
    """What keeps requirements.txt from being a lock of these dependencies."""
    name = ""
    hashed: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if found := _PIN.fullmatch(line):
            name = found[1]
        elif _HASH.fullmatch(line):
            hashed.add(name)
        elif line and not line.lstrip().startswith("#"):
            yield f"requirements.txt, line {number}: neither a pinned package nor a hash"
        if "://" in line:
            yield f"requirements.txt, line {number}: names a place to install from"
    versions = locked(text)
    for package in versions.keys() - {canonicalize_name(at) for at in hashed}:
        yield f"requirements.txt: {package} has no hash"
    for dependency in map(Requirement, dependencies):
        version = versions.get(canonicalize_name(dependency.name))
        if version is None or not dependency.specifier.contains(version):
            yield f"requirements.txt: {version or 'nothing'} is locked for {dependency}"


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
    options = (
        *("--quiet", "--generate-hashes", "--strip-extras", "--no-header", "--upgrade"),
        *("--no-emit-index-url", "--no-emit-trusted-host", "--no-emit-find-links"),
        *("--no-emit-options", "--output-file", "requirements.txt", "pyproject.toml"),
    )
    subprocess.run([sys.executable, "-m", "piptools", "compile", *options], cwd=ROOT, check=True)
    path = ROOT / "requirements.txt"
    path.write_text(
        "# What the deployed app installs, made from pyproject.toml by `make lock`.\n"
        + path.read_text()
    )


def sbom() -> None:
    """Write the SBOM and the licences, from an installation of what is locked."""
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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "requirements.txt").read_text()
    found = json.loads((ROOT / "sbom" / "nsgflow.cdx.json").read_text())
    problems = list(lock_problems(text, project["dependencies"]))
    problems += sbom_problems(found, locked(text))
    if (ROOT / "docs" / "licences.md").read_text() != licences(found):
        problems.append("docs/licences.md is not that of the SBOM")
    return problems


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
