"""Looking before the deployment: everything that would stop or mislead it, in one message."""

import json
from typing import Any

import pytest
from nsgflow_hooks import app_values, preprovision
from nsgflow_hooks.environment import wishes
from nsgflow_hooks.errors import AzureError, HookError
from nsgflow_hooks.findings import Findings

from devtools.http_server import Fault, Response
from nsgflow_core import columns
from tests.infra.azure_world import OTHER, SUBSCRIPTION, World, refusal

ACCOUNT = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/network"
    "/providers/Microsoft.Storage/storageAccounts/flowlogs"
)
FAR = ACCOUNT.replace(SUBSCRIPTION, OTHER).replace("flowlogs", "far")
WATCHER = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/NetworkWatcherRG"
    "/providers/Microsoft.Network/networkWatchers/NetworkWatcher_westeurope/flowLogs"
)
NETWORK = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/network"
    "/providers/Microsoft.Network/virtualNetworks/hub"
)
NSG = NETWORK.replace("virtualNetworks/hub", "networkSecurityGroups/web")
TOPICS = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.EventGrid/systemTopics".lower()
PROVIDERS = [
    "App",
    "EventGrid",
    "Insights",
    "KeyVault",
    "ManagedIdentity",
    "Network",
    "OperationalInsights",
    "Storage",
    "Web",
]


def flow_log(
    name: str, target: str = NETWORK, storage: str = ACCOUNT, **more: Any
) -> dict[str, Any]:
    """A flow log as Resource Graph has it."""
    properties = {"storageId": storage, "targetResourceId": target, "enabled": True, **more}
    return {"id": f"{WATCHER}/{name}", "name": name, "properties": properties}


def topic(name: str = "theirs", **more: Any) -> dict[str, Any]:
    """A system topic of the account."""
    return {
        "id": ACCOUNT.partition("/providers")[0]
        + f"/providers/Microsoft.EventGrid/systemTopics/{name}",
        "name": name,
        "properties": {"source": ACCOUNT.upper(), "topicType": "Microsoft.Storage.StorageAccounts"},
        **more,
    }


@pytest.fixture
def ready(world: World) -> World:
    """A tenant in which nothing stands in the way."""
    for subscription in (SUBSCRIPTION, OTHER):
        for name in PROVIDERS:
            world.has(
                f"/subscriptions/{subscription}/providers/Microsoft.{name}",
                registrationState="Registered",
            )
        world.lists[
            f"/subscriptions/{subscription}/providers/microsoft.authorization/permissions"
        ] = [{"actions": ["*"], "notActions": []}]
    for account in (ACCOUNT, FAR):
        group = account.partition("/providers")[0].lower()
        world.lists[f"{group}/providers/microsoft.authorization/permissions"] = [
            {"actions": ["*/read"], "notActions": []},
            {"actions": ["*"], "notActions": ["Microsoft.Authorization/*/write"]},
            {"actions": ["Microsoft.Authorization/roleAssignments/write"], "notActions": []},
        ]
        world.has(account, kind="StorageV2", properties={"networkAcls": {"defaultAction": "Allow"}})
    world.lists[f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.web/georegions"] = [
        {"name": name} for name in ("East US", "North Europe", "West Europe")
    ]
    world.graph["flowlogs"] = [flow_log("hub-log"), flow_log("far-log", storage=FAR)]
    world.has(f"{WATCHER}/hub-log", properties=flow_log("hub-log")["properties"])
    world.has(f"{WATCHER}/far-log", properties=flow_log("far-log")["properties"])
    return world


Kept = dict[str, str]


def looked(
    world: World, *accounts: dict[str, object] | str, **environ: str
) -> tuple[Findings, Kept]:
    """What a look finds, and the variables that it keeps."""
    items = [{"resourceId": at} if isinstance(at, str) else at for at in accounts]
    kept: Kept = {}
    variables = {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_LOCATION": "westeurope",
        "AZURE_ENV_NAME": "prod",
        "NSGFLOW_FLOW_LOG_ACCOUNTS": json.dumps(items) if items else "",
        **environ,
    }
    return preprovision.look(world.azure(), wishes(variables), kept.__setitem__), kept


