"""The lock, the SBOM and the licences, and that the check of them bites."""

from typing import Any

import pytest

from devtools import supply

HASH = "    --hash=sha256:" + "0" * 64
CORE = f"azure-core==1.41.0 \\\n{HASH} \\\n{HASH}\n    # via nsgflow\n"
LOCK = f"# made\n{CORE}msgspec==0.22.0 \\\n{HASH}\n"
DEPENDENCIES = ["azure-core>=1.35,<2", "msgspec>=0.19,<1"]


def test_what_is_in_the_repository_agrees() -> None:
    """The deployed app installs what pyproject.toml asks for, as the SBOM and docs say."""
    assert supply.check() == []


def test_a_whole_lock_has_no_problem() -> None:
    """Pinned, hashed, and within what is asked for."""
    assert supply.locked(LOCK) == {"azure-core": "1.41.0", "msgspec": "0.22.0"}
    assert list(supply.lock_problems(LOCK, DEPENDENCIES)) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("msgspec==0.22.0", "msgspec==1.0", "1.0 is locked for msgspec"),
        ("msgspec==0.22.0", "msgspec>=0.19", "neither a pinned package nor a hash"),
        ("msgspec==", "another==", "nothing is locked for msgspec"),
        (f"msgspec==0.22.0 \\\n{HASH}", "msgspec==0.22.0 \\", "msgspec has no hash"),
        ("# made", "--index-url https://example.org/simple", "names a place to install from"),
        ("sha256:0", "md5:0", "neither a pinned package nor a hash"),
    ],
)
def test_a_lock_that_is_none_is_found_out(before: str, after: str, problem: str) -> None:
    """Each way in which it would not hold is named."""
    found = list(supply.lock_problems(LOCK.replace(before, after), DEPENDENCIES))

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
    assert list(supply.sbom_problems(sbom, supply.locked(LOCK))) == [
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
