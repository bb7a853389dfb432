"""Covariates of participants, and contrasts between groups of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eegic import _checks, stats
from eegic.group.alike import check_group
from eegic.results import GroupResult

if TYPE_CHECKING:
    import pandas as pd


def group_regression(
    group: GroupResult,
    covariates: pd.DataFrame,
    tested: str,
    *,
    model: str | None = None,
    by: str = "channel",
    confounds: Sequence[str] = (),
    alternative: str = "two-sided",
    n_permutations: int = 10_000,
) -> pd.DataFrame:
    """Does what a model tells depend on who listens: on age, on training, on the group?

    Parameters
    ----------
    group : GroupResult
    covariates : pandas.DataFrame
        A row per participant, with their names as index or in a column ``participant``. Texts or truth values of two
        kinds, such as musician and other, stand for a contrast: the second in alphabetical order (or True) less the
        first.
    tested : str
        Column whose effect is tested.
    model : str, optional
        By default the first.
    by : {"channel", "region"}
        What gets a row.
    confounds : sequence of str
        Columns that are taken out first.
    alternative : {"two-sided", "greater", "less"}
    n_permutations : int
        Random exchanges of participants.

    Returns
    -------
    pandas.DataFrame
        A row per channel or region: ``contrast, n, effect, t, p_maxt``, the effect in units of Δr per unit of the
        covariate (or between the groups, as `contrast` says), p corrected for all rows by the largest t (nilearn's
        `permuted_ols`). Channels that some participants lack are NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(6, 6, duration=6, n_channels=4, snr=0.1, progress=False, rng=0)
    >>> results = [ei.cortical_tracking(person, study.envelopes, study.surprisal, tmax=0.3, alphas=[0.1],
    ...                                 n_folds=3, n_null=99, rng=0, progress=False) for person in study.participants]
    >>> group = ei.group_test(results)
    >>> who = pd.DataFrame({"training": ["musician", "other"] * 3}, index=group.participants)
    >>> group_regression(group, who, "training", by="region", n_permutations=199)["n"].tolist()
    [6]
    """
    import pandas as pd
    from nilearn.mass_univariate import permuted_ols

    check_group(group)
    _checks.one_of("by", by, ("channel", "region"))
    _checks.one_of("alternative", alternative, ("two-sided", "greater", "less"))
    table = _by_participant(covariates, group.participants)
    confounds = [confounds] if isinstance(confounds, str) else list(confounds or ())
    _checks.unique_names("tested, confounds", [tested, *confounds], 1 + len(confounds), "covariate")
    columns = np.column_stack([_numbers(table, name) for name in (tested, *confounds)])
    _check_design(columns, (tested, *confounds))
    values = group.corrected[group.row(model)] if by == "channel" else group.summary[group.row(model)].T
    whole = np.isfinite(values).all(axis=0) & (np.ptp(values, axis=0) > 0)
    if not whole.any():
        raise ValueError(f"group: no {by} in which every participant has a value.")
    sign = -1.0 if alternative == "less" else 1.0
    found = permuted_ols(
        sign * columns[:, :1],
        values[:, whole],
        confounding_vars=columns[:, 1:] if confounds else None,
        model_intercept=True,
        n_perm=_checks.count("n_permutations", n_permutations),
        two_sided_test=alternative == "two-sided",
        random_state=group.settings["rng"] % 2**32,
        n_jobs=1,
        output_type="dict",
    )
    rows = pd.DataFrame(
        {by: list(group.ch_names if by == "channel" else group.regions), "n": np.isfinite(values).sum(0)}
    )
    rows.insert(1, "contrast", _contrast(table[tested]))
    design = np.column_stack([columns, np.ones(len(columns))])
    rows["effect"] = np.nan
    rows.loc[whole, "effect"] = np.linalg.lstsq(design, values[:, whole])[0][0]
    t = found["t"][0]  # equal but for rounding is at least as large, which its own p-values leave to chance
    largest = found["h0_max_t"][0]
    p = stats.p_value(np.abs(t) if alternative == "two-sided" else t, np.repeat(largest[:, None], len(t), axis=1))
    for name, part in (("t", sign * t), ("p_maxt", p)):
        rows[name] = np.nan
        rows.loc[whole, name] = part
    return rows


def _by_participant(covariates: object, participants: Sequence[str]) -> pd.DataFrame:
    """A row for every participant of the group, in their order."""
    import pandas as pd

    if not isinstance(covariates, pd.DataFrame):
        raise TypeError(
            f"covariates: expected a pandas DataFrame with a row per participant, got {type(covariates).__name__}."
        )
    table = covariates.set_index("participant") if "participant" in covariates else covariates
    index = table.index.astype(str)
    missing = [name for name in participants if name not in index]
    if missing:
        raise ValueError(
            f"covariates: no row for {_checks.listed(missing)}. Name participants as in the results: as index, or in a "
            "column 'participant'."
        )
    twice = index[index.duplicated()]
    if len(twice):
        raise ValueError(f"covariates: {_checks.listed(set(twice))} more than once. Give each participant one row.")
    return table.set_axis(index).rename(columns=str).loc[list(participants)]


def _numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    """A covariate as numbers: as it is, or 0 and 1 for two kinds."""
    from pandas.api.types import is_bool_dtype, is_complex_dtype, is_numeric_dtype

    column = table[_checks.one_of("covariates", name, map(str, table.columns))]
    if column.isna().any():
        lack = [str(who) for who in column.index[column.isna()]]
        raise ValueError(
            f"covariates: {name!r} is unknown for {_checks.listed(lack)}. Leave them out of what `group_test` gets."
        )
    if is_complex_dtype(column):
        raise TypeError(f"covariates: expected real numbers or texts in {name!r}, got complex ones.")
    if is_numeric_dtype(column) and not is_bool_dtype(column):
        numbers = np.asarray(column, dtype=np.float64)
        if not np.isfinite(numbers).all():
            raise ValueError(
                f"covariates: expected finite numbers in {name!r}, got {numbers[~np.isfinite(numbers)][0]}."
            )
        return numbers
    kinds = sorted(set(column), key=str)
    if len(kinds) != 2:
        raise ValueError(
            f"covariates: {name!r} is no number, and has {len(kinds)} kinds ({_checks.listed(kinds)}). Two can be "
            "compared."
        )
    return np.asarray(column == kinds[1], dtype=np.float64)


def _contrast(column: pd.Series) -> str:
    """What an effect of one is."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) and not is_bool_dtype(column):
        return str(column.name)
    kinds = sorted(set(column), key=str)
    return f"{kinds[1]} - {kinds[0]}"


def _check_design(columns: np.ndarray, names: Sequence[str]) -> None:
    for name, column in zip(names, columns.T, strict=True):
        if not np.ptp(column) > 0:
            raise ValueError(f"covariates: {name!r} is the same for all participants, so it has no effect to test.")
    design = np.column_stack([columns, np.ones(len(columns))])
    if np.linalg.matrix_rank(design) < design.shape[1] or len(design) <= design.shape[1]:
        raise ValueError(
            f"covariates: {', '.join(names)} and a mean are more than {len(design)} participants can tell apart. Leave "
            "some out."
        )
