"""What figures of one participant and of many have in common: checks, names, means and how p-values are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from eegic import _checks
from eegic.results import GroupResult, Tracking
from eegic.results.group import EVERYWHERE
from eegic.results.means import standard_error
from eegic.trf.scores import mean_defined
from eegic.viz.look import plain

_ORIGINS = {
    Tracking: "a Tracking, as `cortical_tracking` gives it",
    GroupResult: "a GroupResult, as `group_test` gives it",
}


def check_result(function: str, result: object, *kinds: type) -> None:
    """Say what a figure is drawn of, unless `result` is of one of these kinds."""
    if not isinstance(result, kinds):
        expected = ", or ".join(_ORIGINS[kind] for kind in kinds)
        raise TypeError(f"{function}: expected {expected}, got {type(result).__name__}.")


def check_shared(group: GroupResult) -> None:
    """Say why nothing can be drawn about new pieces, if nothing can."""
    if not group.shared:
        notes = f" Its notes: {'; '.join(group.notes)}." if group.notes else ""
        raise ValueError(
            "group: participants do not share surrogates, so there is no null for new pieces. What it says of new "
            f"listeners is drawn by `plot_delta_r`.{notes}"
        )


def titles(result: Tracking | GroupResult) -> list[str]:
    """Names of the models for a reader: those of a group by family and noise level, where these tell them apart."""
    if isinstance(result, Tracking):
        return list(result.models)
    names = {
        model: family if np.isnan(noise) else f"{family}, noise {noise:g}"
        for model, (family, noise) in result.conditions.items()
    }
    often = Counter(names.values())
    return [name if often[name] == 1 else model for model, name in names.items()]


def chosen(result: Tracking | GroupResult, models: str | Sequence[str] | None) -> list[str]:
    """Names of the models to draw: all by default."""
    names = [models] if isinstance(models, str) else list(result.models if models is None else models)
    if not names:
        raise ValueError("models: expected one or more names, got none.")
    for name in names:
        _checks.one_of("model", name, result.models)
    return list(_checks.unique_names("models", names, len(names), "model"))


def who(result: Tracking | GroupResult) -> str:
    """The participant, or how many there are."""
    return result.participant if isinstance(result, Tracking) else f"{len(result.participants)} participants"


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the first axis of what is defined; no error of a single value."""
    return np.asarray(mean_defined(values)), standard_error(values)


def below(level: float) -> str:
    """Write that p lies below a level, as in a paper."""
    return f"p < {level:g}".replace("0.", ".", 1)


def counted(n: int, what: str) -> str:
    """A number and what there is of it."""
    return f"{n} {what}{'' if n == 1 else 's'}"


def families(group: GroupResult) -> list[str]:
    """Families of models in their order, by which figures choose colours."""
    return list(dict.fromkeys(family for family, _ in group.conditions.values()))


def over(group: GroupResult, region: str) -> str:
    """How the channels of a region became one value."""
    return f"{group.settings['over']} over channels" + ("" if region == EVERYWHERE else f" of {plain(region)}")
