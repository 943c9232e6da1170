"""Before anything is made: look for all that would stop or mislead the deployment, and say it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping

from nsgflow_hooks import check_accounts, check_flow_logs, check_place, check_rights
from nsgflow_hooks.arm import Azure
from nsgflow_hooks.console import complain, say
from nsgflow_hooks.environment import ROOT, Wishes, wishes
from nsgflow_hooks.errors import AzureError
from nsgflow_hooks.findings import Finding, Findings
from nsgflow_hooks.signin import CommandError, SignIn, run

ACCOUNTS = "NSGFLOW_FLOW_LOG_ACCOUNTS"
EXISTS = "NSGFLOW_RESOURCE_GROUP_EXISTS"

# azd up asks for both before the hook runs; azd provision asks after it.
_CHOSEN = ("AZURE_SUBSCRIPTION_ID", "AZURE_LOCATION")

Keep = Callable[[str, str], None]


def main(environ: Mapping[str, str] = os.environ, azure: Azure | None = None) -> int:
    """Look, and say what was found. Exit status 1 where something would stop the deployment."""
    if environ.get("NSGFLOW_PREFLIGHT", "").lower() == "off":
        say("nsgflow: not looking before the deployment, as NSGFLOW_PREFLIGHT is off.")
        return 0
    if environ.get("AZURE_ENV_NAME") and not all(environ.get(name) for name in _CHOSEN):
        say("nsgflow: no subscription or region is chosen yet, so there is nowhere to look.")
        return 0
    wished = wishes(environ)
    azure = azure or Azure(SignIn(environ.get("AZURE_TENANT_ID", "")))
    findings = look(azure, wished, lambda name, value: keep(wished.name, name, value))
    message = findings.message()
    if findings.stops:
        complain(
            f"{message}\n\nNothing was made yet. Then run the same command again. If nsgflow is "
            "wrong here: azd env set NSGFLOW_PREFLIGHT off"
        )
        return 1
    say(f"nsgflow: looked before the deployment.\n\n{message}" if message else _ALL_WELL)
    return 0


_ALL_WELL = "nsgflow: looked before the deployment: nothing stands in its way."


def look(azure: Azure, wished: Wishes, keep_value: Keep) -> Findings:
    """Everything that would stop or mislead the deployment.

    Args:
        azure: who asks.
        wished: what is to be deployed.
        keep_value: keeps a variable in azd's environment.
    """
    findings = Findings()
    for problem, value in wished.unreadable:
        findings.stop(f"{problem}.", f"azd env set {value}")
    if wished.problems:
        for problem in wished.problems:
            findings.stop(f"{ACCOUNTS}: {problem}.", _set_accounts(["…"]))
        return findings
    if silence := azure.silence(f"/subscriptions/{wished.subscription}", "2022-12-01"):
        # Each question would wait for an answer that does not come.
        findings.not_known(
            f"Anything in Azure: {azure.management} does not answer ({silence}). Is there a way "
            "out, or a proxy to be named in HTTPS_PROXY?"
        )
        return findings
    if not wished.accounts:
        _suggest_accounts(azure, wished, findings)
        return findings
    check_place.look(azure, wished, findings)
    exists = check_place.group_exists(azure, wished, findings)
    accounts = check_accounts.look(azure, wished, findings)
    check_rights.look(azure, wished, findings)
    check_flow_logs.look(azure, wished.accounts, findings)
    if exists and not wished.group_exists:
        _keep(keep_value, EXISTS, "true", findings)
        findings.done.append(
            Finding(f"The resource group {wished.group} is used as it is: {EXISTS} is true now.")
        )
    if accounts != [account.given for account in wished.accounts]:
        _keep(keep_value, ACCOUNTS, json.dumps(accounts), findings)
    return findings


def _keep(keep_value: Keep, name: str, value: str, findings: Findings) -> None:
    try:
        keep_value(name, value)
    except AzureError as error:
        findings.stop(f"Give what exists with the parameters ({error}):", f"{name}={value}")


def _suggest_accounts(azure: Azure, wished: Wishes, findings: Findings) -> None:
    """Nobody said where the flow logs are: look."""
    try:
        logs = check_flow_logs.all_flow_logs(azure)
    except AzureError as error:
        logs = []
        findings.not_known(f"Which flow logs there are: {error}")
    found = sorted({log.storage_id for log in logs if log.enabled and log.storage_id})
    here = [at for at in found if f"/{wished.subscription}/".lower() in at.lower()]
    if found:
        findings.stop(
            f"{ACCOUNTS} is not set. {len(found)} storage accounts have flow logs; "
            + ("these are in this subscription:" if here else "none is in this subscription:"),
            _set_accounts(here or found),
        )
    else:
        findings.stop(
            f"{ACCOUNTS} is not set, and no flow log was found that you can read. Make one first: "
            "docs/deployment.md, Prerequisites.",
            _set_accounts(["…"]),
        )


def _set_accounts(resource_ids: list[str]) -> str:
    """The command that chooses them, in one word, which no shell takes apart."""
    items = [{"resourceId": at} for at in resource_ids]
    value = json.dumps(items, ensure_ascii=False, separators=(",", ":"))
    command = f"azd env set {ACCOUNTS} '{value}'"
    return f"{command}{_WINDOWS}" if os.name == "nt" else command


_WINDOWS = """
(so in PowerShell 7.3 and Git Bash with MSYS_NO_PATHCONV=1; for other shells write the line
NAME='VALUE' into .azure/ENVIRONMENT/.env)"""


def keep(environment: str, name: str, value: str) -> None:
    """Set a variable of azd's environment.

    Raises:
        AzureError: azd would not.
    """
    try:
        run(["azd", "env", "set", name, value, "--environment", environment], cwd=str(ROOT))
    except CommandError as error:
        raise AzureError(0, "", f"azd env set {name}: {error}") from error
