"""The network of the demo: two peered VNets, five machines, the rules of their NSGs, and who talks.

What is said to flow is what these rules do, so that a verdict about them agrees with the logs.
"""

import dataclasses
from typing import Literal

from devtools.estate import Estate, rule
from devtools.nic import SUBSCRIPTION, Nic
from devtools.resource_manager import Row

WEB = Nic("000D3AF87856", "10.5.16.4", "PROD-WEB-NSG")
SQL = Nic("000D3AF8801A", "10.5.17.5", "PROD-SQL-NSG")
JUMP = Nic("002248814162", "10.5.18.6", "JUMPBOX-NSG")
NODE = Nic("6045BDBA5272", "10.6.0.4", "AKS-NODES-NSG", vnet="apps-vnet")
PROXY = Nic("00224871C205", "10.6.1.5", "GATEWAY-NSG", vnet="apps-vnet")
# Azure writes either the NSG's resource id or a GUID as aclID.
NODE = dataclasses.replace(NODE, acl_id=NODE.nsg_id)

INTERNET = ("192.31.196.", "192.52.193.", "192.175.48.")
"""Blocks of services that IANA runs on the internet (AS112 and AMT): nobody's machines."""


@dataclasses.dataclass(frozen=True)
class Talk:
    """Flows of one rule: `far` is an address, or "" for some on the internet."""

    rule: str
    direction: Literal["I", "O"]
    far: str
    ports: tuple[int, ...]

    @property
    def denied(self) -> bool:
        """Whether its rule denies, as the names of rules say here."""
        return "_Deny" in self.rule


_SCANS = (23, 445, 8080)
_OUT = Talk("DefaultRule_AllowInternetOutBound", "O", "", (53, 80, 123, 443))
_RDP = Talk("UserRule_DenyRdp", "I", "", (3389,))
_SCANNED = Talk("DefaultRule_DenyAllInBound", "I", "", _SCANS)
_SQL_OUT = Talk("UserRule_DenySqlOut", "O", "192.31.196.10", (1433,))

DENIED = {
    WEB: (_SCANNED, _RDP),
    SQL: (Talk("UserRule_DenyVnet", "I", JUMP.ip, (3389,)),),
    JUMP: (_SCANNED, _RDP),
    NODE: (_SQL_OUT,),
    PROXY: (_SCANNED, Talk("UserRule_DenyNodes", "I", NODE.ip, (8443,))),
}
ALLOWED = {
    WEB: (_OUT, Talk("UserRule_AllowHttps", "I", "", (443,))),
    SQL: (_OUT, Talk("UserRule_AllowSql", "I", NODE.ip, (1433,))),
    JUMP: (_OUT, Talk("DefaultRule_AllowVnetInBound", "I", WEB.ip, (22,))),
    NODE: (_OUT, Talk("DefaultRule_AllowVnetInBound", "I", JUMP.ip, (22, 9100))),
    PROXY: (_OUT, Talk("UserRule_AllowHttps", "I", "", (443,))),
}
ROLLOUT = {
    WEB: Talk("DefaultRule_AllowVnetOutBound", "O", SQL.ip, (1433,)),
    SQL: Talk("UserRule_DenyVnet", "I", WEB.ip, (1433,)),
}
"""What begins to fail at last: the web server uses a database, and no rule lets it in there."""


NSG_IDS = {nic.nsg_guid: nic.nsg_id.lower() for nic in DENIED}
"""What the GUIDs stand for that logs have in the place of NSGs, as the inventory knows."""


def tables() -> dict[str, list[Row]]:
    """The network in the tables of Azure Resource Graph."""
    estate = Estate(group="shop-rg", subscription=SUBSCRIPTION)
    shop = estate.vnet(WEB.vnet, web="10.5.16.0/24", data="10.5.17.0/24", management="10.5.18.0/24")
    apps = estate.vnet(NODE.vnet, nodes="10.6.0.0/24", gateway="10.6.1.0/24")
    estate.peer(shop, apps)
    https = _named("AllowHttps", rule(200, "Allow", source="Internet", port="443"))
    rdp = _named("DenyRdp", rule(300, "Deny", source="Internet", port="3389"))
    sql_out = rule(400, "Deny", direction="Outbound", target="Internet", port="1433")
    subnets = {
        f"{shop}/subnets/web": (WEB, "web1", [https, rdp, _named("DenySqlOut", sql_out)]),
        f"{shop}/subnets/data": (SQL, "sql1", _sql_rules()),
        f"{shop}/subnets/management": (JUMP, "jump1", [rdp]),
        f"{apps}/subnets/nodes": (NODE, "", [_named("DenySqlOut", sql_out)]),
        f"{apps}/subnets/gateway": (PROXY, "proxy1", [https, _no_nodes()]),
    }
    for subnet, (nic, vm, rules) in subnets.items():
        estate.guard(subnet, estate.nsg(nic.nsg, nic.nsg_guid, *rules))
        mac = "-".join(nic.mac[at : at + 2] for at in range(0, 12, 2))
        if vm:
            estate.nic(subnet, mac, nic.ip, vm=vm)
        else:
            estate.scale_set_nic(subnet, mac, nic.ip, "aks-nodes", 0)
    return estate.tables


def _sql_rules() -> list[Row]:
    return [
        _named("AllowSql", rule(200, "Allow", source="10.6.0.0/24", port="1433")),
        _named("DenyVnet", rule(4000, "Deny", protocol="*", source="VirtualNetwork")),
    ]


def _no_nodes() -> Row:
    return _named("DenyNodes", rule(300, "Deny", source="10.6.0.0/24", port="8443"))


def _named(name: str, properties: Row) -> Row:
    return {"name": name, "properties": properties}