def test_nothing_is_said_where_nothing_stands_in_the_way(ready: World) -> None:
    """All is well, and nothing was written anywhere."""
    findings, kept = looked(ready, ACCOUNT)

    assert (findings.message(), kept) == ("", {})
    assert {method for method, _ in ready.asked} <= {"GET", "POST"}
    assert [path for method, path in ready.asked if method == "POST"] == [
        "/providers/microsoft.resourcegraph/resources"
    ]


def test_everything_is_said_at_once(ready: World) -> None:
    """All that stops it is in one message, each with its command."""
    ready.has(
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.EventGrid",
        registrationState="NotRegistered",
    )
    ready.has(
        ACCOUNT,
        kind="Storage",
        properties={"networkAcls": {"defaultAction": "Deny", "bypass": "None"}},
    )
    group = ACCOUNT.partition("/providers")[0].lower()
    ready.lists[f"{group}/providers/microsoft.authorization/permissions"] = [
        {"actions": ["*/read"]}
    ]
    findings, _ = looked(ready, ACCOUNT, AZURE_LOCATION="polandcentral")
    message = " ".join(findings.message().split())

    assert len(findings.stops) == 6
    for word in (
        f"provider register --wait --namespace Microsoft.EventGrid --subscription {SUBSCRIPTION}",
        "no Flex Consumption",
        "eastus, northeurope, westeurope",
        "of the kind Storage",
        "lets no trusted Azure services in",
        "azd env set NSGFLOW_PRIVATE_NETWORKING true",
        "Microsoft.EventGrid/systemTopics/write",
        'create --assignee YOU --role "Role Based Access Control Administrator"',
    ):
        assert word in message


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NSGFLOW_PRIVATE_NETWORKING", "yes", "neither true nor false: 'yes'"),
        ("NSGFLOW_SWEEP_HOURS", "six", "no number: 'six'"),
        ("NSGFLOW_ALERT_EMAILS", "noc@example.org", "no JSON list: 'noc@example.org'"),
        ("NSGFLOW_INVENTORY_SCOPES", "", "no JSON list: ''"),
        ("NSGFLOW_ALERTS", "{surge:{enabled:false}}", "no JSON object"),
        ("NSGFLOW_TAGS", "[]", "no JSON object"),
        ("NSGFLOW_TRIGGER_SOURCE", "queue", "is 'queue': EventGrid or Queue"),
        ("NSGFLOW_TABLE_PLAN", "", "is '': Analytics or Basic"),
        ("NSGFLOW_RESOURCE_GROUP_NAME", "my group", "'my group': a resource group's name has"),
        ("NSGFLOW_RESOURCE_GROUP_NAME", "prod.", "no . at its end"),
        ("NSGFLOW_RESOURCE_GROUP_NAME", "x" * 91, "90 at most"),
        ("NSGFLOW_LOGS_OMIT", "SourceBlob,FlowId", ": FlowId is always sent"),
        ("NSGFLOW_LOGS_OMIT", "sourceblob,Nothing", ": 'Nothing' is no column of the table"),
        ("NSGFLOW_INVENTORY_SCOPES", '["not-a-guid"]', ": 'not-a-guid' is neither the id"),
        ("NSGFLOW_INVENTORY_SCOPES", "[7]", ": 7 is neither the id of a subscription"),
        ("NSGFLOW_APP_SETTINGS", '{"nsgflow_Sweep_Hours":6}', "is written NSGFLOW_SWEEP_HOURS"),
        ("NSGFLOW_APP_SETTINGS", '{"NSGFLOW_SWEEP_HOURS":"six"}', "SWEEP_HOURS is no number"),
        ("NSGFLOW_APP_SETTINGS", '{"NSGFLOW_INVENTORY":true}', "is not empty or resourcegraph"),
        ("NSGFLOW_APP_SETTINGS", '{"AzureWebJobs.sweep.Disabled":"yes"}', "true nor false"),
        ("NSGFLOW_APP_SETTINGS", '{"NSGFLOW_LOGS_OMIT":"FlowTime"}', "FlowTime is always sent"),
        ("NSGFLOW_APP_SETTINGS", '{"X":{"a":1}}', "X is no text"),
    ],
)
def test_a_variable_that_azd_would_misread(ready: World, name: str, value: str, told: str) -> None:
    """Where azd would take the default in silence, or stop at the first."""
    (stop,) = looked(ready, ACCOUNT, **{name: value})[0].stops

    assert stop.text.startswith(name)
    assert told in stop.text
    assert stop.command.startswith(f"azd env set {name} ")


