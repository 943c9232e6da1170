"""Deployments, predicted with no Azure: what each set of parameters makes, and may make."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from devtools import bicep, predicted
from devtools.predicted import Role
from nsgflow_core import config

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = Path(__file__).with_name("deployments")
SETS = sorted(DEPLOYMENTS.glob("*.bicepparam"))
REFUSED = {
    "account-twice": "flowLogAccounts has an account twice",
    "connection-twice": "flowLogAccounts has a connection twice",
    "host-connection": "AzureWebJobsStorage is the connection of host storage",
    "no-account": "This is no resource id of a storage account: /subscriptions/1111",
    "other-subnet": "With endpointSubnetId give appSubnetId too",
    "prefix": "namePrefix is to be letters and digits, with single hyphens between them",
    "retention": "totalRetentionInDays is less than the days that rows are kept",
    "one-subnet": "With appSubnetId give endpointSubnetId too",
    "queue-without-identity": "az eventgrid system-topic update --identity systemassigned",
    "unheard-connection": "host.json does not let the lines of these connections through: West",
}
pytestmark = [
    pytest.mark.skipif(bicep.find() is None, reason="no Bicep compiler here"),
    pytest.mark.xdist_group("bicep"),  # one compiler evaluates them all
]
every = pytest.mark.parametrize("path", SETS, ids=lambda path: str(path.stem))

OWN = f"/subscriptions/{bicep.SUBSCRIPTION}/resourceGroups/"
APP, TOPIC = "the app", "an event topic"
ALLOWED = {
    (APP, "Storage Blob Data Reader", "each flow-log account"),
    (APP, "Storage Blob Data Owner", "its own storage account"),
    (APP, "Storage Queue Data Contributor", "its own storage account"),
    (APP, "Storage Table Data Contributor", "its own storage account"),
    (APP, "Monitoring Metrics Publisher", "its Application Insights"),
    (APP, "Monitoring Metrics Publisher", "its data collection rule"),
    (APP, "Key Vault Secrets User", "the Key Vault of its secrets"),
    (APP, "Reader", "the subscriptions of the inventory"),
    (TOPIC, "Storage Blob Data Contributor", "its own storage account"),
    (TOPIC, "Storage Queue Data Message Sender", "its own storage account"),
}
DOCUMENTED = {
    (APP, "Storage Blob Data Owner", "each flow-log account"),
    (APP, "Storage Queue Data Contributor", "each flow-log account"),
}
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
NAMES = {
    "Microsoft.EventGrid/systemTopics": r"[A-Za-z0-9-]{3,128}",
    "Microsoft.EventGrid/systemTopics/eventSubscriptions": r"[A-Za-z0-9-]{3,64}",
    "Microsoft.Insights/actionGroups": r"[^:<>+/&%\\?|]{1,260}",
    "Microsoft.Insights/components": r"[\w.()-]{1,260}",
    "Microsoft.Insights/dataCollectionRules": r"[A-Za-z0-9][\w.-]{1,62}[A-Za-z0-9]",
    "Microsoft.Insights/diagnosticSettings": r"[\w-]{1,260}",
    "Microsoft.Insights/workbooks": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "Microsoft.KeyVault/vaults": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "Microsoft.KeyVault/vaults/secrets": r"[A-Za-z0-9-]{1,127}",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][\w-]{2,127}",
    "Microsoft.Network/privateEndpoints": r"[A-Za-z0-9]([\w.-]{0,62}\w)?",
    "Microsoft.Network/privateDnsZones": r"[\w.-]{1,63}",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9]([\w.-]{0,62}\w)?",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.OperationalInsights/workspaces/savedSearches": r"[\w-]{1,128}",
    "Microsoft.OperationalInsights/workspaces/tables": r"[A-Za-z]\w{1,59}_CL",
    "Microsoft.Resources/resourceGroups": r"[\w.()-]{0,89}[\w()-]",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/blobServices/containers": r"[a-z0-9](-?[a-z0-9]){2,62}",
    "Microsoft.Storage/storageAccounts/queueServices/queues": r"[a-z0-9](-?[a-z0-9]){2,62}",
    "Microsoft.Storage/storageAccounts/tableServices/tables": r"[A-Za-z][A-Za-z0-9]{2,62}",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9-]{1,60}",
    # The host tells apps apart by 32 characters.
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]",
}
FIXED = {
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/managementPolicies",
    "Microsoft.Storage/storageAccounts/queueServices",
    "Microsoft.Storage/storageAccounts/tableServices",
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies",
}


def resources(path: Path) -> list[dict[str, Any]]:
    """What a deployment of these parameters makes."""
    found: list[dict[str, Any]] = bicep.snapshot(path)["predictedResources"]
    return found


def made(name: str, kind: str) -> list[dict[str, Any]]:
    """What a set of parameters makes of one type."""
    return [at for at in resources(DEPLOYMENTS / f"{name}.bicepparam") if at["type"] == kind]


def group(path: Path) -> str:
    """The resource group of nsgflow."""
    return f"{OWN}{bicep.snapshot(path)['outputs']['AZURE_RESOURCE_GROUP']}"


def roles(path: Path) -> list[Role]:
    """The role assignments that are made."""
    return [
        predicted.role(at)
        for at in resources(path)
        if at["type"] == "Microsoft.Authorization/roleAssignments"
    ]


def in_words(role: Role, own: str) -> tuple[str, str, str]:
    """Who gets which role on what, in the words of docs/deployment.md."""
    who = APP if "/userAssignedIdentities/" in role.principal else TOPIC
    if re.fullmatch(r"/subscriptions/[\w-]+", role.scope):
        return who, role.name, "the subscriptions of the inventory"
    places = {
        "storageAccounts": "its own storage account"
        if role.scope.startswith(own)
        else "each flow-log account",
        "components": "its Application Insights",
        "dataCollectionRules": "its data collection rule",
        "vaults": "the Key Vault of its secrets",
    }
    return who, role.name, places[role.scope.split("/")[-2]]


def test_snapshots_are_current() -> None:
    """What each deployment makes is what was last looked at: `python -m devtools.predicted`."""
    texts = predicted.texts()
    kept = {path.stem: path.read_text() for path in predicted.path_of("").parent.glob("*.txt")}

    assert {name for name in texts if kept.get(name) != texts[name]} == set()
    assert set(kept) == set(texts)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_its_mend(name: str) -> None:
    """Parameters that contradict each other stop before anything is made."""
    with pytest.raises(bicep.BicepError, match=re.escape(REFUSED[name])):
        bicep.snapshot(DEPLOYMENTS / "refused" / f"{name}.bicepparam")


@every
def test_names_are_such_as_azure_takes(path: Path) -> None:
    """Each name is as long and of such characters as its service allows."""
    for at in resources(path):
        kind, name = at["type"], at["name"].rpartition("/")[2]
        if name.endswith("]") or kind == "Microsoft.Authorization/roleAssignments":
            continue  # an expression: asked of what it is made of
        assert kind in NAMES or kind in FIXED, kind
        assert re.fullmatch(NAMES.get(kind, ".*"), name), f"{kind}: {name}"


@every
def test_nothing_is_made_twice(path: Path) -> None:
    """Every resource id is there once."""
    twice = [
        name for name, times in Counter(at["id"] for at in resources(path)).items() if times > 1
    ]

    assert twice == []


@every
def test_roles_are_those_of_the_table_and_none_besides(path: Path) -> None:
    """The app and the topics get what docs/deployment.md says, no more."""
    found = {in_words(role, group(path)) for role in roles(path)}
    allowed = DOCUMENTED | ALLOWED if path.stem == "documented-roles" else ALLOWED

    assert found - allowed == set()
    assert {at for at in found if at[0] == APP and at[2] == "its own storage account"} == {
        at for at in ALLOWED if at[0] == APP and at[2] == "its own storage account"
    }


def test_every_role_of_the_table_is_assigned_by_some_deployment() -> None:
    """The table promises no role that nothing assigns, and it names each one."""
    found = {in_words(role, group(path)) for path in SETS for role in roles(path)}
    text = (ROOT / "docs" / "deployment.md").read_text()
    table = text[text.index("\n## Roles") : text.index("You need, to deploy")]

    assert found == ALLOWED | DOCUMENTED
    for _, role, where in ALLOWED:
        assert re.search(rf"{re.escape(role)}.*{re.escape(where)}", table), (role, where)


@every
def test_flow_log_accounts_are_only_read(path: Path) -> None:
    """One role on a flow-log account: to read blobs."""
    outside = [at for at in roles(path) if not at.scope.startswith(group(path))]
    on_accounts = {at.name for at in outside if "/storageAccounts/" in at.scope}

    if path.stem != "documented-roles":
        assert on_accounts == {"Storage Blob Data Reader"}


@every
def test_nothing_is_written_beside_its_own_group_but_what_the_docs_say(path: Path) -> None:
    """Elsewhere: roles, topics and their subscriptions, the table and its saved queries."""
    elsewhere = {
        at["type"]
        for at in resources(path)
        if not at["id"].startswith(group(path)) and not at["id"].startswith("[")
    }

    assert elsewhere <= {
        "Microsoft.EventGrid/systemTopics",
        "Microsoft.EventGrid/systemTopics/eventSubscriptions",
        "Microsoft.Insights/diagnosticSettings",  # of a new topic
        "Microsoft.OperationalInsights/workspaces/tables",
        "Microsoft.OperationalInsights/workspaces/savedSearches",
    }
    for at in resources(path):
        if at["type"] == "Microsoft.Insights/diagnosticSettings":
            assert at["id"].startswith(group(path)) or "/systemTopics/egst-" in at["id"]


@every
def test_settings_are_known_and_of_a_form_that_flex_takes(path: Path) -> None:
    """The code reads every setting of nsgflow, and no name has a period or a colon."""
    given = predicted.settings(resources(path))
    not_on_flex = (
        r"FUNCTIONS_(WORKER_RUNTIME|EXTENSION_VERSION|WORKER_PROCESS_COUNT|MAX_HTTP_CONCURRENCY)"
        r"|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD|WEBSITE_\w+"
    )

    assert [name for name in given if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)] == []
    assert [name for name in given if re.fullmatch(not_on_flex, name)] == []
    nsgflow = {name for name in given if name.startswith("NSGFLOW_")}
    assert nsgflow <= config.KNOWN


def _environ(path: Path) -> dict[str, str]:
    """The app's settings with what only Azure knows filled in."""
    filled = {
        "NSGFLOW_LOGS_ENDPOINT": "https://dcr-x.westeurope-1.ingest.monitor.azure.com",
        "NSGFLOW_LOGS_RULE_ID": "dcr-00000000000000000000000000000000",
        "NSGFLOW_WEBHOOK_URL": "https://hooks.example.org/url-of-the-webhook",
        "NSGFLOW_WEBHOOK_2_URL": "https://hooks.example.org/another",
        "NSGFLOW_WEBHOOK_SECRET": "whsec_c2VjcmV0",
    }
    return {
        name: filled.get(name, "https://host.example.org/" if name.endswith("Uri") else "id")
        if value.startswith(("[", "@"))
        else value
        for name, value in predicted.settings(resources(path)).items()
    }


