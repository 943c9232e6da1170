"""What is shown finds itself: names that `denied` shows select the same flows as filters."""

import csv
import io
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devtools.estate import Estate
from devtools.flowlogs import Group, Nic, nsg_record, vnet_record
from nsgflow_core.errors import BadInputError
from nsgflow_core.filter import compile_terms
from tests.cli.test_alike_names import DENY_SQL, HOUR, MS, ONE, OTHER, run, said
from tests.cli.test_why_names import kept, logged

GROUPS = ("Grüne_(Prod).Net", "other", "OTHER-2.x")
VNET, SUBNET, NSG = "Hub.VNET-01", "Web_Tier.A", "Web-NSG_1"
OWN = {"10.0.0.4": "Web1", "10.0.0.5": "SQL_01.prod", "10.0.0.6": "AKS-Pool_1"}
FAR = (*OWN, "10.0.0.99", "8.8.8.8", "10.9.9.9")
KEYS = {
    **{key: key for key in ("nsg", "vm", "subnet", "vnet", "rule", "port", "direction", "action")},
    **{key: key for key in ("sport", "mac", "state", "type")},
    "protocol": "proto",
}
"""What flows are grouped by, and the key of filters for it."""
EITHER_END = {"vm": "Vm", "subnet": "Subnet", "vnet": ""}


class Place(NamedTuple):
    """A resource group of a subscription; all have things of the same names in them."""

    subscription: str
    group: str


class Seen(NamedTuple):
    """A denied flow: in which place, at whose interface, from or to where, and how it is logged."""

    place: int
    near: str
    far: str
    inbound: bool
    port: int
    log: str


places = st.lists(
    st.builds(Place, st.sampled_from((ONE, OTHER)), st.sampled_from(GROUPS)),
    min_size=2, max_size=5, unique=True,
)  # fmt: skip
flows = st.lists(
    st.builds(
        Seen, st.integers(0, 4), st.sampled_from(sorted(OWN)), st.sampled_from(FAR),
        st.booleans(), st.sampled_from((22, 1433)), st.sampled_from(("guid", "GUID", "id", "nsg")),
    ),
    min_size=1, max_size=25,
)  # fmt: skip


def mac(place: int, address: str) -> str:
    """The MAC of an interface."""
    return f"000D3A00{place:02}0{address[-1]}"


def estate(number: int, place: Place) -> Estate:
    """One NSG on subnet and NIC, two VMs and an instance of a scale set."""
    found = Estate(place.group, place.subscription)
    subnet = f"{found.vnet(VNET, **{SUBNET: '10.0.0.0/24'})}/subnets/{SUBNET}"
    nsg = found.nsg(NSG, guid(number), DENY_SQL)
    found.guard(subnet, nsg)
    for address, vm in OWN.items():
        own = mac(number, address)
        dashed = "-".join(own[at : at + 2] for at in range(0, 12, 2))
        if vm == "AKS-Pool_1":
            found.scale_set_nic(subnet, dashed, address, vm, 3)
        else:
            found.nic(subnet, dashed, address, vm=vm, nsg=nsg)
    return found


def guid(place: int) -> str:
    """The GUID of the NSG of a place."""
    return f"7b5d0000-aaaa-bbbb-cccc-{place:012}"


def record(number: int, place: Place, at: int, seen: Seen) -> bytes:
    """A record of one flow, of a VNet flow log or of the NSG's own."""
    nic = Nic(mac(number, seen.near), seen.near, NSG, place.subscription, place.group, VNET)
    ends = (seen.far, seen.near) if seen.inbound else (seen.near, seen.far)
    way = "I" if seen.inbound else "O"
    if seen.log == "nsg":
        text = f"{MS // 1000 + at},{','.join(ends)},50{at:03},{seen.port},T,{way},D,B,,,,"
        return nsg_record(nic, HOUR, [Group("UserRule_DenySql", (text,))], version=2).data
    text = f"{MS + at},{','.join(ends)},50{at:03},{seen.port},6,{way},D,NX,0,0,0,0"
    acl = {"guid": guid(number), "GUID": guid(number).upper(), "id": nic.nsg_id}[seen.log]
    return vnet_record(nic, HOUR, [Group("DefaultRule_DenyAllInBound", (text,), acl)]).data


@contextmanager
def made(found: list[Place], seen: list[Seen]) -> Iterator[tuple[str, str, str]]:
    """The words for a file of these flows with the inventory of these places."""
    with tempfile.TemporaryDirectory() as folder:
        records = [
            record(one.place % len(found), found[one.place % len(found)], at, one)
            for at, one in enumerate(seen)
        ]
        estates = [estate(number, place) for number, place in enumerate(found)]
        yield (
            logged(Path(folder) / "PT1H.json", *records),
            "--inventory",
            kept(Path(folder) / "estate", *estates),
        )