def test_an_environment_whose_name_makes_no_group(ready: World) -> None:
    """Azure would refuse rg-prod. after all else was looked at; a name of its own mends it."""
    (stop,) = looked(ready, ACCOUNT, AZURE_ENV_NAME="prod.")[0].stops
    assert stop.text.startswith("AZURE_ENV_NAME is 'prod.', which makes the name 'rg-prod.'")
    assert stop.command == "azd env set NSGFLOW_RESOURCE_GROUP_NAME rg-prod"

    given = {"AZURE_ENV_NAME": "prod.", "NSGFLOW_RESOURCE_GROUP_NAME": "Größe_(2).x"}
    assert looked(ready, ACCOUNT, **given)[0].stops == []


def test_values_that_the_app_takes(ready: World) -> None:
    """None of them is refused."""
    managed = "/providers/Microsoft.Management/managementGroups/all"
    scopes = [SUBSCRIPTION.upper(), f"/subscriptions/{OTHER}", managed]
    settings = {"NSGFLOW_SWEEP_HOURS": 6, "AzureWebJobs.sweep.Disabled": False, "Other": "x",
                "NSGFLOW_TRIGGER_SOURCE": "Queue", "NSGFLOW_LOGS_OMIT": "none"}  # fmt: skip
    findings, _ = looked(
        ready,
        ACCOUNT,
        NSGFLOW_INVENTORY_SCOPES=json.dumps(scopes),
        NSGFLOW_APP_SETTINGS=json.dumps(settings),
        NSGFLOW_LOGS_OMIT="sourceBlob, TargetResourceId",
    )
    assert findings.stops == []


def test_the_hook_knows_what_is_always_sent() -> None:
    """The app says so too."""
    assert set(app_values.ALWAYS_SENT) == set(columns.ALWAYS_SENT)


def test_without_a_network_it_says_so_once(ready: World) -> None:
    """Not once a question, each behind waits of its own; what needs no network is told as ever."""
    ready.server.faults = lambda _: Fault(reset=True)
    findings, _ = looked(ready, ACCOUNT, NSGFLOW_LOGS_OMIT="FlowId")

    (unknown,) = findings.unknown
    assert "does not answer (" in unknown.text
    assert len(findings.stops) == 1
    assert ready.slept <= 5


@pytest.mark.parametrize("value", ["1", "t", "TRUE", "true"])
def test_a_switch_is_read_as_azd_reads_it(ready: World, value: str) -> None:
    """Whatever azd takes for true is true to the hook; nothing is the default."""
    ready.has(
        ACCOUNT,
        kind="StorageV2",
        properties={"networkAcls": {"defaultAction": "Deny", "bypass": "AzureServices"}},
    )

    assert looked(ready, ACCOUNT, NSGFLOW_PRIVATE_NETWORKING=value)[0].stops == []
    assert len(looked(ready, ACCOUNT, NSGFLOW_PRIVATE_NETWORKING="")[0].stops) == 1
    assert len(looked(ready, ACCOUNT, NSGFLOW_PRIVATE_NETWORKING="0")[0].stops) == 1


