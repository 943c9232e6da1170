"""A network interface whose flows are logged: the ids in its records and the paths of its logs."""

import dataclasses
import datetime as dt
import random
from typing import Literal

NSG_CONTAINER = "insights-logs-networksecuritygroupflowevent"
VNET_CONTAINER = "insights-logs-flowlogflowevent"

SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"


@dataclasses.dataclass(frozen=True)
class Nic:
    """A network interface whose flows are logged, with the ids that its records carry.

    Attributes:
        mac: 12 upper-case hex digits.
        ip: its private address.
        nsg: name of its network security group.
        acl_id: what v4 writes as aclID; empty means a GUID derived from the NSG's name.
    """

    mac: str = "000D3AF87856"
    ip: str = "10.5.16.4"
    nsg: str = "PROD-WEB-NSG"
    subscription: str = SUBSCRIPTION
    resource_group: str = "SHOP-RG"
    vnet: str = "shop-vnet"
    region: str = "WESTEUROPE"
    flow_log: str = "SHOP-FLOWLOG"
    acl_id: str = ""

    @property
    def nsg_id(self) -> str:
        """Resource id of the NSG, upper case as flow logs have it."""
        return (
            f"/SUBSCRIPTIONS/{self.subscription}/RESOURCEGROUPS/{self.resource_group}"
            f"/PROVIDERS/MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/{self.nsg}"
        ).upper()

    @property
    def nsg_guid(self) -> str:
        """The NSG's resourceGuid, which v4 records may name instead of its id."""
        return guid(self.nsg)

    @property
    def acl(self) -> str:
        """The aclID of its v4 records."""
        return self.acl_id or self.nsg_guid

    @property
    def flow_log_id(self) -> str:
        """Resource id of the VNet flow log, upper case as flow logs have it."""
        return (
            f"/SUBSCRIPTIONS/{self.subscription}/RESOURCEGROUPS/NETWORKWATCHERRG"
            f"/PROVIDERS/MICROSOFT.NETWORK/NETWORKWATCHERS/NETWORKWATCHER_{self.region}"
            f"/FLOWLOGS/{self.flow_log}"
        ).upper()

    @property
    def target_id(self) -> str:
        """Resource id of the virtual network, mixed case as flow logs have it."""
        return (
            f"/subscriptions/{self.subscription}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Network/virtualNetworks/{self.vnet}"
        )


def nsg_path(nic: Nic, hour: dt.datetime) -> str:
    """Path of the NSG flow log of this NIC for the hour that `hour` (UTC) lies in."""
    return f"resourceId={nic.nsg_id}/{_hour_and_mac(nic, hour)}"


def vnet_path(nic: Nic, hour: dt.datetime, form: Literal["id", "short"] = "id") -> str:
    """Path of the VNet flow log, in either of the forms seen: a resource id, or joined names."""
    if form == "id":
        return f"flowLogResourceID={nic.flow_log_id}/{_hour_and_mac(nic, hour)}"
    short = (
        f"{nic.subscription}_NETWORKWATCHERRG/NETWORKWATCHER_{nic.region}_{nic.flow_log}".upper()
    )
    return f"flowLogResourceID=/{short}/{_hour_and_mac(nic, hour)}"


def guid(name: str) -> str:
    """A GUID that is always the same for this name."""
    digits = f"{random.Random(name).getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _hour_and_mac(nic: Nic, hour: dt.datetime) -> str:
    return f"{hour.astimezone(dt.UTC):y=%Y/m=%m/d=%d/h=%H}/m=00/macAddress={nic.mac}/PT1H.json"
