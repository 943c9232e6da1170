"""From Azure Resource Graph to the layout: what rules depend on besides NICs and NSGs.

What is deployed of a network manager is there as snapshots: the goal state of a region names those
in force, and each VNet which configurations it has
(https://learn.microsoft.com/azure/virtual-network-manager/query-azure-resource-graph). Which of
their rule collections apply follows from the network groups that a VNet is a member of
(https://learn.microsoft.com/azure/virtual-network-manager/how-to-view-applied-configurations).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from nsgflow_core.estate import addresses
from nsgflow_core.estate.layout import AdminRules, Layout, Peering, Vnet
from nsgflow_core.estate.ranges import network
from nsgflow_core.estate.rule_json import lower_keys, rule_of
from nsgflow_core.estate.rules import Rule

_VNETS = """resources
| where type =~ 'microsoft.network/virtualnetworks'
| project id, prefixes = properties.addressSpace.addressPrefixes,
    peerings = properties.virtualNetworkPeerings
| order by id asc"""
_GROUPS = """resources
| where type =~ 'microsoft.network/applicationsecuritygroups'
| project id
| order by id asc"""
_ROUTES = """resources
| where type =~ 'microsoft.network/routetables'
| project id, routes = properties.routes
| order by id asc"""
_GATEWAYS = """resources
| where type in~ ('microsoft.network/localnetworkgateways', 'microsoft.network/connections',
    'microsoft.network/virtualnetworkgateways')
| project id, properties
| order by id asc"""
_IN_FORCE = """networkresources
| where type in~ ('microsoft.network/effectivesecurityadminrules',
    'microsoft.network/networkgroupmemberships',
    'microsoft.network/effectiveconnectivityconfigurations',
    'microsoft.network/networkmanagers/securityadminregionalgoalstates')
| project id, properties
| order by id asc"""
_MANAGERS = """resources
| where type =~ 'microsoft.network/networkmanagers'
| project id, groups = properties.networkManagerScopes.managementGroups
| order by id asc"""
_LEARNED = "routes of ExpressRoute or BGP are in no resource, and VirtualNetwork holds them"
_MESHED = "the members of a mesh are in no peering, and VirtualNetwork may hold them"
_HUB = "/virtualnetworks/hv_"
"""A hub of Virtual WAN, as the peering to one names it."""


class Graph(Protocol):
    """Where queries are answered; `arm.ResourceManager` is the real one."""

    def query(self, query: str, page: int = 1000) -> Iterator[dict[str, Any]]: ...  # noqa: D102


def read_layout(
    graph: Graph,
    nics: Mapping[str, Sequence[Mapping[str, Any]]],
    placed: Sequence[str],
    routed: Sequence[str],
    admin_rows: Iterable[Mapping[str, Any]],
) -> Layout:
    """Ask for what the inventory does not have yet.

    `nics` are the rows of NICs by lower-case id and `placed` those of them that are in the
    inventory, in its order; `routed` has the route table of each subnet, in order;
    `admin_rows` is all there is of security admin configurations, their snapshots included.

    Raises:
        NsgflowError: as the graph does.
    """
    vnets = {row["id"].lower(): row for row in graph.query(_VNETS)}
    tables = {
        row["id"].lower(): tuple(
            networks(
                lower_keys(route["properties"]).get("addressprefix") for route in row["routes"]
            )
        )
        for row in graph.query(_ROUTES)
        if row["routes"]
    }
    behind, learned = _gateways(graph)
    in_force = _InForce(graph, admin_rows)
    for vnet in in_force.meshed:
        learned.setdefault(vnet, _MESHED)
    admin, admin_of = in_force.admin()
    return Layout(
        {
            vnet: Vnet(
                tuple(networks(row["prefixes"])),
                tuple(_peerings(row["peerings"])),
                tuple(behind.get(vnet, ())),
                learned.get(vnet) or _learned_by_peering(row["peerings"]),
            )
            for vnet, row in vnets.items()
        },
        _groups([row["id"].lower() for row in graph.query(_GROUPS)], nics),
        [tables.get(table.lower(), ()) for table in routed],
        admin,
        admin_of,
        list(placed),
        frozenset(at for at, nic in enumerate(placed) if nics[nic][0].get("endpoint")),
        [table.lower() for table in routed],
    )


def networks(found: Iterable[str | None] | None) -> list[str]:
    """Those that are networks; a subnet with prefixes from a pool may have none yet."""
    made = []
    for text in found or ():
        with suppress(ValueError):
            made.append(str(network(text or "")))
    return made


def _groups(
    known: Iterable[str], nics: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The application security groups, with their VNet and the addresses of their members."""
    vnets = dict.fromkeys(known, "")
    members: dict[str, list[str]] = {}
    for rows in nics.values():
        for row in rows:
            for group in row.get("groups") or ():
                key = group["id"].lower()
                vnets[key] = row["subnet"].lower().partition("/subnets/")[0]
                with suppress(ValueError):
                    members.setdefault(key, []).append(addresses.canonical(row["address"]))
    return {key: (vnet, tuple(members.get(key, ()))) for key, vnet in vnets.items()}


