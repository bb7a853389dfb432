"""What concerns channels: the same ones for everybody, which are bad, and what is made of several."""

from __future__ import annotations

import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks
from eegic.eeg.participant import Participant, Trial

if TYPE_CHECKING:
    import mne

_OTHER_NAMES = {"t3": "t7", "t4": "t8", "t5": "p7", "t6": "p8"}  # of the same places
NEIGHBOURS = 4  # close enough for blinks to reach them too
_COHERENT = 0.5  # correlation of the median channel with another, below which a low one says nothing
_ENOUGH_POSITIONS = 4  # of good channels, to interpolate from
_GRID = 10.0  # millimetres between the sources of the REST reference
_REREFERENCED = "re-referenced to "


def same_channels(participants: Iterable[Participant], *, channels: str = "all") -> list[Participant]:
    """Give participants the same channels in the same order, matched by name.

    Parameters
    ----------
    participants : iterable of Participant
        Of the same sampling rate. Different references are warned of.
    channels : {"all", "intersection"}
        ``all`` refuses participants whose channels differ. ``intersection`` keeps what all have, and says in the
        history of everybody what was left out.

    Returns
    -------
    list of Participant
        With the channels in the order of the first participant. Bad channels stay bad, each participant's own.

    Notes
    -----
    Names must be equal to the letter: ``Fp1``, ``FP1`` and ``EEG Fp1-REF`` are three names. Where one may stand for
    another, the message says so; whether it does is for you to decide.

    Examples
    --------
    >>> eeg = 1e-5 * np.random.default_rng(0).standard_normal((64, 3))
    >>> one = Participant.from_arrays([eeg], ["bach"], 64.0, ch_names=["Fz", "Cz", "Pz"])
    >>> other = Participant.from_arrays([eeg], ["bach"], 64.0, ch_names=["Pz", "Fz", "Cz"], bads=["Pz"])
    >>> [person.ch_names for person in same_channels([one, other])]
    [('Fz', 'Cz', 'Pz'), ('Fz', 'Cz', 'Pz')]
    """
    if isinstance(participants, Participant):
        raise TypeError("participants: expected several, got a single one. Write [participant].")
    people = list(participants)
    for number, person in enumerate(people):
        if not isinstance(person, Participant):
            raise TypeError(f"participants[{number}]: expected a Participant, got {type(person).__name__}.")
    _checks.one_of("channels", channels, ("all", "intersection"))
    if not people:
        raise ValueError("participants: expected at least one, got none.")
    _check_rates(people)
    _warn_of_references(people)
    kept = [name for name in people[0].ch_names if all(name in person.ch_names for person in people)]
    lost = list(dict.fromkeys(name for person in people for name in person.ch_names if name not in kept))
    if not lost:
        return [_picked(person, kept) for person in people]
    differences = _differences(people, lost)
    if channels == "all":
        raise ValueError(
            f"Participants have different channels. {differences}Rename what is the same, "
            f"`mne.rename_channels(participant.info, {{old: new}})`, or pass channels='intersection' to keep the "
            f"{len(kept)} that all have."
        )
    if not kept:
        raise ValueError(f"Participants have no channel in common. {differences}")
    if _alike(lost):
        warnings.warn(f"Channels left out may be the same under two names. {differences}", stacklevel=2)
    having = [f"{name} ({sum(name in person.ch_names for person in people)})" for name in lost]
    note = (
        f"channels: kept the {len(kept)} that all {len(people)} participants have; left out (and how many have it): "
        + ", ".join(having)
    )
    return [_picked(person, kept, note) for person in people]


def bad_by_statistics(
    trials: Iterable[tuple[np.ndarray, np.ndarray]],
    info: mne.Info,
    known: Collection[str],
    *,
    max_sd: float,
    min_sd: float,
    min_correlation: float,
    max_share: float,
) -> tuple[dict[str, str], list[str]]:
    """Judge channels by their SD beside that of their neighbours, and by their correlation with any other.

    Parameters
    ----------
    trials : iterable of (eeg, usable)
        Arrays (n_times, n_channels) and (n_times,); filtered to the band that counts.
    info : mne.Info
        Names and positions.
    known : collection of str
        Channels known to be bad: they are nobody's neighbours.
    max_sd, min_sd, min_correlation, max_share : float
        As in `eegic.eeg.quality.find_bad_channels`.

    Returns
    -------
    reasons : dict of str to str
        Why each channel that is not in `known` is bad.
    notes : list of str
        Which rule could not be applied.
    """
    names = np.array(info["ch_names"])
    good = ~np.isin(names, list(known))
    if good.sum() < 3:
        return {}, ["bad channels: SD and correlation not judged, for want of three channels"]
    rows = [_spread_and_correlation(eeg[usable]) for eeg, usable in trials if usable.sum() > 2]
    if not rows:
        return {}, ["bad channels: SD and correlation not judged, for want of usable samples"]
    weights = np.array([n for n, _, _ in rows]) / sum(n for n, _, _ in rows)
    correlation = np.tensordot(weights, np.array([r for _, _, r in rows]), axes=1)
    np.fill_diagonal(correlation, 0)
    nearest = _nearest(info, correlation)
    reasons = _by_sd(np.array([sd for _, sd, _ in rows]), weights, names, nearest, good, max_sd, min_sd, max_share)
    kept = np.flatnonzero(good & ~np.isin(names, list(reasons)))
    best = correlation[np.ix_(kept, kept)].max(axis=0)
    typical = float(np.median(best))
    if typical < _COHERENT:
        return reasons, [
            f"bad channels: correlation not judged, as that of the median channel is {typical:.2f} at most: too few "
            "channels, or too far apart"
        ]
    for channel, r in zip(kept, best, strict=True):
        if r < min_correlation * typical:
            reasons[str(names[channel])] = f"correlation {r:.2f} at most, the median channel {typical:.2f}"
    return {name: reasons[name] for name in info["ch_names"] if name in reasons}, []


