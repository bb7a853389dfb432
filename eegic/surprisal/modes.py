"""Ways to compute an information content, and what each of them depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import torch

from eegic import _checks
from eegic.flow import divergence

Mode = Literal["fast", "exact", "reference"]

MODES = ("fast", "exact", "reference")


@dataclass(frozen=True)
class Settings:
    """A mode with its numbers.

    Parameters
    ----------
    name : {"fast", "exact", "reference"}
        The mode.
    steps : int
        Along the whole path from data to noise.
    probes : int
        At each node.
    node : float
        Where in a step velocity and divergence are evaluated.
    tolerance : float
        In nats; of the exact mode alone.
    """

    name: str
    steps: int = 0
    probes: int = 0
    node: float = 0.0
    tolerance: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether the divergence is exact."""
        return self.name == "exact"

    @property
    def slide(self) -> bool:
        """Whether the context slides beyond the length of training; the published procedure lets it grow."""
        return self.name != "reference"

    def intervals(self, times: Sequence[float]) -> list[int]:
        """Steps from each time to the next: all of them on a single interval, else shares by length."""
        if len(times) == 2:
            return [self.steps]
        return [max(1, round(self.steps * abs(b - a))) for a, b in pairwise(times)]

    def draw(self, shape: tuple[int, ...], generator: torch.Generator) -> Any:
        """Probes of rows of that shape."""
        if self.name == "reference":
            return divergence.Rademacher.draw(shape, self.probes, 1, generator, fresh=False)
        return divergence.Hadamard.draw(shape, self.probes, generator)

    def info(self) -> dict[str, Any]:
        """What to write beside the numbers."""
        if self.exact:
            return {"mode": self.name, "solver": "path to tolerance, Clenshaw-Curtis", "tolerance": self.tolerance}
        solver = "euler" if self.node == 0 else "midpoint"
        kind = "Rademacher, drawn once" if self.name == "reference" else "Hadamard rows, new at every node"
        return {"mode": self.name, "solver": solver, "steps": self.steps, "probes": self.probes, "probe kind": kind}


_DEFAULTS = {
    "fast": Settings("fast", steps=16, probes=2, node=0.5),
    "exact": Settings("exact", tolerance=0.01),
    "reference": Settings("reference", steps=100, probes=4),
}


def mode_of(mode: Mode, *, steps: int | None, probes: int | None, tolerance: float | None) -> Settings:
    """The settings of a mode, some of them replaced."""
    usual = _DEFAULTS[_checks.one_of("mode", mode, MODES)]
    if usual.exact:
        _refuse(mode, "tolerance", steps=steps, probes=probes)
        return Settings(
            mode, tolerance=_checks.positive("tolerance", usual.tolerance if tolerance is None else tolerance, "nats")
        )
    _refuse(mode, "steps and probes", tolerance=tolerance)
    return Settings(
        mode,
        steps=usual.steps if steps is None else _checks.count("steps", steps),
        probes=usual.probes if probes is None else _checks.count("probes", probes),
        node=usual.node,
    )


def _refuse(mode: str, takes: str, **given: object) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name}: mode {mode!r} takes {takes}, got {name}={value!r}. Leave it out.")