def _peerings(found: Iterable[Mapping[str, Any]] | None) -> Iterator[Peering]:
    for peering in found or ():
        given = peering["properties"]
        space = given.get("remoteVirtualNetworkAddressSpace") or given.get("remoteAddressSpace")
        connected = str(given.get("peeringState", "Connected")).lower() == "connected"
        yield Peering(
            str((given.get("remoteVirtualNetwork") or {}).get("id", "")).lower(),
            tuple(networks((space or {}).get("addressPrefixes"))),
            connected and given.get("allowVirtualNetworkAccess") is not False,
            given.get("useRemoteGateways") is True,
        )


def _learned_by_peering(found: Iterable[Mapping[str, Any]] | None) -> str:
    """A hub of Virtual WAN knows routes that no resource has."""
    hubs = any(_HUB in peering.remote for peering in _peerings(found))
    return "routes of a Virtual WAN hub are in no resource" if hubs else ""


def _gateways(graph: Graph) -> tuple[dict[str, list[str]], dict[str, str]]:
    """By VNet: what lies behind its gateways, and why there may be more."""
    sites: dict[str, list[str]] = {}
    homes: dict[str, str] = {}
    behind: dict[str, list[str]] = {}
    learned: dict[str, str] = {}
    connections: list[tuple[str, str]] = []
    for row in graph.query(_GATEWAYS):
        key, given = row["id"].lower(), row["properties"] or {}
        if "/localnetworkgateways/" in key:
            sites[key] = networks(
                (given.get("localNetworkAddressSpace") or {}).get("addressPrefixes")
            )
        elif "/connections/" in key:
            ends = given.get("virtualNetworkGateway1"), given.get("localNetworkGateway2")
            gateway, site = (str((end or {}).get("id", "")).lower() for end in ends)
            connections.append((gateway, site))
        else:
            home = _home(given)
            homes[key] = home
            clients = (given.get("vpnClientConfiguration") or {}).get("vpnClientAddressPool") or {}
            behind.setdefault(home, []).extend(networks(clients.get("addressPrefixes")))
            if given.get("enableBgp") or str(given.get("gatewayType")).lower() == "expressroute":
                learned[home] = _LEARNED
    for gateway, site in connections:
        behind.setdefault(homes.get(gateway, ""), []).extend(sites.get(site, ()))
    return behind, learned


def _home(gateway: Mapping[str, Any]) -> str:
    """The VNet of a gateway, "" where it is not told."""
    for entry in gateway.get("ipConfigurations") or ():
        subnet = str((entry["properties"].get("subnet") or {}).get("id", "")).lower()
        return subnet.partition("/subnets/")[0]
    return ""


