"""Follow a recipe: all of it, or one step of it to see whether it fits."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from eegic import _devices, _files, weights
from eegic.codec import Codec, CodecConfig, load_codec
from eegic.codec.training import CodecObjective, CodecTraining, starting_networks, train_codec
from eegic.corpus import Corpus
from eegic.datasets import MelodyCorpus
from eegic.history import History
from eegic.recipes.assessment import assess, assess_repetition
from eegic.recipes.card import card, duration
from eegic.recipes.recipe import Recipe, read_recipe
from eegic.surprisal import FlowConfig, SurprisalModel
from eegic.surprisal.latents import encoded
from eegic.surprisal.networks import ARFlow
from eegic.surprisal.training import FlowObjective, FlowTraining, check_sizes, train_surprisal
from eegic.training import first_process, generator
from eegic.training.checkpoint import Checkpoints
from eegic.training.distributed import Ranks
from eegic.training.learner import Learner
from eegic.training.objective import PARTS
from eegic.weights.manifest import WORDS

if TYPE_CHECKING:
    import pandas as pd

RECIPE = "recipe.toml"  # in the folder of a training
LEVELS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # of noise, in a card
NOTES_TITLE = "Information content of held-out notes, and their true surprisal"
REPETITION_TITLE = "Phrases of eight notes, played three times in a row, or once after two others"
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
        Folder for the recipe itself (``recipe.toml``), checkpoints, history, model and its card (``NAME.md``).
    device, resume, progress, after_validation
        As for `eegic.codec.training.train_codec`.

    Returns
    -------
    Codec or SurprisalModel
    """
    _check(recipe)
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
        initial = _initial(recipe)
        _write_down(recipe, folder)
        model = train_codec(
            corpus, out, config=recipe.network, training=recipe.training, loop=recipe.loop, initial=initial,
            name=recipe.name, **how,
        )  # fmt: skip
    else:
        assert isinstance(recipe.network, FlowConfig) and isinstance(recipe.training, FlowTraining)
        codec = load_codec(codec_of(recipe), device=device)
        _write_down(recipe, folder)
        model = train_surprisal(
            codec, corpus, out, config=recipe.network, training=recipe.training, loop=recipe.loop, name=recipe.name,
            codec_name=_found_from(codec_of(recipe), folder), **how,
        )  # fmt: skip
        if recipe.melodies and isinstance(corpus, MelodyCorpus) and first_process():
            pieces = (corpus.piece("test", i, duration=_MELODY_SECONDS) for i in range(recipe.melodies))
            tables[NOTES_TITLE] = assess(model, codec, pieces, LEVELS, progress=progress)
            tables[REPETITION_TITLE] = assess_repetition(model, codec, LEVELS, progress=progress)
    if first_process():
        history, sha256 = History.read(folder / "history.csv"), _digest(recipe, folder)
        text = card(recipe, model, history, sha256=sha256, tables=tables, corpus=corpus)
        with _files.replacing(folder / f"{recipe.name}.md") as draft:
            draft.write_text(text, encoding="utf-8")
    return model


def _check(recipe: Recipe) -> None:
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe: expected a Recipe, got {recipe!r}. read_recipe(NAME_OR_PATH) makes one.")


def _write_down(recipe: Recipe, folder: Path) -> None:
    """Leave the recipe in the folder. Where there is a run already, its own stays, and must be of the same kind."""
    if not first_process():
        return
    run, path = Checkpoints(folder, {}), folder / RECIPE
    with run.held():
        if not run.steps():
            with _files.replacing(path) as draft:
                draft.write_text(recipe.toml(), encoding="utf-8")
        elif path.is_file() and (begun := read_recipe(path)).kind != recipe.kind:
            raise ValueError(
                f"{folder}: holds the training of a {WORDS[begun.kind]} ({begun.name}), but {recipe.name} is a recipe "
                f"for a {WORDS[recipe.kind]}. Train in another folder."
            )


