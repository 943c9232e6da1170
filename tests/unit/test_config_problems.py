"""Wrong settings: one error lists them all, names each, and tells no secret."""

import pytest

from nsgflow_core import config
from nsgflow_core.config import from_env
from nsgflow_core.errors import ConfigError

KEY = "c2VjcmV0LWtleS1vZi10aGUtYWNjb3VudA=="
CONNECTION = f"AccountName=logs;AccountKey={KEY};EndpointSuffix=core.windows.net"
REQUIRED = {"FlowLogs": CONNECTION, "AzureWebJobsStorage": CONNECTION}
LOGS = {
    "NSGFLOW_LOGS_ENDPOINT": "https://dce.westeurope-1.ingest.monitor.azure.com",
    "NSGFLOW_LOGS_RULE_ID": "dcr-0",
}
WEBHOOK = {"NSGFLOW_WEBHOOK_URL": "https://hooks.example/hook"}


def problems(env: dict[str, str]) -> tuple[str, ...]:
    """The problems that the environment's settings have."""
    with pytest.raises(ConfigError) as caught:
        config.from_env(env)
    return caught.value.problems


BAD = [
    ("NSGFLOW_CONNECTIONS", "Flow-Logs"),
    ("NSGFLOW_CONNECTIONS", "FlowLogs,"),
    ("NSGFLOW_CONNECTIONS", "FlowLogs,FlowLogs"),
    ("NSGFLOW_CONNECTIONS", "1st"),
    ("NSGFLOW_TRIGGER_SOURCE", "Polling"),
    ("NSGFLOW_TRIGGER_SOURCE", "eventgrid"),
    ("NSGFLOW_STATE_TABLE", "with-hyphen"),
    ("NSGFLOW_STATE_TABLE", "ab"),
    ("NSGFLOW_STATE_TABLE", "1abc"),
    ("NSGFLOW_STATE_TABLE", "a" * 64),
    ("NSGFLOW_STATE_DAYS", "0"),
    ("NSGFLOW_STATE_DAYS", "-1"),
    ("NSGFLOW_STATE_DAYS", "1.5"),
    ("NSGFLOW_STATE_DAYS", "a month"),
    ("NSGFLOW_STATE_DAYS", "9" * 5000),
    ("NSGFLOW_STATE_CONTAINER", "Upper"),
    ("NSGFLOW_STATE_CONTAINER", "ab"),
    ("NSGFLOW_STATE_CONTAINER", "a--b"),
    ("NSGFLOW_STATE_CONTAINER", "-ab"),
    ("NSGFLOW_STATE_CONTAINER", "ab-"),
    ("NSGFLOW_STATE_CONTAINER", "a" * 64),
    ("NSGFLOW_LOGS_ENDPOINT", "http://dce.example"),
    ("NSGFLOW_LOGS_ENDPOINT", "http://localhost:8080"),
    ("NSGFLOW_LOGS_ENDPOINT", "dce.example"),
    ("NSGFLOW_LOGS_ENDPOINT", "ftp://dce.example"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://dce.example:port"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://[::1"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://dce .example"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://dce.example/dataCollectionRules/dcr-0/streams/Custom-x"),
    ("NSGFLOW_LOGS_ENDPOINT", "https://dce.example?api-version=2023-01-01"),
    ("NSGFLOW_LOGS_RULE_ID", "a b"),
    ("NSGFLOW_LOGS_RULE_ID", "dcr-0/streams/x"),
    ("NSGFLOW_LOGS_RULE_ID", "dcr-0?x=1"),
    ("NSGFLOW_LOGS_RULE_ID", "dcr-\u0660"),
    ("NSGFLOW_LOGS_STREAM", "NSGFlow_CL"),
    ("NSGFLOW_LOGS_STREAM", "Custom-"),
    ("NSGFLOW_LOGS_STREAM", "Custom-a b"),
    ("NSGFLOW_LOGS_FILTER", "color=red"),
    ("NSGFLOW_LOGS_FILTER", "port=99999"),
    ("NSGFLOW_LOGS_OMIT", "SourceBlobs"),
    ("NSGFLOW_LOGS_OMIT", "SourceBlob,FlowId"),
    ("NSGFLOW_LOGS_OMIT", "timegenerated"),
    ("NSGFLOW_LOGS_OMIT", "none,SourceBlob"),
    ("NSGFLOW_WEBHOOK_URL", "http://hooks.example/x"),
    ("NSGFLOW_WEBHOOK_URL", "hooks.example/x"),
    ("NSGFLOW_WEBHOOK_URL", "http://localhost.evil.example/x"),
    ("NSGFLOW_WEBHOOK_FORMAT", "email"),
    ("NSGFLOW_WEBHOOK_SECRET", "plain"),
    ("NSGFLOW_WEBHOOK_SECRET", "whsec_"),
    ("NSGFLOW_WEBHOOK_SECRET", "whsec_!!!"),
    ("NSGFLOW_WEBHOOK_SECRET", "whsec_abc"),
    ("NSGFLOW_WEBHOOK_SECRET", "c2VjcmV0"),
    ("NSGFLOW_WEBHOOK_FILTER", "action=allowed"),
    ("NSGFLOW_WEBHOOK_FILTER", "!action=denied"),
    ("NSGFLOW_WEBHOOK_FILTER", "nonsense"),
    ("NSGFLOW_WEBHOOK_MAX_AGE_MINUTES", "0"),
    ("NSGFLOW_WEBHOOK_MAX_AGE_MINUTES", "-5"),
    ("NSGFLOW_WEBHOOK_MAX_AGE_MINUTES", "soon"),
    ("NSGFLOW_SWEEP_HOURS", "0"),
    ("NSGFLOW_SWEEP_HOURS", "three"),
    ("NSGFLOW_SWEEP_HOURS", "\u0663"),
    ("NSGFLOW_SWEEP_HOURS", "1_0"),
]


@pytest.mark.parametrize(("key", "value"), BAD, ids=[f"{k}={v[:12]!r}" for k, v in BAD])
def test_bad_value(key: str, value: str) -> None:
    """A wrong value is a problem that names the setting."""
    found = problems(REQUIRED | LOGS | WEBHOOK | {key: value})

    assert any(problem.startswith(f"{key}: ") for problem in found)


@pytest.mark.parametrize("key", ["FlowLogs", "AzureWebJobsStorage"])
def test_required(key: str) -> None:
    """Both storage accounts are required, and the error says how to name them."""
    (problem,) = problems({name: value for name, value in REQUIRED.items() if name != key})

    assert problem.startswith(f"{key}: ")
    assert f"{key}__blobServiceUri" in problem


def test_empty_required_setting_is_missing() -> None:
    """An empty connection is a missing one."""
    assert len(problems({"FlowLogs": " ", "AzureWebJobsStorage": ""})) == 2


def test_service_urls_come_in_pairs() -> None:
    """Host storage by URLs needs blob and table; flow logs need blob and queue."""
    (host,) = problems(
        {"FlowLogs": CONNECTION, "AzureWebJobsStorage__blobServiceUri": "https://h.blob.example"}
    )

    assert "AzureWebJobsStorage__tableServiceUri" in host


def test_flow_logs_by_url_need_the_queue_service() -> None:
    """The trigger keeps its events in queues: the blob service alone does not do."""
    (problem,) = problems(
        {"AzureWebJobsStorage": CONNECTION, "FlowLogs__blobServiceUri": "https://l.blob.example"}
    )

    assert "FlowLogs__queueServiceUri" in problem


@pytest.mark.parametrize(
    "key",
    ["AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__tableServiceUri"],
)
def test_bad_service_urls_of_the_host(key: str) -> None:
    """Service URLs must be https, too."""
    env = {
        "FlowLogs": CONNECTION,
        "AzureWebJobsStorage__blobServiceUri": "https://h.blob.example",
        "AzureWebJobsStorage__tableServiceUri": "https://h.table.example",
        key: "http://h.example",
    }
    (problem,) = problems(env)

    assert problem.startswith(f"{key}: ")


def test_bad_service_url_of_the_flow_logs() -> None:
    """The flow logs' service URL must be https."""
    env = {
        "AzureWebJobsStorage": CONNECTION,
        "FlowLogs__blobServiceUri": "http://l.blob.example",
        "FlowLogs__queueServiceUri": "https://l.queue.example",
    }

    assert [problem.split(":")[0] for problem in problems(env)] == ["FlowLogs__blobServiceUri"]


def test_endpoint_and_rule_go_together() -> None:
    """The table needs both endpoint and rule id; either alone is a problem that names the other."""
    endpoint, rule = LOGS.items()

    assert problems(REQUIRED | dict([endpoint]))[0].startswith("NSGFLOW_LOGS_RULE_ID: ")
    assert problems(REQUIRED | dict([rule]))[0].startswith("NSGFLOW_LOGS_ENDPOINT: ")


def test_a_resource_id_in_the_place_of_the_immutable_id() -> None:
    """It is what the portal offers to copy; one problem says where the immutable id stands."""
    rule = "/subscriptions/1/resourceGroups/g/providers/Microsoft.Insights/dataCollectionRules/d"
    (problem,) = problems(REQUIRED | LOGS | {"NSGFLOW_LOGS_RULE_ID": rule})

    assert f"{rule!r} is the rule's resource id" in problem
    assert "--query immutableId" in problem


@pytest.mark.parametrize("rule", ["dcr-test", "dcr-0123456789abcdef0123456789abcdef", "0"])
def test_words_that_may_be_immutable_ids(rule: str) -> None:
    """Letters, digits and hyphens: Azure nowhere says that there are no others than it makes."""
    logs = from_env(REQUIRED | LOGS | {"NSGFLOW_LOGS_RULE_ID": rule}).logs
    assert logs is not None
    assert logs.rule_id == rule


def test_all_problems_in_one_error() -> None:
    """One error lists every problem of every setting."""
    found = problems(
        {
            "NSGFLOW_CONNECTIONS": "A,B",
            "A": CONNECTION,
            "NSGFLOW_TRIGGER_SOURCE": "x",
            "NSGFLOW_STATE_TABLE": "?",
            "NSGFLOW_STATE_DAYS": "x",
            "NSGFLOW_STATE_CONTAINER": "?",
            "NSGFLOW_LOGS_ENDPOINT": "x",
            "NSGFLOW_LOGS_STREAM": "x",
            "NSGFLOW_LOGS_FILTER": "color=red size=big",
            "NSGFLOW_WEBHOOK_URL": "x",
            "NSGFLOW_WEBHOOK_FORMAT": "x",
            "NSGFLOW_WEBHOOK_SECRET": "x",
            "NSGFLOW_WEBHOOK_FILTER": "x",
            "NSGFLOW_WEBHOOK_MAX_AGE_MINUTES": "x",
            "NSGFLOW_SWEEP_HOURS": "x",
        }
    )

    assert sorted(problem.split(":")[0] for problem in found) == [
        "AzureWebJobsStorage",
        "B",
        "NSGFLOW_LOGS_ENDPOINT",
        "NSGFLOW_LOGS_FILTER",
        "NSGFLOW_LOGS_RULE_ID",
        "NSGFLOW_LOGS_STREAM",
        "NSGFLOW_STATE_CONTAINER",
        "NSGFLOW_STATE_DAYS",
        "NSGFLOW_STATE_TABLE",
        "NSGFLOW_SWEEP_HOURS",
        "NSGFLOW_TRIGGER_SOURCE",
        "NSGFLOW_WEBHOOK_FILTER",
        "NSGFLOW_WEBHOOK_FORMAT",
        "NSGFLOW_WEBHOOK_MAX_AGE_MINUTES",
        "NSGFLOW_WEBHOOK_SECRET",
        "NSGFLOW_WEBHOOK_URL",
    ]
    assert "color" in str(found)
    assert "size" in str(found)


def test_wrong_value_of_a_feature_that_is_off() -> None:
    """A wrong value stops start-up even where the feature it belongs to is off."""
    assert problems(REQUIRED | {"NSGFLOW_WEBHOOK_FILTER": "action=allowed"})
    assert problems(REQUIRED | {"NSGFLOW_LOGS_FILTER": "color=red"})


@pytest.mark.parametrize(
    ("key", "value", "secret"),
    [
        ("FlowLogs", f"AccountKey={KEY}", KEY),
        ("FlowLogs", KEY, KEY),
        ("AzureWebJobsStorage", f"SharedAccessSignature=sv=1&sig={KEY}", KEY),
        ("NSGFLOW_WEBHOOK_SECRET", "whsec_not-base64-but-secret!", "not-base64-but-secret"),
        ("NSGFLOW_WEBHOOK_SECRET", "hunter2hunter2", "hunter2"),
        ("NSGFLOW_WEBHOOK_URL", "http://hooks.example/T0SECRET", "T0SECRET"),
        ("NSGFLOW_WEBHOOK_URL", "hooks.example/T0SECRET", "T0SECRET"),
        ("NSGFLOW_WEBHOOK_URL", "https://[hooks/T0SECRET", "T0SECRET"),
        ("NSGFLOW_WEBHOOK_URL", "https://user:T0SECRET@hooks.example:port/x", "T0SECRET"),
    ],
)
def test_secrets_are_not_told(key: str, value: str, secret: str) -> None:
    """The error names the setting and never shows a key, a signature or the webhook's URL."""
    with pytest.raises(ConfigError) as caught:
        config.from_env(REQUIRED | {key: value})

    assert key in str(caught.value)
    assert secret not in str(caught.value)
    assert secret not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_accounts_that_cannot_be_told_apart() -> None:
    """Blobs are known by the account's name: one of the two would be read in the other's place."""
    both = {
        "NSGFLOW_CONNECTIONS": "A,B,C",
        "A__blobServiceUri": "https://logs.blob.core.windows.net",
        "A__queueServiceUri": "https://logs.queue.core.windows.net",
        "B__blobServiceUri": "https://Logs.example.com",
        "B__queueServiceUri": "https://q.example.com",
        "C__blobServiceUri": "https://other.blob.core.windows.net",
        "C__queueServiceUri": "https://other.queue.core.windows.net",
        "AzureWebJobsStorage__accountName": "host",
    }
    with pytest.raises(ConfigError) as raised:
        from_env(both)
    (problem,) = raised.value.problems
    assert "A and B both lead to an account called 'logs'" in problem
    assert from_env(both | {"NSGFLOW_CONNECTIONS": "A,C"}).connections["A"].account == "logs"
