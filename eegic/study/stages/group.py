"""Participants together."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic import _files
from eegic.study.ground import Ground, Unit
from eegic.study.stages.tracking import RESULT

if TYPE_CHECKING:
    import pandas as pd

GROUP = "group.npz"
LABEL = "group"


def units(ground: Ground) -> list[Unit]:
    """One, of two participants or more."""
    if len(ground.people) < 2:
        return []
    settings = ground.study.settings
    people = [f"sub-{who}" for who in ground.people]
    there = [ground.entries["tracking", who] for who in people if ("tracking", who) in ground.entries]
    if len(there) < len(people) and not settings.group.allow_missing:
        fault = ground.lacking([("tracking", who) for who in people])
        return [Unit("group", LABEL, fault=f"{fault}. Mend it, exclude them in data.exclude, or pass --allow-missing.")]
    if len(there) < 2:
        return [
            Unit("group", LABEL, fault=f"one result is no group; {ground.lacking([('tracking', p) for p in people])}")
        ]
    told = {**settings.group.model_dump(mode="json", exclude={"allow_missing"}), "seed": settings.run.seed}
    given = {**told, "paths": [entry.file(RESULT) for entry in there]}
    return [ground.unit("group", LABEL, told, [entry.key for entry in there], given)]


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Test, estimate, tabulate."""
    from eegic.group import group_test, mixed_model

    options = {key: given[key] for key in ("over", "n_flips", "level")}
    group = group_test(given["paths"], regions=given["regions"] or None, **options, rng=given["seed"])
    group.save(draft / "out" / "group" / GROUP)
    for name, by in (("regions", "region"), ("channels", "channel"), ("participants", "participant")):
        _write(group.to_frame(by), draft / "out" / "group" / f"{name}.tsv")
    notes = list(group.notes)
    if given["mixed"] is not None:
        try:
            mixed = mixed_model(group, given["mixed"] or None)
            _write(mixed.table, draft / "out" / "group" / "mixed.tsv")
        except ValueError as error:
            if given["mixed"]:  # somebody asked for this one
                raise ValueError(f"group.mixed: {error}") from error
            warnings.warn(f"No mixed model: {error}", stacklevel=2)
            notes.append(f"no mixed model: {error}")
    return {"participants": list(group.participants), "notes": notes}


def _write(frame: pd.DataFrame, path: Path) -> None:
    with _files.replacing(path) as draft:
        frame.to_csv(draft, sep="\t", index=False, na_rep="n/a")
