"""One dead letter after the other sent to the sinks, and what became of it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from nsgflow_core.cli.dead_letters.letters import Found
from nsgflow_core.cli.harmless import escaped
from nsgflow_core.cli.session import note, sentence
from nsgflow_core.config import Settings
from nsgflow_core.delivery.dead_letters import INPUT, DeadLetters, Letter
from nsgflow_core.delivery.resend import Plan, ResendingSink, plan, send
from nsgflow_core.delivery.telling import link_to
from nsgflow_core.errors import BadInputError, NsgflowError
from nsgflow_core.estate.arm import CLOUDS
from nsgflow_core.estate.knowledge import Knowledge
from nsgflow_core.estate.library import Library, Sources
from nsgflow_core.logs.blocks import FlowLogs
from nsgflow_core.logs.path import NSG_CONTAINER, VNET_CONTAINER
from nsgflow_core.model import account_of
from nsgflow_core.sinks.digest import Poster
from nsgflow_core.sinks.digest_at_once import DigestAtOnce
from nsgflow_core.sinks.log_analytics import LogAnalyticsSink
from nsgflow_core.sinks.webhook import WebhookSink
from nsgflow_core.storage import blob_service, credential


def resending(settings: Settings, letters: DeadLetters, *, drop: bool) -> "Resending":
    """Ready to send, with the accounts and sinks that are set.

    Raises:
        BadInputError: there is no sink.
    """
    knowledge = _knowledge(settings)
    sinks = _sinks(settings, knowledge)
    if not sinks:
        raise BadInputError(
            "there is nothing to deliver to: set NSGFLOW_LOGS_ENDPOINT and NSGFLOW_LOGS_RULE_ID, "
            "or NSGFLOW_WEBHOOK_URL"
        )
    services = [blob_service(at) for at in settings.connections.values()]
    accounts = {account_of(service.url): service for service in services}
    return Resending(letters, FlowLogs(accounts), frozenset(accounts), sinks, knowledge, drop)


@dataclass(frozen=True, slots=True)
class Resending:
    """Where letters are read, where their logs are, and where they are sent.

    `knowledge` is what the function knows. With `drop` what no sink takes is deleted.
    """

    letters: DeadLetters
    source: FlowLogs
    accounts: frozenset[str]
    sinks: Mapping[str, ResendingSink]
    knowledge: Knowledge
    drop: bool

    def one(self, found: Found, *, dry_run: bool) -> bool:
        """Send one letter and say what became of it; whether nothing of it is left."""
        try:
            letter = self.letters.read(found.listed)
            self._check(letter)
            made = plan(letter, self.source, self.sinks, self.knowledge, drop=self.drop)
            if dry_run:
                self._say(found, letter, made, made.counts, "would be sent")
                return not (made.left or letter.omitted)
            outcome = send(letter, made, self.sinks, self.letters)
        except NsgflowError as exc:
            note(f"{found.id}: {escaped(sentence(exc))}; it is left as it is")
            return False
        if outcome.errors:
            counts = _counts(outcome.accepted)
            sys.stdout.write(f"{found.id}  {counts} accepted\n" if counts else "")
            for error in outcome.errors.values():
                note(f"{found.id}: {escaped(sentence(error))}; it is left as it is")
            return False
        self._say(found, letter, made, outcome.accepted, "accepted")
        if outcome.again:
            note(f"{found.id}: {outcome.again} were refused again and are kept")
        try:
            self.letters.settle(found.listed, letter, outcome.left)
        except NsgflowError as exc:
            note(f"{found.id}: {escaped(sentence(exc))}; what was accepted is still in it")
            return False
        return not (outcome.left or letter.omitted)

    def _check(self, letter: Letter) -> None:
        """A letter that is not from one of our flow logs is none of ours.

        Raises:
            BadInputError: it is not.
        """
        if letter.kind == INPUT and letter.account not in self.accounts:
            raise BadInputError(f"no connection reads the account {letter.account[:40]!r}")
        if letter.container not in (NSG_CONTAINER, VNET_CONTAINER):
            raise BadInputError(f"{letter.container[:80]!r} holds no flow logs")

    def _say(
        self, found: Found, letter: Letter, made: Plan, sent: Mapping[str, int], what: str
    ) -> None:
        rest = f"; {len(made.left)} entries stay" if made.left else ""
        sys.stdout.write(f"{found.id}  {_counts(sent) or 'nothing'} {what}{rest}\n")
        for reason in made.why:
            note(f"{found.id}: stays: {escaped(reason)}")
        if made.unwanted:
            note(f"{found.id}: --drop deletes what no sink takes")
        if letter.omitted:
            note(f"{found.id}: {letter.omitted} entries did not fit: replay the log for those")


def _counts(sent: Mapping[str, int]) -> str:
    return ", ".join(f"{count} to {name}" for name, count in sorted(sent.items()))


def _knowledge(settings: Settings) -> Knowledge:
    """What the function knows of the network: its newest copies in the state container."""
    sources = Sources(settings.service_tags, settings.inventory, CLOUDS[settings.cloud])
    host = blob_service(settings.host_storage)
    library = Library(host.get_container_client(settings.state_container), sources, note)
    for problem in library.load():
        note(problem)
    return library.current()


def _sinks(settings: Settings, knowledge: Knowledge) -> dict[str, ResendingSink]:
    sinks: dict[str, ResendingSink] = {}
    if settings.logs is not None:
        sinks[LogAnalyticsSink.name] = LogAnalyticsSink(
            settings.logs, credential(), lambda: knowledge
        )
    for webhook in settings.webhooks:
        if webhook.digest_schedule:
            post = Poster(webhook, link_to(settings))
            sinks[webhook.name] = DigestAtOnce(webhook, post, lambda: knowledge)
        else:
            sinks[webhook.name] = WebhookSink(webhook)
    return sinks