def _initial(recipe: Recipe) -> Codec | None:
    """The codec that another one starts from."""
    return None if recipe.codec is None else load_codec(codec_of(recipe), device="cpu")


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
    steps, batch : int
        Of the recipe: how often its weights are updated, and from how many examples.
    whole : float
        Seconds for all of it, if time grows with the batch (on a GPU it grows less): making batches, gradients and
        updates, and for a surprisal model the encoding of the sound. Validations come on top.
    """

    parameters: int
    shapes: dict[str, tuple[int, ...]]
    loss: float
    seconds: float
    memory: int
    device: str
    rate: float
    unit: str
    steps: int
    batch: int
    whole: float

    def __str__(self) -> str:
        """Several lines for a terminal."""
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return (
            f"parameters   {self.parameters:,}\nbatch        {shapes}\nloss         {self.loss:.5g}\n"
            f"step         {self.seconds:.3g} s on {self.device}: {self.rate:.3g} {self.unit} per second\n"
            f"memory       {self.memory / 2**30:.2f} GiB at most\n"
            f"all of it    {self.steps:,} steps of batch {self.batch}: about {duration(self.whole)}, and validations"
        )


def attempt(recipe: Recipe, *, device: str = "auto", batch: int = _TINY) -> Trial:
    """Take two steps of a recipe with a tiny batch, and measure the second: does it fit, how long will it take?

    They are steps of the training itself, average of the weights included, but for `LoopConfig.compile`, and for the
    precision on a CPU, which is float32. Codec and sound are those of the recipe: what is wrong with them shows.

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
    _check(recipe)
    where = _devices.resolve(device)
    objective, amount, unit, before = _objective(recipe, batch, device)
    precision = recipe.loop.precision if where.type == "cuda" else "float32"
    learner = Learner(objective, replace(recipe.loop, precision=precision, compile=False), Ranks(0, 1, where))
    objective.prepare()
    objective.batch("validation", 0)  # there is sound for it, too
    for step in range(2):
        start = time.perf_counter()
        given = objective.batch("train", step)
        made = time.perf_counter() - start
        _finish(where)
        start = time.perf_counter()
        loss, _ = learner.gradient(given, step)
        learner.update(step)
        _finish(where)
        took = time.perf_counter() - start
    workers = recipe.loop.workers
    each = max(took, made / workers) if workers else took + made
    return Trial(
        parameters=sum(parameter.numel() for parameter in learner.parameters),
        shapes={name: tuple(tensor.shape) for name, tensor in given.items()},
        loss=loss,
        seconds=took,
        memory=torch.cuda.max_memory_allocated(where) if where.type == "cuda" else _resident(),
        device=str(where),
        rate=amount / took,
        unit=unit,
        steps=recipe.loop.steps,
        batch=recipe.training.batch,
        whole=before + each * recipe.loop.steps * recipe.training.batch / batch,
    )


def _objective(recipe: Recipe, batch: int, device: str) -> tuple[CodecObjective | FlowObjective, float, str, float]:
    """What the recipe trains, with tiny batches; how much is in each, of what, and the seconds before the first step.

    A surprisal model is tried on as many stretches as there are examples in a batch.
    """
    corpus, training = recipe.corpus(), replace(recipe.training, batch=batch)
    if isinstance(recipe.network, CodecConfig) and isinstance(training, CodecTraining):
        networks = starting_networks(recipe.network, _initial(recipe), recipe.loop.seed)
        seconds = batch * training.latents * recipe.network.samples_per_latent / recipe.network.sfreq
        return CodecObjective(networks, recipe.network, training, corpus), seconds, "s of sound", 0.0
    assert isinstance(recipe.network, FlowConfig) and isinstance(training, FlowTraining)
    latents, each = _latents(recipe, training, corpus, device)
    objective = FlowObjective(ARFlow(recipe.network), training, latents.__getitem__, recipe.loop.seed)
    return objective, batch * training.window, "latents", each * (training.stretches + training.validation)


def _latents(
    recipe: Recipe, training: FlowTraining, corpus: Corpus, device: str
) -> tuple[dict[str, np.ndarray], float]:
    """Latents of a batch, and the seconds that each of its stretches took.

    Of a published codec that is not on this machine there are none; normal ones take as long to learn from.
    """
    assert isinstance(recipe.network, FlowConfig)
    try:
        codec = load_codec(codec_of(recipe), device=device)
    except FileNotFoundError as error:
        if codec_of(recipe) not in weights.entries():
            raise
        warnings.warn(f"{error} The training would stop here; the trial goes on with normal latents.", stacklevel=4)
        shape = (training.batch, training.frames, recipe.network.data)
        draws = generator(recipe.loop.seed, "trial")
        return {part: torch.randn(shape, generator=draws).numpy() for part in PARTS}, 0.0
    check_sizes(recipe.network, training, codec)
    n_samples, start = codec.config.n_samples(training.frames), time.perf_counter()
    stretches = range(training.batch)
    latents = {part: np.stack([encoded(codec, corpus, part, i, n_samples) for i in stretches]) for part in PARTS}
    return latents, (time.perf_counter() - start) / (len(PARTS) * training.batch)


def _finish(where: torch.device) -> None:
    if where.type == "cuda":
        torch.cuda.synchronize(where)


def _resident() -> int:
    """Most memory that this process ever held, in bytes."""
    import resource  # not there on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
