"""Results in sentences, for the methods and results of a paper: ``print(eegic.reports.words.methods(result))``."""

from __future__ import annotations

from eegic.reports import of_group, of_participant
from eegic.results import GroupResult, Tracking


def methods(result: Tracking | GroupResult) -> str:
    """What was done, with the numbers filled in.

    Parameters
    ----------
    result : Tracking or GroupResult

    Returns
    -------
    str
        Paragraphs, with a blank line between them.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(1, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> result = ei.cortical_tracking(study.participants[0], study.envelopes, study.surprisal, tmax=0.25,
    ...                               alphas=[0.1], n_null=23, rng=0)
    >>> print(methods(result).split(".")[0])
    The EEG of sub-01 was analysed: 4 trials of 4 pieces, 32 s in all, all of which was used
    """
    _check(result)
    return of_group.methods(result) if isinstance(result, GroupResult) else of_participant.methods(result)


def findings(result: Tracking | GroupResult) -> str:
    """What came out, and how to read it.

    Parameters
    ----------
    result : Tracking or GroupResult

    Returns
    -------
    str
        Paragraphs, with a blank line between them: one per model, then what the numbers do not say.
    """
    _check(result)
    return of_group.findings(result) if isinstance(result, GroupResult) else of_participant.findings(result)


def quality(result: Tracking | GroupResult) -> list[str]:
    """What to know before the numbers are trusted; ``result.notes`` says what was left out besides.

    Parameters
    ----------
    result : Tracking or GroupResult

    Returns
    -------
    list of str
        A sentence or two each.
    """
    _check(result)
    return of_group.quality(result) if isinstance(result, GroupResult) else of_participant.quality(result)


def _check(result: object) -> None:
    if not isinstance(result, (Tracking, GroupResult)):
        raise TypeError(
            f"result: expected a Tracking or a GroupResult, got {type(result).__name__}. Load a saved one: "
            "`Tracking.load(path)`, `GroupResult.load(path)`."
        )
