"""What layers of rules say of a flow, and how that is told."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from nsgflow_core.estate.acl import Verdict

End = Literal["source", "destination"]
LayerKind = Literal["admin", "subnet", "nic"]


class Layer(msgspec.Struct, frozen=True, omit_defaults=False):
    """What one list of rules says; None is what an unknown one leaves open."""

    end: End
    layer: LayerKind
    acl: str
    name: str
    rule: str | None
    priority: int | None
    access: str | None
    verdict: Verdict
    because: str = ""

    def to_json(self) -> dict[str, Any]:
        """As commands print it."""
        made = msgspec.structs.asdict(self)
        if not self.because:
            del made["because"]
        return made


class Judgement(msgspec.Struct, frozen=True):
    """What all layers say, in the order in which they are asked; `unknown` are the reasons."""

    verdict: Verdict
    layers: tuple[Layer, ...]
    unknown: tuple[str, ...]

    @property
    def denying(self) -> list[Layer]:
        """Every layer that denies."""
        return [layer for layer in self.layers if layer.verdict == "denied"]

    def to_json(self) -> dict[str, Any]:
        """As commands print it."""
        return {
            "verdict": self.verdict,
            "layers": [layer.to_json() for layer in self.layers],
            "denying": [layer.to_json() for layer in self.denying],
            "unknown": list(self.unknown),
        }


def denial_line(
    judgement: Judgement, shown: Callable[[str, str], str] = lambda _, name: name
) -> str:
    """A judgement in one line, for digests and lists: names as Azure has them, or reasons.

    `shown` says how to say an NSG of an id and a name.
    """
    if judgement.verdict == "denied":
        said = [
            f"{shown(layer.acl, layer.name or layer.acl)} ({WHERE[layer.layer]}, {layer.end}): "
            f"{layer.rule} (priority {layer.priority})"
            for layer in judgement.denying
        ]
        return "now denied by " + "; ".join(said)
    if judgement.verdict == "allowed":
        last = next((layer for layer in reversed(judgement.layers) if layer.rule), None)
        by = f", last by {last.rule} of {shown(last.acl, last.name)}" if last is not None else ""
        return f"now allowed by every layer{by}"
    return "not known whether it passes now: " + "; ".join(judgement.unknown)


WHERE = {"admin": "admin rules", "subnet": "subnet", "nic": "network interface"}
"""The kinds of layers in words."""
