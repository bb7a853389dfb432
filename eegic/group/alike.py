"""Which results may be put together, what they have in common, and what keeps them apart."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from eegic import _checks
from eegic.results import GroupResult, Tracking

_QUESTION = ("null", "conditional")  # settings that decide which question was asked
_SURROGATES = ("rng", "n_null")  # settings that surrogates depend on besides
_EXCHANGE = "repair"  # the null in which the pieces that were heard take each other's place


def check_group(group: object) -> None:
    """Say what was expected, unless it is the result of a group."""
    if not isinstance(group, GroupResult):
        raise TypeError(f"group: expected a GroupResult, as `group_test` gives it, got {type(group).__name__}.")


def read_results(results: object) -> list[Tracking]:
    """Results of two participants or more, read from files where only those are named."""
    if isinstance(results, (Tracking, str, os.PathLike, Mapping)) or not isinstance(results, Iterable):
        advice = "Pass its .values()." if isinstance(results, Mapping) else "Write [one, other, ...]."
        raise TypeError(f"results: expected several, one per participant, got {type(results).__name__}. {advice}")
    people = [Tracking.load(one) if isinstance(one, (str, os.PathLike)) else one for one in results]
    for number, person in enumerate(people):
        if not isinstance(person, Tracking):
            raise TypeError(
                f"results[{number}]: expected a Tracking, as `cortical_tracking` gives it, or a path to a saved one, "
                f"got {type(person).__name__}."
            )
    if len(people) < 2:
        raise ValueError(
            f"results: expected at least 2 participants, got {len(people)}. What one participant shows stands in its "
            "own result: `result.p_maxt`, `result.p_mean`."
        )
    _checks.unique_names("results", [person.participant for person in people], len(people), "participant")
    return people


def check_alike(people: Sequence[Tracking]) -> None:
    """Refuse participants of whom different questions were asked."""
    first = people[0]
    for person in people[1:]:
        who = f"{first.participant} and {person.participant}"
        for what in ("baseline", "models"):
            one, other = getattr(first, what), getattr(person, what)
            if list(one) != list(other) or one != other:
                raise ValueError(
                    f"results: {who} have different {what}, or these in another order: {one} and {other}. Analyse all "
                    "alike."
                )
        if first.lags.shape != person.lags.shape or not np.allclose(first.lags, person.lags):
            spans = [f"{1000 * one.lags[0]:g} to {1000 * one.lags[-1]:g} ms" for one in (first, person)]
            raise ValueError(
                f"results: {who} have different lags ({spans[0]} in {len(first.lags)} steps, {spans[1]} in "
                f"{len(person.lags)}). Bring them to one sampling rate and one window."
            )
        for name in _QUESTION:
            if differ([first, person], name):
                values = [one.settings.get(name) for one in (first, person)]
                raise ValueError(
                    f"results: {who} were analysed with different {name}: {values[0]!r} and {values[1]!r}."
                )


def check_values(people: Sequence[Tracking], gain: Sequence[np.ndarray]) -> None:
    """Refuse participants of whom nothing is known."""
    empty = [person.participant for person, one in zip(people, gain, strict=True) if not np.isfinite(one).any(1).all()]
    if empty:
        raise ValueError(
            f"results: {_checks.listed(empty)} without any value in at least one model. Leave such participants out, "
            "and say so."
        )


def differ(people: Sequence[Tracking], name: str) -> bool:
    """Whether they were analysed with different values of a setting."""
    return any(person.settings.get(name) != people[0].settings.get(name) for person in people)


def why_apart(people: Sequence[Tracking]) -> str:
    """Why surrogates of participants cannot be averaged one by one, if they cannot."""
    first = people[0]
    if first.settings["null"] != _EXCHANGE:
        return f"surrogates of null={first.settings['null']!r} are no exchange of the pieces that all heard"
    for person in people[1:]:
        who = f"{first.participant} and {person.participant}"
        if set(person.sounds) != set(first.sounds):
            other = sorted(set(person.sounds) ^ set(first.sounds))
            return f"{who} heard different pieces ({_checks.listed(other, 3)}), so their surrogates are not the same"
        for name in _SURROGATES:
            if differ([first, person], name):
                advice = ". Give all participants the same rng" if name == "rng" else ""
                return f"surrogates of {who} were drawn with different {name}{advice}"
        if person.null.shape[1] != first.null.shape[1]:
            return f"{who} have different numbers of surrogates"
    return ""


def notes_on(people: Sequence[Tracking], gain: Sequence[np.ndarray], names: Sequence[str]) -> list[str]:
    """What differs between participants, who lacks which channels, and what was noted of each."""
    unlike = sorted(name for name in people[0].settings if name not in _SURROGATES and differ(people, name))
    notes = [f"participants differ in {', '.join(unlike)}"] if unlike else []
    for what, words in (("highpass", "high-pass"), ("lowpass", "low-pass"), ("custom_ref_applied", "reference")):
        if len({person.info[what] for person in people}) > 1:
            notes.append(f"recordings differ in their {words}")
    known = np.isfinite(np.stack(gain)).all(axis=1)  # participants, channels
    fewest, most = known.sum(axis=1).min(), known.sum(axis=1).max()
    if fewest < most:
        notes.append(f"participants have {fewest} to {most} channels; a region is summarised over those that each has")
    for name, some in zip(names, known.T, strict=True):
        lack = [person.participant for person, has in zip(people, some, strict=True) if not has]
        if len(lack) == len(people):
            notes.append(f"{name}: no participant has a value")
        elif lack:
            notes.append(f"{name}: without {_checks.listed(lack)}")
    return notes + [f"{person.participant}: {note}" for person in people for note in person.notes]