@pytest.mark.parametrize(
    ("accounts", "told"),
    [
        ([ACCOUNT, ACCOUNT.upper()], "an account is there twice"),
        ([{"resourceId": ACCOUNT, "connection": "flowlogs2"}, FAR], "two accounts are named"),
        ([f"C:/Program Files/Git{ACCOUNT}"], "Git Bash takes it for a path: set MSYS_NO_PATHCONV"),
        ([f"{ACCOUNT}/"], "its resourceId is no storage account's"),
    ],
)
def test_accounts_that_cannot_be(
    ready: World, accounts: list[dict[str, object] | str], told: str
) -> None:
    """Said in the hook's words, before Azure is asked anything."""
    (stop,) = looked(ready, *accounts)[0].stops

    assert told in stop.text


def test_an_inventory_of_one_subscription_however_it_is_written(ready: World) -> None:
    """By GUID, by resource id, in any case: asked once, as the template reads it."""
    scopes = [OTHER, f"/subscriptions/{OTHER.upper()}"]
    looked(ready, ACCOUNT, NSGFLOW_INVENTORY_SCOPES=json.dumps(scopes))
    asked = f"/subscriptions/{OTHER}/providers/microsoft.authorization/permissions"

    assert [path for _, path in ready.asked].count(asked) == 1


def test_the_line_to_paste_is_one_word(ready: World) -> None:
    """Without spaces no shell takes it apart where it does not know the quotes."""
    (stop,) = looked(ready)[0].stops

    assert stop.command.splitlines()[0].count(" ") == 4
    assert json.loads(stop.command.partition("'")[2].rpartition("'")[0])


def test_a_firewall_is_no_matter_in_private_mode(ready: World) -> None:
    """With a private endpoint and trusted services let in, a firewall is as it should be."""
    rules = {"defaultAction": "Deny", "bypass": "Logging, AzureServices"}
    ready.has(
        ACCOUNT,
        kind="StorageV2",
        properties={"networkAcls": rules, "publicNetworkAccess": "Disabled"},
    )

    assert looked(ready, ACCOUNT, NSGFLOW_PRIVATE_NETWORKING="true")[0].stops == []
    assert len(looked(ready, ACCOUNT)[0].stops) == 1


