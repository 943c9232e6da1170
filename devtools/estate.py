"""Resources of a made-up subscription, in the form that Azure Resource Graph gives them."""

import itertools
from collections.abc import Sequence

from devtools.resource_manager import SUBSCRIPTION, Row


class Estate:
    """A resource group, filled one resource at a time; `tables` are those of Resource Graph."""

    def __init__(self, group: str = "Prod", subscription: str = SUBSCRIPTION) -> None:
        self.tables: dict[str, list[Row]] = {
            "resources": [],
            "computeresources": [],
            "networkresources": [],
            "resourcechanges": [],
        }
        self._root = f"/subscriptions/{subscription}/resourceGroups/{group}/providers"
        self._numbers = itertools.count(1)

    def _add(self, path: str, properties: Row, table: str = "resources") -> str:
        resource_id = f"{self._root}/{path}"
        provider, *parts = path.split("/")
        kind = "/".join((provider, *parts[::2])).lower()
        row = {"id": resource_id, "name": parts[-1], "type": kind, "properties": properties}
        self.tables[table].append(row)
        return resource_id

    def vnet(self, name: str, **subnets: str) -> str:
        """A VNet with the prefix of each of its subnets, and no more space; returns its id."""
        resource_id = f"{self._root}/Microsoft.Network/virtualNetworks/{name}"
        entries: list[Row] = [
            {"id": f"{resource_id}/subnets/{key}", "properties": {"addressPrefix": prefix}}
            for key, prefix in subnets.items()
        ]
        properties = {
            "addressSpace": {"addressPrefixes": list(subnets.values())},
            "subnets": entries,
            "virtualNetworkPeerings": [],
        }
        return self._add(f"Microsoft.Network/virtualNetworks/{name}", properties)

    def peer(self, one: str, other: str, *, access: bool = True, gateway: bool = False) -> None:
        """Peer two VNets (by id); with `gateway` the first uses the gateways of the other."""
        for here, there in ((one, other), (other, one)):
            space = self._properties(there)["addressSpace"]
            peering = {
                "remoteVirtualNetwork": {"id": there},
                "remoteAddressSpace": space,
                "remoteVirtualNetworkAddressSpace": space,
                "peeringState": "Connected",
                "allowVirtualNetworkAccess": access,
                "useRemoteGateways": gateway and here == one,
            }
            self._properties(here)["virtualNetworkPeerings"].append({"properties": peering})

    def guard(self, subnet: str, nsg: str) -> None:
        """Associate an NSG with a subnet, both by id."""
        self._subnet(subnet)["networkSecurityGroup"] = {"id": nsg}

    def route(self, subnet: str, name: str, *prefixes: str) -> None:
        """Give a subnet (by id) a route table with routes to an appliance."""
        routes = [
            {"name": f"r{number}", "properties": {"addressPrefix": prefix}}
            for number, prefix in enumerate(prefixes)
        ]
        table = self._add(f"Microsoft.Network/routeTables/{name}", {"routes": routes})
        self._subnet(subnet)["routeTable"] = {"id": table}

    def group(self, name: str) -> str:
        """An application security group."""
        return self._add(f"Microsoft.Network/applicationSecurityGroups/{name}", {})

    def _properties(self, resource_id: str) -> Row:
        found = (row for row in self.tables["resources"] if row["id"] == resource_id)
        properties: Row = next(found)["properties"]
        return properties

    def _subnet(self, subnet: str) -> Row:
        vnet = self._properties(subnet.partition("/subnets/")[0])
        found: Row = next(one for one in vnet["subnets"] if one["id"] == subnet)["properties"]
        return found

    def nic(
        self,
        subnet: str,
        mac: str,
        *private: str,
        vm: str = "",
        public: str = "",
        nsg: str = "",
        groups: Sequence[str] = (),
    ) -> str:
        """A NIC in a subnet (by id), with the public address at its first configuration."""
        number = next(self._numbers)
        configurations = _configurations(subnet, private)
        if public:
            path = f"Microsoft.Network/publicIPAddresses/pip{number}"
            target = {"id": self._add(path, {"ipAddress": public}).upper()}
            configurations[0]["properties"]["publicIPAddress"] = target
        for configuration in configurations:
            members = [{"id": group} for group in groups]
            configuration["properties"]["applicationSecurityGroups"] = members
        properties = {
            "macAddress": mac,
            "virtualMachine": {"id": f"{self._root}/Microsoft.Compute/virtualMachines/{vm}"}
            if vm
            else None,
            "networkSecurityGroup": {"id": nsg} if nsg else None,
            "ipConfigurations": configurations,
        }
        return self._add(f"Microsoft.Network/networkInterfaces/nic{number}", properties)

    def scale_set_nic(self, subnet: str, mac: str, address: str, name: str, instance: int) -> str:
        """A NIC of an instance of a uniform scale set."""
        path = (
            f"Microsoft.Compute/virtualMachineScaleSets/{name}/virtualMachines/{instance}"
            "/networkInterfaces/nic"
        )
        properties = {
            "macAddress": mac,
            "virtualMachine": {"id": f"{self._root}/{path}".rpartition("/networkInterfaces")[0]},
            "ipConfigurations": _configurations(subnet, (address,)),
        }
        return self._add(path, properties, "computeresources")

    def nsg(self, name: str, guid: str, *rules: Row) -> str:
        """An NSG with rules of its own (name and properties) and Azure's default deny."""
        last = {
            "name": "DenyAllInBound",
            "properties": rule(65500, "Deny", protocol="*"),
        }
        properties = {
            "resourceGuid": guid,
            "securityRules": list(rules),
            "defaultSecurityRules": [last],
        }
        return self._add(f"Microsoft.Network/networkSecurityGroups/{name}", properties)

    def admin_rule(self, name: str, guid: str, properties: Row, snapshot: str = "") -> str:
        """A security admin rule, or a deployed snapshot of one."""
        path = (
            "Microsoft.Network/networkManagers/nm/securityAdminConfigurations/base"
            f"/ruleCollections/all/rules/{name}" + (f"/snapshots/{snapshot}" if snapshot else "")
        )
        return self._add(path, properties | {"resourceGuid": guid}, "networkresources")

    def deploy(
        self, manager: str, collections: dict[str, dict[str, Row]], *vnets: str, high: bool = False
    ) -> str:
        """Security admin rules in force on VNets (by id), by collection and name.

        `high` gives the network manager a management group as its scope.
        """
        scopes = {"managementGroups": ["/managementGroups/root"] if high else []}
        owner = self._add(
            f"Microsoft.Network/networkManagers/{manager}", {"networkManagerScopes": scopes}
        )
        path = f"Microsoft.Network/networkManagers/{manager}/securityAdminConfigurations/base"
        configuration = f"{self._root}/{path}"
        group = f"{owner}/networkGroups/all"
        for collection, rules in collections.items():
            below = f"{path}/ruleCollections/{collection}"
            applies = {"appliesToGroups": [{"networkGroupId": group}]}
            self._add(f"{below}/snapshots/1", applies, "networkresources")
            for name, properties in rules.items():
                self._add(f"{below}/rules/{name}/snapshots/1", properties, "networkresources")
        for vnet in vnets:
            for kind, properties in (
                ("effectiveSecurityAdminRules", {"id": f"{configuration}/snapshots/1"}),
                ("networkGroupMemberships", {"NetworkGroupId": group}),
            ):
                self._extend(vnet, kind, properties)
        return configuration

    def _extend(self, vnet: str, kind: str, entry: Row) -> None:
        """Add an entry to one of the extensions that network managers keep at a VNet."""
        lists = {
            "effectiveSecurityAdminRules": "effectiveSecurityAdminConfigurations",
            "networkGroupMemberships": "GroupMemberships",
        }
        resource_id = f"{vnet}/providers/Microsoft.Network/{kind}/default"
        table = self.tables["networkresources"]
        row = next((row for row in table if row["id"] == resource_id), None)
        if row is None:
            kind_of = f"microsoft.network/{kind}".lower()
            row = {"id": resource_id, "name": "default", "type": kind_of, "properties": {}}
            table.append(row)
        row["properties"].setdefault(lists[kind], []).append(entry)

    def flow_log(
        self, name: str, target: str, *, region: str = "westeurope", **properties: object
    ) -> Row:
        """A flow log of a target (by id) into devstoreaccount1, and more properties of it."""
        storage = f"{self._root}/Microsoft.Storage/storageAccounts/devstoreaccount1"
        given = {"targetResourceId": target, "storageId": storage, "enabled": True} | properties
        self._add(
            f"Microsoft.Network/networkWatchers/NetworkWatcher_{region}/flowLogs/{name}", given
        )
        return self.tables["resources"][-1]

    def change(
        self,
        target: str,
        time: str,
        changes: Row,
        *,
        kind: str = "Update",
        by: str = "ann@x.example",
    ) -> None:
        """A change of a resource (by id): properties with their values before and after."""
        properties = {
            "targetResourceId": target,
            "changeType": kind,
            "changeAttributes": {"timestamp": time, "changedBy": by, "clientType": "Azure Portal"},
            "changes": {
                path: {
                    "previousValue": "null" if before is None else before,
                    "newValue": "null" if after is None else after,
                    "changeCategory": "User",
                    "propertyChangeType": "Update",
                }
                for path, (before, after) in changes.items()
            },
        }
        number = next(self._numbers)
        resource_id = f"{target}/providers/Microsoft.Resources/changes/{number}"
        row = {"id": resource_id, "name": str(number), "type": "microsoft.resources/changes"}
        self.tables["resourcechanges"].append(row | {"properties": properties})

    def endpoint(self, nic: str) -> None:
        """Make a NIC (by id) that of a private endpoint."""
        self._properties(nic)["privateEndpoint"] = {"id": f"{nic}-endpoint"}

    def gateway(self, vnet: str, name: str, *sites: str, bgp: bool = False) -> None:
        """A VPN gateway in a VNet (by id), connected to sites with these prefixes."""
        subnet = {"id": f"{vnet}/subnets/GatewaySubnet"}
        gateway = self._add(
            f"Microsoft.Network/virtualNetworkGateways/{name}",
            {
                "gatewayType": "Vpn",
                "enableBgp": bgp,
                "ipConfigurations": [{"properties": {"subnet": subnet}}],
            },
        )
        site = self.site(f"{name}-site", *sites)
        ends = {"virtualNetworkGateway1": {"id": gateway}, "localNetworkGateway2": {"id": site}}
        self._add(f"Microsoft.Network/connections/{name}", ends)

    def site(self, name: str, *prefixes: str) -> str:
        """A local network gateway: a site at the other end of a VPN."""
        space = {"localNetworkAddressSpace": {"addressPrefixes": list(prefixes)}}
        return self._add(f"Microsoft.Network/localNetworkGateways/{name}", space)

    def client_pool(self, name: str, *prefixes: str) -> str:
        """A VPN gateway with a pool of addresses for clients."""
        pool = {"vpnClientAddressPool": {"addressPrefixes": list(prefixes)}}
        properties = {"vpnClientConfiguration": pool}
        return self._add(f"Microsoft.Network/virtualNetworkGateways/{name}", properties)


def rule(
    priority: int,
    access: str,
    *,
    direction: str = "Inbound",
    protocol: str = "Tcp",
    source: str = "*",
    target: str = "*",
    port: str = "*",
) -> Row:
    """The properties of an NSG's rule."""
    return {
        "priority": priority,
        "access": access,
        "direction": direction,
        "protocol": protocol,
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
        "destinationAddressPrefix": target,
        "destinationPortRange": port,
    }


def _configurations(subnet: str, addresses: Sequence[str]) -> list[Row]:
    return [
        {"properties": {"privateIPAddress": address, "subnet": {"id": subnet}}}
        for address in addresses
    ]
