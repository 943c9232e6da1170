"""From Azure Resource Graph to the inventory.

Tables and types: https://learn.microsoft.com/azure/governance/resource-graph/reference/supported-tables-resources;
the network interfaces of uniform scale sets are in `computeresources`, security admin rules in
`networkresources` (https://learn.microsoft.com/azure/virtual-network-manager/query-azure-resource-graph).
Rows are ordered, since pages of an unordered query may repeat some and leave out others.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import addresses
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import CLIENTS, SITE, Acl, Nic, Subnet, pack_inventory
from nsgflow_core.estate.layout_graph import Graph, networks, read_layout
from nsgflow_core.estate.rule_json import lower_keys, nsg_rules, rule_of
from nsgflow_core.estate.rules import Rule

_SCALE_SET = "microsoft.compute/virtualmachinescalesets/virtualmachines/networkinterfaces"
_NICS = """{table}
| where type =~ '{type}'
| mv-expand ip = properties.ipConfigurations limit 2000
| project id, mac = tostring(properties.macAddress), vm = tostring(properties.virtualMachine.id),
    nsg = tostring(properties.networkSecurityGroup.id),
    address = tostring(ip.properties.privateIPAddress), subnet = tostring(ip.properties.subnet.id),
    public = tostring(ip.properties.publicIPAddress.id),
    groups = ip.properties.applicationSecurityGroups,
    endpoint = tostring(properties.privateEndpoint.id)
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
    nsg = tostring(subnet.properties.networkSecurityGroup.id),
    routes = tostring(subnet.properties.routeTable.id)
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


def read_inventory(graph: Graph) -> bytes:
    """Ask for everything and pack it.

    Raises:
        NsgflowError: as the graph does, or rows have another shape than they are known to have.
    """
    try:
        return _read(graph)
    except ValueError as exc:
        # Without its rules an NSG would seem to have Azure's default ones alone.
        raise BadInputError(f"what Azure Resource Graph answers cannot be read: {exc}") from exc
    except (AttributeError, LookupError, TypeError) as exc:
        raise BadInputError(
            "what Azure Resource Graph answers has another shape than is known: "
            f"{type(exc).__name__}: {exc}"
        ) from exc


def _read(graph: Graph) -> bytes:
    estate = _Estate()
    routed: list[str] = []
    for row in graph.query(_SUBNETS):
        if not row["id"]:  # a VNet without subnets
            continue
        prefixes = [row["prefix"], *(row["prefixes"] or ())]
        if estate.subnet(row["id"], row["nsg"], prefixes) == len(routed):
            routed.append(row["routes"])
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
        gateways |= dict.fromkeys(networks(row["clients"]), CLIENTS)
        gateways |= dict.fromkeys(networks([*(row["site"] or ()), *(row["branch"] or ())]), SITE)
    for row in graph.query(_NSGS, _PAGE_OF_NSGS):
        estate.nsg(row)
    admin_rows = list(graph.query(_ADMIN))
    for row in admin_rows:
        estate.admin(row)
    placed = {key: nic for key, rows in nics.items() if (nic := estate.nic(rows, public))}
    layout = read_layout(graph, nics, list(placed), routed, admin_rows)
    return pack_inventory(
        list(placed.values()),
        estate.subnets,
        list(estate.nsgs),
        gateways,
        estate.acls,
        estate.rules,
        layout,
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
        self.subnets.append((made, tuple(networks(prefixes))))
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
        if rules := nsg_rules(row["own"], row["defaults"], place=row["id"]):
            self.rules[row["id"].lower()] = rules

    def admin(self, row: dict[str, Any]) -> None:
        """A security admin configuration, a collection of rules in one, or a rule.

        What is deployed is there as snapshots below its own id; they stand in for a resource
        that is not there itself.
        """
        resource_id, snapshot, _ = row["id"].lower().partition(_SNAPSHOT)
        name = _last(row["id"][: len(resource_id)])
        properties = row["properties"] or {}
        self._acl(lower_keys(properties).get("resourceguid") or "", resource_id, name)
        if "/rules/" in resource_id and not (snapshot and resource_id in self.rules):
            self.rules[resource_id] = (rule_of(name, properties, built_in=False),)

    def _acl(self, guid: str, resource_id: str, name: str) -> None:
        if guid:
            self.acls.setdefault(guid.lower(), Acl(resource_id.lower(), name))


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
