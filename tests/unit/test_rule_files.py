"""Rules from files: each form that people have, and what is said of those that cannot be read."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate.acl import Packet
from nsgflow_core.estate.rule_files import Files, KnownNsg, RuleFiles
from nsgflow_core.estate.rules import Rule
from nsgflow_core.estate.verdict import Judge

ID = "/subscriptions/S1/resourceGroups/Shop/providers/Microsoft.Network/networkSecurityGroups/Web"
KEY = ID.lower()
VALUES: dict[str, Any] = {
    "priority": 120,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefixes": ["10.0.0.0/24", "fd00::/64"],
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRanges": ["443", "8000-8100"],
}
RULE = Rule(
    "AllowWeb",
    120,
    True,  # noqa: FBT003
    "Allow",
    "Tcp",
    ("10.0.0.0/24", "fd00::/64"),
    ("*",),
    ("*",),
    ("443", "8000-8100"),
)
FLAT = {"name": "AllowWeb", **VALUES}
NESTED = {"name": "AllowWeb", "properties": VALUES}
TERRAFORM = {
    "name": "AllowWeb",
    "priority": 120,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "source_address_prefix": "",
    "source_address_prefixes": ["10.0.0.0/24", "fd00::/64"],
    "source_port_range": "*",
    "source_port_ranges": [],
    "destination_address_prefix": "*",
    "destination_port_ranges": ["443", "8000-8100"],
    "source_application_security_group_ids": None,
}


def read(document: Any) -> RuleFiles:
    """A document taken in."""
    files = RuleFiles()
    files.add(json.dumps(document).encode(), "rules.json")
    return files


def nsg(rule: Any, **more: Any) -> dict[str, Any]:
    """An NSG as az prints it."""
    return {"id": ID, "name": "Web", "resourceGuid": "G-1", "securityRules": [rule]} | more


ARM_NSG = {
    "type": "Microsoft.Network/networkSecurityGroups",
    "name": "[parameters('nsg')]",
    "properties": {"securityRules": [NESTED]},
}
ARM: dict[str, Any] = {
    "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
    "parameters": {"nsg": {"type": "string", "defaultValue": "Web"}},
    "resources": [ARM_NSG],
}


def deployment(scope: str, template: Any, **parameters: Any) -> dict[str, Any]:
    """A nested deployment."""
    given = {name: {"value": value} for name, value in parameters.items()}
    return {
        "type": "Microsoft.Resources/deployments",
        "name": "nested",
        "properties": {
            "expressionEvaluationOptions": {"scope": scope},
            "parameters": given,
            "template": template,
        },
    }


DOCUMENTS: list[Any] = [
    [nsg(FLAT)],
    nsg(NESTED),
    {"value": [nsg(FLAT)]},
    {"id": ID, "name": "Web", "properties": {"securityRules": [NESTED]}},
    {"properties": {"changes": [{"resourceId": ID, "changeType": "Modify", "before": None,
        "after": {"name": "Web", "properties": {"securityRules": [NESTED]}}}]}},
    {"changes": [{"resourceId": ID.upper(), "changeType": "Ignore",
        "before": {"name": "Web", "properties": {"securityRules": [NESTED]}}}]},
    ARM,
    [ARM_NSG | {"name": "Web"}],
    ARM | {"resources": {"web": ARM_NSG}},
    ARM | {"resources": [ARM_NSG | {"properties": {}, "resources": [
        {"type": "securityRules", "name": "AllowWeb", "properties": VALUES}]}]},
    ARM | {"resources": [ARM_NSG | {"properties": {}},
        {"type": "Microsoft.Network/networkSecurityGroups/securityRules",
         "name": "[format('{0}/{1}', parameters('nsg'), 'AllowWeb')]", "properties": VALUES}]},
    ARM | {"resources": [deployment("outer", {"resources": [ARM_NSG]})]},
    {"parameters": {"of": {"defaultValue": "Web"}}, "resources": [
        deployment("Inner", ARM | {"parameters": {"nsg": {"type": "string"}}},
                   nsg="[parameters('of')]")]},
    {"values": {"root_module": {"resources": [{"type": "azurerm_network_security_group",
        "values": {"id": ID, "name": "Web", "security_rule": [TERRAFORM]}}]}}},
    {"planned_values": {"root_module": {"child_modules": [{"resources": [
        {"type": "azurerm_network_security_group", "values": {
            "name": "Web", "resource_group_name": "Shop"}},
        {"type": "azurerm_network_security_rule", "values": TERRAFORM | {
            "network_security_group_name": "Web", "resource_group_name": "Shop"}}]}]}}},
]  # fmt: skip


DELETED: list[Any] = [
    {"changes": [{"resourceId": ID, "changeType": "Delete", "before": nsg(FLAT)}]},
    {"properties": {"changes": [
        {"resourceId": ID, "changeType": "Delete", "before": None},
        {"resourceId": f"{ID}-2", "changeType": "Create",
            "after": nsg(FLAT, resourceGuid="G-2")}]}},
    {"planned_values": {"root_module": {}}, "resource_changes": [
        {"type": "azurerm_network_security_group", "change": {"actions": ["delete"],
            "before": {"id": ID, "name": "Web"}, "after": None}}]},
]  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_form_says_the_same(document: Any) -> None:
    """The NSG is found by its id, in any case, whatever the file has of it."""
    known = Files(read(document)).find(ID.swapcase())
    assert known is not None
    assert (known.id, known.name.lower(), known.rules) == (KEY, "web", (RULE,))


def test_a_group_in_a_resource_group_that_is_told() -> None:
    """As compiled Bicep names an application security group that lies elsewhere."""
    kind = "Microsoft.Network/applicationSecurityGroups"
    of = [{"id": f"[resourceId('S1', 'Shop', '{kind}', 'servers')]"}]
    values = VALUES | {"sourceAddressPrefixes": [], "sourceApplicationSecurityGroups": of}
    group = ARM_NSG | {"properties": {"securityRules": [{"name": "A", "properties": values}]}}
    known = Files(read(ARM | {"resources": [group]})).find(ID)
    assert known is not None
    expected = f"/subscriptions/S1/resourceGroups/Shop/providers/{kind}/servers"
    assert known.rules[0].sources == (expected,)


def test_guids_and_default_rules() -> None:
    """VNet flow logs name an NSG by its GUID; az lists the defaults too."""
    deny = {"name": "DenyAllInBound", "priority": 65500, "direction": "Inbound", "access": "Deny"}
    files = Files(read([nsg(FLAT, defaultSecurityRules=[deny])]))

    known = files.find("g-1")
    assert known is not None
    assert [(rule.name, rule.built_in) for rule in known.rules] == [
        ("AllowWeb", False),
        ("DenyAllInBound", True),
    ]
    assert files.find("g-2") is None
    assert files.find(ID + "2") is None


def test_rules_by_themselves_patch_what_is_known() -> None:
    """What a deployment adds or deletes without its NSG."""
    changes = [
        {"resourceId": f"{ID}/securityRules/AllowWeb", "changeType": "Create",
         "after": {"properties": VALUES}},
        {"resourceId": f"{ID}/securityRules/Old", "changeType": "Delete", "before": {}},
    ]  # fmt: skip
    files = Files(read({"changes": changes}))
    old = Rule("OLD", 100, True, "Deny", "*", ("*",), ("*",), ("*",), ("*",))  # noqa: FBT003

    assert files.find(ID) is None
    assert files.patch(KnownNsg(KEY, "Web", (old,))).rules == (RULE,)


def test_rules_of_a_plan_belong_to_an_nsg_with_an_id() -> None:
    """A plan knows the id of what is there, and of a rule to be made its NSG's name and group."""
    place = {"network_security_group_name": "Web", "resource_group_name": "Shop"}
    made = {"type": "azurerm_network_security_rule", "values": TERRAFORM | place}
    old = TERRAFORM | place | {"name": "Old", "id": f"{ID}/securityRules/Old"}
    there = {"type": "azurerm_network_security_rule", "values": old}
    web = {"id": ID, "name": "Web", "resource_group_name": "Shop"}
    group = {"type": "azurerm_network_security_group", "values": web}
    for resources in ([group, made, there], [made, there]):
        files = Files(read({"planned_values": {"root_module": {"resources": resources}}}))
        known = files.find(ID) or files.patch(KnownNsg(KEY, "Web", ()))
        assert {rule.name for rule in known.rules} == {"AllowWeb", "Old"}


