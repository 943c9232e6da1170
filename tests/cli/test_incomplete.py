"""What cannot be read hides nothing of what can: it is shown, the rest named, status 3."""

import gzip
import json
import time
from collections.abc import Iterator

import pytest

from devtools.azurite import Azurite
from devtools.flowlogs import CLOSER, HEAD, Group, Nic, nsg_path, nsg_record
from devtools.http_server import Fault
from devtools.meter import Meter, metered
from devtools.nic import NSG_CONTAINER, VNET_CONTAINER
from tests.cli.conftest import Store, at

HOUR = at("2026-03-04T05:00")
NIC = Nic(nsg="WEB-NSG")
BAD = Nic(nsg="BAD-NSG", mac="000D3A0000B3")
NOBODY = "http://127.0.0.1:9/devstoreaccount1"
_FORMS = ["flows", "flows -o table", "flows -o json", "flows -o csv", "denied", "denied -o json",
          "denied -o csv", "denied --by nsg", "denied --suggest"]  # fmt: skip


def record(nic: Nic, port: str = "22") -> bytes:
    """A record of one denied flow."""
    text = f"{int(HOUR.timestamp())},192.0.2.1,10.5.16.4,5000,{port},T,I,D,B,,,,"
    return nsg_record(nic, HOUR, [Group("UserRule_Deny", (text,))]).data


@pytest.fixture
def logs(store: Store) -> Store:
    """One log that can be read."""
    store.log(nsg_path(NIC, HOUR), [record(NIC)])
    return store


@pytest.fixture
def meter(storage: Azurite) -> Iterator[Meter]:
    """A proxy in front of the emulator, which can refuse."""
    with metered(storage) as running:
        yield running


@pytest.mark.parametrize("command", _FORMS)
def test_one_unreadable_tuple_costs_only_itself(logs: Store, command: str) -> None:
    """Every command and format shows what was read before its status tells of the rest."""
    whole = logs.output(command)
    logs.log(nsg_path(BAD, HOUR), [record(BAD, "x")])
    done = logs.nsgflow(command)
    assert (done.returncode, done.stdout) == (3, whole)
    assert "BAD-NSG" in done.stderr
    assert "impossible port" in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html><body>404</body></html>", "no flow log: HTML or XML"),
        (gzip.compress(HEAD + record(BAD) + CLOSER, mtime=0), "no flow log: compressed with gzip"),
        (HEAD, "the log has no end"),
        (HEAD + record(BAD)[:37], "cut off within a record"),
    ],
)
@pytest.mark.parametrize("command", ["flows", "denied"])
def test_what_is_no_log_at_all_is_said(
    logs: Store, content: bytes, said: str, command: str
) -> None:
    """HTML, gzip, a head without an end, a record cut off."""
    logs.put(nsg_path(BAD, HOUR), content)
    done = logs.nsgflow(command)
    assert done.returncode == 3
    assert "WEB-NSG" in done.stdout
    assert said in done.stderr


@pytest.mark.parametrize("command", ["flows", "denied -o json"])
def test_a_container_that_refuses_hides_nothing_of_the_other(
    logs: Store, meter: Meter, command: str
) -> None:
    """With a role on one container alone its logs are shown, and the other is named."""
    logs.service.create_container(VNET_CONTAINER)
    meter.blobs.faults = lambda at: (
        Fault(status=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
        if VNET_CONTAINER in at.path
        else None
    )
    environ = logs.environ(AZURE_STORAGE_CONNECTION_STRING=meter.connection_string)
    done = logs.nsgflow(command, environ)
    assert done.returncode == 3
    assert "WEB-NSG" in done.stdout
    assert f"list {VNET_CONTAINER}: 403" in done.stderr
    assert "Storage Blob Data Reader" in done.stderr


def test_an_account_out_of_reach_hides_nothing_of_the_other(logs: Store) -> None:
    """Its name is on stderr, the flows of the other are shown."""
    environ = logs.environ(STORAGE_ACCOUNT_KEY="a2V5")
    done = logs.nsgflow(f"flows --account-name devstoreaccount1 --account-name {NOBODY}", environ)
    assert done.returncode == 3
    assert "WEB-NSG" in done.stdout
    assert done.stderr.endswith(
        "nsgflow: skipped: devstoreaccount1@127.0.0.1:9: list insights-logs-"
        "networksecuritygroupflowevent: 127.0.0.1:9 cannot be reached (Connection refused)\n"
    )


def test_logs_that_are_all_refused_are_one_sentence(logs: Store, meter: Meter) -> None:
    """Many refusals of one reason are one line, and the status says that it failed."""
    for number in range(9):
        nic = Nic(nsg=f"N{number}-NSG", mac=f"000D3A0000C{number}")
        logs.log(nsg_path(nic, HOUR), [record(nic)])
    meter.blobs.faults = lambda at: (
        Fault(status=403) if at.method == "GET" and not at.query else None
    )
    environ = logs.environ(AZURE_STORAGE_CONNECTION_STRING=meter.connection_string)
    done = logs.nsgflow("flows", environ)
    assert (done.returncode, done.stdout) == (1, "")
    skipped = [line for line in done.stderr.splitlines() if "skipped" in line]
    assert len(skipped) == 1
    assert "10 logs, for one reason" in skipped[0]


def test_flows_name_the_nsg_once_in_any_case(logs: Store) -> None:
    """An NSG is one group, whether its own log or a VNet flow log names it."""
    from devtools.flowlogs import vnet_path, vnet_record  # noqa: PLC0415

    net = Nic(nsg="WEB-NSG", acl_id=NIC.nsg_id.lower())
    text = f"{int(HOUR.timestamp())}000,192.0.2.1,10.5.16.4,5000,22,6,I,D,NX,0,0,0,0"
    group = Group("UserRule_Deny", (text,))
    logs.log(vnet_path(net, HOUR), [vnet_record(net, HOUR, [group]).data])
    done = logs.nsgflow("denied -o json")
    assert json.loads(done.stdout)["flows"] == 2
    assert "they are counted twice here" in done.stderr


def test_a_slow_account_is_named_while_it_is_waited_for(logs: Store, meter: Meter) -> None:
    """Silence is not the answer of an account that does not."""
    slow = iter((6, 6))
    meter.blobs.faults = lambda _: Fault(delay=next(slow, 0))
    part = dict(field.partition("=")[::2] for field in meter.connection_string.split(";"))
    environ = logs.environ(STORAGE_ACCOUNT_KEY=part["AccountKey"])
    begun = time.monotonic()
    done = logs.nsgflow(
        f"flows --account-name devstoreaccount1 --account-name {part['BlobEndpoint']}", environ
    )
    assert time.monotonic() - begun > 5
    assert "waiting for devstoreaccount1@127.0.0.1" in done.stderr
    assert NSG_CONTAINER not in done.stderr
