"""The denied tuples of a list, picked out of its bytes.

The tuples of a rule are nearly always all denied or all allowed. Where they are not, those that
make no sense may have been denied, too, and must be told. So of each tuple must be known that it
has all its fields and says allowed or denied. One pass over all of them tells: it deletes digits
and what else addresses are made of, and leaves commas, quotes and letters. What is left of usual
tuples is the same for each, so that their number is known as well, and the place of each that is
denied; the others never become texts. Digits (and an N, of NX) beside the letter of an allowed one
are all that it does not see.
"""

from collections.abc import Sequence
from itertools import compress, count

from nsgflow_core.logs.tuples import texts_of

_VNET = 4
_SEPARATORS = {7, 12}
"""Commas in a tuple of a known length."""
_FEW = 512
"""Up to this many bytes a list becomes texts at once, since a call costs as much."""
_SPARSE = 8
"""Where less than one tuple in so many is denied, each is cut out alone."""
_D, _QUOTE = b'D"'
"""As numbers: `find` and `in` are several times as fast with one as with a text."""
_DENIED = b",D"
"""Stands nearer to the end of a tuple than to its beginning."""
_IS_D = bytes(byte == _D for byte in range(256))
_Shape = tuple[bytes, bytes, bytes, bytes]
"""What is exchanged and deleted in tuples, what is then left of one that is usual and allowed, with
the comma behind it, and of a list of many."""
_MANY = 2048
"""Tuples that a record has at most, nearly always."""
_FIELDS = b"0123456789.:abcdef"


def _shape(exchanged: tuple[bytes, bytes], deleted: bytes, cell: bytes) -> _Shape:
    return bytes.maketrans(*exchanged), _FIELDS + deleted, cell, b"[" + cell * _MANY


_SHAPES = {
    1: _shape((b"TUO", b"III"), b"", b'",,,,,I,I,A",'),
    2: _shape((b"TUOCE", b"IIIBB"), b"", b'",,,,,I,I,A,B,,,,",'),
    # What VNet logs never say is no A for what they say instead.
    _VNET: _shape((b"OABCE", b"IOAAA"), b"N", b'",,,,,,I,A,X,,,,",'),
}
"""By version, see `_Shape`."""
_DECIDES = 7
"""The field that says whether a flow was allowed, and by version what it says then."""
_ALLOWED = {1: frozenset("A"), 2: frozenset("A"), _VNET: frozenset("BCE")}

Picked = tuple[int, Sequence[int], Sequence[str]]
"""How many tuples a list has, and the ordinal and the text of each that is kept."""


def denied(raw: bytes, version: int, first: int) -> Picked:
    """The tuples of a list without those that a look shows not to be denied.

    Where one is denied those that make no sense are kept, too. The ordinal of the list's first
    tuple is `first`.
    """
    if len(raw) <= _FEW:
        return denied_of(texts_of(raw), version, first)
    first_end, last = raw.find(_QUOTE, 2), raw.rfind(_QUOTE, 0, -2)
    if raw.rfind(_DENIED, 0, first_end) > 0 and raw.rfind(_DENIED, last) > 0:
        return all_of(raw, first)
    letters = _letters(raw, version)
    if letters is None:
        return denied_of(texts_of(raw), version, first)
    if _SPARSE * letters.count(_D) < len(letters):
        return len(letters), *_cut_out(raw, letters, first)
    return _told(texts_of(raw), letters, first)


def all_of(raw: bytes, first: int) -> Picked:
    """All tuples of a list."""
    texts = texts_of(raw)
    return len(texts), range(first, first + len(texts)), texts


def _cut_out(raw: bytes, letters: bytes, first: int) -> tuple[Sequence[int], Sequence[str]]:
    ordinals: list[int] = []
    texts: list[str] = []
    at = place = -1
    # No other field has a D, so those of the bytes are those of the letters that decide.
    while (at := letters.find(_D, at + 1)) >= 0:
        place = raw.find(_D, place + 1)
        begin, place = raw.rfind(_QUOTE, 0, place), raw.find(_QUOTE, place)
        ordinals.append(first + at)
        texts.append(raw[begin + 1 : place].decode())
    return ordinals, texts


def denied_of(texts: list[str], version: int, first: int) -> Picked:
    """The same of a list of texts."""
    if texts and ",D" in texts[0] and ",D" in texts[-1]:
        return len(texts), range(first, first + len(texts)), texts
    joined = '","'.join(texts)
    if "D" not in joined:
        return len(texts), (), ()
    if len(joined) > _FEW:
        letters = _letters(b'["%b"]' % joined.encode(), version)
        if letters is not None and len(letters) == len(texts):
            return _told(texts, letters, first)
    return _looked_at(texts, version, first)


def _letters(raw: bytes, version: int) -> bytes | None:
    """The letter that decides of each tuple, A or D; None where one is unusual."""
    exchanged, deleted, cell, many = _SHAPES[version]
    left = raw.translate(exchanged, deleted)
    if len(left) > len(many):
        many = b"[" + cell * (len(left) // len(cell))
    # What begins with a bracket is a list, and ends with one.
    if len(left) % len(cell) != 1 or not many.startswith(left[:-1].replace(b"D", b"A")):
        return None
    return left[1 + cell.index(b"A") :: len(cell)]


def _told(texts: list[str], letters: bytes, first: int) -> Picked:
    """The tuples whose letter says that they are denied."""
    are_denied = letters.translate(_IS_D)
    denied_ones = list(compress(texts, are_denied))
    return len(texts), list(compress(count(first), are_denied)), denied_ones


def _looked_at(texts: list[str], version: int, first: int) -> Picked:
    """The tuples of a list without those that say that they are allowed, each looked at."""
    allowed = _ALLOWED[version]
    found = [
        at
        for at, text in enumerate(texts)
        if ",D" in text
        or text.count(",") not in _SEPARATORS
        or text.split(",", _DECIDES + 1)[_DECIDES] not in allowed
    ]
    return len(texts), [first + at for at in found], [texts[at] for at in found]
