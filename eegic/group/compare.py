"""Compare two models in the same participants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eegic import _checks, stats
from eegic.group.alike import check_group
from eegic.results import GroupResult
from eegic.results.means import standard_error

if TYPE_CHECKING:
    import pandas as pd


def compare_models(
    group: GroupResult, model: str, other: str, *, by: str = "region", alternative: str = "two-sided"
) -> pd.DataFrame:
    """Does one model tell more than another about the EEG of the same listeners?

    Parameters
    ----------
    group : GroupResult
    model, other : str
        Names of two models; positive differences favour the first.
    by : {"region", "channel"}
        What gets a row.
    alternative : {"two-sided", "greater", "less"}

    Returns
    -------
    pandas.DataFrame
        A row per region or channel: ``n, difference, se, t, p, p_maxt`` by sign flips of the difference of corrected
        gains within participants, and ``d, d_low, d_high``, Cohen's d of the difference with a 95 % interval. `p_maxt`
        is corrected for all rows. It speaks of new listeners to these pieces.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(5, 6, duration=6, n_channels=4, snr=0.1, progress=False, rng=0)
    >>> added = {name: [study.surprisal[name], study.onsets[name]] for name in study.stimuli}
    >>> results = [ei.cortical_tracking(person, study.envelopes, added, tmax=0.3, alphas=[0.1], n_folds=3,
    ...                                 n_null=99, rng=0, progress=False) for person in study.participants]
    >>> row = compare_models(ei.group_test(results), *results[0].models).iloc[0]
    >>> bool(row["difference"] > 0), int(row["n"])
    (True, 5)
    """
    import pandas as pd

    check_group(group)
    _checks.one_of("by", by, ("region", "channel"))
    first, second = (list(group.models).index(_checks.one_of("model", one, group.models)) for one in (model, other))
    if first == second:
        raise ValueError(f"model, other: expected two different models, got {model!r} twice.")
    values = group.corrected.swapaxes(1, 2) if by == "channel" else group.summary
    difference = (values[first] - values[second]).T  # participants, rows
    test = stats.sign_flip(difference, n=group.settings["n_flips"], alternative=alternative, rng=group.settings["rng"])
    effect = stats.effect_size(difference, rng=group.settings["rng"])
    return pd.DataFrame(
        {
            by: list(group.regions) if by == "region" else list(group.ch_names),
            "n": test.n,
            "difference": test.center,
            "se": standard_error(difference),
            "t": test.t,
            "p": test.p,
            "p_maxt": test.p_maxt,
            "d": effect.d,
            "d_low": effect.low,
            "d_high": effect.high,
        }
    )
