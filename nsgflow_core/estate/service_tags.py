"""Azure's service tags: which of Microsoft's services an address belongs to.

Microsoft publishes them as a JSON file, and the service tags REST API answers the same:
https://learn.microsoft.com/azure/virtual-network/service-tags-overview#service-tags-on-premises.
About 100,000 prefixes overlap in thousands of tags; compiled, they are a table of stretches of
addresses with one text each.

The text of an address holds its most specific tags: those that list the longest prefix around
it. Of several that list that same prefix, the umbrellas `AzureCloud` and `AzureCloud.<region>`
give way to any other tag, and a tag gives way to its own regional form (`Storage` to
`Storage.WestEurope`); what is left is joined by commas, in alphabetical order.
"""

from collections.abc import Iterable

import msgspec

from nsgflow_core.errors import BadInputError
from nsgflow_core.estate import addresses
from nsgflow_core.estate.ranges import Network, PackedRanges, Ranges, network, pack

_UMBRELLA = "AzureCloud"


class _Properties(msgspec.Struct):
    addressPrefixes: list[str]  # noqa: N815 - the file's name


class _Value(msgspec.Struct):
    name: str
    properties: _Properties


class _Document(msgspec.Struct):
    values: list[_Value]
    changeNumber: int | str = ""  # noqa: N815 - the file's name; a text where the API answers
    cloud: str = ""


class _Compiled(msgspec.Struct, frozen=True):
    cloud: str
    change: str
    prefixes: int
    texts: list[str]
    tags: list[str]
    holders: list[list[int]]
    ranges: PackedRanges


class ServiceTags:
    """Compiled service tags; `prefixes` says how many distinct prefixes they cover."""

    def __init__(self, compiled: bytes) -> None:
        """Load what `compile_tags` made.

        Raises:
            BadInputError: these bytes are something else.
        """
        try:
            loaded = msgspec.msgpack.decode(compiled, type=_Compiled)
            self._ranges = Ranges(loaded.ranges)
        except ValueError as exc:  # which msgspec's errors and those of encodings are
            raise BadInputError(f"not compiled service tags: {exc}") from exc
        self.cloud, self.change, self.prefixes = loaded.cloud, loaded.change, loaded.prefixes
        self._texts = loaded.texts
        self._numbers = {tag.casefold(): number for number, tag in enumerate(loaded.tags)}
        self._holders = loaded.holders

    def of(self, address: str) -> str:
        """The most specific tags of a canonical address, joined by commas; "" where none.

        Not cached: sources on the internet are too many for a cache, and a search costs little
        more than a look into one.
        """
        return self._texts[self._ranges.at(*addresses.value(address))]

    def holds(self, tag: str, address: str) -> bool | None:
        """Whether any prefix of a tag holds a canonical address; None where there is no tag."""
        number = self._numbers.get(tag.casefold())
        if number is None:
            return None
        return number in self._holders[self._ranges.at(*addresses.value(address))]


def compile_tags(documents: Iterable[bytes]) -> bytes:
    """Compile a ServiceTags JSON, given as one document or, from the REST API, as its pages.

    Raises:
        BadInputError: a document is no such JSON, or there is no prefix in any.
    """
    names_of: dict[Network, set[str]] = {}
    cloud = change = ""
    for data in documents:
        try:
            document = msgspec.json.decode(data, type=_Document)
            for value in document.values:
                for prefix in value.properties.addressPrefixes:
                    names_of.setdefault(network(prefix), set()).add(value.name)
        except ValueError as exc:  # what msgspec raises is one as well
            raise BadInputError(f"no ServiceTags JSON: {exc}") from exc
        cloud, change = document.cloud, str(document.changeNumber)
    if not names_of:
        raise BadInputError("no ServiceTags JSON: there is not one address prefix in it")
    tags = sorted({name for names in names_of.values() for name in names})
    numbers = {tag: number for number, tag in enumerate(tags)}
    places: dict[tuple[str, frozenset[int]], int] = {("", frozenset()): 0}
    known = list(places)

    def place(text: str, holders: frozenset[int]) -> int:
        at = places.setdefault((text, holders), len(places))
        if at == len(known):
            known.append((text, holders))
        return at

    def nested(outer: int, inner: int) -> int:
        text, holders = known[inner]
        return place(text, holders | known[outer][1])

    found = {
        net: place(_text(names), frozenset(numbers[name] for name in names))
        for net, names in names_of.items()
    }
    ranges = pack(found, nested)
    texts = [text for text, _ in known]
    holders = [sorted(each) for _, each in known]
    return msgspec.msgpack.encode(
        _Compiled(cloud, change, len(names_of), texts, tags, holders, ranges)
    )


def _text(names: set[str]) -> str:
    """The tags that say most, of those that list one prefix."""
    services = {name for name in names if name.partition(".")[0] != _UMBRELLA} or names
    wider = {name.rpartition(".")[0] for name in services}
    return ",".join(sorted(services - wider))
