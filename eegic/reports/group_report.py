"""The report of a group."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from eegic import viz
from eegic.reports import of_group as words
from eegic.reports import of_participant
from eegic.reports.claims import claims
from eegic.reports.group_tables import add_mixed, add_tests, table_of
from eegic.reports.numbers import NONE, counted, level, p_value, seconds, signed
from eegic.reports.page import LONGEST_TITLE, Page, as_rows, check_about, check_notes, check_target
from eegic.results import GroupResult, Tracking
from eegic.results.group import EVERYWHERE


def report_group(
    group: GroupResult | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    about: str | None = None,
    mixed: object = None,
    participants: Iterable[Tracking | str | os.PathLike[str]] | None = None,
    missing: Mapping[str, str] | None = None,
    left_out: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    progress: bool = True,
) -> None:
    """Write what was done with a group, and which claims that supports, as one HTML file that needs nothing else.

    Parameters
    ----------
    group : GroupResult, or path to a saved one
    path : path
        Of the file to write, ``.html``; one that is there is replaced.
    about : str, optional
        What the models and the data are, in your words; the report opens with it. Blank lines part paragraphs.
    mixed : MixedModel or DataFrame, optional
        As `mixed_model` gives it: the claim about other listeners with other pieces.
    participants : iterable of Tracking, or of paths to saved ones, optional
        Results that went into the group, for trials, minutes and channels of each participant. Those that the group
        does not have are listed as left out.
    missing : dict of str to str, optional
        Participants who should be in the group and are not, and why: recordings that could not be read, say. An empty
        text for a reason that nobody knows.
    left_out : dict of str to str, optional
        Participants who were left out by decision, and why.
    notes : sequence of str
        What else there is to know, such as warnings that came up; listed, as they are, with the notes of the group.
    progress : bool
        True counts the figures, in a terminal, when drawing them takes longer than two seconds.

    Examples
    --------
    >>> import eegic as ei
    >>> group = ei.GroupResult.load("group.npz")  # doctest: +SKIP
    >>> ei.report_group(group, "group.html", mixed=ei.mixed_model(group))  # doctest: +SKIP
    """
    check_target(path)
    check_about(about)
    check_notes(notes)
    group = _group(group)
    missing, left_out = _absent(group, "missing", missing), _absent(group, "left_out", left_out)
    table, people = table_of(mixed), _people(participants)
    page = Page(_title(group), progress=progress)
    page.section("What was done")
    if about:
        page.prose(about)
    page.prose(words.methods(group, missing, left_out))
    page.section("What came out")
    page.cards(claims(group, mixed))
    add_tests(page, group)
    if table is not None:
        add_mixed(page, group, mixed, table)
    page.bullets(words.quality(group))
    page.prose(words.reading(group))
    page.section("Figures")
    _add_figures(page, group)
    page.section("Participants")
    _add_participants(page, group, people, {**missing, **left_out}, notes)
    page.section("Settings and versions")
    _add_settings(page, group)
    page.save(path)


def _group(group: object) -> GroupResult:
    """The group, from its file where only that is named."""
    if isinstance(group, (str, os.PathLike)):
        return GroupResult.load(group)
    if not isinstance(group, GroupResult):
        advice = (
            "`report_participant` writes the report of one participant."
            if isinstance(group, Tracking)
            else "Put results together first: `group_test([one, other, ...])`."
        )
        raise TypeError(
            f"group: expected a GroupResult, or a path to a saved one, got {type(group).__name__}. {advice}"
        )
    return group


def _title(group: GroupResult) -> str:
    """Who, and which models, unless their names are too long for a title."""
    people = f"{len(group.participants)} participants"
    named = f"{people}: tracking of {', '.join(group.models)}"
    return named if len(named) <= LONGEST_TITLE else f"{people}, {counted(len(group.models), 'model')}"


def _people(participants: object) -> dict[str, Tracking]:
    """Results by participant."""
    if participants is None:
        return {}
    if isinstance(participants, (Tracking, str, os.PathLike)) or not isinstance(participants, Iterable):
        raise TypeError(
            f"participants: expected several results, got {type(participants).__name__}. Write [one, other, ...]."
        )
    found: dict[str, Tracking] = {}
    for number, one in enumerate(participants):
        person = Tracking.load(one) if isinstance(one, (str, os.PathLike)) else one
        if not isinstance(person, Tracking):
            raise TypeError(
                f"participants[{number}]: expected a Tracking, or a path to a saved one, got {type(person).__name__}."
            )
        found[person.participant] = person
    return found


def _absent(group: GroupResult, name: str, people: object) -> dict[str, str]:
    """Who is not in the group, and why, in order."""
    if people is None:
        return {}
    if not isinstance(people, Mapping):
        raise TypeError(
            f"{name}: expected a dictionary from participants to reasons, got {type(people).__name__}. "
            "Write {'sub-03': 'slept'}."
        )
    for who, why in people.items():
        if not (isinstance(who, str) and isinstance(why, str)):
            raise TypeError(f"{name}: expected texts, got {who!r}: {why!r}. Write {{'sub-03': 'slept'}}.")
        if who in group.participants:
            raise ValueError(f"{name}: {who!r} is in the group. Name those who are not.")
    return dict(sorted(people.items()))


def _add_figures(page: Page, group: GroupResult) -> None:
    bar = level(group.settings["level"])
    page.figure(
        partial(viz.plot_delta_r, group),
        "Corrected Δr of every model: mean and standard error over participants, and every participant.",
    )
    page.figure(
        partial(viz.plot_topography, group),
        f"Corrected Δr of every channel, mean over participants. Marked: p < {bar} for new listeners, corrected for "
        "all channels and models. Crossed out: no value.",
    )
    if any(np.isfinite(noise) for _, noise in group.conditions.values()):
        page.figure(
            partial(viz.plot_noise_profile, group),
            "Corrected Δr over noise levels, mean and standard error over participants. The highest level was seen in "
            "these data.",
        )
    for name in group.models:
        page.figure(
            partial(viz.plot_trf, group, model=name),
            f"Kernels of {name}, mean and standard error over participants, where its corrected Δr is largest.",
        )
    if group.shared:
        median = " The table above has the median over channels, so its p-value may differ."
        other = median if group.settings["over"] == "median" else ""
        page.figure(
            partial(viz.plot_null, group),
            "Gain in r, mean over participants and channels, with the features in their places and in surrogates that "
            f"exchange the pieces.{other}",
        )


def _add_participants(
    page: Page,
    group: GroupResult,
    people: Mapping[str, Tracking],
    reasons: Mapping[str, str],
    notes: Sequence[str],
) -> None:
    row = group.region_row(EVERYWHERE)
    details = ("Trials", "EEG used", "Channels") if people else ()
    page.table(
        "Corrected gain of every participant",
        ("Participant", *details, *(f"{name} (p)" for name in group.models)),
        (
            (
                name,
                *(_details(people.get(name)) if people else ()),
                *(
                    f"{signed(group.summary[model, row, number])} ({p_value(group.region_p[model, row, number])})"
                    for model in range(len(group.models))
                ),
            )
            for number, name in enumerate(group.participants)
        ),
    )
    page.prose(
        f"Corrected Δr, {group.settings['over']} over channels, and the one-sided p-value of the participant alone.",
        kind="note",
    )
    left = [name for name in people if name not in group.participants]
    if left:
        page.heading("Left out")
        page.bullets(words.with_reason([name], reasons.get(name, "")) for name in left)
    page.heading("Notes")
    page.bullets((*group.notes, *notes) or ("none",))


def _details(person: Tracking | None) -> tuple[str, str, str]:
    if person is None:
        return NONE, NONE, NONE
    known = int(np.isfinite(person.gain).any(axis=0).sum())
    return str(len(person.stimuli)), seconds(of_participant.used_time(person)), f"{known} of {len(person.ch_names)}"


def _add_settings(page: Page, group: GroupResult) -> None:
    own = {name: value for name, value in group.settings.items() if name != "each"}
    each: dict[str, Any] = group.settings["each"]
    page.prose(f"Seeds: {group.settings['rng']} of the group, {each.get('rng', 'different ones')} of the participants.")
    page.heading("Of the group")
    page.table("Settings of the group", ("Setting", "Value"), as_rows(own), words=True)
    page.heading("Of every participant")
    page.table("Settings that participants share", ("Setting", "Value"), as_rows(each), words=True)
    page.heading("Versions")
    page.table("Versions", ("Package", "Version"), as_rows(group.versions), words=True)
    page.heading("The same test again")
    page.code("Code that repeats the test", repeating(group))


def repeating(group: GroupResult) -> str:
    """Python that repeats the test of the `results` of participants."""
    conditions = ", ".join(
        f"{name!r}: ({family!r}, {noise!r})" if np.isfinite(noise) else f"{name!r}: ({family!r}, float('nan'))"
        for name, (family, noise) in group.conditions.items()
    )
    regions = {name: list(own) for name, own in group.regions.items() if name != EVERYWHERE}
    given = {"conditions": f"{{{conditions}}}", "regions": repr(regions or None)}
    given |= {name: repr(group.settings[name]) for name in ("over", "n_flips", "level", "rng")}
    lines = ["results", *(f"{name}={value}" for name, value in given.items())]
    return "import eegic\n\ngroup = eegic.group_test(\n" + "".join(f"    {line},\n" for line in lines) + ")"
