"""Where networks run, and what happens when its memory does not suffice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

T = TypeVar("T")


def resolve(device: str | torch.device) -> torch.device:
    """Return the device meant by "auto" (CUDA if there is one, else the CPU), "cpu", "cuda" or "cuda:1"."""
    if device == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got {device!r}.") from error
    if resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"device: expected 'auto', 'cpu', 'cuda' or 'cuda:1', got {device!r}.")
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device: {device!r} asked for, but torch finds no CUDA device. Use 'auto' or 'cpu'.")
    if resolved.type == "cuda" and (resolved.index or 0) >= torch.cuda.device_count():
        raise ValueError(f"device: {device!r} asked for, but there are {torch.cuda.device_count()} CUDA devices.")
    return torch.device("cuda", resolved.index or 0) if resolved.type == "cuda" else resolved


def in_batches(run: Callable[[int, int], T], n_items: int, batch: int) -> list[T]:
    """Call ``run(start, stop)`` over all items, `batch` at a time; where CUDA memory runs out, half as many, and go on.

    Parameters
    ----------
    run : callable
        Does items `start` to `stop` - 1. It may be called again with the same `start` after running out of memory.
    n_items : int
        Number of items.
    batch : int
        How many items to try at once.

    Returns
    -------
    list
        What the calls returned, in order.
    """
    results: list[T] = []
    start = 0
    while start < n_items:
        stop = min(start + batch, n_items)
        try:
            results.append(run(start, stop))
        except torch.OutOfMemoryError:
            if stop - start == 1:
                raise
        else:
            start = stop
            continue
        batch = (stop - start) // 2
        torch.cuda.empty_cache()  # out here, where the error no longer holds on to its tensors
    return results


@contextmanager
def inference() -> Iterator[None]:
    """No gradients, and float32 in full: by default CUDA convolutions round their inputs to 10 bits."""
    products = (torch.backends.cudnn.conv, torch.backends.cuda.matmul)  # type: ignore[attr-defined]
    before = [product.fp32_precision for product in products]
    try:
        for product in products:
            product.fp32_precision = "ieee"
        with torch.inference_mode():
            yield
    finally:
        for product, precision in zip(products, before, strict=True):
            product.fp32_precision = precision


def usual_batch(device: torch.device) -> int:
    """How many rows of a network to compute at once: what fits caches on a CPU, what fills a GPU."""
    return 2048 if device.type == "cpu" else 1 << 17
