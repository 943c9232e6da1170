"""From a record to the lists of its tuples that are worth reading, and what each list hangs on.

Most tuples are of allowed flows, and most readers want denied ones. So a record's tuples stay
undecoded text until a `D` is seen among them; that is what makes this faster than decoding JSON.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import compress, count, repeat
from typing import NamedTuple, TypeVar

import msgspec

from nsgflow_core.estate import enrich
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs.log_record import (
    RECORD,
    RECORD_OF_TEXTS,
    Document,
    Tuples,
    tuple_lists,
    version_of,
)
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.tuples import TupleList, count_tuples, texts_of
from nsgflow_core.model import Group, Record

_VNET = 4
_SEPARATORS = {7, 12}
"""Commas in a tuple of a known length."""
_SMALL = 16 * 1024
"""Up to this many characters a list with a denied tuple has each of its tuples checked."""
_D, _BACKSLASH = b"D\\"
"""As numbers: `in` finds a number in bytes several times as fast as it finds a text."""
_Made = TypeVar("_Made")

_Read = tuple[str, str, str, Sequence[int], Sequence[str]]
"""aclID, rule and MAC of a list, and its tuples: the ordinal and the text of each."""


class Listed(NamedTuple):
    """A record, and its lists of tuples: either as bytes or as texts."""

    doc: Document
    raw: Sequence[Tuples[msgspec.Raw]] = ()
    texts: Sequence[Tuples[list[str]]] = ()


class Groups:
    """Finds groups of tuples in the records of one log, and remembers what they share.

    With `denied_only` allowed flows are left out, most of them unread. What stands before a denied
    flow must be counted, though, for its ordinal: where that was most of a record, the tuples of
    the next one become texts at once. An inventory tells which
    NSG the GUID of a v4 log stands for.
    """

    def __init__(self, log: LogPath, inventory: Inventory | None, *, denied_only: bool) -> None:
        self._log = log
        self._denied_only = denied_only
        acl = inventory.acl if inventory is not None else _unknown
        self._as_texts = not denied_only
        self._lower = _Memo(str.lower)
        self._macs = _Memo(canonical_mac)
        self._nsgs = _Memo(_acl)
        self._vnet_acls = _Memo(lambda text: acl(text) or _acl(text))

    def decode(self, piece: memoryview) -> Listed:
        """A record, its tuples as bytes or as texts.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none, or it is odd.
        """
        if not self._as_texts:
            return of_bytes(piece)
        try:
            doc = RECORD_OF_TEXTS.decode(piece)
        except (msgspec.DecodeError, UnicodeDecodeError):  # not all are texts
            return of_bytes(piece)
        return Listed(doc, texts=tuple_lists(doc))

    def lists(self, listed: Listed, place: tuple[int, int]) -> list[TupleList]:
        """The tuples worth reading of a record that lies between two offsets of the blob.

        Raises:
            UnreadableError: it is of no version that is known.
        """
        doc = listed.doc
        version = version_of(doc)
        found: list[TupleList] = []
        record: Record | None = None
        resource = ""
        # What a tuple has that is not denied; in v4 it may be any state.
        other = "," if version == _VNET else ",A"
        read = (
            self._of_texts(listed.texts, other)
            if listed.texts
            else self._of_bytes(listed.raw, other)
        )
        for acl, rule, mac, ordinals, texts in read:
            if record is None:
                target = doc.targetResourceID
                resource = target if version == _VNET else doc.resourceId or self._log.resource
                record = Record(*place, doc.time, version, self._lower[resource])
            group_id, name = self._vnet_acls[acl] if version == _VNET else self._nsgs[resource]
            own_mac = self._macs[mac or doc.macAddress] or self._log.mac
            found.append(TupleList(Group(record, group_id, name, rule, own_mac), ordinals, texts))
        return found

    def _of_texts(self, lists: Sequence[Tuples[list[str]]], other: str) -> Iterator[_Read]:
        """The lists that have tuples worth reading."""
        ordinal = reached = 0
        for acl, rule, mac, tuples in lists:
            texts = tuples
            ordinals: Sequence[int] = range(ordinal, ordinal + len(texts))
            ordinal += len(texts)
            if self._denied_only:
                ordinals, texts = denied(ordinals, texts, other)
            if texts:
                reached = ordinal
                yield acl, rule, mac, ordinals, texts
        self._as_texts = not self._denied_only or 2 * reached > ordinal

    def _of_bytes(self, lists: Sequence[Tuples[msgspec.Raw]], other: str) -> Iterator[_Read]:
        """The same; lists behind the last denied tuple are not touched."""
        joined = b"".join([tuples for _, _, _, tuples in lists])
        last = len(joined)
        if self._denied_only and _BACKSLASH not in joined:  # an escape may hide a D
            last = joined.rfind(_D)
        ordinal = at = 0
        # Counting tuples is a pass over their bytes: put off until a flow needs its ordinal.
        uncounted: list[bytes] = []
        for acl, rule, mac, tuples in lists:
            if at > last:
                break
            raw = bytes(tuples)
            at += len(raw)
            if self._denied_only and _D not in raw and _BACKSLASH not in raw:
                uncounted.append(raw)
                continue
            texts = texts_of(raw)
            ordinal += sum(map(count_tuples, uncounted))
            uncounted.clear()
            ordinals: Sequence[int] = range(ordinal, ordinal + len(texts))
            ordinal += len(texts)
            if self._denied_only:
                ordinals, texts = denied(ordinals, texts, other)
            if texts:
                yield acl, rule, mac, ordinals, texts
        self._as_texts = not self._denied_only or 2 * at > len(joined)


def of_bytes(data: bytes | memoryview | msgspec.Raw) -> Listed:
    """A record whose tuples stay bytes.

    Raises:
        msgspec.DecodeError, UnicodeDecodeError, RecursionError: it is none, or it is odd.
    """
    doc = RECORD.decode(data)
    return Listed(doc, tuple_lists(doc))


def denied(
    ordinals: Sequence[int], texts: list[str], other: str
) -> tuple[Sequence[int], list[str]]:
    """The tuples of a list without those that a look shows not to be denied: they have `other`.

    It costs a tenth of reading them. The tuples of a rule are nearly always all denied or all
    allowed. Those that make no sense may have been denied, too: they are kept in small lists, and
    where most are denied.
    """
    joined = "".join(texts)
    if "D" not in joined:
        return (), []
    if ",D" in texts[0] and ",D" in texts[-1]:
        return ordinals, texts
    if len(joined) <= _SMALL and not _usual(joined, texts, other):
        found = [
            at
            for at, text in enumerate(texts)
            if ",D" in text or text.count(",") not in _SEPARATORS or other not in text
        ]
        return [ordinals[at] for at in found], [texts[at] for at in found]
    # A search for one character takes a quarter of one for two, and passes over nearly all.
    looked_at = compress(count(), ["D" in text for text in texts])
    found = [at for at in looked_at if ",D" in texts[at]]
    if 2 * len(found) > len(texts):
        return ordinals, texts
    return [ordinals[at] for at in found], [texts[at] for at in found]


def _usual(joined: str, texts: list[str], other: str) -> bool:
    """Whether each tuple of a list has as many fields as it may, and says allowed or denied.

    Letters are counted all together, so where addresses may have some, this is not known.
    """
    if not _SEPARATORS.issuperset(map(str.count, texts, repeat(","))):
        return False
    if other == ",":
        return True
    return ":" not in joined and joined.count("A") + joined.count("D") == len(texts)


def _unknown(_: str) -> None:
    """What no inventory knows of an ACL."""


def _acl(acl: str) -> tuple[str, str]:
    """A group's `acl_group` and `acl_name`."""
    return acl.lower() if acl.startswith("/") else acl, enrich.acl_name(acl)


class _Memo(dict[str, _Made]):
    """What is made of texts, each once."""

    def __init__(self, make: Callable[[str], _Made]) -> None:
        self._make = make

    def __missing__(self, text: str) -> _Made:
        made = self[text] = self._make(text)
        return made