@every
def test_the_code_takes_the_settings_as_given(path: Path) -> None:
    """With what Azure fills in filled in, the settings stop nothing."""
    given = predicted.settings(resources(path))
    settings = config.from_env(_environ(path))

    assert list(settings.connections) == given["NSGFLOW_CONNECTIONS"].split(",")
    assert settings.logs is not None
    assert settings.unknown == ()
    assert settings.trigger_source == given["NSGFLOW_TRIGGER_SOURCE"]
    assert bool(settings.webhooks) == bool(given["NSGFLOW_WEBHOOK_URL"])


@every
def test_each_connection_signs_in_with_the_identity(path: Path) -> None:
    """Each connection has its blob and queue service and the identity, and no key."""
    given = predicted.settings(resources(path))
    parts = ["__blobServiceUri", "__clientId", "__credential", "__queueServiceUri"]
    for name in ("AzureWebJobsStorage", *given["NSGFLOW_CONNECTIONS"].split(",")):
        wanted = [*parts, "__tableServiceUri"] if name == "AzureWebJobsStorage" else parts

        assert sorted(at for at in given if at.startswith(f"{name}__")) == [
            f"{name}{part}" for part in wanted
        ]


@every
def test_secrets_are_in_key_vault_only(path: Path) -> None:
    """No secret is in the text of a deployment; the app's settings refer to the vault."""
    secrets = re.findall(
        r"^param (?:webhookUrl|webhookSecret) = '(.*)'$", path.read_text(), re.MULTILINE
    )
    text = json.dumps(bicep.snapshot(path))
    given = predicted.settings(resources(path))

    assert [secret for secret in secrets if secret in text] == []
    for name in ("NSGFLOW_WEBHOOK_URL", "NSGFLOW_WEBHOOK_SECRET"):
        assert given[name] == "" or "@Microsoft.KeyVault(SecretUri=" in given[name]
    vaults = [at for at in resources(path) if at["type"] == "Microsoft.KeyVault/vaults"]
    assert bool(vaults) == bool(secrets)


