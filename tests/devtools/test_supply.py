"""The lock, the SBOM and the licences, and that the check of them bites."""

from typing import Any

import pytest

from devtools import supply

HASH = "    --hash=sha256:" + "0" * 64
CORE = f"azure-core==1.41.0 \\\n{HASH} \\\n{HASH}\n    # via nsgflow\n"
OLD = f"azure-functions==1.26.0 ; python_full_version < '3.13' \\\n{HASH}\n"
NEW = f"azure-functions==2.3.0 ; python_full_version >= '3.13' \\\n{HASH}\n"
MSGSPEC = f"msgspec==0.22.0 \\\n{HASH}\n"
LOCK = f"# made\n{CORE}{OLD}{NEW}{MSGSPEC}"
DEPENDENCIES = [
    "azure-core>=1.35,<2",
    "azure-functions>=1.23,<2; python_version < '3.13'",
    "azure-functions>=2,<3; python_version >= '3.13'",
    "msgspec>=0.19,<1",
]


def test_what_is_in_the_repository_agrees() -> None:
    """The deployed app installs what pyproject.toml asks for, as the SBOM and docs say."""
    assert supply.check() == []


def test_the_pythons_are_those_that_requires_python_allows() -> None:
    """Minor versions, oldest first."""
    assert supply.pythons(">=3.11,<3.15") == ["3.11", "3.12", "3.13", "3.14"]


@pytest.mark.parametrize(
    ("python", "functions"),
    [("3.11", "1.26.0"), ("3.12", "1.26.0"), ("3.13", "2.3.0"), ("3.14", "2.3.0")],
)
def test_a_whole_lock_has_no_problem(python: str, functions: str) -> None:
    """Pinned, hashed, and within what is asked for, on each Python."""
    assert supply.locked(LOCK, python) == {
        "azure-core": "1.41.0",
        "azure-functions": functions,
        "msgspec": "0.22.0",
    }
    assert list(supply.form_problems(LOCK)) == []
    assert list(supply.lock_problems(LOCK, DEPENDENCIES, python)) == []


def test_what_other_systems_install_is_not_locked_for_linux() -> None:
    """The lock is read as pip reads it where the app runs."""
    windows = f"colorama==0.4.6 ; sys_platform == 'win32' \\\n{HASH}\n"

    assert "colorama" not in supply.locked(LOCK + windows, "3.13")


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("msgspec==0.22.0", "msgspec==1.0", "1.0 is locked for msgspec"),
        ("msgspec==0.22.0", "msgspec>=0.19", "neither a pinned package nor a hash"),
        ("msgspec==", "another==", "nothing is locked for msgspec"),
        (f"msgspec==0.22.0 \\\n{HASH}", "msgspec==0.22.0 \\", "msgspec 0.22.0 has no hash"),
        (NEW, NEW.replace(HASH, "# via"), "azure-functions 2.3.0 has no hash"),
        (NEW, "", "nothing is locked for azure-functions<3,>=2"),
        (NEW, NEW.replace("2.3.0", "1.26.0"), "1.26.0 is locked for azure-functions<3,>=2"),
        (OLD, OLD.replace("<", "<="), "azure-functions is locked twice for Python 3.13"),
        ("# made", "--index-url https://example.org/simple", "names a place to install from"),
        ("sha256:0", "md5:0", "neither a pinned package nor a hash"),
    ],
)
def test_a_lock_that_is_none_is_found_out(before: str, after: str, problem: str) -> None:
    """Each way in which it would not hold is named."""
    text = LOCK.replace(before, after)
    found = [*supply.form_problems(text), *supply.lock_problems(text, DEPENDENCIES, "3.13")]

    assert any(problem in line for line in found), found


def test_an_sbom_of_other_packages_is_found_out() -> None:
    """Missing, surplus and other versions are named, and what has no licence."""
    mit = [{"license": {"id": "MIT"}}]
    sbom: dict[str, Any] = {
        "components": [
            {"name": "Azure_Core", "version": "1.40.0", "licenses": mit},
            {"name": "pip", "version": "26", "licenses": []},
        ]
    }
    assert list(supply.sbom_problems(sbom, supply.locked(CORE + MSGSPEC, "3.13"))) == [
        "sbom: azure-core 1.40.0 listed, 1.41.0 locked",
        "sbom: msgspec None listed, 0.22.0 locked",
        "sbom: pip 26 listed, None locked",
        "sbom: pip names no licence",
    ]


def test_licences_are_named_as_spdx_does_where_that_is_known() -> None:
    """An expression or an id, else what the classifier says."""
    classified = {"license": {"name": "License :: OSI Approved :: BSD License"}}
    both = [classified, {"license": {"id": "BSD-3-Clause"}}]

    assert (
        supply.licence({"licenses": [{"expression": "MIT OR Apache-2.0"}]}) == "MIT OR Apache-2.0"
    )
    assert supply.licence({"licenses": both}) == "BSD-3-Clause"
    assert supply.licence({"licenses": [classified]}) == "BSD License"
