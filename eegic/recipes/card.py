"""The card of a model: what it is, what it was made from and how, what it reaches, what it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.codec import Codec
from eegic.corpus import Corpus
from eegic.history import History
from eegic.recipes.recipe import Recipe
from eegic.surprisal import SurprisalModel

if TYPE_CHECKING:
    import pandas as pd


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
    known = history.column("validation")
    first, last = known[np.isfinite(known)][[0, -1]]
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
    lines += ["", "## Training", ""]
    lines.append(f"{recipe.loop.steps} steps in {_duration(history.column('seconds')[-1])}, seed {recipe.loop.seed}. ")
    lines.append(f"Loss of validation: {first:.4g} before the first step, {last:.4g} after the last one.")
    for name in history.metrics:
        values = history.column(name)
        lines.append(f"{name}: {values[np.isfinite(values)][-1]:.4g}.")
    for title, table in (tables or {}).items():
        lines += ["", f"## {title}", "", *_markdown(table)]
    for title, settings in (
        ("Data", (recipe.corpus() if corpus is None else corpus).settings()),
        ("Network", asdict(recipe.network)),
        ("Loss", asdict(recipe.training)),
        ("Loop", asdict(recipe.loop)),
    ):
        lines += ["", f"## {title}", "", "```json", json.dumps(settings, indent=1), "```"]
    return "\n".join(lines) + "\n"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def _markdown(table: pd.DataFrame) -> list[str]:
    rows: list[list[Any]] = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
