"""Settings from the environment, read once, frozen; every problem is in one error.

docs/configuration.md describes each setting.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nsgflow_core import variables
from nsgflow_core.columns import ALWAYS_SENT, columns
from nsgflow_core.errors import ConfigError
from nsgflow_core.filter import Filter
from nsgflow_core.model import Storage
from nsgflow_core.webhooks import WebhookSettings, known, webhooks_of

_HOST = "AzureWebJobsStorage"
QUEUE = "Queue"
"""The trigger source with which events come by a storage queue."""

_TRIGGER_SOURCES = ("EventGrid", QUEUE, "LogsAndContainerScan")
_WORKSPACE = (
    r"(?i:/subscriptions/[\w-]+/resourcegroups/[\w.()-]+"
    r"/providers/microsoft\.operationalinsights/workspaces/[\w-]+)"
)
_CHANGES = ("resourcegraph", "resourcegraph,names")
_CLOUDS = ("AZURE_PUBLIC_CLOUD", "AZURE_US_GOVERNMENT", "AZURE_CHINA_CLOUD")
KNOWN = frozenset(
    (
        "NSGFLOW_CONNECTIONS",
        "NSGFLOW_TRIGGER_SOURCE",
        "NSGFLOW_EVENTS_QUEUE",
        "NSGFLOW_STATE_TABLE",
        "NSGFLOW_STATE_DAYS",
        "NSGFLOW_STATE_CONTAINER",
        "NSGFLOW_LOGS_ENDPOINT",
        "NSGFLOW_LOGS_RULE_ID",
        "NSGFLOW_LOGS_STREAM",
        "NSGFLOW_LOGS_FILTER",
        "NSGFLOW_LOGS_OMIT",
        "NSGFLOW_WORKSPACE_ID",
        "NSGFLOW_SWEEP_HOURS",
        "NSGFLOW_SERVICE_TAGS",
        "NSGFLOW_INVENTORY",
        "NSGFLOW_CHANGES",
        *known(),
    )
)
"""Every setting of nsgflow's own; connections and the host's storage have names besides."""


@dataclass(frozen=True, slots=True)
class LogsSettings:
    """The table in Log Analytics: endpoint and DCR of the Logs Ingestion API."""

    endpoint: str
    rule_id: str
    stream: str
    filter: Filter
    omit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment decides.

    `connections` maps the name of each connection to its flow-log account; `unknown` names
    variables that look like settings and are none.
    """

    connections: Mapping[str, Storage]
    host_storage: Storage
    trigger_source: str
    state_table: str
    state_days: int
    state_container: str
    logs: LogsSettings | None
    webhooks: tuple[WebhookSettings, ...]
    sweep_hours: int
    unknown: tuple[str, ...]
    events_queue: str = "nsgflow-events"
    workspace_id: str = ""
    service_tags: str = ""
    inventory: str = ""
    changes: str = ""
    cloud: str = _CLOUDS[0]


