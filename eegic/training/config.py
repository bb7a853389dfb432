"""How a network is trained: one frozen record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from eegic import _checks

OPTIMISERS = ("radam", "adamw")
PRECISIONS = ("float32", "bfloat16", "float16")
_FREE = ("workers", "tensorboard", "compile", "save_every", "validate_every", "n_validation")
_N_ROWS = 200


@dataclass(frozen=True)
class LoopConfig:
    """Length, rates and habits of a training.

    Parameters
    ----------
    steps : int
        How often the weights are updated, each time from one batch per process.
    optimiser : {"radam", "adamw"}
        Both with decoupled weight decay.
    learning_rate, final_learning_rate : float
        Of the first step after the warm-up, and of the last one; half a cosine in between.
    warmup : int
        Steps over which the learning rate rises to `learning_rate`, along a line.
    weight_decay : float
        Share of a weight that is taken away at each step, in units of the learning rate.
    clip : float, optional
        Largest norm of the gradient; longer ones are scaled down to it. None for any.
    average : float
        Decay per step of the moving average of the weights; 0 for the last weights themselves. After n steps it is at
        most (1 + n) / (10 + n), so that the beginning is soon forgotten.
    validate_every : int
        Steps between validations. There is one before the first step and one after the last.
    n_validation : int
        Batches of a validation, the same ones each time.
    save_every : int
        Steps between checkpoints. There is one after the last step.
    precision : {"float32", "bfloat16", "float16"}
        Of products and convolutions on CUDA; weights stay in float32. A CPU takes float32 alone.
    compile : bool
        Compile the network first: minutes at the start, steps of less time.
    workers : int
        Processes that make batches ahead; 0 makes them in between. The batches are the same.
    seed : int
        Whence all random numbers come.
    tensorboard : bool
        Write the history for TensorBoard, too.

    Examples
    --------
    >>> config = LoopConfig(steps=1000, warmup=100)
    >>> [round(config.rate(step), 7) for step in (0, 99, 100, 999)]
    [1e-06, 0.0001, 0.0001, 1e-06]
    """

    steps: int = 1000
    optimiser: str = "radam"
    learning_rate: float = 1e-4
    final_learning_rate: float = 1e-6
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float | None = 1.0
    average: float = 0.999
    validate_every: int = 100
    n_validation: int = 4
    save_every: int = 500
    precision: str = "float32"
    compile: bool = False
    workers: int = 0
    seed: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "validate_every", "n_validation", "save_every"):
            self._set(name, _checks.count(name, getattr(self, name)))
        for name in ("warmup", "workers", "seed"):
            self._set(name, _checks.count(name, getattr(self, name), minimum=0))
        for name in ("compile", "tensorboard"):
            self._set(name, _checks.flag(name, getattr(self, name)))
        self._set("learning_rate", _checks.positive("learning_rate", self.learning_rate, "weight per step"))
        for name in ("final_learning_rate", "weight_decay", "average"):
            self._set(name, _checks.not_negative(name, getattr(self, name), "this rate"))
        if self.clip is not None:
            self._set("clip", _checks.positive("clip", self.clip, "gradient norm"))
        _checks.one_of("optimiser", self.optimiser, OPTIMISERS)
        _checks.one_of("precision", self.precision, PRECISIONS)
        if self.average >= 1:
            raise ValueError(f"average: expected a decay below 1, got {self.average!r}: nothing would be learned.")
        if self.warmup >= self.steps:
            raise ValueError(f"warmup: expected fewer than all {self.steps} steps, got {self.warmup}.")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate: expected at most learning_rate ({self.learning_rate:g}), got "
                f"{self.final_learning_rate!r}."
            )

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        share = (step - self.warmup) / max(1, self.steps - 1 - self.warmup)
        low, high = self.final_learning_rate, self.learning_rate
        return low + (high - low) * (1 + math.cos(math.pi * share)) / 2

    def decay(self, step: int) -> float:
        """Decay of the average after a step, counted from 0."""
        n = step + 1
        return min(self.average, (1 + n) / (10 + n))

    def validates(self, done: int) -> bool:
        """Whether there is a validation when so many steps are done."""
        return done % self.validate_every == 0 or done == self.steps

    def notes(self, done: int) -> bool:
        """Whether there is a row in the history when so many steps are done."""
        return self.validates(done) or done % max(1, self.steps // _N_ROWS) == 0

    def saves(self, done: int) -> bool:
        """Whether there is a checkpoint when so many steps are done."""
        return done % self.save_every == 0 or done == self.steps

    def decisive(self) -> dict[str, Any]:
        """Return what the weights depend on; the rest may change when a run goes on."""
        return {name: value for name, value in asdict(self).items() if name not in _FREE}
