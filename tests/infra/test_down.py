"""Around azd down: what lies outside the group is noted before, and removed after."""

import json
from pathlib import Path
from typing import Any

import pytest
from nsgflow_hooks import removal
from nsgflow_hooks.errors import HookError

from tests.infra.azure_world import OTHER, SUBSCRIPTION, World, refusal
from tests.infra.test_postdeploy import GROUP, subscribe, topic, variables

WORKSPACE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/logs"
    "/providers/Microsoft.OperationalInsights/workspaces/central"
)
ROLES = "providers/Microsoft.Authorization/roleAssignments"
READER = f"/subscriptions/{OTHER}/resourceGroups/network/{ROLES}/reader"
INVENTORY = f"/subscriptions/{SUBSCRIPTION}/{ROLES}/inventory"
SEARCH = f"{WORKSPACE}/savedSearches/nsgflow-function"
ENVIRON = {
    **variables(),
    "AZURE_ENV_NAME": "prod",
    "NSGFLOW_WORKSPACE_RESOURCE_ID": WORKSPACE,
}


@pytest.fixture
def deployed(world: World) -> World:
    """A group of azd's own, a topic that we made, one that was there, roles and saved queries."""
    world.has(GROUP, tags={"azd-env-name": "prod"})
    world.has(topic("FlowLogs"), tags={"azd-env-name": "prod"})
    world.has(topic("Hub_2", OTHER), tags={})
    for connection in ("FlowLogs", "Hub_2"):
        for kind in ("nsg", "vnet"):
            subscribe(world, connection, kind)
    subscribe(world, "Hub_2", "nsg", name="theirs", host="elsewhere.example")
    identities = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
    world.lists[identities.lower()] = [{"properties": {"principalId": "p"}}]
    inside = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/st/{ROLES}/owner"
    world.lists[f"/subscriptions/{SUBSCRIPTION}/{ROLES}".lower()] = [
        {"id": inside},
        {"id": inside + "2"},
        {"id": INVENTORY},
    ]
    world.lists[f"/subscriptions/{OTHER}/{ROLES}".lower()] = [{"id": READER}]
    world.lists[f"{WORKSPACE}/savedSearches".lower()] = [
        {"id": SEARCH, "properties": {"category": "nsgflow"}},
        {"id": SEARCH + "2", "properties": {"category": "theirs"}},
    ]
    return world


def noted(root: Path) -> list[str]:
    """Ids of what was noted."""
    text = (root / ".azure" / "prod" / "nsgflow-outside.json").read_text(encoding="utf-8")
    return [at["resource_id"] for at in json.loads(text)["outside"]]


def deleted(world: World) -> list[str]:
    """What was deleted."""
    return [path for method, path in world.asked if method == "DELETE"]


def test_what_is_outside_is_noted_and_not_yet_touched(
    deployed: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The hook runs before azd asks, and the answer may be no."""
    assert removal.before(ENVIRON, deployed.azure(), tmp_path) == 0
    subscription = f"{topic('Hub_2', OTHER)}/eventSubscriptions/func-abc"

    assert noted(tmp_path) == [
        topic("FlowLogs"),
        f"{subscription}-nsg-Hub-2",
        f"{subscription}-vnet-Hub-2",
        INVENTORY,
        READER,
        SEARCH,
    ]
    assert {method for method, _ in deployed.asked} == {"GET", "POST"}
    assert "workspace table delete --name NSGFlow_CL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NSGFLOW_INVENTORY_SCOPES", '["/subscriptions/{}/", "/providers/x/managementGroups/y"]'),
        ("NSGFLOW_INVENTORY_SCOPES", '["{}"]'),
        ("NSGFLOW_WEBHOOK_VAULT_ID", "/subscriptions/{}/resourceGroups/s/providers/x/vaults/v"),
        ("NSGFLOW_APPLICATION_INSIGHTS_ID", "/Subscriptions/{}/resourceGroups/l/providers/x/y/z"),
    ],
)
def test_roles_in_further_subscriptions_are_outside_too(
    deployed: World, tmp_path: Path, name: str, value: str
) -> None:
    """Parameters may name a subscription that has no flow logs; its role goes too."""
    third = "3a3a3a3a-3333-3333-3333-333333333333"
    has = f"/subscriptions/{third}/{ROLES}/further"
    deployed.lists[f"/subscriptions/{third}/{ROLES}".lower()] = [{"id": has}]
    environ = {**ENVIRON, name: value.format(third.upper())}

    assert removal.before(environ, deployed.azure(), tmp_path) == 0
    assert has in noted(tmp_path)


def test_it_is_removed_once_the_group_is_gone(deployed: World, tmp_path: Path) -> None:
    """All that was noted goes, and the note with it; a second run does nothing."""
    removal.before(ENVIRON, deployed.azure(), tmp_path)
    ids = [at.lower() for at in noted(tmp_path)]
    del deployed.things[GROUP.lower()]

    assert removal.after(ENVIRON, deployed.azure(), tmp_path) == 0
    assert deleted(deployed) == ids
    assert removal.after(ENVIRON, deployed.azure(), tmp_path) == 0
    assert deleted(deployed) == ids


def test_after_a_no_nothing_is_touched(
    deployed: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The group stands: azd did not go on."""
    removal.before(ENVIRON, deployed.azure(), tmp_path)

    assert removal.after(ENVIRON, deployed.azure(), tmp_path) == 0
    assert deleted(deployed) == []
    assert "still there" in capsys.readouterr().out
    deployed.has(GROUP, properties={"provisioningState": "Deleting"})
    assert removal.after(ENVIRON, deployed.azure(), tmp_path) == 0
    assert len(deleted(deployed)) == 6


@pytest.mark.parametrize("tags", [None, {}, {"azd-env-name": "other"}])
def test_a_group_that_was_there_before_is_not_given_to_azd(
    deployed: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], tags: Any
) -> None:
    """Azd would delete it whole."""
    deployed.has(GROUP, tags=tags)

    assert removal.before(ENVIRON, deployed.azure(), tmp_path) == 1
    assert "docs/deployment.md" in capsys.readouterr().err
    assert not (tmp_path / ".azure").exists()