def test_a_new_secret_is_a_new_setting() -> None:
    """The reference has the secret's version, so that a deployment with a new URL is seen."""
    template = bicep.template(bicep.INFRA / "modules" / "secret.bicep")

    assert "secretUriWithVersion" in template["outputs"]["uri"]["value"]


def test_the_vault_satisfies_common_policies() -> None:
    """Purge protection, and in private mode no way in but the private endpoint."""
    (public,) = made("webhook", "Microsoft.KeyVault/vaults")
    (private,) = made("private-own-network", "Microsoft.KeyVault/vaults")

    assert public["properties"]["enablePurgeProtection"] is True
    assert private["properties"]["publicNetworkAccess"] == "Disabled"
    assert private["properties"]["networkAcls"]["defaultAction"] == "Deny"
    assert [
        at["name"]
        for at in made("private-own-network", "Microsoft.Network/privateEndpoints")
        if at["name"].endswith("-vault")
    ]


def test_saved_searches_may_be_written_again() -> None:
    """Without an etag a second deployment is refused with 409."""
    searches = made("one-account", "Microsoft.OperationalInsights/workspaces/savedSearches")

    assert len(searches) == 5
    assert {at["properties"]["etag"] for at in searches} == {"*"}


def test_a_topics_source_is_the_accounts_own_id() -> None:
    """A source may not change, not even its case: it does not follow what somebody typed."""
    (topic,) = made("longest-names", "Microsoft.EventGrid/systemTopics")

    assert topic["properties"]["source"].endswith(
        "/providers/Microsoft.Storage/storageAccounts/anameoftwentyfourletters"
    )