def table(*words: str) -> list[dict[str, str]]:
    """The rows of `denied` as CSV, where VMs and VNets are called as people see them."""
    return list(csv.DictReader(io.StringIO(run("denied", *words, "-o", "csv"))))


def of_flows(*words: str) -> list[dict[str, Any]]:
    """All flows as JSON."""
    both = ("--display-direction", "both", "--display-lb")
    return [json.loads(line) for line in run("flows", *words, *both, "-o", "json").splitlines()]


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(places, flows)
def test_what_is_shown_finds_itself(found: list[Place], seen: list[Seen]) -> None:
    """Each row of `denied` has the flows that a filter of what it shows selects."""
    with made(found, seen) as words:
        for by, key in KEYS.items():
            for row in table(*words, "--by", by):
                if not row[by]:
                    continue
                # NSGs have their bare name there, and what tells them apart beside it.
                shown = row["aclGroup"] if by == "nsg" else row[by]
                chosen = (*words, "--filter", f"{key}={shown}")
                again = [one["flows"] for one in table(*chosen, "--by", by) if one[by] == row[by]]
                assert again == [row["flows"]], (by, row)
                if by not in EITHER_END:
                    assert len(again) == 1, (by, row, again)
                elif end := EITHER_END[by]:
                    flows = of_flows(*words)
                    of_it = [f for f in flows if row[by] in (f[f"Src{end}"], f[f"Dest{end}"])]
                    assert len(of_flows(*chosen)) == len(of_it), (by, row)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(places, flows)
def test_an_end_is_found_by_address_and_name(found: list[Place], seen: list[Seen]) -> None:
    """Of several that have the address, the name that stands beside it says which."""
    with made(found, seen) as words:
        for by, key in (("source", "src"), ("destination", "dst")):
            for row in table(*words, "--by", by):
                terms = f"{key}={row[by]}"
                if name := row[f"{by}Name"]:
                    terms += f" {key}={name}"
                    assert [
                        one[f"{by}Name"] for one in table(*words, "--by", by, "--filter", terms)
                    ]
                (again,) = [
                    one
                    for one in table(*words, "--by", by, "--filter", terms)
                    if one[f"{by}Name"] == name
                ]
                assert again["flows"] == row["flows"], (by, row)
                if name:
                    assert len(of_flows(*words, "--filter", terms)) == int(row["flows"])


@pytest.mark.parametrize("form", ["name", "group", "subscription", "id", "id/"])
@pytest.mark.parametrize("key", ["vm", "subnet", "vnet", "nsg", "instance"])
def test_things_are_found_by_all_that_they_are_called(key: str, form: str) -> None:
    """Name, group/name, subscription/group/name and resource id, in any case."""
    group = GROUPS[0]
    root = f"/subscriptions/{ONE}/resourceGroups/{group}/providers"
    path, name, least = {
        "vm": ("Microsoft.Compute/virtualMachines/SQL_01.prod", "sql_01.PROD", 1),
        "instance": (
            "Microsoft.Compute/virtualMachineScaleSets/AKS-Pool_1/virtualMachines/3",
            "aks-pool_1_3",
            1,
        ),
        "subnet": (
            f"Microsoft.Network/virtualNetworks/{VNET}/subnets/{SUBNET}",
            f"{VNET}/{SUBNET}",
            3,
        ),
        "vnet": (f"Microsoft.Network/virtualNetworks/{VNET}", VNET, 3),
        "nsg": (f"Microsoft.Network/networkSecurityGroups/{NSG}", NSG, 3),
    }[key]
    value = {
        "name": name,
        "group": f"{group}/{name}",
        "subscription": f"{ONE}/{group}/{name}",
        "id": f"{root}/{path}",
        "id/": f"{root}/{path}/",
    }[form].swapcase()
    flows = [
        Seen(place, near, "8.8.8.8", True, 22, log)  # noqa: FBT003 - inbound
        for place in range(3)
        for near, log in zip(OWN, ("guid", "id", "nsg"), strict=True)
    ]
    alike = {"name": 3, "group": 2}.get(form, 1)
    with made([Place(ONE, group), Place(OTHER, group), Place(ONE, "other")], flows) as words:
        asked = f"{'vm' if key == 'instance' else key}={value}"
        assert len(of_flows(*words, "--filter", asked)) == least * alike
        assert len(of_flows(*words, "--filter", f"!{asked}")) == 9 - least * alike


def test_a_name_that_nothing_has_is_told_with_the_nearest() -> None:
    """In as many parts as were given."""
    flows = [Seen(0, "10.0.0.4", "8.8.8.8", True, 22, "guid")]  # noqa: FBT003 - inbound
    with made([Place(ONE, "other"), Place(OTHER, "other")], flows) as words:
        for term, near in (
            ("vm=othr/web1", "other/web1"),
            (f"vm={ONE}/other/web2", f"{ONE}/other/web1"),
            ("subnet=hub.vnet-01/web_tier", "hub.vnet-01/web_tier.a"),
            ("vnet=other/hub.vnet", "other/hub.vnet-01"),
            ("src=other/web11", "other/web1"),
            ("ip=hub.vnet-01/web_tier", "hub.vnet-01/web_tier.a"),
        ):
            result = said("denied", *words, "--filter", term)
            assert f"named {term.partition('=')[2]!r}, did you mean {near!r}?" in result, result


