"""Files that people have beside logs: told as what they are, with the flag that takes them."""

import re
from collections.abc import Callable

from nsgflow_core.cli.options import MAGIC
from nsgflow_core.errors import BadInputError

_PARQUET = b"PAR1"
_PACKED = {
    b"PK\x03\x04": ("zip", "unzip -p"),
    b"\x28\xb5\x2f\xfd": ("Zstandard", "zstdcat"),
    b"BZh": ("bzip2", "bzcat"),
    b"\xfd7zXZ\x00": ("xz", "xzcat"),
}
"""How files begin that are compressed in a way that is not read, and what reads them."""
_TAR, _TAR_AT = b"ustar", 257
"""What a tar archive has, and where."""
_OF_A_LOG = (b'"records"', b'"flowRecords"', b'"flowTuples"', b'"macAddress"')
_SERVICE_TAGS = re.compile(rb'"changeNumber"\s*:')
_LARGEST = 64 * 1024 * 1024
"""Bytes of rules that are looked at; an estate's are a tenth of it."""


def what_else(name: str, head: bytes, size: int, read: Callable[[], bytes]) -> str:
    """What a file is by its beginning, or by all of it, and what to do with it.

    "" where it is a log, or nothing that is known.
    """
    if said := _by_its_beginning(head):
        return f"{name} {said}"
    if any(sign in head for sign in _OF_A_LOG) or head.lstrip()[:1] not in (b"{", b"["):
        return ""
    if _SERVICE_TAGS.search(head):
        return (
            f"{name} has service tags and no flows: --inventory azure brings them, the function "
            "takes them by NSGFLOW_SERVICE_TAGS"
        )
    if size > _LARGEST or not _are_rules(read()):
        return ""
    return (
        f"{name} has rules of NSGs and no flows: give it behind --rules, as to 'nsgflow why' or "
        "'nsgflow simulate', beside logs"
    )


def _are_rules(data: bytes) -> bool:
    """Whether --rules takes this."""
    from nsgflow_core.estate.rule_files import RuleFiles  # noqa: PLC0415 - logs need none of it

    try:
        RuleFiles().add(data, "")
    except BadInputError:
        return False
    return True


def _by_its_beginning(head: bytes) -> str:
    if head.startswith(MAGIC):
        return "is an inventory and no log: give it behind --inventory, beside logs"
    if head.startswith(_PARQUET):
        return "is no flow log but Parquet, which 'nsgflow sql' reads"
    if head.startswith(_TAR, _TAR_AT):
        return (
            "is a tar archive and no log: unpack it with 'tar -xf FILE', and give the folder or "
            "the files that were in it"
        )
    if packed := next((_PACKED[one] for one in _PACKED if head.startswith(one)), None):
        return (
            f"is compressed with {packed[0]}, and gzip alone is read: unpack it, for "
            f"example with '{packed[1]} FILE | nsgflow flows -'"
        )
    return ""