def test_a_workspace_that_another_nsgflow_uses_keeps_its_queries(
    deployed: World, tmp_path: Path
) -> None:
    """Two apps may write to one table."""
    deployed.graph["datacollectionrules"] = [
        {"id": f"{GROUP}/providers/Microsoft.Insights/dataCollectionRules/ours"},
        {"id": "/subscriptions/3/resourceGroups/second/providers/x/dcr"},
    ]
    removal.before(ENVIRON, deployed.azure(), tmp_path)

    assert SEARCH not in noted(tmp_path)


def test_what_could_not_be_removed_stays_noted(
    deployed: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with the command, and tried again by the next run."""
    removal.before(ENVIRON, deployed.azure(), tmp_path)
    del deployed.things[GROUP.lower()]
    deployed.answer("DELETE", READER, refusal(403, "AuthorizationFailed", "no"))

    assert removal.after(ENVIRON, deployed.azure(), tmp_path) == 1
    assert f"az resource delete --ids {READER}" in capsys.readouterr().err
    assert noted(tmp_path) == [READER]


def test_what_could_not_be_looked_at_is_said(
    deployed: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is passed over in silence."""
    no = refusal(403, "AuthorizationFailed", "no")
    deployed.answer("GET", topic("FlowLogs"), no)
    deployed.answer("GET", f"/subscriptions/{OTHER}/{ROLES}", no)
    deployed.answer("GET", f"{WORKSPACE}/savedSearches", no)

    assert removal.before(ENVIRON, deployed.azure(), tmp_path) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"the subscriptions of {topic('FlowLogs')}: AuthorizationFailed" in said
    assert f"roles in subscription {OTHER}" in said
    assert f"saved functions and queries of {WORKSPACE}" in said


@pytest.mark.parametrize("text", ["", '{"group":', "[]", '{"group": "g", "outside": [{"x": 1}]}'])
def test_a_note_that_cannot_be_read_is_named(deployed: World, tmp_path: Path, text: str) -> None:
    """A disk that was full, or an editor: it is said where, and nothing is deleted."""
    removal.before(ENVIRON, deployed.azure(), tmp_path)
    (tmp_path / ".azure" / "prod" / "nsgflow-outside.json").write_text(text)

    with pytest.raises(HookError, match=r"nsgflow-outside\.json is not as predown wrote it"):
        removal.after(ENVIRON, deployed.azure(), tmp_path)
    assert deleted(deployed) == []


def test_before_anything_was_deployed(world: World, tmp_path: Path) -> None:
    """Azd down on a new environment, and after a group is gone, goes on."""
    assert removal.before({"AZURE_ENV_NAME": "prod"}, world.azure(), tmp_path) == 0
    assert removal.before(ENVIRON, world.azure(), tmp_path) == 0
    assert removal.after(ENVIRON, world.azure(), tmp_path) == 0
