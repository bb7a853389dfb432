"""Random numbers that belong to names: no draw depends on what was drawn before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(seed: int, *identity: object) -> torch.Generator:
    """Return the generator of what `identity` names, e.g. ``generator(0, "train", 17)``; it draws on the CPU.

    Notes
    -----
    The seed is a digest of the names. torch's generator takes 32 bits of it: of 100,000 steps, one pair or so shares
    its draws, over different batches.

    Examples
    --------
    >>> again = [torch.rand(1, generator=generator(0, "train", 17)).item() for _ in range(2)]
    >>> again[0] == again[1], again[0] == torch.rand(1, generator=generator(0, "train", 18)).item()
    (True, False)
    """
    return torch.Generator().manual_seed(_number(seed, *identity))


@contextmanager
def hidden(device: torch.device, seed: int, *identity: object) -> Iterator[None]:
    """Seed the random numbers that layers draw by themselves (dropout), and put torch's own back afterwards."""
    number, cuda = _number(seed, *identity), device.type == "cuda"
    with torch.random.fork_rng([device] if cuda else []):
        torch.default_generator.manual_seed(number)  # torch.manual_seed keeps a stack trace of each call
        if cuda:
            torch.cuda.default_generators[device.index].manual_seed(number)
        yield


def _number(*identity: object) -> int:
    digest = hashlib.sha256("/".join(map(str, identity)).encode()).digest()
    return int.from_bytes(digest[:4], "little")
