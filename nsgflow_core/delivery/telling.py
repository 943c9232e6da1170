"""What tells people: the digests of each webhook, put together from the settings."""

from collections.abc import Callable, Mapping

from azure.storage.blob import ContainerClient

from nsgflow_core.config import Settings
from nsgflow_core.delivery.ledgers import Ledgers
from nsgflow_core.digests import portal
from nsgflow_core.digests.digest import Changed, Digests
from nsgflow_core.digests.message import Digest
from nsgflow_core.digests.state import DigestState
from nsgflow_core.digests.turned import turned
from nsgflow_core.estate.knowledge import Knowing
from nsgflow_core.sinks.digest import Poster

_MOST_ACCOUNTS = 3


def digests_of(
    settings: Settings,
    ledgers: Mapping[str, Ledgers],
    state: ContainerClient,
    now: Callable[[], float],
    knowledge: Knowing,
    changed: Changed,
) -> dict[str, Digests]:
    """The digests of each webhook that takes them, by its sink."""
    return {
        webhook.name: Digests(
            DigestState(state, webhook.name),
            ledgers[webhook.name],
            Poster(webhook, link_to(settings)),
            webhook.interval_seconds,
            webhook.repeat_minutes * 60,
            settings.state_days,
            now,
            quiet=webhook.quiet_minutes * 60,
            turned=lambda life: turned(life, knowledge()),
            changed=changed,
            look=look_of(settings),
            scope=f"{state.account_name}/{state.container_name}/{webhook.name}",
        )
        for webhook in settings.webhooks
        if webhook.name in ledgers
    }


def link_to(settings: Settings) -> Callable[[Digest], str]:
    """What gives the link of a digest into the workspace, "" where none is set."""
    host_url = portal.portal(settings.logs.endpoint if settings.logs else "")
    table_name = (settings.logs.stream if settings.logs else "NSGFlow_CL").removeprefix("Custom-")
    return lambda digest: portal.link(digest, settings.workspace_id, table_name, host_url)


def look_of(settings: Settings) -> tuple[str, ...]:
    """What `nsgflow why` is to read, as words of a command: the accounts, where they are few."""
    accounts = sorted({at.account for at in settings.connections.values()})
    few = accounts if len(accounts) <= _MOST_ACCOUNTS else []
    return (*few, *(["--inventory"] if settings.inventory else []))
