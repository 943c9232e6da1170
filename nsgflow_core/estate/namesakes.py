"""What shares a name with others is told apart, everywhere in this one way.

A thing is shown by as much of `subscription/group/name` as no other has: mostly its name, else its
resource group in front, else the subscription too.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from nsgflow_core.caches import LONGEST_ID, cache_short

_PATH = re.compile(
    r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/[^/]+/([^/]+)/(.+?)/?", re.IGNORECASE
)
_ID = re.compile(r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/.+/([^/]+)/?", re.IGNORECASE)


@cache_short(4096, LONGEST_ID)
def full_name(resource: str) -> str:
    """The resource of an id as `subscription/group/name`; what is no id as it is."""
    found = _ID.fullmatch(resource)
    return "/".join(found.groups()) if found else resource


@cache_short(4096, LONGEST_ID)
def path_name(resource: str) -> str:
    """A resource id as names are shown with all in front; what is no id as it is.

    Of what lies in another resource all names stand there (`subscription/group/vnet/subnet`);
    instances of a uniform scale set are `subscription/group/set_number`.
    """
    found = _PATH.fullmatch(resource)
    if found is None:
        return resource
    subscription, group, kind, rest = found.groups()
    between = "_" if kind.lower() == "virtualmachinescalesets" else "/"
    return f"{subscription}/{group}/{between.join(rest.split('/')[::2])}"


def told_apart(names: Iterable[str], parts: int = 1) -> dict[str, str]:
    """Full names by their last parts: so many, or as many more as tell one from the others."""
    found = dict[str, str]()
    left = set(names)
    while left:
        short = {name: "/".join(name.split("/")[-parts:]) for name in left}
        times = Counter(short.values())
        for name, said in short.items():
            if times[said] == 1 or said == name:
                found[name] = said
        left -= found.keys()
        parts += 1
    return found


def called(alike: Mapping[str, str]) -> dict[str, str]:
    """Resources of one name, by their ids in lower case: how to say each.

    What two ids have in common but for the kind of resource is told apart by the whole id.
    """
    full = Counter(map(full_name, alike))
    short = told_apart(one for one in full if full[one] == 1)
    return {
        one: f"{short[place].rpartition('/')[0]}/{name}".lstrip("/") if place in short else one
        for one, name in alike.items()
        for place in (full_name(one),)
    }


class Namesakes:
    """Resources of one kind by their ids, those that are known and those that are met.

    Ids are in lower case; a name is spelled as it was first met.
    """

    def __init__(self, known: Mapping[str, str]) -> None:
        self._names = dict(known)
        self._ids: dict[str, list[str]] = {}
        for one, name in known.items():
            self._ids.setdefault(name.casefold(), []).append(one)
        self._called: dict[str, str] = {}
        for ids in self._ids.values():
            self._tell_apart(ids)

    def meet(self, resource: str, name: str) -> None:
        """Take in what a resource is named; what has no whole id is told apart from nothing."""
        if resource.startswith("/subscriptions/") and resource not in self._names:
            self._names[resource] = name
            ids = self._ids.setdefault(name.casefold(), [])
            ids.append(resource)
            self._tell_apart(ids)

    def _tell_apart(self, ids: Sequence[str]) -> None:
        if len(ids) > 1:
            self._called |= called({one: self._names[one] for one in ids})

    def called(self) -> Mapping[str, str]:
        """Those that share a name with others, and how to say each."""
        return self._called

    def shown(self, resource: str, name: str) -> str:
        """How to say a resource of this name."""
        self.meet(resource, name)
        return self._called.get(resource) or self._names.get(resource, name)
