"""From Azure Resource Graph to the inventory.

Tables and types: https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources;
the network interfaces of uniform scale sets are in `computeresources`, security admin rules in
`networkresources` (https://learn.microsoft.com/azure/virtual-network-manager/query-azure-resource-graph).
Rows are ordered, since pages of an unordered query may repeat some and leave out others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from nsgflow_core.estate import addresses
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import CLIENTS, SITE, Acl, Nic, Subnet, pack_inventory
from nsgflow_core.estate.ranges import network
from nsgflow_core.estate.rules import Rule

_SCALE_SET = "microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces"
_NICS = """{table}
| where type =~ '{type}'
| mv-expand ip = properties.ipConfigurations limit 2000
| project id, mac = tostring(properties.macAddress), vm = tostring(properties.virtualMachine.id),
    nsg = tostring(properties.networkSecurityGroup.id),
    address = tostring(ip.properties.privateIPAddress), subnet = tostring(ip.properties.subnet.id),
    public = tostring(ip.properties.publicIPAddress.id)
| order by id asc, address asc"""
_PUBLIC = """{table}
| where type =~ '{type}'
| project id, address = tostring(properties.ipAddress)
| order by id asc"""
_SUBNETS = """resources
| where type =~ 'microsoft.network/virtualnetworks'
| mv-expand subnet = properties.subnets limit 2000
| project id = tostring(subnet.id), prefix = tostring(subnet.properties.addressPrefix),
    prefixes = subnet.properties.addressPrefixes,
    nsg = tostring(subnet.properties.networkSecurityGroup.id)
| order by id asc"""
_GATEWAYS = """resources
| where type in~ ('microsoft.network/localnetworkgateways', 'microsoft.network/vpnsites',
    'microsoft.network/virtualnetworkgateways')
| project id, site = properties.localNetworkAddressSpace.addressPrefixes,
    branch = properties.addressSpace.addressPrefixes,
    clients = properties.vpnClientConfiguration.vpnClientAddressPool.addressPrefixes
| order by id asc"""
_NSGS = """resources
| where type in~ ('microsoft.network/networksecuritygroups', 'microsoft.network/networkmanagers')
| project id, name, guid = tostring(properties.resourceGuid), own = properties.securityRules,
    defaults = properties.defaultSecurityRules