def test_an_existing_group_keeps_its_region_and_tags() -> None:
    """The group gets nsgflow, and is not declared."""
    assert made("existing-group", "Microsoft.Resources/resourceGroups") == []
    assert len(made("one-account", "Microsoft.Resources/resourceGroups")) == 1


def test_what_exists_is_not_made_again() -> None:
    """Neither a workspace, nor Application Insights, a topic, a network or zones."""
    assert made("existing-workspace", "Microsoft.OperationalInsights/workspaces") == []
    assert made("existing-insights", "Microsoft.Insights/components") == []
    assert made("existing-topic", "Microsoft.EventGrid/systemTopics") == []
    assert made("private-their-network", "Microsoft.Network/virtualNetworks") == []
    assert made("private-their-network", "Microsoft.Network/privateDnsZones") == []


def test_basic_plan_has_no_functions_over_rows() -> None:
    """Functions of one's own do not run over a Basic table."""
    searches = made("basic-plan", "Microsoft.OperationalInsights/workspaces/savedSearches")

    assert [at["name"] for at in searches if at["properties"].get("functionAlias")] == []
    assert len(searches) == 3


def test_no_alert_rule_is_made_before_the_code() -> None:
    """The app is quiet before it first runs: events.bicep makes the rules."""
    for path in SETS:
        kinds = {at["type"] for at in resources(path)}

        assert "Microsoft.Insights/scheduledQueryRules" not in kinds


@pytest.mark.parametrize(
    "name", ["queue", "queue-private", "queue-existing-topic", "queue-private-three-accounts"]
)
def test_events_by_queue_need_no_key(name: str) -> None:
    """Each topic's own identity writes to the queue in host storage, and may."""
    path = DEPLOYMENTS / f"{name}.bicepparam"
    (queue,) = made(name, "Microsoft.Storage/storageAccounts/queueServices/queues")
    account = queue["id"].partition("/queueServices/")[0]
    subscriptions = made(name, "Microsoft.EventGrid/systemTopics/eventSubscriptions")
    given = predicted.settings(resources(path))

    assert given["NSGFLOW_TRIGGER_SOURCE"] == "Queue"
    assert given["NSGFLOW_EVENTS_QUEUE"] == queue["name"].rpartition("/")[2]
    assert len(subscriptions) == 2 * len(given["NSGFLOW_CONNECTIONS"].split(","))
    senders = {at.principal for at in roles(path) if at.name == "Storage Queue Data Message Sender"}
    for at in subscriptions:
        properties = at["properties"]
        delivery = properties["deliveryWithResourceIdentity"]
        assert delivery["identity"] == {"type": "SystemAssigned"}
        assert delivery["destination"]["endpointType"] == "StorageQueue"
        assert delivery["destination"]["properties"]["resourceId"] == account
        assert properties["destination"] is None
        assert at["id"].partition("/eventSubscriptions/")[0] in senders
    (storage,) = made(name, "Microsoft.Storage/storageAccounts")
    assert storage["properties"]["networkAcls"]["bypass"] == "AzureServices"


