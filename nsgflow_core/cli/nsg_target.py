"""Where a proposed rule belongs, as tools are told: subscription, resource group and name."""

import hashlib
import re
from typing import NamedTuple

_NSG_ID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/.+/networksecuritygroups/([^/]+)", re.IGNORECASE
)
_GROUP_ID = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/.+/applicationsecuritygroups/([^/]+)",
    re.IGNORECASE,
)


class Target(NamedTuple):
    """A resource by the parts of its id."""

    subscription: str
    group: str
    name: str


def nsg_target(nsg: str) -> Target | None:
    """The NSG with an id; None where this is no whole id."""
    found = _NSG_ID.fullmatch(nsg)
    return Target(*found.groups()) if found else None


def group_target(group: str) -> Target | None:
    """The application security group with an id; None where this is none."""
    found = _GROUP_ID.fullmatch(group)
    return Target(*found.groups()) if found else None


def group_id(group: str) -> str:
    """The id of an application security group in the case that tools insist on."""
    target = group_target(group)
    if target is None:
        return group
    return (
        f"/subscriptions/{target.subscription}/resourceGroups/{target.group}/providers/"
        f"Microsoft.Network/applicationSecurityGroups/{target.name}"
    )


def identifier(text: str) -> str:
    """A text as Bicep and Terraform can call something by it."""
    return re.sub(r"[^A-Za-z0-9]", "_", text)


def resource_identifier(kind: str, resource: str) -> str:
    """A name for a resource within a document, for each its own; case tells none apart."""
    lower = resource.lower()
    digest = hashlib.blake2b(lower.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{kind}_{identifier(lower.rpartition('/')[2])[:40]}_{digest}"
