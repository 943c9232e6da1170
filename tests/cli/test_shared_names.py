"""Names that several NSGs have: whoever adds up by them, or asks by them, is told."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from nsgflow_core.cli.main import app
from nsgflow_core.cli.nothing_found import no_such_names
from tests.cli.test_alike_names import GUIDS, Case, built, denied, internet, said
from tests.cli.test_alike_names import ONE as SUBSCRIPTION
from tests.cli.test_why_names import kept, logged

TOLD = "'Web-NSG' is the name of 2 NSGs: by AclName they are one, AclGroup has the id of each"


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, ...]:
    """Logs of two groups with an NSG `Web-NSG` each, and their inventory, as words."""
    groups = zip(("Shop", "Other"), GUIDS, ("000D3A000001", "000D3A000002"), strict=True)
    estates, records = [], []
    for group, guid, mac in groups:
        dashed = "-".join(mac[at : at + 2] for at in range(0, 12, 2))
        estates.append(built(group, SUBSCRIPTION, guid, dashed, "10.0.0.4"))
        records.append(denied(group, SUBSCRIPTION, guid, mac, "10.0.0.4", internet(2)))
    case = Case(logged(tmp_path / "PT1H.json", *records), kept(tmp_path / "estate", *estates))
    return case.logs, "--inventory", case.inventory


def test_sql_that_adds_up_by_a_shared_name_says_so(two: tuple[str, ...]) -> None:
    """And is silent where the id is asked for too, or no name."""
    for query, told in (
        ("SELECT AclName, count(*) FROM flows GROUP BY ALL", True),
        ("SELECT AclName, AclGroup, count(*) FROM flows GROUP BY ALL", False),
        ("SELECT count(*) FROM flows", False),
    ):
        assert (TOLD in said("sql", query, *two)) is told, query


def test_an_export_says_so_and_sql_of_it(two: tuple[str, ...], tmp_path: Path) -> None:
    """A file without the ids cannot tell, and says nothing."""
    query = "SELECT AclName, count(*) FROM flows GROUP BY ALL"
    whole, less = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    assert TOLD in said("export", *two, "-o", whole)
    assert TOLD in said("sql", query, whole)
    assert TOLD not in said("export", *two, "-o", less, "--omit", "AclGroup")
    assert TOLD not in said("sql", query, less)


@pytest.mark.parametrize("asked", [("--nsg-name", "web-nsg"), ("--filter", "nsg=web-nsg")])
@pytest.mark.parametrize("command", ["denied", "flows"])
def test_a_name_that_took_two_says_so(
    two: tuple[str, ...], command: str, asked: tuple[str, str]
) -> None:
    """With how to name one of them; then nothing is said."""
    told = "'web-nsg' is the name of 2 NSGs, and all of them were taken: other/Web-NSG, shop/Web-N"
    assert told in said(command, *two, *asked)
    one = asked[1].replace("web-nsg", "other/Web-NSG")
    assert "is the name of" not in said(command, *two, asked[0], one)


def test_a_wrong_name_is_offered_what_names_one(two: tuple[str, ...]) -> None:
    """Not the name that two have."""
    for wrong, offered in (
        ("nope", "; there are other/Web-NSG, shop/Web-NSG\n"),
        ("web-ns", ", did you mean 'other/Web-NSG' or 'shop/Web-NSG'?\n"),
    ):
        result = CliRunner().invoke(app, ["denied", *two, "--nsg-name", wrong])
        assert f"an NSG named {wrong!r}{offered}" in result.stderr


def test_a_name_in_two_spellings_is_offered_once() -> None:
    """As GUIDs are in logs."""
    (text,) = no_such_names(["nope"], ["99-AA", "99-aa", "WEB-NSG", "Web-NSG"], vnets=True)
    assert text.endswith("; there are 99-aa, Web-NSG")