NSG_ID = (
    f"/subscriptions/{ONE}/resourceGroups/{{}}/providers/Microsoft.Network/networkSecurityGroups"
)
SELECTIONS = (
    ("--filter", f"nsg={NSG}"),
    ("--filter", f"nsg={GROUPS[0]}/{NSG}"),
    ("--filter", f"nsg={OTHER}/{GROUPS[0]}/web-*"),
    ("--filter", f"!nsg={NSG_ID.format(GROUPS[1])}/{NSG}"),
    ("--nsg-name", f"{GROUPS[1]}/{NSG}"),
    ("--nsg-name", f"{ONE}/{GROUPS[0]}/{NSG}"),
    ("--nsg", f"{NSG_ID.format(GROUPS[0])}/{NSG}"),
    ("--filter", f"vm={OTHER}/{GROUPS[0]}/web1"),
    ("--filter", f"vm=aks-pool_1_3 !vm={GROUPS[1]}/*"),
    ("--filter", f"vnet={GROUPS[0]}/{VNET}"),
    ("--filter", f"subnet={ONE}/*/*/* port=22"),
    ("--filter", f"nsg=*/{NSG} vm=web1,sql_01.prod"),
)


def totals(words: tuple[str, ...], folder: Path) -> dict[str, int]:
    """How many denied flows each command counts."""
    page, parquet = folder / "denied.html", folder / "day.parquet"
    said(*("report", *words, "-o", str(page)))
    run("export", *words, "--filter", "action=denied", "-o", str(parquet))
    report = page.read_text(encoding="utf-8").partition("denied flows</dt><dd>")[2]
    counting = "SELECT count(*) AS n FROM flows WHERE FlowStatus = 'Denied'"
    sql = json.loads(run("sql", counting, *words, "-o", "json"))
    exported = json.loads(run("sql", counting, str(parquet), "-o", "json"))
    return {
        "flows": len(of_flows(*words)),
        "denied": sum(int(row["flows"]) for row in table(*words)),
        "report": int(report.partition("<")[0]),
        "sql": sql["n"],
        "export": exported["n"],
    }


@pytest.mark.parametrize("chosen", SELECTIONS, ids=lambda chosen: chosen[1])
def test_every_command_counts_the_same(chosen: tuple[str, str], tmp_path: Path) -> None:
    """With two subscriptions, two groups, scale sets, and one NSG on subnet and interface."""
    found = [Place(ONE, GROUPS[0]), Place(OTHER, GROUPS[0]), Place(ONE, GROUPS[1])]
    seen = [
        Seen(place, near, far, inbound, 22 if place else 1433, log)
        for place in range(3)
        for near, log in zip(OWN, ("guid", "GUID", "nsg"), strict=True)
        for far in FAR
        for inbound in (True, False)
    ]
    with made(found, seen) as words:
        counted = totals((*words, *chosen), tmp_path)
        assert counted["flows"] > 0
        assert set(counted.values()) == {counted["flows"]}, counted


@pytest.mark.parametrize(
    "value",
    [
        *(
            "10.0.0.0/33",
            "1O.0.0.0/8",
            "10.0.0.0/x",
            "fd00::/200",
            "fdOO::/8",
            "[fd00::]/x",
            "10/8",
        ),
        *("web1", "web1/", "/web1", "/", "1O.0.0.4"),
    ],
)
def test_what_is_meant_as_an_address_is_no_name(value: str) -> None:
    """A mistyped one is an error, as it was."""
    with pytest.raises(BadInputError, match="bad value"):
        compile_terms(f"src={value}")


@pytest.mark.parametrize("value", ["2024/web1", "hub/1", "a.b/web-1", f"{ONE}/rg/hub/1", "*/web*"])
def test_names_of_groups_and_digits_are_names(value: str) -> None:
    """Whatever Azure lets a group, a VM or a subnet be called."""
    assert compile_terms(f"ip={value}").asks_knowledge


def test_letters_that_fold_in_two_ways_find_their_group() -> None:
    """The inventory has names in lower case; a capital I with a dot is two letters there."""
    flows = [Seen(0, "10.0.0.4", "8.8.8.8", True, 22, log) for log in ("guid", "nsg")]  # noqa: FBT003
    with made([Place(ONE, "\u0130stanbul"), Place(ONE, "STRASSE-\xdf")], flows) as words:
        for term in (
            f"nsg=\u0130stanbul/{NSG}",
            "vm=\u0130stanbul/Web1",
            f"vnet=/\u0130stanbul/{VNET}/",
        ):
            assert len(of_flows(*words, "--filter", term)) == 2, term
