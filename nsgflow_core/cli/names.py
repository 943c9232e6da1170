"""NSGs by name, as a command is given them: `web-nsg`, `prod-*`, or a resource id."""

import re
from collections.abc import Callable, Iterable
from fnmatch import translate

_ID = re.compile(r"(/subscriptions/.+/networksecuritygroups/)([^/]+)/?", re.IGNORECASE)


def matcher(names: Iterable[str]) -> Callable[[str, str], bool]:
    """Whether an NSG, by its name and its resource id ("" where unknown), is one of these.

    Case makes no difference. No names accept every NSG.
    """
    ids, patterns = set[str](), list[re.Pattern[str]]()
    for name in names:
        if _ID.fullmatch(name.strip()):
            ids.add(name.strip().rstrip("/").lower())
        else:
            patterns.append(re.compile(translate(name.strip()), re.IGNORECASE))
    if not ids and not patterns:
        return lambda _name, _id: True

    def accepts(name: str, resource: str) -> bool:
        return resource.lower() in ids or any(one.fullmatch(name) for one in patterns)

    return accepts