def test_changing_over_replaces_the_subscriptions() -> None:
    """Both ways of delivery give their subscriptions the same names, so none is left behind."""
    names = {
        at["name"].rpartition("/")[2]
        for at in made(
            "queue-existing-topic", "Microsoft.EventGrid/systemTopics/eventSubscriptions"
        )
    }
    app = bicep.snapshot(DEPLOYMENTS / "queue-existing-topic.bicepparam")["outputs"][
        "AZURE_FUNCTION_APP_NAME"
    ]

    assert names == {f"{app}-nsg-FlowLogs", f"{app}-vnet-FlowLogs"}


def test_with_a_queue_nobody_gets_in() -> None:
    """In private mode the app is open to Event Grid alone, and with a queue to nobody."""
    for name, rules in (("private-own-network", ["AzureEventGrid"]), ("queue-private", [])):
        (app,) = made(name, "Microsoft.Web/sites")
        site = app["properties"]["siteConfig"]

        assert site["ipSecurityRestrictionsDefaultAction"] == "Deny"
        assert [at["ipAddress"] for at in site["ipSecurityRestrictions"]] == rules


def test_always_ready_instances_are_for_what_takes_the_events() -> None:
    """Function groups on Flex Consumption: blob triggers share one, a queue trigger has its own."""
    (app,) = made("queue", "Microsoft.Web/sites")

    assert app["properties"]["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"] == [
        {"name": "function:events", "instanceCount": 1}
    ]


def test_whoever_may_not_assign_roles_gets_the_commands() -> None:
    """Reader on management groups, or on everything, is for somebody else to assign."""
    for name, scopes in (
        ("one-account", []),
        ("inventory-management-group", ["/managementGroups/landing-zones"]),
        ("inventory-by-others", ["/subscriptions/4444", "/managementGroups/landing-zones"]),
    ):
        commands = bicep.snapshot(DEPLOYMENTS / f"{name}.bicepparam")["outputs"][
            "NSGFLOW_INVENTORY_COMMANDS"
        ]

        assert str(commands).count("az role assignment create --role Reader") == len(scopes)
        assert [scope for scope in scopes if scope not in str(commands)] == []
    by_others = roles(DEPLOYMENTS / "inventory-by-others.bicepparam")
    assert [at for at in by_others if at.name == "Reader"] == []


def test_zones_and_diagnostics_are_switches() -> None:
    """Off by default; on, they reach everything that is nsgflow's."""
    (plan,) = made("zones-and-diagnostics", "Microsoft.Web/serverfarms")
    (storage,) = made("zones-and-diagnostics", "Microsoft.Storage/storageAccounts")
    settings = made("zones-and-diagnostics", "Microsoft.Insights/diagnosticSettings")
    kinds = {
        at["id"].partition("/providers/Microsoft.Insights/")[0].split("/")[-2] for at in settings
    }

    assert plan["properties"]["zoneRedundant"] is True
    assert storage["sku"] == {"name": "Standard_ZRS"}
    assert kinds == {
        "blobServices",
        "queueServices",
        "tableServices",
        "sites",
        "systemTopics",
        "vaults",
    }
    assert made("one-account", "Microsoft.Insights/diagnosticSettings") == []


def test_settings_of_ones_own_win() -> None:
    """Settings of one's own set what no parameter does, and override what one does."""
    given = predicted.settings(resources(DEPLOYMENTS / "zones-and-diagnostics.bicepparam"))

    assert given["NSGFLOW_LOGS_FILTER"] == "action=denied !src=internet"


def test_what_is_written_another_way_means_the_same() -> None:
    """A subscription by GUID and by id is one; a number is a setting; a subnet makes private."""
    path = DEPLOYMENTS / "written-another-way.bicepparam"
    given = predicted.settings(resources(path))
    readers = [at.scope for at in roles(path) if at.name == "Reader"]
    (app,) = made("written-another-way", "Microsoft.Web/sites")

    assert readers == ["/subscriptions/aaaaaaaa-4444-4444-4444-444444444444"]
    assert given["NSGFLOW_SWEEP_HOURS"] == "5"
    assert given["NSGFLOW_LOGS_OMIT"] == "none"
    assert app["properties"]["virtualNetworkSubnetId"].endswith("/subnets/apps")
    assert made("written-another-way", "Microsoft.Network/privateEndpoints")
    assert made("written-another-way", "Microsoft.Network/virtualNetworks") == []