def test_private_mode_needs_more_providers(ready: World) -> None:
    """Microsoft.App is asked for in private mode only."""
    del ready.things[f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.app"]
    ready.has(
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.App", registrationState="Unregistered"
    )

    assert looked(ready, ACCOUNT)[0].stops == []
    (stop,) = looked(ready, ACCOUNT, NSGFLOW_PRIVATE_NETWORKING="true")[0].stops
    assert "Microsoft.App " in stop.text


@pytest.mark.parametrize("identity", [True, False])
def test_a_topic_that_exists_is_used_and_not_asked_for(ready: World, identity: bool) -> None:
    """An account's topic, in whatever case and on whatever page, goes into azd's environment."""
    theirs = topic(identity={"type": "SystemAssigned" if identity else "None"})
    ready.lists[TOPICS] = [{"name": "a"}, {"name": "b", "properties": None}, theirs]
    findings, kept = looked(ready, {"resourceId": ACCOUNT, "connection": "Hub"})

    assert json.loads(kept["NSGFLOW_FLOW_LOG_ACCOUNTS"]) == [
        {
            "resourceId": ACCOUNT,
            "connection": "Hub",
            "systemTopicName": "theirs",
            "systemTopicHasIdentity": identity,
        }
    ]
    assert findings.stops == []
    assert "theirs" in findings.done[0].text
    assert bool(findings.misleads) is not identity


def test_a_topic_elsewhere_keeps_its_resource_group(ready: World) -> None:
    """The group is said where it is another than the account's."""
    theirs = topic(identity={"type": "SystemAssigned, UserAssigned"})
    theirs["id"] = theirs["id"].replace("/network/", "/events/")
    ready.lists[TOPICS] = [theirs]
    (given,) = json.loads(looked(ready, ACCOUNT)[1]["NSGFLOW_FLOW_LOG_ACCOUNTS"])

    assert given["systemTopicResourceGroup"] == "events"
    again, kept = looked(ready, given)
    assert (again.message(), kept) == ("", {})


def test_the_topic_that_nsgflow_made_is_its_own(ready: World) -> None:
    """A second deployment does not take the topic of the first for somebody else's."""
    ready.lists[TOPICS] = [
        topic(tags={"azd-env-name": "prod"}, identity={"type": "SystemAssigned"})
    ]
    findings, kept = looked(ready, ACCOUNT)

    assert (findings.message(), kept) == ("", {})


def test_a_topic_that_is_not_there_stops(ready: World) -> None:
    """A topic that was named and is gone would fail late."""
    findings, _ = looked(ready, {"resourceId": ACCOUNT, "systemTopicName": "gone"})

    assert "gone" in findings.stops[0].text


def test_a_topic_without_identity_cannot_write_to_a_queue(ready: World) -> None:
    """By queue, Event Grid writes as the topic's identity."""
    ready.lists[TOPICS] = [topic(identity={"type": "None"})]

    (stop,) = looked(ready, ACCOUNT, NSGFLOW_TRIGGER_SOURCE="Queue")[0].stops
    assert "--identity systemassigned" in stop.command


def test_several_accounts_are_told_of_the_queue(ready: World) -> None:
    """One account that refuses stops all with the blob trigger; not so by queue."""
    (told,) = looked(ready, ACCOUNT, FAR)[0].misleads
    assert told.command == "azd env set NSGFLOW_TRIGGER_SOURCE Queue"
    assert looked(ready, ACCOUNT, FAR, NSGFLOW_TRIGGER_SOURCE="Queue")[0].misleads == []


def test_an_account_that_is_not_there(ready: World) -> None:
    """A name that is wrong is found before the deployment finds it."""
    (stop,) = looked(ready, ACCOUNT.replace("flowlogs", "flowlog"))[0].stops
    assert "no storage account flowlog" in stop.text


def test_an_inventory_elsewhere_takes_rights_there(ready: World) -> None:
    """Reader for the inventory is assigned at a subscription that one may not own."""
    path = f"/subscriptions/{OTHER}/providers/microsoft.authorization/permissions"
    ready.lists[path] = [{"actions": ["Microsoft.Authorization/*"], "notActions": []}]
    (stop,) = looked(ready, ACCOUNT, FAR)[0].stops

    assert "Microsoft.Resources/deployments/write" in stop.text
    assert stop.command == "azd env set NSGFLOW_INVENTORY_ROLES_ENABLED false"
    for variables in (
        {"NSGFLOW_INVENTORY_ROLES_ENABLED": "false"},
        {"NSGFLOW_INVENTORY_ENABLED": "false"},
        {"NSGFLOW_INVENTORY_SCOPES": json.dumps([SUBSCRIPTION, "/providers/x/managementGroups/y"])},
    ):
        assert looked(ready, ACCOUNT, FAR, **variables)[0].stops == []


def test_flow_logs_that_are_not_there_or_off(ready: World) -> None:
    """An account that nothing writes to, and one whose logs are all disabled."""
    ready.graph["flowlogs"] = [flow_log("off", enabled=False)]
    findings, _ = looked(ready, ACCOUNT, FAR, NSGFLOW_TRIGGER_SOURCE="Queue")

    assert [at.text for at in findings.misleads] == [
        "Every flow log that writes to flowlogs is disabled.",
        (
            "No flow log that you can read writes to far; the app would have nothing to do there. "
            "Make one:"
        ),
    ]


@pytest.mark.parametrize(
    "filters", [{"recordTypes": "D"}, {"enabledFilteringCriteria": "srcIP=158.255.7.8"}]
)
def test_filtered_flow_logs(ready: World, filters: dict[str, str]) -> None:
    """A filter at the source is told of, though Resource Graph does not know of it."""
    ready.has(f"{WATCHER}/hub-log", properties=flow_log("hub-log", **filters)["properties"])
    (told,) = looked(ready, ACCOUNT)[0].misleads

    assert f"hub-log ({' '.join(*filters.items())})" in told.text
    assert "Rule Impact Analyzer" in told.text


NIC = NETWORK.replace("virtualNetworks/hub", "networkInterfaces/web-nic")


def nic(nsg: str, subnet: str = f"{NETWORK}/subnets/web") -> dict[str, Any]:
    """A NIC with an NSG of its own, as the query projects it."""
    configuration = {"properties": {"subnet": {"id": subnet}}}
    return {"id": NIC, "nsg": nsg, "configurations": [{"properties": None}, configuration]}


@pytest.mark.parametrize(
    ("target", "nsgs", "nics", "twice"),
    [
        (NETWORK, [{"id": NSG.upper(), "subnets": [{"id": f"{NETWORK}/subnets/web"}]}], [], True),
        (
            f"{NETWORK}/subnets/web",
            [{"id": NSG, "subnets": [{"id": f"{NETWORK}/subnets/web"}]}],
            [],
            True,
        ),
        (
            f"{NETWORK}/subnets/db",
            [{"id": NSG, "subnets": [{"id": f"{NETWORK}/subnets/web"}]}],
            [],
            False,
        ),
        (NETWORK, [{"id": NSG, "subnets": None}], [nic(NSG)], True),
        (NIC.upper(), [], [nic(NSG.upper())], True),
        (NETWORK, [{"id": NSG, "subnets": []}], [nic(NSG + "2")], False),
        (NETWORK + "2", [{"id": NSG, "subnets": [{"id": f"{NETWORK}/subnets/web"}]}], [], False),
    ],
    ids=["network", "subnet", "other subnet", "NIC in network", "NIC", "NIC of other", "other"],
)
def test_a_network_that_is_logged_twice(
    ready: World, target: str, nsgs: list[Any], nics: list[Any], twice: bool
) -> None:
    """NSG and VNet logs of the same traffic, by network, subnet or NIC, in whatever letters."""
    ready.graph["flowlogs"] = [
        flow_log("hub-log", target=target),
        flow_log("web-log", target=NSG),
        flow_log("elsewhere", target=NSG, storage=FAR.replace("far", "other")),
    ]
    ready.has(f"{WATCHER}/web-log", properties={})
    ready.graph["networksecuritygroups"] = [{"id": "/a", "subnets": None}, {"id": "/b"}, *nsgs]
    ready.graph["networkinterfaces"] = nics
    told = looked(ready, ACCOUNT)[0].misleads

    assert bool(told) == twice
    if told:
        assert "web-log and hub-log" in told[0].text
        command = f"az resource update --ids {WATCHER}/web-log --set properties.enabled=false"
        assert told[0].command == command


def test_without_accounts_those_with_flow_logs_are_named(ready: World) -> None:
    """Who does not know what to set is told, ready to paste."""
    (stop,) = looked(ready)[0].stops

    assert "2 storage accounts have flow logs" in stop.text
    assert json.loads(stop.command.partition("'")[2].rstrip("'")) == [{"resourceId": ACCOUNT}]


def test_without_any_flow_log(ready: World) -> None:
    """Who has no flow logs is told to make one first."""
    ready.graph.clear()
    (stop,) = looked(ready)[0].stops

    assert "no flow log was found" in stop.text


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[{resourceId:x}]", "quotes"),
        ("{}", "no JSON list"),
        ('["x"]', "item 1 is no object"),
        ('[{"resourceId":"/subscriptions/1"}]', "is no storage account's"),
        (json.dumps([{"resourceId": ACCOUNT, "connection": "A"}] * 2), "two accounts are named a"),
        (json.dumps([{"resourceId": ACCOUNT, "connection": "1-a"}]), "connection '1-a' is not"),
        (
            json.dumps([{"resourceId": ACCOUNT, "connection": "AzureWebJobsstorage"}]),
            "connection of nsgflow",
        ),
    ],
)
def test_accounts_that_cannot_be_read(ready: World, text: str, wrong: str) -> None:
    """What a shell made of the JSON is told before azd fails on it."""
    findings, _ = looked(ready, NSGFLOW_FLOW_LOG_ACCOUNTS=text)

    assert wrong in findings.message()
    assert "azd env set NSGFLOW_FLOW_LOG_ACCOUNTS '[" in findings.message()


