"""What is said, and kept, when a loss is no longer finite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from eegic import _files


class Diverged(RuntimeError):
    """A loss or a gradient that is not finite: the training stopped before it reached the weights."""


def keep_batch(path: Path, batch: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
    """Write the batch of a step as .safetensors, and which one it was as .json beside it."""
    content = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in batch.items()})
    with _files.replacing(path) as draft, _files.replacing(path.with_suffix(".json")) as beside:
        draft.write_bytes(content)
        beside.write_text(json.dumps(dict(about), indent=2) + "\n", encoding="utf-8")


def diverged(what: str, step: int, suspects: Sequence[int], kept: str, last: int) -> Diverged:
    """Return the error: what happened at which step, on which ranks, where to look, and what to do."""
    ranks = f"rank {suspects[0]}" if len(suspects) == 1 else f"ranks {', '.join(map(str, suspects))}"
    onward = f"the last checkpoint is that of step {last}" if last else "there is no checkpoint yet"
    return Diverged(
        f"step {step}, {ranks}: {what}. The batch is kept in {kept}; {onward}. Look at the batch: is it finite, and of "
        "the usual size? If it is, train in another folder with a lower learning rate, or a longer warm-up; if not, "
        "mend the data and go on with resume=True."
    )
