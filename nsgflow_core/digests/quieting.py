"""What is counted and not told for now: by a silence, or behind what matters more. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from nsgflow_core.digests.groups import Key, Tally
from nsgflow_core.digests.life import Life
from nsgflow_core.digests.memory import State
from nsgflow_core.digests.silences import Silence, held_more, silencing
from nsgflow_core.estate.causes import RULE
from nsgflow_core.estate.scope import INSIDE, INTERNET


def by_id(silences: Iterable[Silence]) -> dict[str, Silence]:
    """Silences by their ids."""
    return {at.id: at for at in silences}


def hold_back(state: State, silences: Sequence[Silence]) -> State:
    """The state with what silences match counted among what they hold back.

    A group that was told before goes on all the same: that it is silent is no sign of its end.
    """
    waiting: list[Tally] = []
    held, lives = dict(state.held), dict(state.lives)
    for tally in state.waiting:
        silence = silencing(tally, silences)
        if silence is None:
            waiting.append(tally)
            continue
        held[silence.id] = held_more(held.get(silence.id), silence, tally)
        if life := lives.get(tally.key.id):
            lives[tally.key.id] = life.with_more(tally)
    return replace(state, waiting=tuple(waiting), held=held, lives=lives)


def inhibited(due: Sequence[Tally], lives: Mapping[str, Life]) -> list[Tally]:
    """Groups from the internet at NSGs where something inside is denied, told or about to be."""
    keys = [*(life.key for life in lives.values()), *(tally.key for tally in due)]
    inside = {key.acl for key in keys if _is_inside(key)}
    return [at for at in due if at.key.scope == INTERNET and at.key.acl in inside]


def _is_inside(key: Key) -> bool:
    return key.scope == INSIDE and key.cause == RULE and key.acl != ""