@pytest.mark.parametrize(
    "answer",
    [
        refusal(403, "AuthorizationFailed", "The client does not have authorization"),
        refusal(503, "ServerBusy", "busy"),
        Response(200, b"<html>"),
        Response(200, b"[]"),
        Response(404, b"not here"),
    ],
    ids=["403", "503", "no JSON", "another shape", "plain 404"],
)
def test_what_cannot_be_looked_at_is_said_and_stops_nothing(ready: World, answer: Response) -> None:
    """Whoever may not look, or gets an odd answer, is told so and deploys all the same."""
    ready.server.faults = None
    for path in (
        TOPICS,
        f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.web/georegions",
        f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.authorization/permissions",
    ):
        ready.answer("GET", path, answer)
    ready.answer("POST", "/providers/microsoft.resourcegraph/resources", answer)
    findings, kept = looked(ready, ACCOUNT)

    assert (findings.stops, kept) == ([], {})
    assert len(findings.unknown) == 4


def test_a_next_page_elsewhere_is_not_followed(ready: World) -> None:
    """The token goes to Azure only, whatever a page says."""
    elsewhere = Response(200, b'{"value": [], "nextLink": "https://evil.example/"}')
    ready.answer("GET", TOPICS, elsewhere)
    findings, _ = looked(ready, ACCOUNT)

    assert "evil.example" in findings.unknown[0].text


