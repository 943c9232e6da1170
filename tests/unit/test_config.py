"""Settings: defaults, features that are off, and what each may be."""

import base64

import pytest

from nsgflow_core import config
from nsgflow_core.config import Settings
from nsgflow_core.errors import ConfigError
from nsgflow_core.model import Storage

KEY = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA=="
CONNECTION = (
    f"DefaultEndpointsProtocol=https;AccountName=logs;AccountKey={KEY};"
    "EndpointSuffix=core.windows.net"
)
REQUIRED = {"FlowLogs": CONNECTION, "AzureWebJobsStorage": CONNECTION}
LOGS = {
    "NSGFLOW_LOGS_ENDPOINT": "https://dce.westeurope-1.ingest.monitor.azure.com",
    "NSGFLOW_LOGS_RULE_ID": "dcr-00000000000000000000000000000000",
}
WEBHOOK = {"NSGFLOW_WEBHOOK_URL": "https://hooks.example/T0/B0?sig=abc"}


def settings(**more: str) -> Settings:
    """The settings of the required variables and these."""
    return config.from_env(REQUIRED | more)


def test_defaults() -> None:
    """With the required variables only, everything else has the contract's defaults."""
    assert settings() == Settings(
        connections={"FlowLogs": Storage(connection_string=CONNECTION)},
        host_storage=Storage(connection_string=CONNECTION),
        trigger_source="EventGrid",
        state_table="nsgflowcheckpoints",
        state_days=30,
        state_container="nsgflow-state",
        logs=None,
        webhooks=(),
        sweep_hours=3,
        unknown=(),
    )


def test_defaults_of_the_table() -> None:
    """The table takes denied flows to the contract's stream unless told otherwise."""
    made = settings(**LOGS).logs

    assert made is not None
    assert (made.endpoint, made.rule_id) == (
        "https://dce.westeurope-1.ingest.monitor.azure.com",
        "dcr-00000000000000000000000000000000",
    )
    assert made.stream == "Custom-NSGFlow_CL"
    assert made.filter.terms == "action=denied"
    assert made.filter.denied_only


def test_defaults_of_the_webhook() -> None:
    """The webhook takes denied flows of any age, unsigned, unless told otherwise."""
    (made,) = settings(**WEBHOOK).webhooks

    assert (made.url, made.secret, made.max_age_minutes) == (
        "https://hooks.example/T0/B0?sig=abc",
        b"",
        None,
    )
    assert made.filter.denied_only


@pytest.mark.parametrize("empty", ["", "   ", "\t"])
def test_empty_is_unset(empty: str) -> None:
    """An empty setting is the same as none at all."""
    names = [
        "NSGFLOW_CONNECTIONS",
        "NSGFLOW_TRIGGER_SOURCE",
        "NSGFLOW_STATE_TABLE",
        "NSGFLOW_STATE_DAYS",
        "NSGFLOW_STATE_CONTAINER",
        "NSGFLOW_LOGS_ENDPOINT",
        "NSGFLOW_LOGS_RULE_ID",
        "NSGFLOW_LOGS_STREAM",
        "NSGFLOW_LOGS_FILTER",
        "NSGFLOW_LOGS_OMIT",
        "NSGFLOW_WEBHOOK_URL",
        "NSGFLOW_WEBHOOK_FORMAT",
        "NSGFLOW_WEBHOOK_SECRET",
        "NSGFLOW_WEBHOOK_FILTER",
        "NSGFLOW_WEBHOOK_MAX_AGE_MINUTES",
        "NSGFLOW_SWEEP_HOURS",
        "FlowLogs__clientId",
    ]

    assert settings(**dict.fromkeys(names, empty)) == settings()


def test_everything_set() -> None:
    """Every setting is taken as given."""
    made = settings(
        **LOGS,
        **WEBHOOK,
        NSGFLOW_TRIGGER_SOURCE="LogsAndContainerScan",
        NSGFLOW_STATE_TABLE="Checkpoints2",
        NSGFLOW_STATE_DAYS="7",
        NSGFLOW_STATE_CONTAINER="my-state",
        NSGFLOW_LOGS_STREAM="Custom-Other_CL",
        NSGFLOW_LOGS_FILTER="port=22",
        NSGFLOW_WEBHOOK_FORMAT="cloudevents",
        NSGFLOW_WEBHOOK_SECRET="whsec_" + base64.b64encode(b"0123456789abcdef").decode(),
        NSGFLOW_WEBHOOK_FILTER="!src=internet",
        NSGFLOW_WEBHOOK_MAX_AGE_MINUTES="90",
        NSGFLOW_SWEEP_HOURS="24",
    )

    assert made.logs is not None
    assert (made.trigger_source, made.state_table, made.state_days, made.state_container) == (
        "LogsAndContainerScan",
        "Checkpoints2",
        7,
        "my-state",
    )
    assert (made.logs.stream, made.logs.filter.terms) == ("Custom-Other_CL", "port=22")
    assert not made.logs.filter.denied_only
    assert made.webhooks[0].secret == b"0123456789abcdef"
    assert (made.webhooks[0].max_age_minutes, made.sweep_hours) == (90, 24)


