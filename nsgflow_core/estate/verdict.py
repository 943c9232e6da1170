"""Whether a flow passes, and which rule on which layer says so.

A flow out of a network interface passes the security admin rules of its VNet, the interface's own
NSG and that of its subnet; into one it passes admin rules, the subnet's NSG and the interface's
own, also where both ends are in one subnet
(https://learn.microsoft.com/azure/virtual-network/network-security-group-how-it-works). Where no
NSG is associated, nothing is asked. An admin rule that denies ends it, one that always allows
passes by the NSGs of its end, and one that allows leaves the flow to them
(https://learn.microsoft.com/azure/virtual-network-manager/concept-security-admins#the-order-of-evaluation).

Every layer is asked whatever those before it say: who mends the first that denies wants to know
of the next. What cannot be decided is unknown, with the reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from nsgflow_core.estate import addresses
from nsgflow_core.estate.acl import ALWAYS_ALLOW, PASSES, Acl, Answer, Packet, Verdict
from nsgflow_core.estate.inventory import Inventory, Nic
from nsgflow_core.estate.judgement import End, Judgement, Layer, LayerKind
from nsgflow_core.estate.layout import AdminRules, Layout
from nsgflow_core.estate.members import Group, Members, Space, Tags, UnknownSpace
from nsgflow_core.estate.namesakes import Namesakes
from nsgflow_core.estate.rule_files import Files, KnownNsg
from nsgflow_core.estate.rules import Rule, with_defaults

_INSIDE = frozenset((addresses.PRIVATE, addresses.CGNAT))
_NO_LAYOUT = Layout()
IN_SEVERAL = "is in several VNets: which is meant is not known"
NO_INVENTORY = "there is no inventory to tell which NSGs a flow passes"


class Seen(NamedTuple):
    """An end of a flow: its network interface, and the packet as the rules there see it."""

    inbound: bool
    nic: Nic
    packet: Packet


class Ends(NamedTuple):
    """The ends of a flow that have network interfaces, and what is not known of them."""

    seen: tuple[Seen, ...]
    unknown: tuple[str, ...]


class Judge:
    """Rules, and all they depend on, ready to be asked.

    Without an inventory only single NSGs of files can be asked. `judge.at_nsg` is made for many
    flows: what it finds out about rules and addresses it keeps.
    """

    def __init__(
        self,
        inventory: Inventory | None = None,
        tags: Tags | None = None,
        files: Files | None = None,
    ) -> None:
        self.inventory = inventory
        self.files = files or Files()
        self._tags = tags
        self._layout = inventory.layout if inventory is not None else _NO_LAYOUT
        self._groups: Mapping[str, Group] | None = (
            self._layout.members_of_groups() if inventory is not None else None
        )
        self._endpoints = (
            {id(inventory.nics[at]) for at in self._layout.endpoints}
            if inventory is not None
            else set()
        )
        self._members: dict[tuple[str, int], Members] = {}
        self._acls: dict[tuple[str, str, int, bool, bool | None], Acl | None] = {}
        self._admin: dict[tuple[str, int, bool], list[tuple[AdminRules, Acl]]] = {}
        self._nsgs: dict[str, KnownNsg | None] = {}
        self._names: Namesakes | None = None

    def nsg(self, nsg: str) -> KnownNsg | None:
        """An NSG by its id, or the GUID that a flow log has; None where its rules are not known."""
        if nsg in self._nsgs:
            return self._nsgs[nsg]
        found = self.files.find(nsg)
        if found is None and self.inventory is not None:
            known = self.inventory.acl(nsg)
            key = known.id if known is not None else nsg.lower()
            found = self.files.find(key)
            told = found is not None or self.files.deleted(key)
            if not told and "/networksecuritygroups/" in key:
                rules = self.inventory.rules(key)
                if rules or key in self.inventory.nsg_ids():
                    name = known.name if known is not None else key.rpartition("/")[2]
                    found = self.files.patch(KnownNsg(key, name, rules))
        self._nsgs[nsg] = found
        return found

    def shown(self, nsg: str, name: str) -> str:
        """How to say an NSG of an id and a name: those that share one are told apart."""
        if self._names is None:
            self._names = Namesakes(
                self.inventory.acl_names() if self.inventory is not None else {}
            )
            for one in self.files.all():
                self._names.meet(one.id.lower(), one.name)
        return self._names.shown(nsg.lower(), name)

    def why_unknown(self, nsg: str) -> str:
        """Why the rules of an NSG, by its id or GUID, are not known."""
        known = self.inventory.acl(nsg) if self.inventory is not None else None
        deleted = self.files.deleted(known.id if known is not None else nsg)
        return deleted or f"the rules of NSG {_name(nsg)} are not known"

    def space(self, nic: Nic | None, place: str = "") -> Space:
        """What `VirtualNetwork` holds, seen from a network interface, or a `place` as in `acl`."""
        where = self._place(nic) if nic is not None else (place, -1)
        return self._members_at(*where).space

    def at_nsg(self, nsg: str, packet: Packet, *, inbound: bool, nic: Nic | None = None) -> Answer:
        """What one NSG says of a packet at a network interface, None where that is not known."""
        acl = self.acl(nsg, nic, inbound=inbound)
        if acl is None:
            return Answer("unknown", None, self.why_unknown(nsg))
        return acl.decide(packet)

    def acl(
        self,
        nsg: str,
        nic: Nic | None,
        *,
        inbound: bool,
        place: str = "",
        inside: bool | None = None,
    ) -> Acl | None:
        """The compiled rules of an NSG, seen from a network interface; None: not known.

        Where the interface is not known either, `place` keeps apart what is found out about its
        VNet (`space`) from what is found out about others. `inside` is what a log tells of the
        addresses of which nobody knows whether `VirtualNetwork` holds them.
        """
        where = self._place(nic) if nic is not None else (place, -1)
        key = (nsg, *where, inbound, inside)
        if key not in self._acls:
            known = self.nsg(nsg)
            members = self._members_at(*where)
            if inside is not None:
                members = members.assuming(inside=inside)
            self._acls[key] = (
                None if known is None else Acl(with_defaults(known.rules), members, inbound=inbound)
            )
        return self._acls[key]

    def judge(self, packet: Packet, ends: Ends | None = None) -> Judgement:
        """What all layers at both ends say; `ends` are those of the packet, where they are known.

        An end with a public address is seen as such by the other, and asked as what it is.
        """
        ends = ends or self.ends(packet)
        reasons = list(ends.unknown)
        layers: list[Layer] = []
        for seen in ends.seen:
            layers += self._layers(seen.nic, seen.packet, inbound=seen.inbound)
        if self.inventory is None:
            reasons.append(NO_INVENTORY)
        reasons += [layer.because for layer in layers if layer.because]
        if any(layer.verdict == "denied" for layer in layers):
            verdict: Verdict = "denied"
        else:
            verdict = "unknown" if reasons else "allowed"
        return Judgement(verdict, tuple(layers), tuple(dict.fromkeys(reasons)))

    def ends(self, packet: Packet, *, source: Nic | None = None, target: Nic | None = None) -> Ends:
        """The network interfaces at both ends, those that are known given, and what each sees."""
        reasons: list[str] = []
        found: list[Seen] = []
        given = source, target
        source = source or self._end(packet.src, packet.dst, given[1], reasons)
        target = target or self._end(packet.dst, packet.src, given[0], reasons)
        if source is not None:
            seen = packet._replace(src=self._private(source, packet.src, packet.dst))
            found.append(Seen(False, source, seen))  # noqa: FBT003 - its one flag
        if target is not None:
            private = self._private(target, packet.dst, packet.src)
            seen = packet._replace(src=self._seen_source(source, packet, reasons), dst=private)
            if seen.src:
                found.append(Seen(True, target, seen))  # noqa: FBT003
        return Ends(tuple(found), tuple(reasons))

    def with_rules(self, added: Mapping[str, Sequence[Rule]]) -> "Judge":
        """The same, with more rules in some NSGs, by lower-case id; a name is that of one rule."""
        return Judge(self.inventory, self._tags, self.files.with_rules(added))

    def alone(self, rules: Iterable[Rule], nic: Nic | None, *, inbound: bool) -> Acl:
        """Rules by themselves, seen from a network interface."""
        return Acl(rules, self._members_at(*self._place(nic)), inbound=inbound)

    def one_layer(
        self, nsg: str, packet: Packet, *, inbound: bool, nic: Nic | None = None
    ) -> Judgement:
        """What one NSG alone says."""
        kind: LayerKind = "subnet"
        known = self.nsg(nsg)
        full = known.id.lower() if known is not None else nsg.lower()
        if (
            nic is not None
            and self.inventory is not None
            and self.inventory.nsgs_of(nic)[0] == full
        ):
            kind = "nic"
        answer = self.at_nsg(nsg, packet, inbound=inbound, nic=nic)
        layer = _layer(
            "destination" if inbound else "source", kind, full, _shown(known, nsg), answer
        )
        return Judgement(answer.verdict, (layer,), (answer.because,) if answer.because else ())

    def nic_called(self, address: str, name: str) -> Nic | None:
        """The network interface that has an address, by what its VM or subnet is called."""
        if self.inventory is None or not name:
            return None
        subnet = self.inventory.subnet
        at = self.inventory.nics_at(address)
        found = [nic for nic in at if (nic.vm or subnet(nic).name) == name]
        return found[0] if len(found) == 1 else None

    def near_nic(self, address: str, other: str, far: Nic | None = None) -> Nic | None:
        """The network interface that has an address, as the other end of a flow would mean it.

        `far` is that of the other end, where it is known.
        """
        if self.inventory is None:
            return None
        found = self.inventory.nics_at(address)
        if len(found) > 1 and far is not None:
            peers = self._layout.peers(self.inventory.subnet(far).vnet)
            found = [nic for nic in found if self.inventory.subnet(nic).vnet in peers] or found
        if len(found) > 1:
            spaces = {id(nic): self.space(nic).holds(other) for nic in found}
            inside = [nic for nic in found if spaces[id(nic)] is True]
            found = inside if len(inside) == 1 else found
        return found[0] if len(found) == 1 else None

    def _end(self, address: str, other: str, far: Nic | None, reasons: list[str]) -> Nic | None:
        """The network interface at an end; a reason where it should have one that nobody knows."""
        inventory = self.inventory
        if inventory is None:
            return None
        nic = self.near_nic(address, other, far)
        if nic is None and inventory.nics_at(address):
            reasons.append(f"{address} {IN_SEVERAL}")
        elif nic is None and addresses.address_class(address) in _INSIDE:
            if not inventory.gateway(address):
                reasons.append(f"no network interface of the inventory has {address}")
        elif nic is None and inventory.remote("", address) is not None:
            reasons.append(f"no network interface of the inventory has {address}")
        return nic

    @staticmethod
    def _seen_source(source: Nic | None, packet: Packet, reasons: list[str]) -> str:
        """The source as the other end sees it; "" where the flow leaves by an unknown address."""
        public = addresses.INTERNET
        if (
            addresses.address_class(packet.dst) != public
            or addresses.address_class(packet.src) == public
        ):
            return packet.src
        own = (
            [at for at in source.addresses if addresses.address_class(at) == public]
            if source
            else []
        )
        if len(own) == 1:
            return own[0]
        reasons.append(f"which public address {packet.src} has for {packet.dst} is not known")
        return ""

    @staticmethod
    def _private(nic: Nic, address: str, other: str) -> str:
        """The address by which rules know an end: they see it before or after its translation."""
        if addresses.address_class(address) != addresses.INTERNET:
            return address
        own = [at for at in nic.addresses if addresses.address_class(at) != addresses.INTERNET]
        alike = [at for at in own if (":" in at) == (":" in other)]
        return next(iter(alike or own), address)

    def _layers(self, nic: Nic, packet: Packet, *, inbound: bool) -> list[Layer]:
        inventory = self.inventory
        assert inventory is not None  # noqa: S101 - there is a NIC
        end: End = "destination" if inbound else "source"
        layers: list[Layer] = []
        admin = self._ask_admin(nic, packet, inbound=inbound)
        if admin is not None:
            rules, answer = admin
            layers.append(_layer(end, "admin", rules.configuration, rules.name, answer))
            if answer.rule is not None and answer.rule.access == ALWAYS_ALLOW:
                return layers
        own, shared = inventory.nsgs_of(nic)
        asked: list[tuple[LayerKind, str]] = [("nic", own), ("subnet", shared)]
        for kind, nsg in reversed(asked) if inbound else asked:
            if nsg:
                answer = self._guarded(nic, self.at_nsg(nsg, packet, inbound=inbound, nic=nic))
                layers.append(_layer(end, kind, nsg, _shown(self.nsg(nsg), nsg), answer))
        return layers

    def _guarded(self, nic: Nic, answer: Answer) -> Answer:
        """An answer, unknown at a private endpoint: NSGs may or may not be asked there.

        https://learn.microsoft.com/azure/private-link/disable-private-endpoint-network-policy
        """
        if id(nic) in self._endpoints:
            why = "at a private endpoint NSGs are asked only where the subnet's policies say so"
            return Answer("unknown", None, why)
        return answer

    def _ask_admin(
        self, nic: Nic, packet: Packet, *, inbound: bool
    ) -> tuple[AdminRules, Answer] | None:
        """What the security admin rules say; None where none fits.

        Those of the higher scope are right. Between managers of one scope nothing is known to
        decide, so it is open where they disagree.
        """
        compiled = self._admin_of(nic, inbound=inbound)
        for _, group in groupby(compiled, key=lambda entry: entry[0].tier):
            found = [
                (rules, answer)
                for rules, acl in group
                if (answer := acl.decide(packet)) is not PASSES and answer != PASSES
            ]
            said = {answer.rule.access if answer.rule else "" for _, answer in found}
            if len(said) > 1:
                why = "network managers of one scope disagree"
                return found[0][0], Answer("unknown", None, why)
            if found:
                return found[0]
        return None

    def _admin_of(self, nic: Nic, *, inbound: bool) -> list[tuple[AdminRules, Acl]]:
        vnet, subnet = self._place(nic)
        key = (vnet, subnet, inbound)
        if key not in self._admin:
            wanted = self._layout.admin_of.get(vnet, ())
            found = []
            for one in sorted(self._layout.admin, key=lambda rules: rules.tier):
                rules = [
                    rule
                    for collection, rules in one.collections.items()
                    if collection in wanted
                    for rule in rules
                ]
                if rules:
                    found.append((one, Acl(rules, self._members_at(vnet, subnet), inbound=inbound)))
            self._admin[key] = found
        return self._admin[key]

    def _place(self, nic: Nic | None) -> tuple[str, int]:
        """The VNet and the number of the subnet of a network interface."""
        if nic is None or self.inventory is None:
            return "", -1
        return self.inventory.subnet(nic).vnet, nic.subnet

    def _members_at(self, vnet: str, subnet: int) -> Members:
        if (known := self._members.get((vnet, subnet))) is None:
            if subnet >= 0:
                space = self._layout.space(vnet, subnet)
                reachable: frozenset[str] | None = self._layout.peers(vnet)
            elif self.inventory is not None:
                space = UnknownSpace("the inventory does not have the network interface")
                reachable = None
            else:
                space, reachable = UnknownSpace(), None
            known = self._members[vnet, subnet] = Members(
                space, self._tags, self._groups, reachable
            )
        return known


def _layer(end: End, kind: LayerKind, acl: str, name: str, answer: Answer) -> Layer:
    rule = answer.rule
    return Layer(
        end,
        kind,
        acl,
        name,
        rule.name if rule is not None else None,
        rule.priority if rule is not None else None,
        rule.access if rule is not None else None,
        answer.verdict,
        answer.because,
    )


def _shown(known: KnownNsg | None, nsg: str) -> str:
    return known.name if known is not None else _name(nsg)


def _name(nsg: str) -> str:
    return nsg.rstrip("/").rpartition("/")[2]