def test_a_group_of_that_name_that_is_somebody_elses(ready: World) -> None:
    """rg-prod is there and azd did not make it: ask before its tags are replaced."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-prod"
    ready.has(group, tags={"owner": "them"})

    (stop,) = looked(ready, ACCOUNT)[0].stops
    assert stop.command == "azd env set NSGFLOW_RESOURCE_GROUP_NAME rg-prod"
    findings, kept = looked(ready, ACCOUNT, NSGFLOW_RESOURCE_GROUP_NAME="rg-prod")
    assert findings.stops == []
    assert kept == {"NSGFLOW_RESOURCE_GROUP_EXISTS": "true"}
    said = {"NSGFLOW_RESOURCE_GROUP_NAME": "rg-prod", "NSGFLOW_RESOURCE_GROUP_EXISTS": "true"}
    assert (looked(ready, ACCOUNT, **said)[1]) == {}
    ready.has(group, tags={"azd-env-name": "prod"})
    assert looked(ready, ACCOUNT)[0].stops == []
    del ready.things[group.lower()]
    (stop,) = looked(ready, ACCOUNT, **said)[0].stops
    assert stop.command.startswith("az group create --name rg-prod")


def test_it_is_azd_that_runs_it() -> None:
    """Without azd's variables it says how to run it."""
    with pytest.raises(HookError, match="azd hooks run preprovision"):
        wishes({})


def test_before_a_subscription_is_chosen(ready: World) -> None:
    """Azd provision asks for it only after the hook."""
    assert preprovision.main({"AZURE_ENV_NAME": "prod"}, ready.azure()) == 0
    assert ready.asked == []


def test_without_azd_a_topic_that_exists_is_printed(ready: World) -> None:
    """Where azd cannot keep it, it is there to be pasted."""
    ready.lists[TOPICS] = [topic(identity={"type": "SystemAssigned"})]
    environ = {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_LOCATION": "westeurope",
        "AZURE_ENV_NAME": "prod",
        "NSGFLOW_FLOW_LOG_ACCOUNTS": json.dumps([{"resourceId": ACCOUNT}]),
    }

    def keep(name: str, value: str) -> None:
        raise AzureError(0, "", f"azd env set {name}: not installed")

    (stop,) = preprovision.look(ready.azure(), wishes(environ), keep).stops
    name, _, value = stop.command.partition("=")
    assert name == "NSGFLOW_FLOW_LOG_ACCOUNTS"
    assert json.loads(value)[0]["systemTopicName"] == "theirs"
