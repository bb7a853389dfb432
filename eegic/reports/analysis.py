"""What holds for the analysis of one participant and of many, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic.reports.numbers import counted, general, signed, span, together
from eegic.results import GroupResult, Tracking

if TYPE_CHECKING:
    import mne

_EXCHANGES = {
    "repair": "pieces exchanged {what}",
    "pseudo": "pieces that nobody heard lent {what}",
    "shift": "{what} moved in time, by at least the length of the kernel and {autocorrelation} s",
    "events": "the values of the added features moved, in order, over their own onsets",
}
_PENALTIES = {"ridge": "Ridge regression", "smooth": "Regression that penalises rough kernels"}
_REST = "what the lagged baseline does not explain of the added features"


def recording(info: mne.Info, what: str = "recording") -> str:
    """Filters and reference, as the recording (or the `recordings`) names them."""
    low, high = info["highpass"] or 0.0, info["lowpass"] or np.inf
    high = high if high < info["sfreq"] / 2 else np.inf  # half the rate is no filter
    passed, moved = "", "a change of reference" if info["custom_ref_applied"] else ""
    if low and np.isfinite(high):
        passed = f"a filter to {span(low, high, 'Hz')}"
    elif low or np.isfinite(high):
        passed = f"a {'high' if low else 'low'}-pass at {general(low or high)} Hz"
    carry = f"The {what} {'carry' if what.endswith('s') else 'carries'}"
    if passed and moved:
        return f"{carry} notes of {passed} and of {moved}."
    if passed or moved:
        return f"{carry} a note of {passed or moved}, and none of a {'change of reference' if passed else 'filter'}."
    return f"{carry} no note of a filter or of a change of reference."


def baseline_features(result: Tracking | GroupResult) -> str:
    """The features of the reduced model."""
    return f"the baseline feature{'s' if len(result.baseline) > 1 else ''} {together(result.baseline, 40)}"


def added_features(result: Tracking | GroupResult) -> str:
    """What full models have besides."""
    models = result.models
    if all(own == (name,) for name, own in models.items()):
        features = together(models, 40)
        return f"{features} (full model)" if len(models) == 1 else f"one of {features} (full models)"
    parts = [f"{together(own, 40)} (full model “{name}”)" for name, own in models.items()]
    return ", or ".join(parts)


def lags(result: Tracking | GroupResult, settings: Mapping[str, Any]) -> str:
    """The window of the kernels."""
    first, last = 1000 * result.lags[[0, -1]]
    several = isinstance(settings.get("tmin"), list) or isinstance(settings.get("tmax"), list)
    whose = "Windows differ between features and" if several else "Kernels"
    return f"{whose} span lags of {span(round(first), round(last), 'ms')} (positive: the EEG follows the sound)."


def estimation(settings: Mapping[str, Any], folds: str) -> str:
    """How kernels were estimated and scored."""
    grid = np.ravel(settings.get("alphas", []))
    ridge = _PENALTIES.get(settings.get("penalty", ""), "Regularised regression")
    if "alphas" not in settings:
        choice = "with regularisation; no single grid of it is on record"
    elif len(grid) == 1:
        choice = f"with a regularisation of {general(grid[0])}, relative to the number of samples"
    else:
        whose = {"True": "a regularisation for each channel", "False": "one regularisation for all channels"}
        choice = (
            f"with {whose.get(str(settings.get('per_channel')), 'a regularisation')}, chosen among "
            f"{counted(len(grid), 'value')} from {general(grid.min())} to {general(grid.max())}, relative to the "
            "number of samples, by cross-validation within the training data"
        )
    return f"{ridge} was used, {choice}. {folds} The score is the correlation r of held-out EEG with its prediction."


def held_out(settings: Mapping[str, Any], n_folds: int | None = None, n_pieces: int | None = None) -> str:
    """Which part was predicted from which, as far as it is known."""
    n_folds = n_folds or settings.get("n_folds")
    if settings.get("gap") is not None:
        return (
            f"Trials were cut into {n_folds or 'several'} blocks of time that were held out in turn, without the first "
            f"{general(settings['gap'])} s of each but the first; what is held out is another part of the same pieces."
        )
    if "n_folds" in settings and n_folds in (None, n_pieces):
        return "One piece at a time was held out, with all its presentations."
    return f"Pieces were held out{f' in {n_folds} folds' if n_folds else ''}, all presentations of a piece together."


def null(settings: Mapping[str, Any]) -> str:
    """What surrogates exchange, and what they repeat."""
    scheme = settings.get("null", "repair")
    conditional = settings.get("conditional", True) and scheme != "events"
    what = _REST if conditional else "the added features"
    exchange = _EXCHANGES[scheme].format(what=what, autocorrelation=general(settings.get("autocorrelation", 1.0)))
    kept = "; what it does explain stayed in place" if conditional else ""
    return (
        "The gain Δr is r of the full model less r of the reduced one. What it is by chance was taken from surrogates, "
        f"in which {exchange}{kept}. {_again(settings)}"
    )


def _again(settings: Mapping[str, Any]) -> str:
    """What was done with each surrogate, as far as it is known."""
    if np.size(settings.get("alphas", [])) == 1:
        return "In each, models were fitted and scored anew, with the same regularisation."
    if settings.get("refit_alpha") is False:
        return "In each, models were fitted and scored anew, with the regularisation that was chosen in the real data."
    if "alphas" in settings and "refit_alpha" in settings:
        return "The whole analysis was repeated in each, with its search for the regularisation."
    return "In each, models were fitted and scored anew."


def why_not_zero(centres: Collection[float], where: str = "") -> str:
    """Why raw Δr is not to be compared with zero, given the centre of each null; true on either side of zero."""
    low, high = signed(min(centres)), signed(max(centres))
    return (
        "Raw Δr is not to be compared with zero. A feature that tells nothing costs accuracy on held-out EEG, so its "
        "raw Δr is mostly below zero; how far, and whether at all, depends on the data. What it would be without an "
        f"effect is the mean of the surrogates, here {low if low == high else f'{low} to {high}'}{where}. Corrected "
        "Δr is raw Δr less that in each channel, and zero on average when nothing is there."
    )