def test_a_region_written_another_way_is_the_same_app() -> None:
    """`West Europe` is what the portal shows, and makes no second app beside the first."""
    one, other = (
        bicep.snapshot(DEPLOYMENTS / f"{name}.bicepparam")["outputs"]["AZURE_FUNCTION_APP_NAME"]
        for name in ("one-account", "written-another-way")
    )

    assert one == other


def test_empty_values_are_the_defaults() -> None:
    """A variable that is set to nothing, as a pipeline does, takes nothing away."""
    path = DEPLOYMENTS / "empty-values.bicepparam"
    usual = DEPLOYMENTS / "one-account.bicepparam"
    given, defaults = (config.from_env(_environ(at)) for at in (path, usual))

    assert given.logs is not None
    assert defaults.logs is not None
    assert given.logs.filter.terms == defaults.logs.filter.terms
    assert given.logs.omit == defaults.logs.omit
    assert (given.webhooks, given.inventory) == ((), defaults.inventory)
    assert [at["id"] for at in resources(path)] == [at["id"] for at in resources(usual)]


def test_every_setting_can_be_given() -> None:
    """By a parameter, or as docs/parameters.md says through appSettings."""
    text = (ROOT / "docs" / "parameters.md").read_text()
    given = predicted.settings(resources(DEPLOYMENTS / "one-account.bicepparam"))
    template = bicep.template(bicep.INFRA / "main.bicep")

    one_by_one = {at for at in config.KNOWN if not re.match(r"NSGFLOW_WEBHOOK_\d_", at)}
    assert {at for at in one_by_one if at not in given and f"`{at}`" not in text} == set()
    assert one_by_one == config.KNOWN or "`NSGFLOW_WEBHOOK_2_…` to `_9_…`" in text
    assert template["parameters"]["logsOmit"]["defaultValue"] == "SourceBlob"


def after(name: str) -> list[dict[str, Any]]:
    """What events.bicep makes with a set of parameters."""
    found: list[dict[str, Any]] = bicep.snapshot(DEPLOYMENTS / "after" / f"{name}.bicepparam")[
        "predictedResources"
    ]
    return found


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("defaults", set(), set()),
        ("watched", {"nsgflow-denied-watched"}, set()),
        (
            "basic-each-minute",
            {"nsgflow-denied-watched-minute"},
            {"nsgflow-surge", "nsgflow-host"},
        ),
    ],
)
def test_alert_rules_are_made_after_the_code(name: str, more: set[str], less: set[str]) -> None:
    """events.bicep makes the rules that the options ask for, with every value filled in."""
    rules = [at for at in after(name) if at["type"] == "Microsoft.Insights/scheduledQueryRules"]
    usual = {
        f"nsgflow-{at}" for at in ("surge", "quiet", "delivery", "dead-letters", "poison", "host")
    }

    assert {at["name"] for at in rules} == (usual | more) - less
    for rule in rules:
        (criterion,) = rule["properties"]["criteria"]["allOf"]
        assert "{{" not in criterion["query"]
        assert rule["properties"]["autoMitigate"] is True


def test_docs_have_every_rule_and_its_runbook() -> None:
    """docs/deployment.md tells what each rule is for, docs/operations.md what to do about it."""
    names = {
        at["name"]
        for name in ("defaults", "watched", "basic-each-minute")
        for at in after(name)
        if at["type"] == "Microsoft.Insights/scheduledQueryRules"
    }
    told = (ROOT / "docs" / "deployment.md").read_text()
    runbooks = (ROOT / "docs" / "operations.md").read_text()

    assert {name for name in names if f"`{name}`" not in told or name not in runbooks} == set()


def test_events_are_subscribed_with_a_key_that_is_nowhere_in_the_text() -> None:
    """The template reads the app's key itself; names are within 64 characters and unique."""
    found = [at for at in after("defaults") if at["type"].endswith("/eventSubscriptions")]
    names = [at["name"].rpartition("/")[2] for at in found]

    assert names == [
        f"func-app-{kind}-{connection}"
        for connection in ("FlowLogs", "FlowLogs2")
        for kind in ("nsg", "vnet")
    ]
    for at in found:
        properties = at["properties"]
        assert properties["destination"]["endpointType"] == "WebHook"
        assert properties["deliveryWithResourceIdentity"] is None
        kept = properties["deadLetterWithResourceIdentity"]
        assert (kept is None) == at["name"].endswith("FlowLogs2")
