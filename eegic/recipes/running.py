"""Follow a recipe: all of it, or one step of it to see whether it fits."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from eegic import _devices, _files, weights
from eegic.codec import Codec, CodecConfig, load_codec
from eegic.codec.training import CodecObjective, CodecTraining, starting_networks, train_codec
from eegic.datasets import MelodyCorpus
from eegic.history import History
from eegic.recipes.assessment import assess
from eegic.recipes.card import card
from eegic.recipes.recipe import Recipe
from eegic.surprisal import FlowConfig, SurprisalModel
from eegic.surprisal.networks import ARFlow
from eegic.surprisal.training import FlowObjective, FlowTraining, train_surprisal
from eegic.training import first_process, generator
from eegic.training.distributed import Ranks
from eegic.training.learner import Learner

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # of noise, in a card
NOTES_TITLE = "Information content of held-out notes, and their true surprisal"
_MELODY_SECONDS = 20.0
_TINY = 2  # examples of a trial


def follow(
    recipe: Recipe,
    out: str | os.PathLike[str],
    *,
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    after_validation: Callable[[History], None] | None = None,
) -> Codec | SurprisalModel:
    """Train what a recipe describes.

    Parameters
    ----------
    recipe : Recipe
        From `read_recipe`.
    out : str or Path
        Folder for checkpoints, history, model and its card (NAME.md).
    device, resume, progress, after_validation
        As for `eegic.codec.training.train_codec`.

    Returns
    -------
    Codec or SurprisalModel
    """
    how: dict[str, Any] = {
        "licence": recipe.licence,
        "device": device,
        "resume": resume,
        "progress": progress,
        "after_validation": after_validation,
    }
    corpus, folder = recipe.corpus(), Path(out)
    tables: dict[str, pd.DataFrame] = {}
    model: Codec | SurprisalModel
    if isinstance(recipe.network, CodecConfig) and isinstance(recipe.training, CodecTraining):
        initial = None if recipe.codec is None else load_codec(recipe.codec, device="cpu")
        model = train_codec(
            corpus, out, config=recipe.network, training=recipe.training, loop=recipe.loop, initial=initial,
            name=recipe.name, **how,
        )  # fmt: skip
    else:
        assert isinstance(recipe.network, FlowConfig) and isinstance(recipe.training, FlowTraining)
        codec = load_codec(codec_of(recipe), device=device)
        model = train_surprisal(
            codec, corpus, out, config=recipe.network, training=recipe.training, loop=recipe.loop, name=recipe.name,
            codec_name=_found_from(codec_of(recipe), folder), **how,
        )  # fmt: skip
        if recipe.melodies and isinstance(corpus, MelodyCorpus) and first_process():
            pieces = (corpus.piece("test", i, duration=_MELODY_SECONDS) for i in range(recipe.melodies))
            tables[NOTES_TITLE] = assess(model, codec, pieces, LEVELS, progress=progress)
    if first_process():
        history, sha256 = History.read(folder / "history.csv"), _digest(recipe, folder)
        text = card(recipe, model, history, sha256=sha256, tables=tables, corpus=corpus)
        with _files.replacing(folder / f"{recipe.name}.md") as draft:
            draft.write_text(text, encoding="utf-8")
    return model


def _digest(recipe: Recipe, folder: Path) -> str:
    return weights.read(folder / f"{recipe.name}.safetensors", recipe.kind).sha256


def codec_of(recipe: Recipe) -> str:
    """The codec whose latents a surprisal model is to learn."""
    if recipe.codec is None:
        raise ValueError(
            'codec: expected codec = "NAME or PATH" in a recipe for a surprisal model. Pass --set codec=PATH.'
        )
    return os.path.expanduser(recipe.codec)


def _found_from(codec: str, out: str | os.PathLike[str]) -> str:
    """How a model in `out` names its codec: a file as seen from there, a name as it is."""
    return os.path.relpath(codec, out) if Path(codec).is_file() else codec


@dataclass(frozen=True)
class Trial:
    """What one step of a recipe took.

    Parameters
    ----------
    parameters : int
        Weights that learn.
    shapes : dict of str to tuple
        Of the batch.
    loss : float
        Of the step.
    seconds : float
        For gradient and update, after a first step that is not counted.
    memory : int
        Most bytes in use: of the GPU, or of the whole process on a CPU.
    device : str
        Where.
    rate : float
        How much is learned from in a second.
    unit : str
        Of the rate: seconds of sound, or latents.
    """

    parameters: int
    shapes: dict[str, tuple[int, ...]]
    loss: float
    seconds: float
    memory: int
    device: str
    rate: float
    unit: str

    def __str__(self) -> str:
        """Several lines for a terminal."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return (
            f"parameters   {self.parameters:,}\nbatch        {shapes}\nloss         {self.loss:.5g}\n"
            f"step         {self.seconds:.3g} s on {self.device}: {self.rate:.3g} {self.unit} per second\n"
            f"memory       {self.memory / 2**30:.2f} GiB at most"
        )


def attempt(recipe: Recipe, *, device: str = "auto", batch: int = _TINY) -> Trial:
    """Take two steps of a recipe with a tiny batch, and measure the second: does it fit, how long will it take?

    They are steps of the training itself, average of the weights included, but for `LoopConfig.compile`, and for the
    precision on a CPU, which is float32.

    Parameters
    ----------
    recipe : Recipe
        From `read_recipe`.
    device : str
        "auto" (CUDA if there is one), "cpu" or "cuda".
    batch : int
        Examples per step.

    Returns
    -------
    Trial
    """
    where = _devices.resolve(device)
    objective, amount, unit = _objective(recipe, batch)
    precision = recipe.loop.precision if where.type == "cuda" else "float32"
    learner = Learner(objective, replace(recipe.loop, precision=precision, compile=False), Ranks(0, 1, where))
    given = objective.batch("train", 0)
    for step in range(2):
        _finish(where)
        start = time.perf_counter()
        loss, _ = learner.gradient(given, step)
        learner.update(step)
        _finish(where)
        took = time.perf_counter() - start
    return Trial(
        parameters=sum(parameter.numel() for parameter in learner.parameters),
        shapes={name: tuple(tensor.shape) for name, tensor in given.items()},
        loss=loss,
        seconds=took,
        memory=torch.cuda.max_memory_allocated(where) if where.type == "cuda" else _resident(),
        device=str(where),
        rate=amount / took,
        unit=unit,
    )


def _objective(recipe: Recipe, batch: int) -> tuple[CodecObjective | FlowObjective, float, str]:
    """What the recipe trains, with tiny batches; how much is in each, and of what.

    A surprisal model is tried on normal latents: their statistics do not matter for time and memory.
    """
    training = replace(recipe.training, batch=batch)
    if isinstance(recipe.network, CodecConfig) and isinstance(training, CodecTraining):
        networks = starting_networks(recipe.network, None, recipe.loop.seed)
        seconds = batch * training.latents * recipe.network.samples_per_latent / recipe.network.sfreq
        return CodecObjective(networks, recipe.network, training, recipe.corpus()), seconds, "s of sound"
    assert isinstance(recipe.network, FlowConfig) and isinstance(training, FlowTraining)
    draws = generator(recipe.loop.seed, "trial")
    latents = torch.randn((batch, training.window, recipe.network.data), generator=draws).numpy()
    objective = FlowObjective(ARFlow(recipe.network), training, lambda part: latents, recipe.loop.seed)
    objective.prepare()
    return objective, batch * training.window, "latents"


def _finish(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def _resident() -> int:
    """Most memory that this process ever held, in bytes."""
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
