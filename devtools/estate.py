"""Resources of a made-up subscription, in the form that Azure Resource Graph gives them."""

import itertools
from collections.abc import Sequence

from devtools.resource_manager import SUBSCRIPTION, Row


class Estate:
    """A resource group, filled one resource at a time; `tables` are those of Resource Graph."""

    def __init__(self, group: str = "Prod") -> None:
        self.tables: dict[str, list[Row]] = {
            "resources": [],
            "computeresources": [],
            "networkresources": [],
        }
        self._root = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers"
        self._numbers = itertools.count(1)

    def _add(self, path: str, properties: Row, table: str = "resources") -> str:
        resource_id = f"{self._root}/{path}"
        provider, *parts = path.split("/")
        kind = "/".join((provider, *parts[::2])).lower()
        row = {"id": resource_id, "name": parts[-1], "type": kind, "properties": properties}
        self.tables[table].append(row)
        return resource_id

    def vnet(self, name: str, **subnets: str) -> str:
        """A VNet with the prefix of each of its subnets; returns its id."""
        resource_id = f"{self._root}/Microsoft.Network/virtualNetworks/{name}"
        entries = [
            {"id": f"{resource_id}/subnets/{key}", "properties": {"addressPrefix": prefix}}
            for key, prefix in subnets.items()
        ]
        return self._add(f"Microsoft.Network/virtualNetworks/{name}", {"subnets": entries})

    def nic(
        self, subnet: str, mac: str, *private: str, vm: str = "", public: str = "", nsg: str = ""
    ) -> str:
        """A NIC in a subnet (by id), with the public address at its first configuration."""
        number = next(self._numbers)
        configurations = _configurations(subnet, private)
        if public:
            path = f"Microsoft.Network/publicIPAddresses/pip{number}"
            target = {"id": self._add(path, {"ipAddress": public}).upper()}
            configurations[0]["properties"]["publicIPAddress"] = target
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
        "destinationAddressPrefix": "*",
        "destinationPortRange": port,
    }


def _configurations(subnet: str, addresses: Sequence[str]) -> list[Row]:
    return [
        {"properties": {"privateIPAddress": address, "subnet": {"id": subnet}}}
        for address in addresses
    ]