def test_a_rule_that_is_deleted_is_gone_from_its_nsg() -> None:
    """Though the NSG is in the file as well, with the rule."""
    changes = [
        {"resourceId": ID, "changeType": "NoChange", "before": nsg(FLAT)},
        {"resourceId": f"{ID}/securityRules/AllowWeb", "changeType": "Delete", "before": {}},
    ]
    known = Files(read({"changes": changes})).find(ID)
    assert known is not None
    assert known.rules == ()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"{}", "no NSG"),
        (b"[]", "no NSG"),
        (json.dumps({"planned_values": {}}).encode(), "no NSG"),
        (json.dumps([nsg(FLAT | {"priority": "high"})]).encode(), "cannot be read"),
        (json.dumps(ARM | {"resources": [ARM_NSG | {"copy": {}}]}).encode(), "loop"),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, said: str) -> None:
    """With the name of the file."""
    with pytest.raises(BadInputError, match=f"rules.json.*{said}"):
        RuleFiles().add(data, "rules.json")


def places(document: Any) -> Iterator[tuple[Any, ...]]:
    """The way to each value in a document."""
    found: Any = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in found:
        yield (key,)
        if isinstance(value, dict | list):
            yield from ((key, *rest) for rest in places(value))


def changed(document: Any, place: tuple[Any, ...], *value: Any) -> Any:
    """The same document, with another value at a place, or none."""
    whole = json.loads(json.dumps(document))
    at = whole
    for key in place[:-1]:
        at = at[key]
    if value:
        at[place[-1]] = value[0]
    else:
        del at[place[-1]]
    return whole


