"""What a digest tells: groups of denied flows, those that are over, and what it does not show."""

import msgspec
from msgspec.structs import replace

from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.silences import Held

QUIET = "quiet"
ALLOWED = "allowed"
TURNED = "turned"
UNKNOWN = "unknown"
LATE = "late"
"""Why a group is followed no longer: nothing of it while its logs went on, the same flows seen let
through, rules that let it pass now, or no word of it, one way or the other. And what came late of
one that is over already."""

MAX_ENDED = 10
"""The most ends that a digest names; more are counted."""


class About(msgspec.Struct, frozen=True, array_like=True):
    """What was told of a group: how often before this digest, since when, and flows in all.

    `began` is the time of its first flow, in milliseconds since the epoch; `flows` are those of
    this digest too. `incident` is what it is told as, where messages are incidents.
    """

    times: int
    began: int
    flows: int
    incident: str


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """A group that was told and is over, or of which nothing is known any more.

    `began` and `last` are the times of its first and its last flow, in milliseconds since the
    epoch; `flows` were denied in all, of which `fresh` are told only now. `incident` is the
    incident that ends with it, "" where others keep that open or nobody knows whether it is over.
    `said` is how that is known.
    """

    key: Key
    name: str
    because: str
    began: int
    last: int
    flows: int
    fresh: int = 0
    interfaces: int = 0
    incident: str = ""
    said: str = ""


class Digest(msgspec.Struct, frozen=True):
    """One message: its groups, what matters first in front, and what it does not show.

    `made` is in seconds since the epoch. `more_groups` and `more_flows` were cut, `others` are
    flows of groups that no ledger had room for. `held_flows` of `held_groups` repeat what was
    told before; a later digest tells them. `about` has the groups that are followed, by their ids.
    `ended` are over, and `more_ended` are not shown of them. `silenced` is what silences that are
    over held back. Scans from the internet, `behind_groups` with `behind_flows`, wait until what is
    denied inside at the same NSG is over. `before` says of groups that are new, by their ids,
    what was done before their first flow: the last change on their path, and mark. `look` is what
    a person's `nsgflow why` is to read.
    """

    id: str
    made: float
    groups: tuple[Tally, ...]
    more_groups: int = 0
    more_flows: int = 0
    others: int = 0
    held_groups: int = 0
    held_flows: int = 0
    about: dict[str, About] = {}
    ended: tuple[Ended, ...] = ()
    more_ended: int = 0
    before: dict[str, tuple[str, ...]] = {}
    silenced: tuple[Held, ...] = ()
    behind_groups: int = 0
    behind_flows: int = 0
    look: tuple[str, ...] = ()

    @property
    def flows(self) -> int:
        """All flows that this digest tells of, shown or not."""
        shown = sum(tally.flows for tally in self.groups) + sum(at.fresh for at in self.ended)
        return shown + self.more_flows + self.others + sum(at.flows for at in self.silenced)

    def cut(self, shown: int) -> "Digest":
        """The same with only its first groups shown."""
        cut = self.groups[shown:]
        return replace(
            self,
            groups=self.groups[:shown],
            more_groups=self.more_groups + len(cut),
            more_flows=self.more_flows + sum(tally.flows for tally in cut),
        )

    def cut_ended(self, shown: int) -> "Digest":
        """The same with only the first of those that are over shown."""
        cut = self.ended[shown:]
        return replace(
            self,
            ended=self.ended[:shown],
            more_ended=self.more_ended + len(cut),
            more_flows=self.more_flows + sum(at.fresh for at in cut),
        )
