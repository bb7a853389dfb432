"""The report of one participant."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from eegic import viz
from eegic.eeg import Offsets, Participant
from eegic.reports import of_participant as words
from eegic.reports.figures import plot_trials
from eegic.reports.numbers import counted, interval, p_value, percent, plain, signed
from eegic.reports.page import LONGEST_TITLE, Page, as_rows, check_about, check_notes, check_target
from eegic.results import GroupResult, Tracking


def report_participant(
    result: Tracking | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    about: str | None = None,
    offsets: Offsets | None = None,
    quality: Participant | Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    progress: bool = True,
) -> None:
    """Write what was done with one participant, and what came out, as one HTML file that needs nothing else.

    Parameters
    ----------
    result : Tracking, or path to a saved one
    path : path
        Of the file to write, ``.html``; one that is there is replaced.
    about : str, optional
        What the models and the data are, in your words; the report opens with it. Blank lines part paragraphs.
    offsets : Offsets, optional
        As `offset_profile` gives them: adds the figure of the alignment of sound and EEG.
    quality : Participant, or dict of str to str, optional
        The participant that was analysed, whose history then stands in the report; or why channels are bad, as
        `find_bad_channels` says.
    notes : sequence of str
        What else there is to know, such as warnings that came up; listed, as they are, with the notes of the analysis.
    progress : bool
        True counts the figures, in a terminal, when drawing them takes longer than two seconds.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> result = ei.cortical_tracking(study.participants[0], study.envelopes, study.surprisal, tmax=0.3,
    ...                               alphas=[0.1], n_null=23, rng=0)
    >>> ei.report_participant(result, "sub-01.html", quality=study.participants[0])  # doctest: +SKIP
    """
    check_target(path)
    check_about(about)
    check_notes(notes)
    file = Path(result).name if isinstance(result, (str, os.PathLike)) else "result.npz"
    result = _tracking(result)
    _check_extras(result, offsets, quality)
    page = Page(_title(result), progress=progress)
    page.section("What was done")
    if about:
        page.prose(about)
    page.prose(words.methods(result))
    page.section("What came out")
    _add_scores(page, result)
    page.section("Figures")
    _add_figures(page, result)
    page.section("Quality")
    _add_quality(page, result, offsets, quality, notes)
    page.section("Settings and versions")
    _add_settings(page, result, file)
    page.save(path)


def _tracking(result: object) -> Tracking:
    """The result, from its file where only that is named."""
    if isinstance(result, (str, os.PathLike)):
        return Tracking.load(result)
    if not isinstance(result, Tracking):
        advice = " `report_group` writes the report of a group." if isinstance(result, GroupResult) else ""
        raise TypeError(f"result: expected a Tracking, or a path to a saved one, got {type(result).__name__}.{advice}")
    return result


def _title(result: Tracking) -> str:
    """Who, and which features, unless their names are too long for a title."""
    named = f"{result.participant}: tracking of {', '.join(result.added)}"
    few = f"{result.participant}: tracking of {counted(len(result.added), 'feature')}"
    return named if len(named) <= LONGEST_TITLE else few


def _check_extras(result: Tracking, offsets: object, quality: object) -> None:
    if offsets is not None and not isinstance(offsets, Offsets):
        raise TypeError(f"offsets: expected Offsets, as `offset_profile` gives them, got {type(offsets).__name__}.")
    if quality is not None and not isinstance(quality, (Participant, Mapping)):
        raise TypeError(
            f"quality: expected the Participant, or a dictionary from channel to what is bad about it, got "
            f"{type(quality).__name__}."
        )
    for name, whose in (
        ("offsets", getattr(offsets, "participant", result.participant)),
        ("quality", getattr(quality, "name", result.participant)),
    ):
        if whose != result.participant:
            raise ValueError(f"{name}: expected those of {result.participant!r}, got those of {whose!r}.")


def _add_scores(page: Page, result: Tracking) -> None:
    head = ("Model", "r reduced", "r full", "Raw Δr", "Null centre", "Corrected Δr ± SE", "p", "Channels with p < .05")
    page.table(
        "Scores of every model, means over channels",
        head,
        (
            (
                name,
                plain(row["r_reduced"], 4),
                plain(row["r_full"], 4),
                signed(row["raw"]),
                signed(row["null"]),
                f"{signed(row['corrected'])} ± {plain(row['se'], 4)}",
                p_value(row["p"]),
                f"{row['found']} of {row['channels']}",
            )
            for name, row in words.scores(result).items()
        ),
    )
    page.prose(
        "Means over channels. SE: standard error of corrected Δr when nothing is there. p: one-sided, of the mean over "
        "channels. Channels: p corrected for all channels" + (" and models." if len(result.models) > 1 else "."),
        kind="note",
    )
    page.prose(words.reading(result))


def _add_figures(page: Page, result: Tracking) -> None:
    several = " and models" if len(result.models) > 1 else ""
    page.figure(
        partial(viz.plot_topography, result),
        f"Corrected Δr of every channel. Marked: p < .05, corrected for channels{several}. Crossed out: no value.",
    )
    page.figure(
        partial(viz.plot_null, result),
        f"Gain in r with the features in their places, and in {counted(result.null.shape[1], 'surrogate')}.",
    )
    for name in result.models:
        page.figure(
            partial(viz.plot_trf, result, model=name),
            f"Kernels of {name}, at the channel that it predicts best, mean over folds.",
        )
    page.figure(
        partial(plot_trials, result),
        "Held-out r over trials. A trial far below the others may have been misaligned, or not listened to.",
    )


def _add_quality(page: Page, result: Tracking, offsets: Offsets | None, quality: object, notes: Sequence[str]) -> None:
    page.prose("\n\n".join(words.quality(result)))
    page.table(
        "Added features",
        ("Added feature", "Explained by the baseline", "Reliability of the rest"),
        (
            (name, percent(explained), percent(left) if left < 1 else "not known")
            for name, explained, left in zip(result.added, result.explained, result.reliability, strict=True)
        ),
    )
    if (result.reliability == 1).any():
        page.prose("Not known: no standard errors were given, so the feature counts as exact.", kind="note")
    if isinstance(quality, Mapping) and quality:
        page.heading("Channels")
        page.bullets(f"{name}: {reason}" for name, reason in quality.items())
    if result.ceiling is not None:
        page.table(
            "Noise ceiling",
            ("Channel", "Explainable variance", "95 % interval", "Highest r"),
            (
                (name, plain(share), interval(ends[0], ends[1], 3), plain(r) if known else "not defined")
                for name, share, ends, r, known in zip(
                    result.ch_names,
                    result.ceiling.explainable,
                    result.ceiling.interval.T,
                    result.ceiling.r,
                    result.ceiling.defined,
                    strict=True,
                )
            ),
        )
    if offsets is not None:
        page.heading("Alignment of sound and EEG")
        page.figure(partial(viz.plot_alignment_qc, offsets), f"Correlation of envelope and EEG. {offsets.verdict}")
    if isinstance(quality, Participant):
        page.heading("History of the recording")
        page.bullets(quality.history or ("nothing was noted",))
    page.heading("Notes of the analysis")
    page.bullets((*result.notes, *notes) or ("none",))


def _add_settings(page: Page, result: Tracking, file: str) -> None:
    page.prose(f"The seed of all random draws is {result.settings.get('rng', 'not known')}.")
    page.table("Settings", ("Setting", "Value"), as_rows(result.settings), words=True)
    page.table("Versions", ("Package", "Version"), as_rows(result.versions), words=True)
    page.heading("The same analysis again")
    page.code("Code that repeats the analysis", repeating(result))
    page.prose("Or, from the saved result:")
    page.code(
        "Code that repeats it from the file",
        f"settings = eegic.Tracking.load({file!r}).settings\n"
        "result = eegic.cortical_tracking(participant, baseline, added, **settings)",
    )


def repeating(result: Tracking) -> str:
    """Python that repeats the analysis of `participant`, given the features `baseline` and `added`."""
    given: dict[str, Any] = {name: repr(value) for name, value in result.settings.items() if name.isidentifier()}
    if result.settings.get("null") == "pseudo":
        given["pseudo"] = "pseudo"
    if result.ceiling is not None and result.ceiling.kind == "listeners":
        given["ceiling"] = "ceiling"
    lines = ["participant", "baseline", "added", *(f"{name}={value}" for name, value in given.items())]
    return "import eegic\n\nresult = eegic.cortical_tracking(\n" + "".join(f"    {line},\n" for line in lines) + ")"
