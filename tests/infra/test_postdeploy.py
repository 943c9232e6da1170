"""After the code: the app is waited for, subscribed, compared, and the user told where to look."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from nsgflow_hooks import events, postdeploy
from nsgflow_hooks.errors import HookError

from devtools.http_server import Response
from tests.infra.azure_world import OTHER, SUBSCRIPTION, World, ok, refusal

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-prod"
APP = f"{GROUP}/providers/Microsoft.Web/sites/func-abc"
INSIGHTS = f"{GROUP}/providers/Microsoft.Insights/components/appi-abc"
HOST = "func-abc-x1.westeurope-01.azurewebsites.net"
STORAGE = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/stabc"
DEPLOYMENT = (
    f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources"
    "/deployments/nsgflow-events-func-abc"
)
TEMPLATE = {"$schema": "subscriptionDeploymentTemplate", "resources": {}}


def source(connection: str, subscription: str = SUBSCRIPTION) -> dict[str, object]:
    """An element of NSGFLOW_EVENT_SOURCES."""
    return {
        "connection": connection,
        "subscriptionId": subscription,
        "resourceGroup": "network",
        "systemTopicName": f"egst-{connection.lower()}",
        "deadLetter": True,
    }


def topic(connection: str, subscription: str = SUBSCRIPTION) -> str:
    """Resource id of its topic."""
    return (
        f"/subscriptions/{subscription}/resourceGroups/network"
        f"/providers/Microsoft.EventGrid/systemTopics/egst-{connection.lower()}"
    )


SOURCES = [source("FlowLogs"), source("Hub_2", OTHER)]


def variables(**more: str) -> Mapping[str, str]:
    """What azd hands over."""
    return {
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_LOCATION": "westeurope",
        "AZURE_RESOURCE_GROUP": "rg-prod",
        "AZURE_FUNCTION_APP_NAME": "func-abc",
        "NSGFLOW_DEAD_LETTER_STORAGE_ID": STORAGE,
        "NSGFLOW_DEAD_LETTER_CONTAINER": "eventgrid-deadletter",
        "NSGFLOW_EVENT_SOURCES": json.dumps(SOURCES),
        "NSGFLOW_WORKBOOK_ID": f"{GROUP}/providers/Microsoft.Insights/workbooks/w",
        "NSGFLOW_WAIT_SECONDS": "60",
        **more,
    }


def subscribe(
    world: World, connection: str, kind: str, function: str = "", host: str = HOST, **more: str
) -> str:
    """An event subscription on the connection's topic; its id."""
    subscription = OTHER if connection == "Hub_2" else SUBSCRIPTION
    path = f"{topic(connection, subscription)}/eventSubscriptions"
    name = more.get("name") or f"func-abc-{kind}-{connection.replace('_', '-')}"
    at = f"{path}/{name}"
    endpoint = f"https://{host}/runtime/webhooks/blobs"
    world.lists.setdefault(path.lower(), []).append(
        {
            "id": at,
            "name": name,
            "properties": {
                "destination": {
                    "endpointType": "WebHook",
                    "properties": {"endpointBaseUrl": endpoint},
                }
            },
        }
    )
    named = function or f"Host.Functions.{kind}_{connection}"
    full = f"{endpoint}?functionName={named}&code=sEcReT"
    world.answer("POST", f"{at}/getFullUrl", ok({"endpointUrl": full}))
    return at


def metric(name: str, total: float, subscription: str = "func-abc-nsg-flowlogs") -> dict[str, Any]:
    """One metric of a topic."""
    series = {"metadatavalues": [{"value": subscription}], "data": [{"total": total}, {}]}
    return {"name": {"value": name}, "timeseries": [series]}