def test_webhook_filter_is_anded_with_denied() -> None:
    """Only denied flows alert, whatever the webhook's filter says besides."""
    (made,) = settings(**WEBHOOK, NSGFLOW_WEBHOOK_FILTER="port=22").webhooks

    assert made.filter.denied_only
    assert made.filter.terms == "action=denied port=22"


@pytest.mark.parametrize("setting", ["NSGFLOW_STATE_DAYS", "NSGFLOW_SWEEP_HOURS"])
def test_one_is_the_least(setting: str) -> None:
    """Days and hours may be as few as one."""
    made = settings(**{setting: "1"})

    assert 1 in (made.state_days, made.sweep_hours)


def test_several_accounts() -> None:
    """Each connection names a flow-log account of its own, with its own way in."""
    made = config.from_env(
        {
            "AzureWebJobsStorage": CONNECTION,
            "NSGFLOW_CONNECTIONS": "East, West_2",
            "East": CONNECTION,
            "West_2__blobServiceUri": "https://west.blob.core.windows.net",
            "West_2__queueServiceUri": "https://west.queue.core.windows.net",
            "West_2__credential": "managedidentity",
            "West_2__clientId": "11111111-2222-3333-4444-555555555555",
        }
    )

    assert list(made.connections) == ["East", "West_2"]
    assert made.connections["East"].connection_string == CONNECTION
    assert made.connections["West_2"].blob_url == "https://west.blob.core.windows.net"
    assert made.connections["West_2"].client_id == "11111111-2222-3333-4444-555555555555"
    assert made.connections["West_2"].connection_string == ""


def test_flow_logs_is_not_asked_for_when_others_are_named() -> None:
    """`FlowLogs` is required only when it is one of the connections."""
    made = config.from_env(
        {"AzureWebJobsStorage": CONNECTION, "NSGFLOW_CONNECTIONS": "A", "A": CONNECTION}
    )

    assert list(made.connections) == ["A"]


def test_host_storage_by_account_name() -> None:
    """The account's name alone gives its blob and table services."""
    made = config.from_env(
        {
            "FlowLogs": CONNECTION,
            "AzureWebJobsStorage__accountName": "host",
            "AzureWebJobsStorage__credential": "managedidentity",
            "AzureWebJobsStorage__clientId": "id",
        }
    )

    assert made.host_storage == Storage(
        blob_url="https://host.blob.core.windows.net",
        table_url="https://host.table.core.windows.net",
        client_id="id",
    )


def test_host_storage_by_service_urls() -> None:
    """Service URLs serve other clouds and private names."""
    made = config.from_env(
        {
            "FlowLogs": CONNECTION,
            "AzureWebJobsStorage__blobServiceUri": "https://host.blob.core.usgovcloudapi.net",
            "AzureWebJobsStorage__tableServiceUri": "https://host.table.core.usgovcloudapi.net",
        }
    )

    assert made.host_storage.blob_url == "https://host.blob.core.usgovcloudapi.net"
    assert made.host_storage.table_url == "https://host.table.core.usgovcloudapi.net"


def test_development_storage() -> None:
    """Azurite's short connection string is one."""
    made = config.from_env(
        {"FlowLogs": "UseDevelopmentStorage=true", "AzureWebJobsStorage": CONNECTION}
    )

    assert made.connections["FlowLogs"].connection_string == "UseDevelopmentStorage=true"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_http_for_this_machine(host: str) -> None:
    """Plain http is allowed to this machine, for local stand-ins."""
    made = settings(NSGFLOW_WEBHOOK_URL=f"http://{host}:8080/hook")

    assert made.webhooks[0].url == f"http://{host}:8080/hook"


def test_unknown_settings_are_told() -> None:
    """A variable that looks like a setting and is none is named, for a warning."""
    assert settings(NSGFLOW_SWEEP_HUORS="3", NSGFLOW_X="1", OTHER="1").unknown == (
        "NSGFLOW_SWEEP_HUORS",
        "NSGFLOW_X",
    )


