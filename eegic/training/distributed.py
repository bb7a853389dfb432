"""Several processes that train one network, started by torchrun; one process is the case of size 1."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from eegic import _devices

_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_WAIT = timedelta(hours=2)  # the others wait while the first one validates


@dataclass(frozen=True)
class Ranks:
    """A process among those that train together.

    Parameters
    ----------
    rank, size : int
        Its number, and how many there are.
    device : torch.device
        Where its network lies.
    """

    rank: int
    size: int
    device: torch.device

    def index(self, step: int) -> int:
        """Number of the batch that this process takes at a step."""
        return step * self.size + self.rank

    def wrap(self, model: nn.Module) -> nn.Module:
        """Give all processes the weights of the first, and their gradients the mean over all."""
        return model if self.size == 1 else DistributedDataParallel(model)

    def gather(self, values: Sequence[float]) -> list[list[float]]:
        """Return the values of all processes, by rank."""
        mine = torch.tensor(values, dtype=torch.float64, device=self.device)
        everyone = [mine]
        if self.size > 1:
            everyone = [torch.empty_like(mine) for _ in range(self.size)]
            distributed.all_gather(everyone, mine)
        return [theirs.tolist() for theirs in everyone]

    def wait(self) -> None:
        """Wait for all."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def ranks(device: str | torch.device) -> Iterator[Ranks]:
    """Find this process among those of torchrun, and connect them; without torchrun it is alone.

    Under torchrun, "auto" and "cuda" mean the GPU of the local rank. The connection is kept for the next training, and
    closed when Python ends; after an error it is left as it is: to close it would be to wait for the others.
    """
    resolved = _devices.resolve(device)
    if not all(name in os.environ for name in _LAUNCHER) or os.environ["WORLD_SIZE"] == "1":
        yield Ranks(0, 1, resolved)
        return
    if resolved.type == "cuda":
        resolved = _devices.resolve(f"cuda:{os.environ['LOCAL_RANK']}")
    if not distributed.is_initialized():
        cuda = resolved.type == "cuda"
        if cuda:
            torch.cuda.set_device(resolved)
        distributed.init_process_group("nccl" if cuda else "gloo", timeout=_WAIT, device_id=resolved if cuda else None)
    yield Ranks(distributed.get_rank(), distributed.get_world_size(), resolved)
    atexit.unregister(_close)
    atexit.register(_close)


def first_process() -> bool:
    """Whether this process is the one that writes: the first of torchrun's, or the only one."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def _close() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()
