"""The loop: batches in, weights out, and nothing lost on the way."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from eegic import _checks
from eegic.history import History, Recorder, Row
from eegic.training.checkpoint import Checkpoint, Checkpoints
from eegic.training.config import LoopConfig
from eegic.training.distributed import Ranks, ranks
from eegic.training.divergence import diverged, keep_batch
from eegic.training.learner import Learner
from eegic.training.objective import Objective, describe, make_batch
from eegic.training.stopping import Stop, leave_it_to_the_loop


def train(
    objective: Objective,
    config: LoopConfig,
    out: str | os.PathLike[str],
    *,
    settings: Mapping[str, object],
    device: str | torch.device = "auto",
    resume: bool = False,
    progress: bool = True,
    after_validation: Callable[[History], None] | None = None,
) -> History:
    """Train the network of an objective; leave the average of its weights in it, in evaluation mode.

    Parameters
    ----------
    objective : Objective
        What learns, from what, by which loss.
    config : LoopConfig
        How long, how fast.
    out : str or Path
        Folder for ``history.csv`` and the last two of ``checkpoints/step-000500.safetensors`` with .json.
    settings : mapping
        What else determines the run: sizes of the network, digests of the data. Numbers, strings, lists and dicts of
        them; kept with each checkpoint, and compared before a run goes on.
    device : str or torch.device
        "auto" (CUDA if there is one), "cpu", "cuda" or "cuda:1". Under torchrun each process takes the GPU of its rank.
    resume : bool
        Go on from the newest checkpoint in `out`, or begin if there is none. On a CPU, with as many threads, the
        weights are those of a run that was never interrupted, bit for bit.
    progress : bool
        Show a bar, if there is a terminal.
    after_validation : callable, optional
        Called with the history after each validation, to draw it for instance.

    Returns
    -------
    History
        Complete, whenever it was interrupted. Under torchrun the first process has it; the others do not validate.

    Raises
    ------
    Diverged
        If a loss or a gradient is not finite; the batch is kept in `out`.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, once the step at hand is done and saved.

    Notes
    -----
    Random numbers follow from the seed, what they are for, and the number of the step, so none of their state is kept.
    Processes that make batches (`LoopConfig.workers`) are started the way that is usual on the system; where that is
    not by fork, the objective has to be one that pickle can copy, and a script needs ``if __name__ == "__main__":``.
    """
    if not isinstance(config, LoopConfig):
        raise TypeError(f"config: expected a LoopConfig, got {type(config).__name__}.")
    resume, progress = _checks.flag("resume", resume), _checks.flag("progress", progress)
    with Stop() as stop, ranks(device) as mine:
        _check_precision(config, mine.device)
        run = {"config": config.decisive(), "settings": dict(settings), "processes": mine.size}
        checkpoints = Checkpoints(Path(out), run)
        with checkpoints.held() if mine.rank == 0 else nullcontext():
            found = _find(checkpoints, resume)
            loop = _Loop(Learner(objective, config, mine), checkpoints, Recorder(), stop, after_validation)
            if found is not None:
                loop.restore(found)
            if loop.first:
                checkpoints.check_room(loop.learner.n_bytes())
                objective.prepare()
            mine.wait()  # until all have looked, and what the first one prepared is there
            if not loop.first:
                objective.prepare()
            loop.run(progress)
        loop.learner.finish()
    return loop.recorder.history


def _find(checkpoints: Checkpoints, resume: bool) -> Checkpoint | None:
    """Return the checkpoint to go on from, if that is what is wanted."""
    if resume:
        return checkpoints.newest()
    checkpoints.check_new()
    return None


@dataclass
class _Loop:
    """One run, from some step to its end."""

    learner: Learner
    checkpoints: Checkpoints
    recorder: Recorder
    stop: Stop
    after_validation: Callable[[History], None] | None
    saved: int = 0  # steps done at the newest checkpoint; 0 if there is none
    _validation: list[dict[str, Tensor]] = field(default_factory=list)
    _last_validation: float = math.nan

    @property
    def ranks(self) -> Ranks:
        return self.learner.ranks

    @property
    def first(self) -> bool:
        return self.ranks.rank == 0

    def restore(self, found: Checkpoint) -> None:
        """Take up a checkpoint."""
        source, about = str(self.checkpoints.path(found.step)), found.about
        self.learner.restore(source, found.tensors, about["scaler"])
        self.recorder = Recorder(History.parse(source, about["history"]), about["losses"], about["seconds"])
        self.saved = found.step

    def run(self, progress: bool) -> None:
        """Take all steps that are left."""
        config, objective, start = self.learner.config, self.learner.objective, self.saved
        hide = None if progress and self.first else True
        with (
            _board(config, self.checkpoints.out, start, self.first) as board,
            tqdm(total=config.steps, initial=start, desc="Training", unit="step", disable=hide) as bar,
        ):
            if not bar.disable:
                bar.write(describe(objective), file=bar.fp)
            if start == 0:
                self._note(0, math.nan, bar, board)
            done = start
            for done, batch in enumerate(self._batches(start), start=start + 1):
                stopping = self._step(done - 1, batch)
                if config.notes(done):
                    self._note(done, config.rate(done - 1), bar, board)
                if config.saves(done) or stopping:
                    self._save(done)
                bar.update()
                if stopping:
                    break
        if done < config.steps:
            self._leave(done)

    def _batches(self, start: int) -> Iterator[dict[str, Tensor]]:
        """The batches that are left; none any more once those who make them have got the signal to stop, too."""
        try:
            yield from _load(self.learner.objective, self.learner.config, self.ranks, start)
        except RuntimeError:
            if not self.stop.asked:
                raise

    def _leave(self, done: int) -> NoReturn:
        if done > self.saved:
            self._save(done)
        self.ranks.wait()  # for the file: once one process leaves, torchrun stops the others
        raise KeyboardInterrupt(
            f"stopped after step {done} of {self.learner.config.steps}; what was reached is in "
            f"{self.checkpoints.folder}. Go on with resume=True."
        )

    def _step(self, step: int, batch: dict[str, Tensor]) -> bool:
        """Take a step; return whether one of the processes was asked to stop."""
        loss, norm = self.learner.gradient(batch, step)
        index = self.ranks.index(step)
        values = self.ranks.gather([loss, float(self.stop.asked)])
        losses, asked = [theirs[0] for theirs in values], any(theirs[1] for theirs in values)
        bad = [rank for rank, value in enumerate(losses) if not math.isfinite(value)]
        if bad:
            self._diverge("train", index, step + 1, batch, f"the loss is {losses[bad[0]]}", bad)
        if not math.isfinite(norm) and not self.learner.overflowed(norm):
            everyone = list(range(self.ranks.size))  # gradients are means over all
            self._diverge("train", index, step + 1, batch, f"the norm of the gradient is {norm}", everyone)
        self.learner.update(step)
        self.recorder.losses.append(math.fsum(losses) / len(losses))
        return asked

    def _note(self, done: int, rate: float, bar: tqdm[Any], board: Any) -> None:
        """Write a row; validate before, if it is time."""
        validates = self.first and (done == 0 or self.learner.config.validates(done))
        value, metrics = self._validate(done) if validates else (math.nan, {})
        row = self.recorder.row(done, rate, value, metrics)
        bar.set_postfix(loss=f"{row.loss:.4g}", validation=f"{self._last_validation:.4g}", refresh=False)
        if board is not None:
            _to_board(board, row)
        if not validates:
            return
        self.recorder.history.write(self.checkpoints.out / "history.csv")
        if self.after_validation is not None:
            self.after_validation(self.recorder.history)

    def _validate(self, done: int) -> tuple[float, dict[str, float]]:
        if not self._validation:
            n_batches = self.learner.config.n_validation
            self._validation = [make_batch(self.learner.objective, "validation", i) for i in range(n_batches)]
        losses, metrics = self.learner.validate(self._validation)
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                what = f"the loss of validation batch {index} is {loss}"
                self._diverge("validation", index, done, self._validation[index], what, [0])
        self._last_validation = math.fsum(losses) / len(losses)
        return self._last_validation, metrics

    def _save(self, done: int) -> None:
        if self.first:
            recorder = self.recorder
            about = {
                "scaler": self.learner.scaler.state_dict(),
                "seconds": recorder.seconds,
                "losses": recorder.losses,
                "history": recorder.history.lines(),
            }
            self.checkpoints.write(done, self.learner.tensors(), about)
            recorder.history.write(self.checkpoints.out / "history.csv")
        self.saved = done

    def _diverge(
        self, part: str, index: int, step: int, batch: Mapping[str, Tensor], what: str, suspects: list[int]
    ) -> NoReturn:
        """Keep the batches of the ranks that may be at fault, and stop."""
        ranks, out = self.ranks, self.checkpoints.out
        mark = f"diverged-step-{step:06d}"
        names = {rank: f"{mark}-rank-{rank}" if ranks.size > 1 else mark for rank in suspects}
        if ranks.rank in suspects:
            about = {"part": part, "index": index, "step": step, "rank": ranks.rank, "seed": self.learner.config.seed}
            keep_batch(out / f"{names[ranks.rank]}.safetensors", batch, about)
        if self.first:
            self.recorder.history.write(out / "history.csv")
        kept = ", ".join(str(out / f"{name}.safetensors") for name in names.values())
        raise diverged(what, step, suspects, kept, self.saved)


class _Steps(Dataset[dict[str, Tensor]]):
    """The batch of each step, for this process."""

    def __init__(self, objective: Objective, mine: Ranks) -> None:
        self.objective, self.ranks = objective, mine

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return make_batch(self.objective, "train", self.ranks.index(step))


def _load(objective: Objective, config: LoopConfig, mine: Ranks, start: int) -> DataLoader[dict[str, Tensor]]:
    return DataLoader(
        _Steps(objective, mine),
        batch_size=None,
        sampler=range(start, config.steps),
        num_workers=config.workers,
        pin_memory=mine.device.type == "cuda",
        worker_init_fn=leave_it_to_the_loop,
        generator=torch.Generator(),  # else it would draw a number of torch's own
    )


def _check_precision(config: LoopConfig, device: torch.device) -> None:
    if device.type != "cuda" and config.precision != "float32":
        raise ValueError(
            f"precision: expected float32 on a CPU, got {config.precision!r}. Take float32, or a CUDA device."
        )


def _board(config: LoopConfig, out: Path, start: int, first: bool) -> AbstractContextManager[Any]:
    """The writer for TensorBoard; what it wrote beyond `start` is forgotten."""
    if not (config.tensorboard and first):
        return nullcontext()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard: not installed: pip install tensorboard. Or leave tensorboard=False: history.csv is written "
            "in any case."
        ) from error
    writer: AbstractContextManager[Any] = SummaryWriter(str(out / "tensorboard"), purge_step=start + 1)
    return writer


def _to_board(board: Any, row: Row) -> None:
    values = {"loss": row.loss, "learning_rate": row.learning_rate, "validation": row.validation, **row.metrics}
    for name, value in values.items():
        if not math.isnan(value):
            board.add_scalar(name, value, row.step)