def from_env(environ: Mapping[str, str]) -> Settings:
    """Read the settings; unset and empty are the same.

    Raises:
        ConfigError: lists every problem found.
    """
    env = {key: value.strip() for key, value in environ.items() if value.strip()}
    problems: list[str] = []
    names = [name.strip() for name in env.get("NSGFLOW_CONNECTIONS", "FlowLogs").split(",")]
    problems += [
        f"NSGFLOW_CONNECTIONS: {name!r} is not the name of a connection"
        for name in names
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name)
    ]
    problems += [
        f"NSGFLOW_CONNECTIONS: {name!r} is named twice"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    settings = Settings(
        connections={name: _flow_logs(env, name, problems) for name in names},
        host_storage=_host_storage(env, problems),
        trigger_source=variables.choice(env, "NSGFLOW_TRIGGER_SOURCE", _TRIGGER_SOURCES, problems),
        state_table=variables.text(
            env,
            "NSGFLOW_STATE_TABLE",
            "nsgflowcheckpoints",
            (r"[A-Za-z][A-Za-z0-9]{2,62}", "a table name: 3 to 63 letters and digits"),
            problems,
        ),
        state_days=variables.number(env, "NSGFLOW_STATE_DAYS", 30, (1, 3650), problems),
        state_container=_state_container(env, problems),
        logs=_logs(env, problems),
        webhooks=webhooks_of(env, problems),
        sweep_hours=variables.number(env, "NSGFLOW_SWEEP_HOURS", 3, (1, 720), problems),
        unknown=tuple(
            sorted(key for key in env if key.startswith("NSGFLOW_") and key not in KNOWN)
        ),
        events_queue=variables.text(
            env,
            "NSGFLOW_EVENTS_QUEUE",
            "nsgflow-events",
            # The host appends -poison where messages fail, and that must be a name as well.
            (
                r"(?=.{3,56}$)(?!.*-poison$)[a-z0-9](-?[a-z0-9])*",
                "a queue name: 3 to 56 of a-z, 0-9 and single hyphens, without -poison at the end",
            ),
            problems,
        ),
        workspace_id=variables.text(
            env,
            "NSGFLOW_WORKSPACE_ID",
            "",
            (f"|{_WORKSPACE}", "a workspace's resource id"),
            problems,
        ),
        service_tags=_service_tags(env, problems),
        inventory=variables.choice(env, "NSGFLOW_INVENTORY", ("", "resourcegraph"), problems),
        changes=variables.choice(env, "NSGFLOW_CHANGES", ("", *_CHANGES), problems),
        cloud=variables.choice(env, "AZURE_CLOUD", _CLOUDS, problems),
    )
    problems = problems or list(_alike(settings.connections))
    if problems:
        raise ConfigError(problems)
    return settings


def state_from_env(environ: Mapping[str, str]) -> tuple[Storage, str]:
    """The host storage and the container of the state, whatever the other settings are.

    Raises:
        ConfigError: lists every problem found with these.
    """
    env = {key: value.strip() for key, value in environ.items() if value.strip()}
    problems: list[str] = []
    found = _host_storage(env, problems), _state_container(env, problems)
    if problems:
        raise ConfigError(problems)
    return found


def _state_container(env: Mapping[str, str], problems: list[str]) -> str:
    return variables.text(
        env,
        "NSGFLOW_STATE_CONTAINER",
        "nsgflow-state",
        (
            r"(?=.{3,63}$)[a-z0-9](-?[a-z0-9])*",
            "a container name: 3 to 63 of a-z, 0-9 and single hyphens",
        ),
        problems,
    )


def _alike(connections: Mapping[str, Storage]) -> Iterator[str]:
    """Connections whose accounts cannot be told apart: blobs are known by the account's name."""
    known: dict[str, tuple[str, str]] = {}
    for name, storage in connections.items():
        host = urlsplit(storage.endpoint).netloc.lower()
        first, first_host = known.setdefault(storage.account, (name, host))
        if storage.account and host != first_host:
            yield (
                f"NSGFLOW_CONNECTIONS: {first} and {name} both lead to an account called "
                f"{storage.account!r} ({first_host} and {host}): if it is one, name it once"
            )


def _by_queue(env: Mapping[str, str]) -> bool:
    return env.get("NSGFLOW_TRIGGER_SOURCE") == QUEUE


def _flow_logs(env: Mapping[str, str], name: str, problems: list[str]) -> Storage:
    connection_string, url = env.get(name, ""), env.get(f"{name}__blobServiceUri", "")
    if not connection_string and not url:
        problems.append(
            f"{name}: set it to a connection string, or set {name}__blobServiceUri"
            + ("" if _by_queue(env) else f" and {name}__queueServiceUri")
        )
    if connection_string:
        _check_connection_string(name, connection_string, problems)
    elif url:
        variables.check_url(f"{name}__blobServiceUri", url, problems)
        if f"{name}__queueServiceUri" not in env and not _by_queue(env):
            problems.append(f"{name}__queueServiceUri: set it, since {name}__blobServiceUri is set")
    return Storage(connection_string, url, "", env.get(f"{name}__clientId", ""))


def _host_storage(env: Mapping[str, str], problems: list[str]) -> Storage:
    client_id = env.get(f"{_HOST}__clientId", "")
    if connection_string := env.get(_HOST):
        _check_connection_string(_HOST, connection_string, problems)
        return Storage(connection_string, "", "", client_id)
    account = env.get(f"{_HOST}__accountName")
    urls = {
        service: env.get(f"{_HOST}__{service}ServiceUri")
        or (f"https://{account}.{service}.core.windows.net" if account else "")
        for service in ("blob", "table", "queue")
    }
    queue_url = urls.pop("queue")
    if not all(urls.values()):
        problems.append(
            f"{_HOST}: set it to a connection string, or set {_HOST}__accountName, or "
            f"{_HOST}__blobServiceUri and {_HOST}__tableServiceUri"
        )
    for service, url in urls.items():
        if url:
            variables.check_url(f"{_HOST}__{service}ServiceUri", url, problems)
    if _by_queue(env) and not queue_url:
        problems.append(
            f"{_HOST}__queueServiceUri: set it, since NSGFLOW_TRIGGER_SOURCE is {QUEUE}"
        )
    elif _by_queue(env):
        variables.check_url(f"{_HOST}__queueServiceUri", queue_url, problems)
    return Storage("", urls["blob"], urls["table"], client_id, queue_url if _by_queue(env) else "")


def _logs(env: Mapping[str, str], problems: list[str]) -> LogsSettings | None:
    endpoint, rule_id = env.get("NSGFLOW_LOGS_ENDPOINT"), env.get("NSGFLOW_LOGS_RULE_ID", "")
    terms = variables.filter_terms(env, "NSGFLOW_LOGS_FILTER", problems)
    omit = _omit(env, problems)
    if endpoint is None:
        if rule_id:
            problems.append("NSGFLOW_LOGS_ENDPOINT: set it, since NSGFLOW_LOGS_RULE_ID is set")
        return None
    variables.check_url("NSGFLOW_LOGS_ENDPOINT", endpoint, problems, loopback=False)
    if re.search(r"[?#]|/dataCollectionRules\b", endpoint, re.IGNORECASE):
        problems.append(
            "NSGFLOW_LOGS_ENDPOINT: give it up to the end of the host alone; the rule and the "
            "stream are settings of their own"
        )
    if not rule_id:
        problems.append("NSGFLOW_LOGS_RULE_ID: set it, since NSGFLOW_LOGS_ENDPOINT is set")
    elif not re.fullmatch(r"[A-Za-z0-9-]+", rule_id):
        of_resource = re.match("/?subscriptions/", rule_id, re.IGNORECASE)
        problems.append(
            f"NSGFLOW_LOGS_RULE_ID: {rule_id!r} is "
            + ("the rule's resource id" if of_resource else "no immutable id of a rule")
            + ": give the rule's immutable id (dcr-…), which 'az monitor data-collection rule show "
            "--ids RESOURCE-ID --query immutableId' prints"
        )
    stream = variables.text(
        env,
        "NSGFLOW_LOGS_STREAM",
        "Custom-NSGFlow_CL",
        (r"Custom-[A-Za-z][A-Za-z0-9_]*", "a stream name: Custom-… of letters, digits and _"),
        problems,
    )
    return LogsSettings(endpoint.rstrip("/"), rule_id, stream, terms, omit)


def _omit(env: Mapping[str, str], problems: list[str]) -> frozenset[str]:
    """The columns that are not sent."""
    text = env.get("NSGFLOW_LOGS_OMIT", "SourceBlob")
    if text.lower() == "none":
        return frozenset()
    known = {name.lower(): name for name in columns()}
    omit: set[str] = set()
    for name in filter(None, map(str.strip, text.split(","))):
        column = known.get(name.lower())
        if column is None:
            problems.append(f"NSGFLOW_LOGS_OMIT: {name!r} is no column of the table")
        elif column in ALWAYS_SENT:
            problems.append(f"NSGFLOW_LOGS_OMIT: {column} is always sent")
        else:
            omit.add(column)
    return frozenset(omit)


def _service_tags(env: Mapping[str, str], problems: list[str]) -> str:
    key = "NSGFLOW_SERVICE_TAGS"
    value = env.get(key, "")
    if value.lower() == "arm":
        return "arm"
    if "://" in value:
        # It may hold a signature, and its content decides what alerts: keep it secret, and safe.
        variables.check_url(key, value, problems, secret_url=True, loopback=False)
    elif value and not Path(value).is_file():
        problems.append(f"{key}: {value!r} is neither arm, an https URL nor a file that is there")
    return value


def _check_connection_string(key: str, text: str, problems: list[str]) -> None:
    # Its value is a secret: say what it lacks, never what it is.
    names = {part.partition("=")[0].strip().lower() for part in text.split(";")}
    if "usedevelopmentstorage" in names:
        return
    if not names & {"accountname", "blobendpoint"}:
        problems.append(f"{key}: its value is no storage connection string")
