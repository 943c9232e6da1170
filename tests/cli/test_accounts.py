"""Which account is read, by what sign-in; and that no secret is ever repeated."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from devtools.azurite import ACCOUNT
from devtools.azurite import ACCOUNT_KEY as KEY
from devtools.flowlogs import Group, Nic, nsg_path, nsg_record
from nsgflow_core.cli.accounts import sign_in
from nsgflow_core.errors import BadInputError
from tests.cli.conftest import Store, at

HOUR = at("2026-03-04T05:00")
NIC = Nic(nsg="WEB-NSG")
SECRET = "c2VjcmV0c2VjcmV0"


@pytest.fixture
def logs(store: Store) -> Store:
    """One denied flow."""
    text = f"{int(HOUR.timestamp())},192.0.2.1,10.5.16.4,5000,22,T,I,D,B,,,,"
    store.log(nsg_path(NIC, HOUR), [nsg_record(NIC, HOUR, [Group("R", (text,))]).data])
    return store


def sas() -> str:
    """A signature that lets list and read everything."""
    return generate_account_sas(
        ACCOUNT, KEY, ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, list=True), datetime.now(UTC) + timedelta(hours=1),
    )  # fmt: skip


def url(store: Store) -> str:
    """The blob service of the emulator."""
    return str(store.service.url).rstrip("/")


def bare(store: Store, **more: str) -> dict[str, str]:
    """An environment that signs in to nothing."""
    environ = store.environ(**more)
    del environ["AZURE_STORAGE_CONNECTION_STRING"]
    return environ


def test_a_sas_in_the_url_signs_in(logs: Store) -> None:
    """It is taken, with nothing else to sign in by."""
    done = logs.nsgflow(f"flows --account-name '{url(logs)}?{sas()}'", bare(logs))
    assert (done.returncode, done.stderr) == (0, "")
    assert " 192.0.2.1 " in done.stdout


def test_az_s_own_variables_sign_in(logs: Store) -> None:
    """A SAS or a key beside AZURE_STORAGE_ACCOUNT; a key of another account is not used."""
    for signed in (
        {"AZURE_STORAGE_SAS_TOKEN": "?" + sas()},
        {"AZURE_STORAGE_KEY": KEY, "AZURE_STORAGE_ACCOUNT": ACCOUNT},
    ):
        shown = logs.output(f"flows --account-name {url(logs)}", bare(logs, **signed))
        assert " 192.0.2.1 " in shown
    (account,) = sign_in((), {"AZURE_STORAGE_ACCOUNT": "exported", "AZURE_STORAGE_KEY": KEY})
    assert (account.name, account.service.credential.account_key) == ("exported", KEY)
    other = {"AZURE_STORAGE_ACCOUNT": "other", "AZURE_STORAGE_KEY": KEY}
    (account,) = sign_in(["typed"], other)
    assert not hasattr(account.service.credential, "account_key")


def test_an_account_in_the_environment_by_its_url(logs: Store) -> None:
    """A key or SAS beside it is of it; without one it is said that nobody signs in over http."""
    for signed in ({"AZURE_STORAGE_KEY": KEY}, {"AZURE_STORAGE_SAS_TOKEN": sas()}):
        environ = bare(logs, AZURE_STORAGE_ACCOUNT=url(logs), **signed)
        assert " 192.0.2.1 " in logs.output("flows", environ)
        assert " 192.0.2.1 " in logs.output(f"flows --account-name {ACCOUNT}", environ)
    done = logs.nsgflow("flows", bare(logs, AZURE_STORAGE_ACCOUNT=url(logs)))
    assert (done.returncode, done.stdout) == (2, "")
    assert f"AZURE_STORAGE_ACCOUNT {ACCOUNT} is asked over http" in done.stderr
    assert "STORAGE_ACCOUNT_KEY" in done.stderr
    (account,) = sign_in(
        ["mylogs"],
        {"AZURE_STORAGE_ACCOUNT": "https://mylogs.blob.core.windows.net", "AZURE_STORAGE_KEY": KEY},
    )
    assert account.service.credential.account_key == KEY


def test_urls_of_containers_and_blobs(logs: Store) -> None:
    """A container's is taken; of a blob's it is said what to give, and no secret."""
    container = f"{url(logs)}/insights-logs-networksecuritygroupflowevent"
    assert " 192.0.2.1 " in logs.output(f"flows '{container}?{sas()}'", bare(logs))
    blob = f"{container}/{nsg_path(NIC, HOUR)}"
    for given in (blob, f"{blob}?{sas()}", blob.replace("=", "%3D")):
        done = logs.nsgflow(f"flows '{given}'", bare(logs))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            "nsgflow: this is the URL of one blob: download it, and give the file, or give the "
            f"account with what is asked of it, {url(logs)} --nsg-name WEB-NSG "
            "--since 2026-03-04T05Z --until 2026-03-04T06Z\n"
        )


def test_what_is_typed_wins_over_what_is_exported(logs: Store) -> None:
    """Another account than the connection string's is read, or nothing is."""
    (account,) = sign_in(["prodlogs"], logs.environ(STORAGE_ACCOUNT_KEY=KEY))
    assert account.service.url == "https://prodlogs.blob.core.windows.net/"
    (account,) = sign_in([ACCOUNT], logs.environ())
    assert account.service.url.rstrip("/") == url(logs)
    assert " 192.0.2.1 " in logs.output(f"flows --account-name {ACCOUNT}")


@pytest.mark.parametrize(
    "name",
    [
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/ProdLogs",
        "https://prodlogs.blob.core.windows.net/insights-logs-flowlogflowevent",
        "prodlogs",
    ],
)
def test_an_account_by_any_of_its_names(name: str) -> None:
    """Resource id, URL of a container and name are one account."""
    (account,) = sign_in([name], {"STORAGE_ACCOUNT_KEY": KEY})
    assert account.service.url == "https://prodlogs.blob.core.windows.net/"
    assert account.name == "prodlogs"


@pytest.mark.parametrize(
    "command",
    [
        f"flows --account-name 'DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET}'",
        f"flows --account-name 'https://a.b/?sv=1&sig={SECRET}&x='",
        f"flows --account-name 'https://user:{SECRET}@a.b/'",
        f"flows --account-name {SECRET}==",
        f"flows --account-name 'http://nsgflow.invalid/a?sv=1&sig={SECRET}'",
        f"flows 'AccountName=a;AccountKey={SECRET}==;'",
        f"'https://a.blob.core.windows.net/?sig={SECRET}'",
        f"flows --port 'sig={SECRET}'",
        f"flows --since 'AccountKey={SECRET}'",
        f"dead-letters show 'SharedAccessSignature=sig={SECRET}'",
        f"dead-letters 'sig={SECRET}'",
    ],
)
def test_secrets_are_never_repeated(store: Store, command: str) -> None:
    """Wherever a key or a signature is put, it is not shown."""
    done = store.nsgflow(command, bare(store))
    assert done.returncode in (1, 2)
    assert SECRET not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_a_connection_string_as_a_name_is_told_where_it_belongs() -> None:
    """The refusal names the variable that takes it."""
    with pytest.raises(BadInputError, match="belongs into AZURE_STORAGE_CONNECTION_STRING"):
        sign_in(["AccountName=a;AccountKey=b"], {})
