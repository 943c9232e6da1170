"""Settings of service tags, inventory and cloud."""

from pathlib import Path

import pytest

from nsgflow_core import config
from nsgflow_core.estate.arm import CLOUDS
from tests.unit.test_config_problems import REQUIRED, problems


def test_off_unless_asked_for() -> None:
    """Nothing is asked of Azure by default, and its cloud is the public one."""
    made = config.from_env(REQUIRED)

    assert (made.service_tags, made.inventory, made.cloud) == ("", "", "AZURE_PUBLIC_CLOUD")
    assert made.unknown == ()


@pytest.mark.parametrize(
    "value", ["arm", "ARM", "https://x.blob.core.windows.net/c/tags.json?sig=s"]
)
def test_service_tags(value: str) -> None:
    """The API in any case, or a URL as it is."""
    made = config.from_env(REQUIRED | {"NSGFLOW_SERVICE_TAGS": value})

    assert made.service_tags == ("arm" if value.lower() == "arm" else value)


def test_service_tags_from_a_file(tmp_path: Path) -> None:
    """The file must be there."""
    file = tmp_path / "tags.json"
    wrong = problems(REQUIRED | {"NSGFLOW_SERVICE_TAGS": str(file)})
    file.touch()

    assert len(wrong) == 1
    assert str(file) in wrong[0]
    assert config.from_env(REQUIRED | {"NSGFLOW_SERVICE_TAGS": str(file)}).service_tags == str(file)


@pytest.mark.parametrize("url", ["http://x.example/t?sig=s3cret", "http://localhost/t?sig=s3cret"])
def test_a_url_must_be_https_and_stays_secret(url: str) -> None:
    """What it gives decides what alerts."""
    (problem,) = problems(REQUIRED | {"NSGFLOW_SERVICE_TAGS": url})

    assert problem.startswith("NSGFLOW_SERVICE_TAGS: ")
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("key", "value"), [("NSGFLOW_INVENTORY", "yes"), ("AZURE_CLOUD", "AzureGermanCloud")]
)
def test_wrong_values(key: str, value: str) -> None:
    """They are named with what there is to choose from."""
    (problem,) = problems(REQUIRED | {key: value})

    assert problem.startswith(f"{key}: '{value}' is not one of ")


def test_every_cloud_has_its_resource_manager() -> None:
    """Whatever the settings let through can be reached."""
    for name in ("AZURE_PUBLIC_CLOUD", "AZURE_US_GOVERNMENT", "AZURE_CHINA_CLOUD"):
        assert CLOUDS[config.from_env(REQUIRED | {"AZURE_CLOUD": name}).cloud]
