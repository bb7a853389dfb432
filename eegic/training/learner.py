"""The arithmetic of a training: the gradient of a batch, the step along it, the average of the weights, validation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from eegic import weights
from eegic.training.config import LoopConfig
from eegic.training.distributed import Ranks
from eegic.training.draws import generator, hidden
from eegic.training.objective import Objective, check_objective

_SMALLEST_SCALE = 2.0**-14  # of losses in float16: 30 halvings, where a few are usual


class Learner:
    """A network on its way: weights, their average, optimiser.

    Parameters
    ----------
    objective : Objective
        Its network is trained in place.
    config : LoopConfig
        How.
    ranks : Ranks
        Where, and beside whom.
    """

    def __init__(self, objective: Objective, config: LoopConfig, ranks: Ranks) -> None:
        self.objective, self.config, self.ranks = objective, config, ranks
        self.network = check_objective(objective)
        objective.to(ranks.device)
        self.network.train()
        self.model = ranks.wrap(objective)
        self.average = AveragedModel(self.network).requires_grad_(False)
        self.average.update_parameters(self.network)  # the first time it copies: the average begins untrained
        self.parameters = [one for one in self.network.parameters() if one.requires_grad]
        self.optimiser = _optimiser(self.parameters, config)
        self.scaler = torch.amp.GradScaler(ranks.device.type, enabled=config.precision == "float16")
        if config.compile:
            objective.compile()

    def gradient(self, batch: Mapping[str, Tensor], step: int) -> tuple[float, float]:
        """Compute the gradient of a batch; return the loss and the norm before it is clipped."""
        config, device = self.config, self.ranks.device
        names = ("train", self.ranks.index(step))
        self.optimiser.zero_grad()
        with hidden(device, config.seed, "layers", *names):
            with self._precision():
                loss = self.model(_on(device, batch), generator(config.seed, *names), step / config.steps)
            self._check_loss(loss)
            self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.parameters, math.inf if config.clip is None else config.clip)
        value, length = torch.stack([loss.detach().double(), norm.double()]).tolist()  # the one wait for the GPU
        return value, length

    def overflowed(self, norm: float) -> bool:
        """Whether a gradient that is not finite is due to the scale of float16, which adapts."""
        return self.scaler.is_enabled() and not math.isfinite(norm) and self.scaler.get_scale() > _SMALLEST_SCALE

    def update(self, step: int) -> None:
        """Take the step, unless float16 overflowed, and move the average."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.rate(step)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.average.multi_avg_fn = get_ema_multi_avg_fn(self.config.decay(step))  # type: ignore[no-untyped-call]
        self.average.update_parameters(self.network)

    def validate(self, batches: Sequence[Mapping[str, Tensor]]) -> tuple[list[float], dict[str, float]]:
        """Return the loss of each batch and the metrics, of the averaged weights; always with the same draws."""
        seed, device = self.config.seed, self.ranks.device
        losses = []
        with self._averaged(), torch.no_grad(), hidden(device, seed, "layers", "validation"):
            for index, batch in enumerate(batches):
                with self._precision():
                    loss = self.objective(_on(device, batch), generator(seed, "validation", index), 1.0)
                losses.append(float(loss))
            metrics = self.objective.metrics()
        return losses, metrics

    def finish(self) -> None:
        """Leave the averaged weights in the network, ready for use."""
        self.network.load_state_dict(self.average.module.state_dict())
        self.network.eval().requires_grad_(False)
        self.optimiser.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """Return all that changes from step to step, by name."""
        state = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        state |= {f"average.{name}": tensor for name, tensor in self.average.module.state_dict().items()}
        slots = self.optimiser.state_dict()["state"]
        for index, name in enumerate(self._names()):
            state |= {f"optimiser.{name}.{slot}": tensor for slot, tensor in slots.get(index, {}).items()}
        return state

    def restore(self, source: str, tensors: Mapping[str, Tensor], scaler: Mapping[str, Any]) -> None:
        """Take up what `tensors` gave; `source` starts the message if it does not fit."""
        for prefix, module in (("network.", self.network), ("average.", self.average.module)):
            state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
            shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
            weights.check_state(source, state, shapes)
            module.load_state_dict(state)
        slots: dict[int, dict[str, Tensor]] = {}
        indices = {name: index for index, name in enumerate(self._names())}
        for key, tensor in tensors.items():
            if key.startswith("optimiser."):
                name, slot = key.removeprefix("optimiser.").rsplit(".", 1)
                slots.setdefault(indices[name], {})[slot] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": slots, "param_groups": groups})
        self.scaler.load_state_dict(dict(scaler))

    def n_bytes(self) -> int:
        """About the size of a checkpoint: weights, average, and two moments."""
        return 4 * sum(p.numel() * p.element_size() for p in self.parameters)

    def _names(self) -> list[str]:
        return [name for name, one in self.network.named_parameters() if one.requires_grad]

    def _precision(self) -> torch.autocast:
        kind = self.config.precision
        enabled = kind != "float32"
        return torch.autocast(self.ranks.device.type, getattr(torch, kind) if enabled else None, enabled=enabled)

    def _check_loss(self, loss: Tensor) -> None:
        if not isinstance(loss, Tensor) or loss.ndim or not loss.requires_grad:
            came = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(
                f"forward(): expected a scalar loss that depends on the weights, got {came}. Return its mean, and "
                "detach nothing on the way."
            )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Have the average in the place of the weights, in evaluation mode."""
        self._exchange()
        self.network.eval()
        try:
            yield
        finally:
            self.network.train()
            self._exchange()

    @torch.no_grad()
    def _exchange(self) -> None:
        for mine, other in zip(self.network.parameters(), self.average.module.parameters(), strict=True):
            kept = mine.clone()
            mine.copy_(other)
            other.copy_(kept)


def _optimiser(parameters: list[nn.Parameter], config: LoopConfig) -> torch.optim.Optimizer:
    if config.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    return torch.optim.RAdam(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, decoupled_weight_decay=True
    )


def _on(device: torch.device, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