class _InForce:
    """What network managers have in force, and where."""

    def __init__(self, graph: Graph, admin_rows: Iterable[Mapping[str, Any]]) -> None:
        self.meshed: set[str] = set()
        self._configurations: dict[str, list[str]] = {}  # by VNet
        self._groups: dict[str, set[str]] = {}  # by VNet
        self._goals: set[str] = set()
        self._deployed: dict[str, dict[str, Mapping[str, Any]]] = {}
        for row in graph.query(_IN_FORCE):
            self._take(row["id"].lower(), row["properties"] or {})
        self._managers = {
            row["id"].lower(): 0 if row["groups"] else 1 for row in graph.query(_MANAGERS)
        }
        for entry in admin_rows:
            resource, snapshot, number = entry["id"].lower().partition("/snapshots/")
            if snapshot:
                name = entry["id"][: len(resource)].rpartition("/")[2]
                deployed = {"name": name, "properties": entry["properties"]}
                self._deployed.setdefault(resource, {})[number] = deployed

    def _take(self, key: str, properties: Mapping[str, Any]) -> None:
        vnet, _, kind = key.rpartition("/providers/microsoft.network/")
        found = lower_keys(properties)
        if kind.startswith("effectivesecurityadminrules"):
            given = found.get("effectivesecurityadminconfigurations") or ()
            self._configurations[vnet] = [_id(one).partition("/snapshots/")[0] for one in given]
        elif kind.startswith("networkgroupmemberships"):
            given = found.get("groupmemberships") or ()
            self._groups[vnet] = {
                str(lower_keys(one).get("networkgroupid", "")).lower() for one in given
            }
        elif kind.startswith("effectiveconnectivityconfigurations"):
            if "directlyconnected" in str(properties).lower():
                self.meshed.add(vnet)
        else:
            for name in ("securityadminrules", "securityadminrulecollections"):
                self._goals |= set(map(_id, found.get(name) or ()))

    def admin(self) -> tuple[list[AdminRules], dict[str, tuple[str, ...]]]:
        """The configurations that VNets have, and which rule collections each VNet has of them."""
        wanted = {one for found in self._configurations.values() for one in found}
        configurations: dict[str, dict[str, list[Rule]]] = {one: {} for one in wanted}
        groups_of: dict[str, set[str]] = {}
        for resource, snapshots in self._deployed.items():
            configuration, _, below = resource.partition("/rulecollections/")
            if configuration not in configurations:
                continue
            row = self._newest(resource, snapshots)
            collection = f"{configuration}/rulecollections/{below.partition('/rules/')[0]}"
            rules = configurations[configuration].setdefault(collection, [])
            if "/rules/" in below:
                rules.append(rule_of(row["name"], row["properties"] or {}, built_in=False))
            else:
                given = lower_keys(row["properties"] or {}).get("appliestogroups") or ()
                groups_of[collection] = {
                    str(lower_keys(one).get("networkgroupid", "")).lower() for one in given
                }
        admin = [
            AdminRules(
                configuration,
                configuration.rpartition("/")[2],
                self._managers.get(configuration.partition("/securityadmin")[0], 1),
                {name: tuple(rules) for name, rules in collections.items()},
            )
            for configuration, collections in sorted(configurations.items())
        ]
        admin_of = {
            vnet: tuple(
                collection
                for configuration in found
                for collection in configurations[configuration]
                # A collection whose groups are not told applies: the VNet has the configuration.
                if collection not in groups_of
                or groups_of[collection] & self._groups.get(vnet, set())
            )
            for vnet, found in self._configurations.items()
        }
        return admin, admin_of

    def _newest(
        self, resource: str, snapshots: Mapping[str, Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """The snapshot that a goal state names, else the newest."""
        named = [
            number
            for number in snapshots
            if f"{resource}/snapshots/{number}".lower() in self._goals
        ]
        return snapshots[max(named or snapshots, key=lambda number: (len(number), number))]


def _id(found: str | Mapping[str, Any]) -> str:
    """The lower-case id of what is named by it, or has it."""
    text = found if isinstance(found, str) else lower_keys(found).get("id", "")
    return str(text).lower()
