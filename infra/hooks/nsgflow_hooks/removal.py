"""Around azd down: what nsgflow put outside its own resource group, which azd does not delete.

azd (1.24.1 and newer) deletes the resource groups that the deployment made, and those only. The
hook before it runs before azd asks whether to go on, so it only looks and notes; the hook after it
removes what was noted, once the group is gone. That order is from azd's source, and was not seen:
docs/unverified.md.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from nsgflow_hooks.arm import Azure
from nsgflow_hooks.console import complain, item, say
from nsgflow_hooks.environment import ROOT, Outputs, elsewhere, outputs
from nsgflow_hooks.errors import AzureError, HookError
from nsgflow_hooks.names import KINDS, parts, subscription_name
from nsgflow_hooks.signin import SignIn
from nsgflow_hooks.subscriptions import GRID

_GROUPS = "2021-04-01"
_ROLES = "2022-04-01"
_SEARCHES = "2025-07-01"
_HOW = "Nothing was deployed from this environment, or azd env refresh brings its outputs back."


@dataclass(frozen=True)
class Outside:
    """A resource outside the group.

    Attributes:
        what: for people.
        version: of the API that deletes it.
    """

    what: str
    resource_id: str
    version: str


def before(
    environ: Mapping[str, str] = os.environ, azure: Azure | None = None, root: Path = ROOT
) -> int:
    """Note what lies outside the group; 1 where azd down must not go on."""
    azure = azure or Azure(SignIn(environ.get("AZURE_TENANT_ID", "")))
    if not environ.get("AZURE_RESOURCE_GROUP"):
        say("nsgflow: nothing was deployed from this environment.")
        return 0
    deployed = outputs(environ, environ.get("AZURE_SUBSCRIPTION_ID", ""), _HOW)
    try:
        group = azure.get(deployed.group_id, _GROUPS)
    except AzureError as error:
        if error.code == "ResourceGroupNotFound":
            say(f"nsgflow: the resource group {deployed.group} is gone already.")
            return 0
        raise HookError(f"the resource group {deployed.group}: {error}") from error
    if (group.get("tags") or {}).get("azd-env-name") != environ.get("AZURE_ENV_NAME"):
        complain(
            f"the resource group {deployed.group} was there before nsgflow, and azd down would "
            'delete all of it. docs/deployment.md, "Uninstall", has the commands that remove '
            "nsgflow and nothing else."
        )
        return 1
    unknown: list[str] = []
    found = list(_outside(azure, deployed, environ, unknown))
    note = _note(environ, root)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(
        json.dumps({"group": deployed.group_id, "outside": [asdict(at) for at in found]}, indent=1),
        encoding="utf-8",
    )
    say(f"nsgflow: azd deletes {deployed.group}. Outside it, this goes after that:")
    say("\n".join(item(f"{at.what}: {at.resource_id}") for at in found) or item("nothing"))
    if unknown:
        say("This could not be looked at, and stays:")
        say("\n".join(item(text) for text in unknown))
    if deployed.workspace and not _inside(deployed.workspace, deployed):
        say(
            "The table stays, with its rows. To delete it:\n"
            "      az monitor log-analytics workspace table delete --name NSGFlow_CL "
            f"--resource-group {parts(deployed.workspace)['resourcegroups']} "
            f"--workspace-name {parts(deployed.workspace)['workspaces']}"
        )
    return 0


def after(
    environ: Mapping[str, str] = os.environ, azure: Azure | None = None, root: Path = ROOT
) -> int:
    """Remove what was noted, once the group is gone; 1 where something stays."""
    note = _note(environ, root)
    if not note.exists():
        return 0
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        group, outside = str(noted["group"]), [Outside(**values) for values in noted["outside"]]
    except (ValueError, KeyError, TypeError) as error:
        raise HookError(
            f"{note} is not as predown wrote it ({type(error).__name__}: {error}). Delete it; what "
            'is outside the group docs/deployment.md, "Uninstall", has the commands for.'
        ) from error
    azure = azure or Azure(SignIn(environ.get("AZURE_TENANT_ID", "")))
    if _stands(azure, group):
        say(f"nsgflow: {group} is still there, so nothing outside it was touched.")
        return 0
    left = []
    for at in outside:
        try:
            azure.delete(at.resource_id, at.version)
            say(f"nsgflow: removed {at.what}: {at.resource_id}")
        except AzureError as error:
            left.append((at, error))
    if not left:
        note.unlink()
        return 0
    noted["outside"] = [asdict(at) for at, _ in left]
    note.write_text(json.dumps(noted, indent=1), encoding="utf-8")
    complain(
        "this stays (azd hooks run postdown tries again):\n"
        + "\n".join(
            item(f"{at.what}: {error}", f"az resource delete --ids {at.resource_id}")
            for at, error in left
        )
    )
    return 1


def _note(environ: Mapping[str, str], root: Path) -> Path:
    return root / ".azure" / environ.get("AZURE_ENV_NAME", "") / "nsgflow-outside.json"


def _stands(azure: Azure, group_id: str) -> bool:
    """Whether the group is there and nobody is deleting it."""
    try:
        group = azure.get(group_id, _GROUPS)
    except AzureError as error:
        if error.code == "ResourceGroupNotFound":
            return False
        raise HookError(f"{group_id}: {error}") from error
    return (group.get("properties") or {}).get("provisioningState") != "Deleting"


def _outside(
    azure: Azure, deployed: Outputs, environ: Mapping[str, str], unknown: list[str]
) -> Iterator[Outside]:
    for source in deployed.sources:
        try:
            yield from _events(azure, deployed, source.topic_id, environ)
        except AzureError as error:
            unknown.append(f"the subscriptions of {source.topic_id}: {error}")
    yield from _roles(azure, deployed, environ, unknown)
    if deployed.workspace and not _inside(deployed.workspace, deployed):
        try:
            yield from _searches(azure, deployed)
        except AzureError as error:
            unknown.append(f"saved functions and queries of {deployed.workspace}: {error}")


def _inside(resource_id: str, deployed: Outputs) -> bool:
    return resource_id.lower().startswith(f"{deployed.group_id.lower()}/")


def _events(
    azure: Azure, deployed: Outputs, topic_id: str, environ: Mapping[str, str]
) -> Iterator[Outside]:
    """A topic that we made and nobody else uses; else only what we subscribed to it."""
    try:
        topic = azure.get(topic_id, GRID)
    except AzureError as error:
        if error.status == 404:  # noqa: PLR2004 - not found
            return
        raise
    prefixes = [
        subscription_name(deployed.app, kind, connection).lower()
        for kind in KINDS
        for connection in deployed.connections
    ]
    every = list(azure.pages(f"{topic_id}/eventSubscriptions", GRID))
    ours = [at for at in every if str(at.get("name")).lower() in prefixes] or [
        at for at in every if str(at.get("name")).lower().startswith(f"{deployed.app.lower()}-")
    ]
    made = (topic.get("tags") or {}).get("azd-env-name") == environ.get("AZURE_ENV_NAME")
    if made and len(ours) == len(every):
        yield Outside("the system topic", topic_id, GRID)
        return
    for at in ours:
        yield Outside("the event subscription", str(at["id"]), GRID)


def _roles(
    azure: Azure, deployed: Outputs, environ: Mapping[str, str], unknown: list[str]
) -> Iterator[Outside]:
    """What the app's identity may do elsewhere: reading flow logs, names and secrets."""
    try:
        principals = [
            str((at.get("properties") or {})["principalId"])
            for at in azure.pages(
                f"{deployed.group_id}/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
                "2024-11-30",
            )
        ]
    except (AzureError, KeyError) as error:
        unknown.append(f"the roles of the app's identity: {error}")
        return
    seen = set()
    subscriptions = {deployed.subscription, *(at.subscription for at in deployed.sources)}
    for subscription in sorted({at.lower() for at in subscriptions} | elsewhere(environ)):
        for principal in principals:
            try:
                for at in azure.pages(
                    f"/subscriptions/{subscription}/providers/Microsoft.Authorization"
                    "/roleAssignments",
                    _ROLES,
                    **{"$filter": f"principalId eq '{principal}'"},
                ):
                    if not _inside(str(at["id"]), deployed) and at["id"] not in seen:
                        seen.add(at["id"])
                        yield Outside("the role of the app's identity", str(at["id"]), _ROLES)
            except (AzureError, KeyError) as error:
                unknown.append(f"roles in subscription {subscription}: {error}")


def _searches(azure: Azure, deployed: Outputs) -> Iterator[Outside]:
    """Saved functions and queries in a workspace of the user's, unless another nsgflow uses it."""
    rules = azure.graph(
        "resources | where type =~ 'microsoft.insights/datacollectionrules' "
        "| where tostring(properties.streamDeclarations) contains 'Custom-NSGFlow_CL' "
        f"| where tostring(properties.destinations) contains '{deployed.workspace}' "
        "| project id"
    )
    if any(not _inside(str(rule.get("id")), deployed) for rule in rules):
        return
    for at in azure.get(f"{deployed.workspace}/savedSearches", _SEARCHES).get("value") or []:
        if (at.get("properties") or {}).get("category") == "nsgflow":
            yield Outside("the saved query", str(at["id"]), _SEARCHES)
