"""After the code: wait for the app, subscribe it to the events, and say where to look.

    azd hooks run postdeploy                       after azd up; azd passes the outputs on
    python infra/hooks/postdeploy.py DEPLOYMENT    after az deployment sub create --name DEPLOYMENT

Safe to run again at any time. NSGFLOW_WAIT_SECONDS is how long each step waits (900).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from nsgflow_hooks import arrival, events, readiness, subscriptions
from nsgflow_hooks.arm import Azure
from nsgflow_hooks.console import complain, item, say
from nsgflow_hooks.environment import Outputs, outputs
from nsgflow_hooks.errors import AzureError, HookError
from nsgflow_hooks.names import functions_of
from nsgflow_hooks.signin import CommandError, SignIn, last_json, run

_HOW = (
    "Run this with: azd hooks run postdeploy. Without azd, name the deployment of "
    "infra/main.bicep: python infra/hooks/postdeploy.py DEPLOYMENT"
)
_AGAIN = "Then: azd hooks run postdeploy. Until then the sweep delivers, every five minutes."


def main(
    words: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
    azure: Azure | None = None,
) -> int:
    """Subscribe the app to the events. Exit status 1 where some account is not subscribed.

    Raises:
        HookError, AzureError: what stops the hook.
    """
    azure = azure or Azure(SignIn(environ.get("AZURE_TENANT_ID", "")))
    deployed = _deployed(azure, words, environ)
    patience = _patience(environ)
    functions = readiness.wait_for_functions(
        azure, deployed, functions_of(deployed.connections, queue=deployed.queue), patience
    )
    unchecked = deployed.queue or environ.get("NSGFLOW_SUBSCRIBE", "").lower() == "unchecked"
    refused = {} if unchecked else readiness.wait_for_sweeps(azure, deployed, patience)
    # The templates subscribe the queue, with which no account can hold up another.
    ready = (
        [] if deployed.queue else [at for at in deployed.sources if at.connection not in refused]
    )
    events.deploy(azure, deployed, ready, patience)
    problems = subscriptions.compare(azure, deployed, functions, refused)
    for waiting in readiness.unresolved(azure, deployed):
        say(waiting)
    if len(refused) < len(deployed.sources):
        say(arrival.look(azure, deployed, patience=min(patience, 300.0)))
    if refused:
        complain(
            "these accounts are not subscribed, since the host stops for all when one refuses:\n"
            + "\n".join(item(f"{name}: {why}") for name, why in refused.items())
            + f"\n{_AGAIN}"
        )
    for problem in problems:
        complain(problem)
    if deployed.commands:
        say("For names of NSGs, machines and subnets an owner is to run:")
        say("\n".join(f"      {command}" for command in deployed.commands))
    say(where_to_look(deployed))
    return 1 if refused or problems else 0


def _patience(environ: Mapping[str, str]) -> float:
    text = environ.get("NSGFLOW_WAIT_SECONDS", "") or "900"
    try:
        return max(0.0, float(text))
    except ValueError as error:
        raise HookError(f"NSGFLOW_WAIT_SECONDS is no number: {text!r}") from error


def _deployed(azure: Azure, words: Sequence[str], environ: Mapping[str, str]) -> Outputs:
    subscription = environ.get("AZURE_SUBSCRIPTION_ID", "")
    if not words:
        return outputs(environ, subscription, _HOW)
    if not subscription:
        try:
            subscription = str(last_json(run(["az", "account", "show", "--output", "json"]))["id"])
        except (CommandError, ValueError, KeyError) as error:
            raise HookError(f"which subscription? az account show: {error}") from error
    path = f"/subscriptions/{subscription}/providers/Microsoft.Resources/deployments/{words[0]}"
    try:
        deployment = azure.get(path, "2024-03-01")
    except AzureError as error:
        raise HookError(f"the deployment {words[0]}: {error}") from error
    # Resource Manager may write AZURE_X as azurE_X.
    values = {
        name.upper(): output.get("value")
        for name, output in (deployment["properties"].get("outputs") or {}).items()
    }
    return outputs(values, subscription, f"{words[0]} is no deployment of infra/main.bicep.")


def where_to_look(deployed: Outputs) -> str:
    """The workbook's link and the first query."""
    portal = "https://portal.azure.com/#resource"
    lines = ["", "Where to look:"]
    if deployed.workbook:
        lines.append(f"  workbook  {portal}{deployed.workbook}/workbook")
    if deployed.workspace:
        lines.append(f"  logs      {portal}{deployed.workspace}/logs")
    lines += [
        "",
        "First query, in the workspace (rows come one to three minutes after their flows):",
        "  NSGFlow_CL",
        "  | where TimeGenerated > ago(1h)",
        "  | summarize Flows = count() by AclName, AclRule, DestPort",
        "  | top 20 by Flows",
    ]
    return "\n".join(lines)
