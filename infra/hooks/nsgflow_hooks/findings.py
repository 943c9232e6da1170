"""What preprovision found, told in one message."""

from __future__ import annotations

from dataclasses import dataclass, field

from nsgflow_hooks.console import item


@dataclass(frozen=True)
class Finding:
    """One thing that would stop or mislead the deployment.

    Attributes:
        command: what mends it, ready to paste; empty where no one command does.
    """

    text: str
    command: str = ""


@dataclass
class Findings:
    """Everything that was found.

    Attributes:
        stops: the deployment would fail, or the app could not work.
        misleads: it would work, and not do what one thinks.
        unknown: what could not be looked at, and why.
        done: what the hook has put right itself.
    """

    stops: list[Finding] = field(default_factory=list)
    misleads: list[Finding] = field(default_factory=list)
    unknown: list[Finding] = field(default_factory=list)
    done: list[Finding] = field(default_factory=list)

    def stop(self, text: str, command: str = "") -> None:
        """Add what stops the deployment."""
        self.stops.append(Finding(text, command))

    def mislead(self, text: str, command: str = "") -> None:
        """Add what misleads."""
        self.misleads.append(Finding(text, command))

    def not_known(self, text: str, command: str = "") -> None:
        """Add what could not be looked at."""
        self.unknown.append(Finding(text, command))

    def message(self) -> str:
        """All of it."""
        sections = [
            ("Put right:", self.done),
            ("This would stop the deployment:", self.stops),
            ("This would not stop it, but know it:", self.misleads),
            ("This could not be looked at:", self.unknown),
        ]
        blocks = [
            "\n".join([title, *(item(found.text, found.command) for found in listed)])
            for title, listed in sections
            if listed
        ]
        return "\n\n".join(blocks)
