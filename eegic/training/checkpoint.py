"""What a run needs to go on, in files: a kill at any moment leaves a checkpoint that is whole, or the one before."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from eegic import _files

SCHEMA = "eegic.training/1"
_KEPT = 2
_TOLD = 5  # differences between two runs; more would bury them
_NAME = re.compile(r"step-(\d{6,})\.json")
_ABSENT = "nothing"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run after so many steps.

    Parameters
    ----------
    step : int
        Steps done.
    tensors : dict of str to Tensor
        Weights, their average, and the state of the optimiser, on the CPU.
    about : dict
        What else is needed, as json holds it.
    """

    step: int
    tensors: dict[str, Tensor]
    about: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run, in the folder ``out/checkpoints``.

    Parameters
    ----------
    out : Path
        Folder of the run.
    run : mapping
        What determines its weights, as plain values: it is stored, and compared before a run goes on.
    """

    def __init__(self, out: Path, run: Mapping[str, object]) -> None:
        self.out, self.folder = out, out / "checkpoints"
        self.run = plain(run)
        self.sound: list[int] = []  # steps of those known to be whole, the last ones

    def path(self, step: int) -> Path:
        """The file of the tensors; the rest lies beside it as .json."""
        return self.folder / f"step-{step:06d}.safetensors"

    def steps(self) -> list[int]:
        """Steps of the checkpoints that were written to the end, newest first."""
        found = [_NAME.fullmatch(path.name) for path in self.folder.glob("step-*.json")]
        return sorted((int(match[1]) for match in found if match), reverse=True)

    def check_new(self) -> None:
        """Refuse a folder that holds another run."""
        if self.steps():
            raise FileExistsError(
                f"{self.out}: holds a run already, with a checkpoint of step {self.steps()[0]}. Pass resume=True to go "
                "on with it, or name another folder."
            )

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole and of this run; None if there is none at all."""
        steps = self.steps()
        for step in steps:
            try:
                checkpoint = self._read(step)
            except (OSError, ValueError, SafetensorError) as error:
                warnings.warn(f"{self.path(step)}: damaged ({error}). The one before is taken.", stacklevel=4)
                continue
            self._compare(checkpoint)
            self.sound = [step]
            return checkpoint
        if steps:
            raise ValueError(f"{self.folder}: every checkpoint is damaged. Begin anew in another folder.")
        return None

    def write(self, step: int, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
        """Write a checkpoint, its .json last, and remove all but it and the one before."""
        path = self.path(step)
        content = save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()})
        digest = hashlib.sha256(content).hexdigest()
        whole = {"schema": SCHEMA, "step": step, "sha256": digest, **self.run, **about}
        try:
            with _files.replacing(path) as draft:
                draft.write_bytes(content)
            with _files.replacing(path.with_suffix(".json")) as draft:
                draft.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            raise type(error)(
                f"{path}: {len(content)} bytes could not be written ({error.strerror or error}). Make room, and go on "
                "with resume=True from the checkpoint before."
            ) from error
        self.sound = [*(earlier for earlier in self.sound if earlier != step), step][-_KEPT:]
        self._remove_others()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other trainings out of it meanwhile; sweep what a kill left half written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()
        except OSError as error:
            raise type(error)(
                f"{self.out}: cannot be written to ({error.strerror}). Name another folder with out."
            ) from error
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                for draft in (*self.folder.glob(".step-*"), *self.out.glob(".history-*")):
                    draft.unlink(missing_ok=True)
                yield
        except Timeout as error:
            raise FileExistsError(
                f"{self.out}: another training is at work there. Wait until it ends, or name another folder with out."
            ) from error

    def check_room(self, n_bytes: int) -> None:
        """Find out before the first step whether there is room for checkpoints of so many bytes."""
        needed = (_KEPT + 1) * n_bytes - sum(path.stat().st_size for path in self.folder.iterdir())
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OSError(
                f"{self.folder}: the checkpoints need {needed} bytes, but {free} are free. Make room, or name another "
                "folder with out."
            )

    def _read(self, step: int) -> Checkpoint:
        path = self.path(step)
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        content = path.read_bytes()
        if not isinstance(about, dict) or about.get("schema") != SCHEMA:
            raise ValueError(f"its .json is not of schema {SCHEMA!r}")
        if about.get("sha256") != hashlib.sha256(content).hexdigest() or about.get("step") != step:
            raise ValueError("its bytes are not those that its .json tells of")
        return Checkpoint(step, load(content), about)

    def _compare(self, checkpoint: Checkpoint) -> None:
        then = {name: checkpoint.about.get(name) for name in self.run}
        changed = [f"{name}: {before} then, {now} now" for name, before, now in _differences(then, self.run)]
        if changed:
            others = [f"and {len(changed) - _TOLD} more"] if len(changed) > _TOLD else []
            raise ValueError(
                f"{self.path(checkpoint.step)}: comes from another run. {'; '.join(changed[:_TOLD] + others)}. Go on "
                "with what it was begun with, or train in another folder."
            )

    def _remove_others(self) -> None:
        keep = {self.path(step).stem for step in self.sound}
        for suffix in (".json", ".safetensors"):  # in this order: what has no .json is no checkpoint
            for path in self.folder.glob(f"step-*{suffix}"):
                if path.stem not in keep:
                    path.unlink()


def plain(values: Mapping[str, object]) -> dict[str, Any]:
    """Return values as json gives them back, or say that it does not hold them."""
    try:
        back: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"settings: expected numbers, strings, lists and dicts of them, for they are kept as json ({error})."
        ) from error
    return back


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """Where two nested values differ: the path to it, and both values."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in dict.fromkeys((*before, *now)):
            inner = f"{name}.{key}" if name else key
            yield from _differences(before.get(key, _ABSENT), now.get(key, _ABSENT), inner)
    elif before != now:
        yield name, repr(before), repr(now)
