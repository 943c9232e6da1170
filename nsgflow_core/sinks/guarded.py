"""Connections that look whom they have reached before they say anything.

A name can resolve to anything at any time, so what counts is the address of the connected
socket: that of the instance metadata service, of Azure's wire server or of any link-local
neighbour is no webhook, and gets neither TLS nor HTTP.
"""

import ipaddress
import socket
from typing import Any, ClassVar

import requests
import urllib3

from nsgflow_core import web
from nsgflow_core.errors import RefusedError

_FORBIDDEN = [
    ipaddress.ip_network(network)
    for network in (
        "169.254.0.0/16",  # link-local, the instance metadata service included
        "168.63.129.16/32",  # Azure's wire server and DNS
        "fe80::/10",
        "fd00:ec2::254/128",  # where another cloud has its metadata service
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_forbidden(address: str) -> bool:
    """Whether an address must not be spoken to, in whatever way IPv6 may hold an IPv4 one."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return any(ip in network for network in _FORBIDDEN)


def _checked(connected: socket.socket, *, loopback_only: bool) -> socket.socket:
    peer = connected.getpeername()[0]
    local = ipaddress.ip_address(peer.partition("%")[0]).is_loopback
    if is_forbidden(peer) or (loopback_only and not local):
        connected.close()
        raise RefusedError("the webhook's name resolves to an address that is not spoken to")
    return connected


class _PlainConnection(web.PlainConnection):
    def _new_conn(self) -> socket.socket:
        # Without TLS the name proves nothing; the settings allow it for this machine alone.
        return _checked(super()._new_conn(), loopback_only=True)


class _TlsConnection(web.TlsConnection):
    def _new_conn(self) -> socket.socket:
        return _checked(super()._new_conn(), loopback_only=False)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class GuardedAdapter(web.Adapter):
    """A transport with connections that check their peer."""

    pools: ClassVar[dict[str, Any]] = {"http": _PlainPool, "https": _TlsPool}

    def send(
        self, request: requests.PreparedRequest, *args: Any, **options: Any
    ) -> requests.Response:
        """As its base has it; plain http is for this machine, and so never for a proxy."""
        if str(request.url).lower().startswith("http://"):
            options["proxies"] = None
        return super().send(request, *args, **options)