@pytest.fixture
def deployed(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> World:
    """An app that runs, has swept, and is subscribed the moment that the template is deployed."""
    template = tmp_path / "events.json"
    template.write_text(json.dumps(TEMPLATE), encoding="utf-8")
    monkeypatch.setattr(events, "TEMPLATE", template)
    world.has(APP, properties={"defaultHostName": HOST})
    names = ["nsg_FlowLogs", "vnet_FlowLogs", "nsg_Hub_2", "vnet_Hub_2", "sweep"]
    world.lists[f"{APP}/functions".lower()] = [{"name": f"func-abc/{name}"} for name in names]
    world.lists[f"{GROUP}/resources".lower()] = [{"id": INSIGHTS}]
    world.has(f"{APP}/config/configreferences/appsettings", value=[])
    world.logs["nsgflow.sweep"] = [
        {"Connection": name, "Unreached": 0, "FirstError": ""} for name in ("FlowLogs", "Hub_2")
    ]
    for connection, subscription in (("FlowLogs", SUBSCRIPTION), ("Hub_2", OTHER)):
        for kind in ("nsg", "vnet"):
            subscribe(world, connection, kind)
        world.answer(
            "GET",
            f"{topic(connection, subscription)}/providers/Microsoft.Insights/metrics",
            ok({"value": [metric("DeliverySuccessCount", 3)]}),
        )
    states = [{"properties": {"provisioningState": state}} for state in ("Running", "Succeeded")]
    world.answer("PUT", DEPLOYMENT, ok(states[0], 201))
    world.answer("GET", DEPLOYMENT, ok(states[0]), ok(states[1]))
    return world


def run(world: World, *words: str, **environ: str) -> int:
    """Run the hook."""
    return postdeploy.main(words, variables(**environ), world.azure())


def puts(world: World) -> list[Any]:
    """What was deployed."""
    return [world.bodies[at] for at in world.asked if at[0] == "PUT"]


def test_events_are_subscribed_and_seen_to_arrive(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is well: the template with the outputs, an event, the workbook and the first query."""
    assert run(deployed) == 0
    said = capsys.readouterr()

    (body,) = puts(deployed)
    given = {name: at["value"] for name, at in body["properties"]["parameters"].items()}
    assert body["location"] == "westeurope"
    assert body["properties"]["template"] == TEMPLATE
    assert given == {
        "appName": "func-abc",
        "resourceGroupName": "rg-prod",
        "deadLetterStorageId": STORAGE,
        "deadLetterContainer": "eventgrid-deadletter",
        "sources": SOURCES,
    }
    assert said.err == ""
    assert "Events arrive: 6 delivered" in said.out
    assert f"https://portal.azure.com/#resource{GROUP}" in said.out
    assert "| summarize Flows = count() by AclName, AclRule, DestPort" in said.out
    assert not [method for method, _ in deployed.asked if method == "DELETE"]


def test_the_key_is_neither_asked_for_nor_shown(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The template reads the key; a full URL, which has it, is not shown."""
    run(deployed)

    assert "sEcReT" not in "".join(capsys.readouterr())
    assert not [path for _, path in deployed.asked if "listkeys" in path]


def test_functions_are_waited_for(deployed: World) -> None:
    """A host that is starting answers 5xx, then some functions, then all."""
    some = ok({"value": [{"name": "func-abc/sweep"}]})
    path = f"{APP}/functions".lower()
    every = ok({"value": deployed.lists[path]})
    deployed.answer("GET", path, refusal(503, "ServiceUnavailable", "starting"), some, every)

    assert run(deployed) == 0
    assert deployed.slept >= 10


def test_an_app_that_does_not_start_says_why(deployed: World) -> None:
    """The unresolved reference and the app's own exception are in the message, nothing is made."""
    deployed.lists[f"{APP}/functions".lower()] = [{"name": "func-abc/sweep"}]
    deployed.has(
        f"{APP}/config/configreferences/appsettings",
        value=[
            {
                "name": "NSGFLOW_WEBHOOK_URL",
                "properties": {"status": "AccessToKeyVaultDenied", "details": "no  access"},
            },
            {"name": "FINE", "properties": {"status": "Resolved"}},
        ],
    )
    deployed.logs["AppExceptions"] = [{"Text": "ConfigError settings: X: bad", "Times": 4}]
    with pytest.raises(HookError) as stopped:
        run(deployed)
    text = " ".join(str(stopped.value).split())

    assert "nsg_FlowLogs, nsg_Hub_2, vnet_FlowLogs, vnet_Hub_2" in text
    assert "NSGFLOW_WEBHOOK_URL is an unresolved Key Vault reference" in text
    assert "/config/configreferences/appsettings/refresh" in text
    assert "ConfigError settings: X: bad" in text
    assert "FINE" not in text
    assert puts(deployed) == []


def test_an_unresolved_reference_of_an_app_that_runs_is_said(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table goes on without the webhook, so it is told and stops nothing; older shape too."""
    statuses = {"NSGFLOW_WEBHOOK_URL": {"status": "SecretNotFound", "details": None}}
    deployed.has(
        f"{APP}/config/configreferences/appsettings",
        properties={"keyToReferenceStatuses": statuses},
    )

    assert run(deployed) == 0
    assert "NSGFLOW_WEBHOOK_URL is an unresolved Key Vault reference" in capsys.readouterr().out


def test_an_account_that_no_sweep_has_read_is_not_subscribed(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that refuses would stop the host for all: the others are subscribed, and it is said."""
    deployed.logs["nsgflow.sweep"] = [
        {"Connection": "FlowLogs", "Unreached": 0, "FirstError": ""},
        {"Connection": "Hub_2", "Unreached": 3, "FirstError": "AuthorizationPermissionMismatch"},
    ]
    deployed.lists[f"{topic('Hub_2', OTHER)}/eventSubscriptions".lower()] = []

    assert run(deployed) == 1
    said = " ".join(capsys.readouterr().err.split())
    (body,) = puts(deployed)
    assert body["properties"]["parameters"]["sources"]["value"] == [SOURCES[0]]
    assert "Hub_2: its last sweep could not read it: AuthorizationPermissionMismatch" in said
    assert "there is no event subscription" not in said


def test_an_account_that_is_subscribed_and_refuses_now(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its subscriptions stay, and that they are a danger to all is said, with the way out."""
    deployed.logs["nsgflow.sweep"] = [
        {"Connection": "FlowLogs", "Unreached": 1, "FirstError": "403"},
        {"Connection": "Hub_2", "Unreached": 0, "FirstError": ""},
    ]

    assert run(deployed) == 1
    said = capsys.readouterr().err
    assert said.count("stop the host for all accounts") == 2
    assert f"az resource delete --ids {topic('FlowLogs')}/eventSubscriptions/func-abc-nsg" in said
    assert not [path for method, path in deployed.asked if method == "DELETE"]


def test_a_sweep_is_waited_for(deployed: World) -> None:
    """Lines take minutes; before the first, the table itself is not there."""
    rows = [{"name": at} for at in ("Connection", "Unreached", "FirstError")]
    table = {"columns": rows, "rows": [["FlowLogs", 0, ""], ["Hub_2", 0, ""]]}
    none = refusal(400, "BadArgumentError", "Failed to resolve table 'AppTraces'")
    deployed.answer("POST", f"/v1{INSIGHTS}/query", none, none, ok({"tables": [table]}))

    assert run(deployed) == 0
    assert deployed.slept >= 20


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ([], "no sweep has told of it yet"),
        (refusal(403, "InsufficientAccessError", "no access"), "Monitoring Reader"),
        (Response(200, b"{}"), "no table"),
    ],
    ids=["none", "403", "another shape"],
)
def test_accounts_are_not_subscribed_unseen(
    deployed: World,
    capsys: pytest.CaptureFixture[str],
    answer: list[dict[str, Any]] | Response,
    why: str,
) -> None:
    """Without a sweep's word nothing is subscribed, and why is said; one may insist."""
    deployed.logs["nsgflow.sweep"] = answer

    assert run(deployed) == 1
    assert why in " ".join(capsys.readouterr().err.split())
    assert puts(deployed) == []
    assert run(deployed, NSGFLOW_SUBSCRIBE="unchecked") == 0
    assert len(puts(deployed)) == 1


def test_a_handshake_that_fails_is_tried_again(deployed: World) -> None:
    """Right after the first start the app may refuse: its key is being loaded."""
    failed = {
        "properties": {
            "provisioningState": "Failed",
            "error": {
                "code": "DeploymentFailed",
                "message": "At least one resource deployment operation failed.",
                "details": [
                    {"code": "Url validation", "message": "Webhook validation handshake failed"}
                ],
            },
        }
    }
    deployed.answer(
        "PUT", DEPLOYMENT, ok(failed), ok({"properties": {"provisioningState": "Succeeded"}})
    )

    assert run(deployed) == 0
    assert len(puts(deployed)) == 2


def test_what_azure_refuses_is_told_in_its_words(deployed: World) -> None:
    """The innermost reason, without the key; what cannot pass is not tried again."""
    inner = json.dumps(
        {"error": {"code": "X", "message": "No quota for https://h/?a=b&code=sEcReT here"}}
    )
    error = {"code": "DeploymentFailed", "message": "failed", "details": [{"message": inner}]}
    failed = {"properties": {"provisioningState": "Failed", "error": error}}
    deployed.answer("PUT", DEPLOYMENT, ok(failed))
    with pytest.raises(HookError, match=r"No quota for https://h/\?a=b&code=\*\*\* here"):
        run(deployed)

    assert len(puts(deployed)) == 1


def test_a_removed_connection_loses_its_subscriptions(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those on a topic that is in the list no more; nobody else's are touched."""
    old = subscribe(deployed, "Old", "nsg")
    theirs = subscribe(deployed, "Old", "nsg", host="other.azurewebsites.net", name="theirs")
    gone = subscribe(deployed, "FlowLogs", "vnet", name="func-abc-vnet-Renamed")
    deployed.lists[f"/subscriptions/{SUBSCRIPTION}/providers/microsoft.eventgrid/systemtopics"] = [
        {"id": "/x", "properties": {"topicType": "Microsoft.KeyVault.vaults"}},
        {"id": "/y", "properties": {"topicType": "Microsoft.Resources.Subscriptions"}},
        {"id": topic("Old"), "properties": {"topicType": "microsoft.storage.storageaccounts"}},
    ]

    assert run(deployed) == 0
    assert {path for method, path in deployed.asked if method == "DELETE"} == {
        old.lower(),
        gone.lower(),
    }
    assert theirs.lower() not in {path for _, path in deployed.asked}
    assert "Removed the event subscription func-abc-nsg-Old" in capsys.readouterr().out


def test_a_wrong_function_name_is_found(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Event Grid is told 202 for a name in other case, and the event is gone: say so."""
    path = f"{topic('FlowLogs')}/eventSubscriptions".lower()
    deployed.lists[path] = []
    subscribe(deployed, "FlowLogs", "nsg", function="Host.Functions.nsg_flowlogs")
    subscribe(deployed, "FlowLogs", "vnet", function="vnet_FlowLogs")

    assert run(deployed) == 1
    said = capsys.readouterr().err
    assert "calls the function Host.Functions.nsg_flowlogs, which the app does not have" in said
    assert said.count("which the app does not have") == 1


def test_a_subscription_that_is_not_there_is_said(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A deployment that succeeded is not believed blindly."""
    deployed.lists[f"{topic('FlowLogs')}/eventSubscriptions".lower()].pop()

    assert run(deployed) == 1
    assert "there is no event subscription func-abc-vnet-FlowLogs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        (
            [metric("DeliveryAttemptFailCount", 2), metric("MatchedEventCount", 2)],
            "2 deliveries failed",
        ),
        ([metric("MatchedEventCount", 2)], "on their way"),
        ([metric("MatchedEventCount", 0)], "cannot be known yet: none was matched"),
        ([metric("DeliverySuccessCount", 9, "somebody-else")], "none was matched"),
        (None, "cannot be known: Event Grid's metrics say"),
    ],
    ids=["failed", "matched", "none", "of others", "no metrics"],
)
def test_whether_an_event_arrives(
    deployed: World, capsys: pytest.CaptureFixture[str], metrics: list[Any] | None, told: str
) -> None:
    """It says what Event Grid counted, or why it cannot know; that is no failure."""
    for connection, subscription in (("FlowLogs", SUBSCRIPTION), ("Hub_2", OTHER)):
        answer = (
            refusal(403, "AuthorizationFailed", "no") if metrics is None else ok({"value": metrics})
        )
        if connection == "Hub_2" and metrics is not None:
            answer = ok({"value": []})
        at = f"{topic(connection, subscription)}/providers/Microsoft.Insights/metrics"
        deployed.answer("GET", at, answer)

    assert run(deployed) == 0
    assert told in capsys.readouterr().out


def write_to_queue(world: World, connection: str) -> None:
    """The topic's subscriptions write to the app's queue, as the topic's identity."""
    subscription = OTHER if connection == "Hub_2" else SUBSCRIPTION
    queue = {"resourceId": STORAGE.upper(), "queueName": "nsgflow-events"}
    delivery = {
        "identity": {"type": "SystemAssigned"},
        "destination": {"endpointType": "StorageQueue", "properties": queue},
    }
    path = f"{topic(connection, subscription)}/eventSubscriptions".lower()
    for at in world.lists[path]:
        at["properties"] = {"deliveryWithResourceIdentity": delivery}


def test_by_queue_the_templates_subscribe(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sweep is waited for, the alert rules are made, and a topic left behind is told of."""
    deployed.lists[f"{APP}/functions".lower()] = [{"name": "f/events"}, {"name": "f/sweep"}]
    deployed.logs.clear()
    environ = {"NSGFLOW_TRIGGER_SOURCE": "Queue", "NSGFLOW_ALERT_RULES": '{"enabled": true}'}
    write_to_queue(deployed, "FlowLogs")

    assert run(deployed, **environ) == 1
    (body,) = puts(deployed)
    given = body["properties"]["parameters"]
    assert (given["sources"], given["alertRules"]) == ({"value": []}, {"value": {"enabled": True}})
    said = capsys.readouterr().err
    assert "there is no event subscription func-abc-nsg-Hub-2 that writes to the queue" in said
    assert "FlowLogs" not in said
    write_to_queue(deployed, "Hub_2")
    assert run(deployed, **environ) == 0
    assert not [path for method, path in deployed.asked if method == "DELETE"]


def test_a_removed_connection_writes_to_the_queue_no_more(deployed: World) -> None:
    """Also by queue."""
    deployed.lists[f"{APP}/functions".lower()] = [{"name": "f/events"}, {"name": "f/sweep"}]
    subscribe(deployed, "FlowLogs", "nsg", name="func-abc-nsg-Old")
    for connection in ("FlowLogs", "Hub_2"):
        write_to_queue(deployed, connection)

    assert run(deployed, NSGFLOW_TRIGGER_SOURCE="Queue") == 0
    assert [path.rpartition("/")[2] for method, path in deployed.asked if method == "DELETE"] == [
        "func-abc-nsg-old"
    ]


def test_the_outputs_of_a_named_deployment(deployed: World) -> None:
    """Without azd they are read from the deployment, however Azure writes their names."""
    values = {
        name: {"value": text} for name, text in variables().items() if name != "AZURE_LOCATION"
    }
    values["NSGFLOW_EVENT_SOURCES"] = {"value": SOURCES}  # type: ignore[dict-item]
    outputs = {"azurE_LOCATION": {"value": "westeurope"}, **values}
    deployed.has(
        f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Resources/deployments/first",
        properties={"outputs": outputs},
    )
    environ = {"AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, "NSGFLOW_WAIT_SECONDS": "0"}

    assert postdeploy.main(["first"], environ, deployed.azure()) == 0
    assert len(puts(deployed)) == 1
    with pytest.raises(HookError, match="the deployment second: ResourceNotFound"):
        postdeploy.main(["second"], environ, deployed.azure())


@pytest.mark.parametrize(
    "missing",
    [
        "AZURE_LOCATION",
        "AZURE_RESOURCE_GROUP",
        "AZURE_FUNCTION_APP_NAME",
        "NSGFLOW_DEAD_LETTER_STORAGE_ID",
        "NSGFLOW_EVENT_SOURCES",
        "AZURE_SUBSCRIPTION_ID",
    ],
)
def test_a_missing_output_is_named(deployed: World, missing: str) -> None:
    """Nothing is asked of Azure then."""
    with pytest.raises(HookError, match=missing):
        run(deployed, **{missing: ""})

    assert deployed.asked == []


@pytest.mark.parametrize("text", ["x", '[{"connection":"A"}]', "[1]", "3"])
def test_sources_of_another_shape(deployed: World, text: str) -> None:
    """An output that is not as the template writes it is named."""
    with pytest.raises(HookError, match="NSGFLOW_EVENT_SOURCES is not as"):
        run(deployed, NSGFLOW_EVENT_SOURCES=text)


def test_a_wait_that_is_no_number(deployed: World) -> None:
    """A bad setting is named."""
    with pytest.raises(HookError, match="NSGFLOW_WAIT_SECONDS is no number: 'long'"):
        run(deployed, NSGFLOW_WAIT_SECONDS="long")


def test_application_insights_elsewhere_and_what_an_owner_is_to_run(
    deployed: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that was there before is asked by its id; commands for an owner are printed."""
    theirs = INSIGHTS.replace("rg-prod", "central")
    command = "az role assignment create --role Reader …"
    environ = {
        "NSGFLOW_ALERT_RULES": json.dumps({"enabled": True, "insightsId": theirs}),
        "NSGFLOW_INVENTORY_COMMANDS": json.dumps([command]),
    }

    assert run(deployed, **environ) == 0
    assert ("POST", f"/v1{theirs}/query".lower()) in deployed.asked
    assert command in capsys.readouterr().out
