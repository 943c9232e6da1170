"""The settings of several webhooks, headers of one's own, and secrets that are not there yet."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nsgflow_core.config import Settings, from_env
from nsgflow_core.errors import ConfigError
from nsgflow_core.webhooks import NAMES, SETTINGS, prefix

BASE = {"FlowLogs": "UseDevelopmentStorage=true", "AzureWebJobsStorage": "x;AccountName=host"}
URL = {"NSGFLOW_WEBHOOK_URL": "https://hooks.example.com/secret"}
REFERENCE = "@Microsoft.KeyVault(SecretUri=https://vault.vault.azure.net/secrets/url/0123)"


def settings(**more: str) -> Settings:
    """Settings with these besides the required ones."""
    return from_env(BASE | more)


def problems(**more: str) -> tuple[str, ...]:
    """What is wrong with these."""
    with pytest.raises(ConfigError) as raised:
        settings(**more)
    return raised.value.problems


def test_each_webhook_has_settings_of_its_own() -> None:
    """None is taken from another; a number may be left out."""
    made = settings(
        **URL,
        NSGFLOW_WEBHOOK_FILTER="port=22",
        NSGFLOW_WEBHOOK_2_URL="https://two.example.com",
        NSGFLOW_WEBHOOK_2_FORMAT="slack",
        NSGFLOW_WEBHOOK_2_INTERVAL_SECONDS="60",
        NSGFLOW_WEBHOOK_9_URL="https://nine.example.com",
        NSGFLOW_WEBHOOK_9_HEADERS='{"Authorization": "Bearer abc"}',
        NSGFLOW_WEBHOOK_9_CONTENT_TYPE="application/json",
    ).webhooks

    assert [(at.name, at.url, at.format) for at in made] == [
        ("webhook", "https://hooks.example.com/secret", "cloudevents"),
        ("webhook_2", "https://two.example.com", "slack"),
        ("webhook_9", "https://nine.example.com", "cloudevents"),
    ]
    assert [at.filter.terms for at in made] == [
        "action=denied port=22",
        "action=denied action=denied",
        "action=denied action=denied",
    ]
    assert [at.interval_seconds for at in made] == [30, 60, 30]
    assert [dict(at.headers) for at in made] == [{}, {}, {"Authorization": "Bearer abc"}]
    assert [at.content_type for at in made] == [
        "application/cloudevents+json",
        "application/cloudevents+json",
        "application/json",
    ]


def test_a_second_webhook_without_a_first() -> None:
    """It is one all the same."""
    (made,) = settings(NSGFLOW_WEBHOOK_2_URL="https://two.example.com").webhooks
    assert made.name == "webhook_2"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_is_known(name: str, setting: str) -> None:
    """And a problem names the one that is wrong."""
    key = prefix(name) + setting
    valid = {"URL": "https://a.example", "HEADERS": "{}", "SECRET": "whsec_YWJj"}
    assert key not in settings(**{key: valid.get(setting, "0")} if setting in valid else {}).unknown
    wrong = {prefix(name) + "URL": "https://a.example", key: "wrong !"}
    assert [problem.partition(":")[0] for problem in problems(**wrong)] == [key]


@pytest.mark.parametrize("number", ["0", "1", "10", "x"])
def test_there_are_nine(number: str) -> None:
    """Another number is no setting, and is told as such."""
    key = f"NSGFLOW_WEBHOOK_{number}_URL"
    made = settings(**{key: "https://a.example"})
    assert (made.webhooks, made.unknown) == ((), (key,))


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ("Authorization: Bearer SECRET", "it must be a JSON object of texts"),
        ('["SECRET"]', "it must be a JSON object of texts"),
        ('{"A": 1, "B": "SECRET"}', "it must be a JSON object of texts"),
        ('{"Bearer SECRET": ""}', "name 1 of it is no name of a header"),
        ('{"": "SECRET"}', "name 1 of it is no name of a header"),
        ('{"X": "SECRET\\r\\nHost: b"}', "the value of X cannot be sent"),
        ('{"X": " SECRET"}', "the value of X cannot be sent"),
        ('{"X": "SECRET\\u20ac"}', "the value of X cannot be sent"),
        ('{"content-TYPE": "SECRET"}', "content-TYPE is set by nsgflow"),
        ('{"Webhook-Id": "SECRET"}', "Webhook-Id is set by nsgflow"),
        ('{"Host": "SECRET"}', "Host is set by nsgflow"),
        ('{"X-Key": "SECRET", "x-key": "SECRET"}', "X-Key is there twice"),
        (json.dumps({"X": "SECRET" + "a" * 9000}), "it is larger than 8 KiB"),
    ],
)
def test_headers_that_cannot_be(headers: str, problem: str) -> None:
    """They are told with their names; what may be a secret is never shown."""
    found = problems(**URL, NSGFLOW_WEBHOOK_HEADERS=headers)
    assert found[0].startswith(f"NSGFLOW_WEBHOOK_HEADERS: {problem}")
    assert "SECRET" not in str(found)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_headers_either_can_be_sent_or_are_refused(headers: dict[str, str]) -> None:
    """What is taken goes through the writer of the standard library as it is."""
    try:
        made = settings(**URL, NSGFLOW_WEBHOOK_HEADERS=json.dumps(headers))
    except ConfigError:
        return
    assert dict(made.webhooks[0].headers) == headers
    for name, value in headers.items():
        assert name.encode("ascii")
        assert not set(name + value) & set("\r\n\0")
        value.encode("latin-1")


@pytest.mark.parametrize("setting", ["URL", "SECRET", "HEADERS"])
@pytest.mark.parametrize("form", ["cloudevents", "slack", "pagerduty"])
def test_a_secret_that_is_not_there_yet(setting: str, form: str) -> None:
    """A reference that App Service has not resolved is no mistake of the settings: it waits."""
    key = f"NSGFLOW_WEBHOOK_{setting}"
    routing = {"NSGFLOW_WEBHOOK_SECRET": "0" * 32} if form == "pagerduty" else {}
    given = URL | routing | {key: REFERENCE, "NSGFLOW_WEBHOOK_FORMAT": form}
    (made,) = settings(**given).webhooks
    assert made.waits_for == key
    assert made.what_is_missing == f"{key} is a Key Vault reference that is not resolved yet"


def test_a_webhook_with_all_its_secrets_waits_for_nothing() -> None:
    """Neither does one without secrets."""
    (made,) = settings(**URL).webhooks
    assert (made.waits_for, made.what_is_missing) == ("", "")