def spatial_operator(
    info: mne.Info,
    bads: Sequence[str],
    *,
    interpolate: bool,
    reference: str | Sequence[str] | None,
    forward: mne.Forward | None,
    where: str,
) -> tuple[np.ndarray, mne.Info, list[str]]:
    """Interpolation and reference as one matrix: MNE's answer to each channel alone.

    Returns
    -------
    operator : ndarray, shape (n_channels, n_channels)
        From recorded channels (columns) to those that come out (rows).
    info : mne.Info
        Of what comes out: channels that stay bad, and whether the reference was changed.
    notes : list of str
        What was done.
    """
    import mne

    info = info.copy()
    info["bads"] = list(bads)
    raw = mne.io.RawArray(np.eye(len(info["ch_names"])), info, verbose="error")
    notes = []
    if interpolate and bads:
        notes += _interpolate(raw)
    if reference is not None:
        notes.append(_rereference(raw, reference, bads, forward, where))
    return raw.get_data(), raw.info, notes


def positioned(info: mne.Info) -> np.ndarray:
    """Which channels have a position, shape (n_channels,)."""
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    return np.asarray(np.isfinite(places).all(axis=1) & places.any(axis=1))


def _interpolate(raw: mne.io.RawArray) -> list[str]:
    placed = positioned(raw.info)
    bad = np.isin(raw.ch_names, raw.info["bads"])
    names = np.array(raw.ch_names)
    possible = (placed & ~bad).sum() >= _ENOUGH_POSITIONS
    done, left = names[bad & placed & possible], names[bad & ~(placed & possible)]
    notes = []
    if len(done):
        raw.interpolate_bads(exclude=list(names[~placed]), on_bad_position="ignore", verbose="warning")
        notes.append(f"interpolated {', '.join(done)} by spherical splines from {(placed & ~bad).sum()} channels")
    if len(left):
        notes.append(f"not interpolated, for want of positions: {', '.join(left)}")
    return notes


def _rereference(
    raw: mne.io.RawArray,
    reference: str | Sequence[str],
    bads: Sequence[str],
    forward: mne.Forward | None,
    where: str,
) -> str:
    good = [name for name in raw.ch_names if name not in raw.info["bads"]]
    if isinstance(reference, str) and reference in ("average", "REST") and len(good) < 2:
        raise ValueError(f"{where}: reference: {reference} needs two good channels, there is one. Pass reference=None.")
    if reference == "average":
        raw.set_eeg_reference("average", verbose="error")
        return f"{_REREFERENCED}the average of {len(good)} channels"
    if reference == "REST":
        raw.set_eeg_reference("REST", forward=forward or _head_model(raw.info, good, where), verbose="error")
        model = "a given head model" if forward else "a spherical head model"
        return f"{_REREFERENCED}a point at infinity (REST, {model}, {len(good)} channels)"
    names = [reference] if isinstance(reference, str) else list(reference)
    if not names:
        raise ValueError(f"{where}: reference: expected channels, got none. None leaves the reference as it is.")
    for name in names:
        _checks.one_of(f"{where}: reference", name, ["average", "REST", *raw.ch_names])
        if name in bads:
            raise ValueError(f"{where}: reference: {name} is a bad channel. Name others, or 'average'.")
    _checks.unique_names(f"{where}: reference", names, len(names), "channel")
    raw.set_eeg_reference(names, verbose="error")
    if len(names) == 1:  # zero from now on
        raw.info["bads"] = [*raw.info["bads"], *names]
        return f"{_REREFERENCED}{names[0]}, which is zero by that and counts as bad"
    return f"{_REREFERENCED}the mean of {', '.join(names)}"


def _head_model(info: mne.Info, good: Sequence[str], where: str) -> mne.Forward:
    import mne

    lacking = [name for name in np.array(info["ch_names"])[~positioned(info)] if name in good]
    if lacking:
        raise ValueError(
            f"{where}: reference: REST needs the position of every good channel, and {len(lacking)} have none: "
            f"{', '.join(lacking[:5])}{', ...' if len(lacking) > 5 else ''}. Give a montage, mark them as bad, or "
            "choose another reference."
        )
    picked = mne.pick_info(info, [info["ch_names"].index(name) for name in good])
    sphere = mne.make_sphere_model("auto", "auto", picked, verbose="error")
    sources = mne.setup_volume_source_space(sphere=sphere, exclude=30.0, pos=_GRID, verbose="error")
    return mne.make_forward_solution(picked, trans=None, src=sources, bem=sphere, verbose="error")