| order by id asc"""
_ADMIN = """networkresources
| where type startswith 'microsoft.network/networkmanagers/securityadminconfigurations'
| project id, name, properties
| order by id asc"""
_NIC_TYPES = (
    ("resources", "microsoft.network/networkinterfaces"),
    ("computeresources", _SCALE_SET),
)
_PUBLIC_TYPES = (
    ("resources", "microsoft.network/publicipaddresses"),
    ("computeresources", f"{_SCALE_SET}/ipconfigurations/publicipaddresses"),
)
_PAGE_OF_NSGS = 250
"""NSGs come with all their rules, up to a thousand each: smaller pages keep answers small."""
_SNAPSHOT = "/snapshots/"


class Graph(Protocol):
    """Where queries are answered; `arm.ResourceManager` is the real one."""

    def query(self, query: str, page: int = 1000) -> Iterator[dict[str, Any]]: ...  # noqa: D102


def read_inventory(graph: Graph) -> bytes:
    """Ask for everything and pack it.

    Raises:
        NsgflowError: as the graph does.
    """
    estate = _Estate()
    for row in graph.query(_SUBNETS):
        if not row["id"]:  # a VNet without subnets
            continue
        estate.subnet(row["id"], row["nsg"], [row["prefix"], *(row["prefixes"] or ())])
    public = {
        row["id"].lower(): row["address"]
        for table, kind in _PUBLIC_TYPES
        for row in graph.query(_PUBLIC.format(table=table, type=kind))
    }
    nics: dict[str, list[dict[str, Any]]] = {}
    for table, kind in _NIC_TYPES:
        for row in graph.query(_NICS.format(table=table, type=kind)):
            nics.setdefault(row["id"].lower(), []).append(row)
    gateways: dict[str, int] = {}
    for row in graph.query(_GATEWAYS):
        gateways |= dict.fromkeys(_networks(row["clients"]), CLIENTS)
        gateways |= dict.fromkeys(_networks([*(row["site"] or ()), *(row["branch"] or ())]), SITE)
    for row in graph.query(_NSGS, _PAGE_OF_NSGS):
        estate.nsg(row)
    for row in graph.query(_ADMIN):
        estate.admin(row)
    return pack_inventory(
        [nic for rows in nics.values() if (nic := estate.nic(rows, public)) is not None],
        estate.subnets,
        list(estate.nsgs),
        gateways,
        estate.acls,
        estate.rules,
    )


class _Estate:
    """What was read so far; subnets and NSGs are numbered as they are met."""

    def __init__(self) -> None:
        self.subnets: list[tuple[Subnet, tuple[str, ...]]] = []
        self.nsgs: dict[str, int] = {}
        self.acls: dict[str, Acl] = {}
        self.rules: dict[str, tuple[Rule, ...]] = {}
        self._subnets: dict[str, int] = {}

    def subnet(self, resource_id: str, nsg: str = "", prefixes: Sequence[str] = ()) -> int:
        """The number of a subnet; one that only a NIC names has no prefixes, but a place."""
        key = resource_id.lower()
        if (known := self._subnets.get(key)) is not None:
            return known
        number = self._subnets[key] = len(self.subnets)
        vnet = key.partition("/subnets/")[0]
        name = f"{_segment(key, 'resourcegroups')}/{_last(vnet)}/{_last(key)}"
        made = Subnet(name, vnet, self._nsg_number(nsg))
        self.subnets.append((made, tuple(_networks(prefixes))))
        return number

    def _nsg_number(self, resource_id: str) -> int:
        return self.nsgs.setdefault(resource_id.lower(), len(self.nsgs)) if resource_id else -1

    def nic(self, rows: Sequence[dict[str, Any]], public: Mapping[str, str]) -> Nic | None:
        """A network interface from its IP configurations; None for one that has no subnet."""
        first = rows[0]
        if not first["subnet"]:
            return None
        texts = [
            text for row in rows for text in (row["address"], public.get(row["public"].lower()))
        ]
        return Nic(
            canonical_mac(first["mac"]),
            _vm_name(first["vm"] or first["id"].lower().partition("/networkinterfaces/")[0]),
            self.subnet(first["subnet"]),
            self._nsg_number(first["nsg"]),
            tuple(dict.fromkeys(_addresses(texts))),
        )

    def nsg(self, row: dict[str, Any]) -> None:
        """An NSG with its rules; or a network manager, which has none of its own."""
        self._acl(row["guid"], row["id"], row["name"])
        rules = [(rule, False) for rule in row["own"] or ()]
        rules += [(rule, True) for rule in row["defaults"] or ()]
        if rules:
            self.rules[row["id"].lower()] = tuple(
                _rule(rule["name"], rule["properties"], built_in=built_in)
                for rule, built_in in rules
            )

    def admin(self, row: dict[str, Any]) -> None:
        """A security admin configuration, a collection of rules in one, or a rule.

        What is deployed is there as snapshots below its own id; they stand in for a resource
        that is not there itself.
        """
        resource_id, snapshot, _ = row["id"].lower().partition(_SNAPSHOT)
        name = _last(row["id"][: len(resource_id)])
        properties = row["properties"] or {}
        self._acl(_lower_keys(properties).get("resourceguid") or "", resource_id, name)
        if "/rules/" in resource_id and not (snapshot and resource_id in self.rules):
            self.rules[resource_id] = (_rule(name, properties, built_in=False),)

    def _acl(self, guid: str, resource_id: str, name: str) -> None:
        if guid:
            self.acls.setdefault(guid.lower(), Acl(resource_id.lower(), name))


def _rule(name: str, properties: Mapping[str, Any], *, built_in: bool) -> Rule:
    """A rule of an NSG or a security admin rule; some of the latter come in other cases."""
    found = _lower_keys(properties)
    return Rule(
        name,
        int(found.get("priority") or 0),
        str(found.get("direction")).lower() == "inbound",
        str(found.get("access") or ""),
        str(found.get("protocol") or ""),
        _prefixes(found, "source"),
        _texts(found.get("sourceportrange"), found.get("sourceportranges")),
        _prefixes(found, "destination"),
        _texts(found.get("destinationportrange"), found.get("destinationportranges")),
        built_in,
    )


def _prefixes(found: Mapping[str, Any], end: str) -> tuple[str, ...]:
    """Addresses, service tags and groups of one end: of an NSG's rule, or of an admin rule."""
    groups = [group["id"] for group in found.get(f"{end}applicationsecuritygroups") or ()]
    items = [_lower_keys(item)["addressprefix"] for item in found.get(f"{end}s") or ()]
    own = (found.get(f"{end}addressprefix"), found.get(f"{end}addressprefixes"))
    return _texts(*own, groups, items)


def _texts(*values: str | Sequence[str] | None) -> tuple[str, ...]:
    """One text, or lists of them, as Azure writes either; without repetition."""
    lists = [[value] if isinstance(value, str) else value or () for value in values]
    return tuple(dict.fromkeys(text for texts in lists for text in texts if text))


def _lower_keys(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in found.items()}


def _networks(texts: Iterable[str] | None) -> list[str]:
    """Those that are networks; a subnet with prefixes from a pool may have none yet."""
    found = []
    for text in texts or ():
        with suppress(ValueError):
            found.append(str(network(text)))
    return found


def _addresses(texts: Iterable[str | None]) -> Iterator[str]:
    for text in texts:
        with suppress(ValueError):
            yield addresses.canonical(text or "")


def _vm_name(resource_id: str) -> str:
    """`group/name` of a VM; one of a uniform scale set is called `set_number`, as in Azure."""
    key = resource_id.lower()
    group = _segment(key, "resourcegroups")
    scale_set, number = _segment(key, "virtualmachinescalesets"), _segment(key, "virtualmachines")
    if not number:
        return ""
    return f"{group}/{scale_set}_{number}" if scale_set else f"{group}/{number}"


def _segment(resource_id: str, kind: str) -> str:
    """What follows a kind in a lower-case resource id."""
    return resource_id.partition(f"/{kind}/")[2].partition("/")[0]


def _last(resource_id: str) -> str:
    return resource_id.rpartition("/")[2]