@pytest.mark.parametrize(
    ("setting", "value", "shown"),
    [
        ("NSGFLOW_WEBHOOK_FILTER", "action=allowed", "'action=allowed'"),
        ("NSGFLOW_CONNECTIONS", "FlowLogs,FlowLogs", "'FlowLogs'"),
        ("NSGFLOW_LOGS_FILTER", "prot=tcp", "'prot=tcp'"),
        ("NSGFLOW_LOGS_ENDPOINT", "http://x", "'http://x'"),
        ("NSGFLOW_SERVICE_TAGS", "/no/such/file", "'/no/such/file'"),
        ("NSGFLOW_SWEEP_HOURS", "0", "'0'"),
        ("AZURE_CLOUD", "MOON", "'MOON'"),
    ],
)
def test_an_error_shows_the_value_that_it_refuses(setting: str, value: str, shown: str) -> None:
    """Whoever reads the log need not look it up."""
    with pytest.raises(ConfigError) as caught:
        settings(**{setting: value})
    assert any(setting in one and shown in one for one in caught.value.problems)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("NSGFLOW_WEBHOOK_SECRET", "whsec_???c2VjcmV0"),
        ("NSGFLOW_WEBHOOK_URL", "ftp://x/c2VjcmV0"),
        ("NSGFLOW_LOGS_ENDPOINT", "http://x/?sig=c2VjcmV0"),
        ("NSGFLOW_LOGS_ENDPOINT", "http://u:c2VjcmV0@x/"),
        ("FlowLogs", "Endpoint=x;Key=c2VjcmV0"),
    ],
)
def test_an_error_shows_no_secret(setting: str, value: str) -> None:
    """Nor what may be one, where it does not belong."""
    with pytest.raises(ConfigError) as caught:
        settings(**{setting: value})
    assert "c2VjcmV0" not in str(caught.value)


def test_settings_are_frozen() -> None:
    """What the environment decided does not change."""
    made = settings()

    with pytest.raises(AttributeError):
        made.sweep_hours = 5  # type: ignore[misc]  # that it cannot be done is the point


@pytest.mark.parametrize(
    ("text", "omitted"),
    [
        ("", {"SourceBlob"}),
        ("none", set()),
        ("None", set()),
        ("targetresourceid , SourceBlob,", {"SourceBlob", "TargetResourceId"}),
        ("SrcVm", {"SrcVm"}),
    ],
)
def test_columns_that_are_not_sent(text: str, omitted: set[str]) -> None:
    """SourceBlob by default; in any case; `none` sends all."""
    made = settings(**LOGS, NSGFLOW_LOGS_OMIT=text).logs

    assert made is not None
    assert made.omit == omitted


def test_events_by_queue() -> None:
    """The queue has a default name, and the flow-log account needs no queue service."""
    by_identity = {
        "FlowLogs": "",
        "FlowLogs__blobServiceUri": "https://logs.blob.core.windows.net",
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__accountName": "host",
        "NSGFLOW_TRIGGER_SOURCE": "Queue",
    }
    assert settings(**by_identity).events_queue == "nsgflow-events"
    assert settings(**by_identity, NSGFLOW_EVENTS_QUEUE="q-1").events_queue == "q-1"
    assert settings(NSGFLOW_TRIGGER_SOURCE="Queue").trigger_source == config.QUEUE


def test_events_by_queue_need_the_hosts_queue_service() -> None:
    """The host would not index the function without it."""
    by_identity = {
        "AzureWebJobsStorage": "",
        "AzureWebJobsStorage__blobServiceUri": "https://host.blob.core.windows.net",
        "AzureWebJobsStorage__tableServiceUri": "https://host.table.core.windows.net",
    }
    settings(**by_identity)
    with pytest.raises(ConfigError, match="AzureWebJobsStorage__queueServiceUri"):
        settings(**by_identity, NSGFLOW_TRIGGER_SOURCE="Queue")
    by_identity["AzureWebJobsStorage__queueServiceUri"] = "https://host.queue.core.windows.net"
    found = settings(**by_identity, NSGFLOW_TRIGGER_SOURCE="Queue")

    assert found.host_storage.queue_url == "https://host.queue.core.windows.net"
    assert settings(**by_identity).host_storage.queue_url == ""
    by_name = {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "host"}
    found = settings(**by_name, NSGFLOW_TRIGGER_SOURCE="Queue")
    assert found.host_storage.queue_url == "https://host.queue.core.windows.net"
    with pytest.raises(ConfigError, match="queueServiceUri: 'host' is no https URL"):
        settings(
            **by_identity | {"AzureWebJobsStorage__queueServiceUri": "host"},
            NSGFLOW_TRIGGER_SOURCE="Queue",
        )


@pytest.mark.parametrize(
    "name", ["ab", "Events", "a--b", "-events", "events-", "e_v", "e" * 57, "nsgflow-events-poison"]
)
def test_a_queue_that_cannot_be(name: str) -> None:
    """Azure's rules for names, and room for the poison queue's."""
    with pytest.raises(ConfigError, match="NSGFLOW_EVENTS_QUEUE"):
        settings(NSGFLOW_EVENTS_QUEUE=name)