def _spread_and_correlation(eeg: np.ndarray) -> tuple[int, np.ndarray, np.ndarray]:
    """Samples, SD of each channel, and magnitude of the correlation of each two; 0 for channels that are constant."""
    sd = eeg.std(axis=0)
    scores = (eeg - eeg.mean(axis=0)) / np.where(sd > 0, sd, np.inf)
    return len(eeg), sd, np.abs(scores.T @ scores) / len(eeg)


def _by_sd(
    sd: np.ndarray,
    weights: np.ndarray,
    names: np.ndarray,
    nearest: np.ndarray,
    good: np.ndarray,
    most: float,
    least: float,
    share: float,
) -> dict[str, str]:
    """Find the channel that breaks the rule worst, leave it out, and look again; `sd` is (n_trials, n_channels)."""
    good = good.copy()
    reasons: dict[str, str] = {}
    while good.sum() > 2:
        ratio = np.ones(sd.shape)
        for channel in np.flatnonzero(good):
            near = [other for other in nearest[channel] if good[other]][:NEIGHBOURS]
            level = np.median(sd[:, near], axis=1)
            ratio[:, channel] = sd[:, channel] / np.where(level > 0, level, np.inf)
        broken = (ratio > most) | (ratio < least)
        how_often = weights @ broken
        if not (how_often > share).any():
            break
        size = weights @ np.abs(np.log(np.maximum(ratio, np.finfo(float).tiny)))
        worst = int(np.argmax(np.where(how_often > share, size, -1)))
        good[worst] = False
        times = np.median(ratio[broken[:, worst], worst])
        reasons[str(names[worst])] = f"SD {times:.2g} times its neighbours' in {how_often[worst]:.0%} of the time"
    return reasons


def _nearest(info: mne.Info, correlation: np.ndarray) -> np.ndarray:
    """The other channels from near to far, or from alike to unlike where a position is not known, one row each."""
    places = np.array([channel["loc"][:3] for channel in info["chs"]])
    placed = positioned(info)
    both = placed[:, None] & placed
    distance = np.linalg.norm(places[:, None] - places, axis=2)
    far = np.where(both, distance, 10 - correlation)  # heads are smaller than 9 m
    np.fill_diagonal(far, np.inf)
    return np.argsort(far, axis=1)[:, :-1]


def _check_rates(people: Sequence[Participant]) -> None:
    first = people[0]
    for person in people:
        if not np.isclose(person.sfreq, first.sfreq, rtol=1e-6, atol=0):
            raise ValueError(
                f"{person.name} is sampled at {person.sfreq:g} Hz, {first.name} at {first.sfreq:g} Hz. Bring all to "
                "one rate first: `preprocess(participant, sfreq=...)`."
            )


def _warn_of_references(people: Sequence[Participant]) -> None:
    groups: dict[str, list[str]] = {}
    for person in people:
        state = "changed" if person.info["custom_ref_applied"] else "as recorded"
        told = [re.sub(r"\d+ channels", "channels", step) for step in person.history if step.startswith(_REREFERENCED)]
        groups.setdefault(told[-1].removeprefix(_REREFERENCED) if told else state, []).append(person.name)
    if len(groups) > 1:
        listed = "; ".join(f"{state}: {', '.join(names)}" for state, names in groups.items())
        warnings.warn(
            f"Participants have different references ({listed}). Give all the same: "
            "`preprocess(participant, reference='average')`.",
            stacklevel=3,
        )


def _picked(person: Participant, names: list[str], note: str | None = None) -> Participant:
    import mne

    history = person.history if note is None else (*person.history, note)
    if list(person.ch_names) == names:
        return person if note is None else replace(person, history=history)
    columns = [person.ch_names.index(name) for name in names]
    trials = []
    for trial in person.trials:
        eeg = np.take(trial.eeg, columns, axis=1)
        eeg.setflags(write=False)
        trials.append(Trial(eeg, trial.stimulus, trial.mask))
    return Participant(person.name, tuple(trials), mne.pick_info(person.info, columns), history)


def _differences(people: Sequence[Participant], lost: Sequence[str]) -> str:
    """Who lacks what, and which names may mean the same."""
    sentences = []
    for person in people:
        lacks = [name for name in lost if name not in person.ch_names]
        if lacks:
            sentences.append(f"{person.name} lacks {', '.join(lacks)}. ")
    alike = _alike(lost)
    if alike:
        sentences.append(f"These may be the same: {'; '.join(' = '.join(names) for names in alike)}. ")
    return "".join(sentences)


def _alike(names: Sequence[str]) -> list[list[str]]:
    """Names that differ in writing only, or are old and new names of one place."""
    groups: dict[str, list[str]] = {}
    for name in names:
        bare = re.sub(r"^eeg|[-_ ](ref|le|re|avg|a1|a2|m1|m2)$|[\W_]", "", name.casefold())
        groups.setdefault(_OTHER_NAMES.get(bare, bare), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
