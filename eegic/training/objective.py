"""What learns, from what, by which loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

PARTS = ("train", "validation")


class Objective(nn.Module, ABC):
    """A network and the loss by which it learns.

    Write `network`, `batch` and `forward`, and hand the object to `eegic.training.train`. Other modules of an objective
    (a codec that makes the targets, for instance) stay as they are, and need `requires_grad_(False)`.

    Examples
    --------
    >>> class Line(Objective):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.line = nn.Linear(1, 1)
    ...
    ...     def network(self):
    ...         return self.line
    ...
    ...     def batch(self, part, index):
    ...         x = torch.rand(8, 1, generator=generator(0, "data", part, index))
    ...         return {"x": x, "y": 2 * x + 1}
    ...
    ...     def forward(self, batch, draws, progress):
    ...         return (self.line(batch["x"]) - batch["y"]).square().mean()
    >>> from eegic.training import generator
    >>> describe(Line())
    '2 parameters, batch x (8, 1), y (8, 1), cpu'
    """

    @abstractmethod
    def network(self) -> nn.Module:
        """Return what learns, is averaged and is saved; those of its parameters that ask for gradients are trained."""

    @abstractmethod
    def batch(self, part: str, index: int) -> dict[str, Tensor]:
        """Return a batch: named tensors on the CPU, the same whenever `part` and `index` are the same.

        Parameters
        ----------
        part : {"train", "validation"}
            What the batch is for.
        index : int
            Counts batches from 0. Of several processes each gets its own: step * number of processes + rank.
        """

    @abstractmethod
    def forward(self, batch: dict[str, Tensor], draws: torch.Generator, progress: float) -> Tensor:
        """Return the loss of a batch, a scalar.

        Parameters
        ----------
        batch : dict of str to Tensor
            As `batch` made it, on the device of the network.
        draws : torch.Generator
            Where every random number comes from; on the CPU, so that all devices draw the same.
        progress : float
            Share of the training that is done: from 0 to below 1, and 1 in validation.
        """

    def prepare(self) -> None:
        """Make what batches need, once, when the folder of the run is this one's own.

        Of several processes the first one does it while the others wait, and then they: what it keeps in files is there
        for them.
        """

    def metrics(self) -> dict[str, float]:
        """Return further numbers to note at each validation, of the weights that the network has now."""
        return {}

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile what takes the time: the network, if not said otherwise."""
        self.network().compile(*args, **kwargs)


def describe(objective: Objective) -> str:
    """One line on a training: parameters, shapes of a batch, device."""
    parameters = list(objective.network().parameters())
    n_parameters = sum(parameter.numel() for parameter in parameters)
    size = f"{n_parameters / 1e6:.2f} million" if n_parameters >= 10_000 else str(n_parameters)
    shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in make_batch(objective, "train", 0).items())
    return f"{size} parameters, batch {shapes}, {parameters[0].device}"


def make_batch(objective: Objective, part: str, index: int) -> dict[str, Tensor]:
    """Return a batch of an objective, or say why it is none."""
    batch = objective.batch(part, index)
    if not isinstance(batch, dict) or not batch:
        raise TypeError(f"batch({part!r}, {index}): expected a dict of named tensors, got {type(batch).__name__}.")
    for name, tensor in batch.items():
        if not isinstance(tensor, Tensor) or tensor.device.type != "cpu":
            came = f"one on {tensor.device}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"batch({part!r}, {index}): {name}: expected a tensor on the CPU, got {came}.")
    return batch


def check_objective(objective: Objective) -> nn.Module:
    """Return the network of an objective, or say why it cannot be trained."""
    if not isinstance(objective, Objective):
        raise TypeError(f"objective: expected an Objective, got {type(objective).__name__}. Derive a class from it.")
    network = objective.network()
    if not isinstance(network, nn.Module) or not any(parameter.requires_grad for parameter in network.parameters()):
        raise TypeError(
            f"network(): expected a module with parameters that ask for gradients, got {type(network).__name__}."
        )
    learning = {id(parameter) for parameter in network.parameters()}
    stray = [name for name, p in objective.named_parameters() if p.requires_grad and id(p) not in learning]
    if stray:
        raise ValueError(
            f"objective: {stray[0]} asks for gradients, but is no part of network(), so it would not be trained. Put "
            "it there, or call requires_grad_(False) on its module."
        )
    return network