@pytest.mark.parametrize("document", [*DOCUMENTS, *DELETED])
def test_broken_shapes_are_said_in_words(document: Any) -> None:
    """Whatever is missing or of another kind: what, and where, and never how Python says it."""
    others: list[tuple[Any, ...]] = [(), (None,), (7,), ("x",), (True,), ({},), ({"a": 1},)]
    others += [([],), ([7],), ([None],), ([["x"]],), ("[x('",), ("[toLower(1)]",)]
    for place in places(document):
        for value in others:
            try:
                read(changed(document, place, *value))
            except BadInputError as exc:
                said = str(exc)
                assert said.startswith("rules.json"), (place, value)
                assert not PYTHONIC.search(said), (place, value, said)


PYTHONIC = re.compile("Error|object has no|NoneType|iterable|subscript|unhashable")


def test_what_windows_powershell_writes() -> None:
    """A redirection there makes UTF-16 of what az prints."""
    files = RuleFiles()
    files.add(json.dumps([nsg(FLAT)]).encode("utf-16"), "rules.json")
    assert Files(files).find(ID) is not None
    with pytest.raises(BadInputError, match=r"rules\.json"):
        files.add(b"\xff\xfe\x00", "rules.json")


def test_files_may_have_the_same_nsg() -> None:
    """The last one counts."""
    files = read([nsg(FLAT)])
    files.add(json.dumps([nsg(FLAT | {"name": "Other"})]).encode(), "more.json")
    known = Files(files).find(ID)
    assert known is not None
    assert [rule.name for rule in known.rules] == ["Other"]


def test_a_deleted_nsg_is_told_as_such() -> None:
    """Alone in a file and beside others, by its id and its GUID; the inventory's is not asked."""
    packet = Packet("10.0.0.9", "10.0.0.4", "tcp", 1, 443)
    for document in DELETED:
        judge = Judge(files=Files(read(document)))
        for name in (ID, "g-1") if "G-1" in json.dumps(document) else (ID,):
            assert judge.nsg(name) is None
            answer = judge.at_nsg(name, packet, inbound=True)
            assert answer.verdict == "unknown"
            assert answer.because.lower() == "nsg web is deleted in rules.json"


def test_an_nsg_that_is_there_again_is_not_deleted() -> None:
    """Files come one after the other."""
    files = read(DELETED[0])
    files.add(json.dumps([nsg(FLAT)]).encode(), "more.json")
    assert Judge(files=Files(files)).nsg(ID) is not None
    files.add(json.dumps(DELETED[0]).encode(), "again.json")
    assert Judge(files=Files(files)).why_unknown(ID) == "NSG Web is deleted in again.json"


def test_what_a_file_does_not_tell_is_unknown() -> None:
    """Addresses and ports that are left out, or made by an expression, are no guess at any."""
    left_out = {key: value for key, value in VALUES.items() if not key.startswith("sourceAddress")}
    made = left_out | {"sourceAddressPrefix": "[parameters('who')]"}
    no_port = VALUES | {"sourceAddressPrefix": "*", "destinationPortRanges": []}
    for values, said in (
        (left_out, "does not tell"),
        (made, "expression"),
        (no_port, "does not tell all ports of rule 'AllowWeb'"),
    ):
        known = read([nsg({"name": "AllowWeb", **values})])
        answer = Judge(files=Files(known)).at_nsg(
            ID, Packet("8.8.8.8", "10.0.0.4", "tcp", 1, 443), inbound=True
        )
        assert (answer.verdict, said in answer.because) == ("unknown", True)
    with pytest.raises(BadInputError, match=r"AllowWeb.*access"):
        read([nsg(FLAT | {"access": "[parameters('a')]"})])
    for protocol in (None, "[parameters('p')]"):
        with pytest.raises(BadInputError, match=r"AllowWeb.*protocol"):
            read([nsg(FLAT | {"protocol": protocol})])
    with pytest.raises(BadInputError, match=r"AllowWeb.*direction"):
        read([nsg(FLAT | {"direction": ""})])
