"""The card of a model: what it is, what it was made from and how, what it reaches, what it is not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.codec import Codec
from eegic.corpus import Corpus, SoundFolder
from eegic.history import History
from eegic.recipes.recipe import Recipe
from eegic.surprisal import SurprisalModel

if TYPE_CHECKING:
    import pandas as pd

_METRICS = {  # what an objective notes: its unit, and what it means
    "si_sdr": (" dB", "scale-invariant ratio of signal to distortion, once encoded and decoded; higher is better"),
    "multires_stft": ("", "distance of the spectrograms before and after, at several resolutions; no unit, 0 if equal"),
}
_COLUMNS = {  # of what `assess` returns
    "what": "the model; an untrained one of its size; or the spectral flux at the onsets, which needs no model",
    "noise": "the noise level of the information content, from 0 (all detail counts) to below 1; flux has none",
    "notes": "how many notes are compared",
    "rho": "Spearman's rank correlation with the true surprisal, 1 if both rank the notes alike",
    "partial": "the same once flux and duration of the notes are taken out of both ranks; of flux itself none is left",
    "rho_low, rho_high, partial_low, partial_high": "ends of the 95 % intervals, for other melodies of the same kind",
}
_REPEATED = {  # of what `assess_repetition` returns
    "again, elsewhere": "nats per note when the phrase was just played, and of the same notes after other phrases",
    "difference, low, high": "the first less the second, with the ends of its 95 % interval over phrases",
}


def card(
    recipe: Recipe,
    model: Codec | SurprisalModel,
    history: History,
    *,
    sha256: str,
    tables: Mapping[str, pd.DataFrame] | None = None,
    corpus: Corpus | None = None,
) -> str:
    """Write the card of a trained model, in Markdown.

    Parameters
    ----------
    recipe : Recipe
        What was followed.
    model : Codec or SurprisalModel
        What came of it.
    history : History
        Of the training.
    sha256 : str
        Digest of the file of weights.
    tables : dict of str to DataFrame, optional
        What else was measured, by title.
    corpus : Corpus, optional
        What was learned from. By default that of the recipe, and a folder is then described as it is now.

    Returns
    -------
    str
    """
    parameters = sum(tensor.numel() for tensor in model.networks.state_dict().values())
    corpus = recipe.corpus() if corpus is None else corpus
    lines = [
        f"# {recipe.name}",
        "",
        recipe.about,
        "",
        f"- kind: {recipe.kind}, {parameters:,} numbers",
        f"- licence: {recipe.licence}",
        f"- sha256 of the weights: {sha256}",
    ]
    if isinstance(model, SurprisalModel):
        lines.append(f"- codec: {recipe.codec}")
    lines += ["", "## What it is not", "", *(f"- {limit}" for limit in recipe.limits or ("Nothing was said.",))]
    lines += ["", "## Training", "", *_training(recipe, history)]
    for title, table in (tables or {}).items():
        lines += ["", f"## {title}", "", *_markdown(table.columns, table.to_numpy().tolist())]
        explained = _COLUMNS if "partial" in table.columns else _REPEATED if "again" in table.columns else {}
        notes = [f"- {columns}: {meaning}." for columns, meaning in explained.items()]
        lines += ["", *notes] if notes and notes[0] not in lines else []  # once is enough for tables alike
    lines += ["", "## Data", "", *_settings(corpus, corpus.settings()), *_passed_over(corpus)]
    for title, record in (("Network", recipe.network), ("Loss", recipe.training), ("Loop", recipe.loop)):
        lines += ["", f"## {title}", "", *_settings(record, asdict(record))]
    return "\n".join(lines) + "\n"


def _training(recipe: Recipe, history: History) -> list[str]:
    """How long it took, what became of the loss, and what else was measured."""
    first, last = _known(history, "validation")[[0, -1]]
    lines = [
        f"{recipe.loop.steps} steps in {duration(history.column('seconds')[-1])}, seed {recipe.loop.seed}. Loss of "
        f"validation: {first:.4g} before the first step, {last:.4g} after the last one."
    ]
    metrics = {name: _known(history, name) for name in history.metrics}
    rows = []
    for name, values in metrics.items():
        unit, meaning = _METRICS.get(name, ("", ""))
        rows.append([name, f"{values[-1]:.4g}{unit}" if len(values) else "", meaning])
    return [*lines, "", *_markdown(["in validation", "at the end", "what it is"], rows)] if rows else lines


def _known(history: History, name: str) -> np.ndarray:
    values = history.column(name)
    return np.asarray(values[np.isfinite(values)])


def _settings(record: object, values: Mapping[str, Any]) -> list[str]:
    what = f"Settings of `{type(record).__name__}`, whose documentation says what each is, and in which unit."
    return [what, "", *_markdown(["setting", "value"], _flat(values))]


def _flat(values: Mapping[str, Any], within: str = "") -> Iterator[list[str]]:
    """Rows of name and value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{within}{name}.")
        else:
            yield [within + name, _words(value)]


def _words(value: object) -> str:
    if isinstance(value, (bool, Mapping)) or value is None:
        return "yes" if value is True else "no" if value is False else "none"
    return (", ".join(map(_words, value)) or "none") if isinstance(value, (list, tuple)) else str(value)


def _passed_over(corpus: Corpus) -> list[str]:
    """What of a folder nothing was learned from."""
    if not isinstance(corpus, SoundFolder):
        return []
    lines = ["", f"- Files of the folder that could not be opened, and were left out: {corpus.left_out}."]
    if corpus.floor:
        lines.append(f"- Stretches below {corpus.floor:g} of full scale (root mean square) were passed over.")
    return lines


def duration(seconds: float) -> str:
    """A time in words, to two digits or so."""
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "minutes"), (172_800, 3600, "hours")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 86_400:.0f} days"


def _markdown(head: Iterable[object], rows: Iterable[list[Any]]) -> list[str]:
    head = list(head)
    rows = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return "" if math.isnan(value) else f"{value:z.2f}"
