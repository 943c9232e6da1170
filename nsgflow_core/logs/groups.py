"""From a record to the lists of its tuples that are worth reading, and what each list hangs on.

Most tuples are of allowed flows, and most readers want denied ones. So a record's tuples stay
undecoded text until a `D` is seen among them; that is what makes this faster than decoding JSON.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from nsgflow_core.estate import enrich
from nsgflow_core.estate.addresses import canonical_mac
from nsgflow_core.estate.inventory import Inventory
from nsgflow_core.logs.log_record import (
    RECORD,
    RECORD_OF_TEXTS,
    Document,
    LogRecord,
    OfTexts,
    Tuples,
    documents,
    groups_of,
    tuple_lists,
    version_of,
)
from nsgflow_core.logs.path import LogPath
from nsgflow_core.logs.picking import all_of, denied, denied_of
from nsgflow_core.logs.tuples import TupleList, count_tuples, texts_of
from nsgflow_core.model import Group, Record

_VNET = 4
_D, _BACKSLASH = b"D\\"
"""As numbers: `in` finds a number in bytes several times as fast as it finds a text."""
_JOIN = b"".join
"""Makes bytes of one buffer in two thirds of the time that `bytes` takes."""
JUDGED = 8 * 1024
"""So many bytes of tuples at the beginning of each read are judged to the last one, allowed ones
too: all of a usual update. So a log that is written otherwise than is known does not look quiet."""
_Made = TypeVar("_Made")

_Read = tuple[str, str, str, Sequence[int], Sequence[str]]
"""aclID, rule and MAC of a list, and its tuples: the ordinal and the text of each."""


class Groups:
    """Finds groups of tuples in the records of one log, and remembers what they share.

    With `denied_only` allowed flows are left out, most of them unread. What stands before a denied
    flow must be counted, though, for its ordinal: where that was most of a record, the tuples of
    the next ones become texts at once. An inventory tells which NSG the GUID of a v4 log stands
    for, and how the name of an NSG is spelled: its own logs write it in capitals.
    """

    def __init__(self, log: LogPath, inventory: Inventory | None, *, denied_only: bool) -> None:
        self._log = log
        self._denied_only = denied_only
        self._as_texts = not denied_only
        self._judged = JUDGED
        acl = inventory.acl if inventory is not None else _unknown
        self._lower = _Memo(str.lower)
        self._macs = _Memo(lambda text: canonical_mac(text) or log.mac)
        self._acls = _Memo(lambda text: acl(text) or _acl(text))

    def decode(self, pieces: Sequence[memoryview]) -> Sequence[Document]:
        """A record of each piece, its tuples as bytes or as texts.

        Raises:
            msgspec.DecodeError, UnicodeDecodeError, RecursionError: one is none, or it is odd.
        """
        if self._as_texts:
            try:
                return documents(RECORD_OF_TEXTS, pieces)
            except (msgspec.DecodeError, UnicodeDecodeError):  # not all are texts
                pass
        return documents(RECORD, pieces)

    def lists(self, doc: Document, begin: int, end: int) -> list[TupleList]:
        """The tuples worth reading of a record that lies between two offsets of the blob.

        Raises:
            UnreadableError: it is of no version that is known.
        """
        version = version_of(doc)
        if not self._denied_only:
            read = _all(tuple_lists(doc))
        elif isinstance(doc, OfTexts):
            read = self._denied_of_texts(doc, version)
        else:
            read = self._denied(doc, version, end - begin)
        if not read:
            return []
        nsg = version != _VNET
        resource = (doc.resourceId or self._log.resource) if nsg else doc.targetResourceID
        record = Record(begin, end, doc.time, version, self._lower[resource])
        found: list[TupleList] = []
        for acl, rule, mac, ordinals, texts in read:
            group_id, name = self._acls[resource if nsg else acl]
            group = Group(record, group_id, name, rule, self._macs[mac or doc.macAddress])
            found.append(TupleList(group, ordinals, texts))
        return found

    def _denied(self, doc: LogRecord[msgspec.Raw], version: int, size: int) -> list[_Read]:
        """The lists that have tuples worth reading; those behind the last one are not counted."""
        found: list[_Read] = []
        ordinal = counted = 0
        # Counting tuples is a pass over their bytes: put off until a flow needs its ordinal.
        uncounted: list[bytes] = []
        for whole in groups_of(doc):
            for group in whole.groups:
                raw = _JOIN((group.tuples,))  # type: ignore[arg-type]  # no texts
                judged = len(raw) <= self._judged
                if not judged and _D not in raw and _BACKSLASH not in raw:  # may hide a D
                    uncounted.append(raw)
                    continue
                if uncounted:
                    counted += sum(map(len, uncounted))
                    ordinal += count_tuples(uncounted)
                    uncounted = []
                if judged:
                    self._judged -= len(raw)
                    number, ordinals, texts = all_of(raw, ordinal)
                else:
                    number, ordinals, texts = denied(raw, version, ordinal)
                if texts:
                    rule = whole.rule or group.rule
                    found.append((whole.acl, rule, group.mac, ordinals, texts))
                ordinal += number
        self._as_texts = 2 * counted > size
        return found

    def _denied_of_texts(self, doc: OfTexts, version: int) -> list[_Read]:
        """The same; where few had to be counted the next tuples stay bytes."""
        found: list[_Read] = []
        ordinal = counted = passed = 0
        for acl, rule, mac, tuples in tuple_lists(doc):
            number, ordinals, texts = denied_of(tuples, version, ordinal)  # type: ignore[arg-type]  # texts
            ordinal += number
            if not texts:
                passed += number
            else:
                found.append((acl, rule, mac, ordinals, texts))
                counted, passed = counted + passed, 0
        self._as_texts = 2 * counted > ordinal
        return found


def _all(lists: Sequence[Tuples]) -> list[_Read]:
    """The lists that have tuples."""
    found: list[_Read] = []
    ordinal = 0
    for acl, rule, mac, tuples in lists:
        texts = tuples if isinstance(tuples, list) else texts_of(bytes(tuples))
        if texts:
            found.append((acl, rule, mac, range(ordinal, ordinal + len(texts)), texts))
            ordinal += len(texts)
    return found


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
