"""Mixed models: listeners and pieces both drawn at random."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks, stats
from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE

if TYPE_CHECKING:
    import pandas as pd

_METHODS = ("lbfgs", "powell")  # tried in this order
_BOUNDARY = 1e-6  # of the variance of all values: less is none


@dataclass(frozen=True, eq=False)
class MixedModel:
    """Effects on the corrected gain, once participants and sounds are both taken as random.

    Attributes
    ----------
    formula : str
        Fixed effects.
    region : str
        Whose channels were summarised.
    table : pandas.DataFrame
        A row per fixed effect: ``term, estimate, se, t, df, p, low, high``; estimates in units of Δr, two-sided p.
    spread : dict of str to float
        Standard deviation of each random effect and of the rest, in units of Δr.
    n_values, n_participants, n_sounds : int
        Of the table that was fitted.
    converged : bool
        False if no optimiser found the maximum; the estimates are then not to be used.
    peaks : dict of str to (float, float, float)
        Of each family: the noise level at which the fitted parabola is highest, and the ends of its interval
        (Fieller's); NaN where it does not bend down, and infinite ends where the data set no bound.
    notes : tuple of str
        What was left out, and what to be careful with.
    """

    formula: str
    region: str
    table: pd.DataFrame
    spread: dict[str, float]
    n_values: int
    n_participants: int
    n_sounds: int
    converged: bool
    peaks: dict[str, tuple[float, float, float]]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        state = "" if self.converged else " NOT CONVERGED;"
        terms = "; ".join(
            f"{row.term} {row.estimate:+.4f} [{row.low:+.4f}, {row.high:+.4f}], p {row.p:.3g}"
            for row in self.table.itertuples()
        )
        return (
            f"MixedModel({self.formula};{state} {self.n_participants} participants x {self.n_sounds} sounds, "
            f"{self.n_values} values; {terms})"
        )


def mixed_model(
    group: GroupResult, formula: str | None = None, *, region: str = EVERYWHERE, level: float = 0.95
) -> MixedModel:
    """Fit the corrected gain of every trial, with crossed random effects of participants and sounds.

    Parameters
    ----------
    group : GroupResult
    formula : str, optional
        Fixed effects, of ``noise``, ``family`` and ``model``, say ``"corrected ~ noise * family"``. By default the mean
        (one model); ``noise + I(noise**2)`` by family (three noise levels or more: is a middle one best?), ``noise`` by
        family (two), or ``model``.
    region : str
        The median (or mean) over its channels is what is fitted.
    level : float
        Of the intervals.

    Returns
    -------
    MixedModel

    Notes
    -----
    A trial's corrected gain is its raw one less the mean of the participant's null, so the intercept is zero when
    nothing is there. Random effects: participant, sound, and, where there are several conditions, their interactions
    with the condition, without which a peculiarity of a few listeners counts as an effect of the condition. Fitted by
    restricted maximum likelihood (statsmodels) on values of variance 1, and given back in units of Δr.

    How exact the estimates are depends on the number of participants *and* on that of sounds. So t is compared with the
    distribution of as many degrees of freedom as the fewer of them has, less one, which is cautious; for the mean of a
    complete table with Satterthwaite's (`stats.crossed_mean`).

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(5, 6, duration=10, n_channels=8, snr=0.1, progress=False, rng=0)
    >>> results = [ei.cortical_tracking(person, study.envelopes, study.surprisal, tmax=0.3, alphas=[0.1],
    ...                                 n_folds=3, n_null=99, rng=0, progress=False) for person in study.participants]
    >>> fit = mixed_model(ei.group_test(results))
    >>> fit.formula, fit.n_participants, fit.n_sounds
    ('corrected ~ 1', 5, 6)
    """
    if not isinstance(group, GroupResult):
        raise TypeError(f"group: expected a GroupResult, as `group_test` gives it, got {type(group).__name__}.")
    _checks.one_of("region", region, group.regions)
    if not 0 < _checks.finite("level", level, "0 to 1") < 1:
        raise ValueError(f"level: expected a probability between 0 and 1, got {level!r}.")
    frame = group.to_frame("trial").query("region == @region").dropna(subset="corrected")
    formula = _formula(frame) if formula is None else formula
    notes = []
    if "noise" in formula and frame["noise"].isna().any():
        left = list(dict.fromkeys(frame.loc[frame["noise"].isna(), "model"]))
        notes.append(f"without {_checks.listed(left)}, which has no noise level")
        frame = frame.dropna(subset="noise")
    frame = _in_order(frame)
    sizes = {name: frame[name].nunique() for name in ("participant", "sound")}
    for name, size in sizes.items():
        if size < 2:
            raise ValueError(f"group: {name}s as a random effect need at least 2, got {size}.")
    scale = float(frame["corrected"].std())
    if not scale > 0:
        raise ValueError("group: the corrected gain is the same in all trials, so there is nothing to fit.")
    fit, converged = _fitted(formula, frame.assign(corrected=frame["corrected"] / scale))
    if not converged:
        notes.append("not converged: the estimates are not to be used. Give a simpler formula")
    df = np.full(len(fit.fe_params), min(sizes.values()) - 1.0)
    if formula.replace(" ", "") == "corrected~1" and (exact := _exact_df(frame)) is not None:
        df[:] = exact
    spread = {name: float(scale * np.sqrt(variance)) for name, variance in _variances(fit).items()}
    notes += [f"no variance between {name}s was found" for name, sd in spread.items() if sd**2 < _BOUNDARY * scale**2]
    return MixedModel(
        formula=formula,
        region=region,
        table=_table(fit, scale, df, level),
        spread=spread,
        n_values=len(frame),
        n_participants=sizes["participant"],
        n_sounds=sizes["sound"],
        converged=converged,
        peaks=_peaks(fit, frame, df[0], level) if _bends(formula) else {},
        notes=tuple(notes),
    )


def _formula(frame: pd.DataFrame) -> str:
    """What is asked by default."""
    known = frame.dropna(subset="noise")
    n_levels = known["noise"].nunique()
    if n_levels >= 2:
        shape = "noise + I(noise**2)" if n_levels >= 3 else "noise"
        return f"corrected ~ ({shape}) * family" if known["family"].nunique() > 1 else f"corrected ~ {shape}"
    return "corrected ~ model" if frame["model"].nunique() > 1 else "corrected ~ 1"


def _bends(formula: str) -> bool:
    return "noise**2" in formula.replace(" ", "")


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Families and models in the order of the result: the first is what others are compared with."""
    import pandas as pd

    ordered = {name: pd.Categorical(frame[name], list(dict.fromkeys(frame[name]))) for name in ("family", "model")}
    return frame.assign(**ordered, everything=1)


def _fitted(formula: str, frame: pd.DataFrame) -> tuple[Any, bool]:
    """The fit, and whether an optimiser found the maximum."""
    from statsmodels.formula.api import mixedlm

    effects = ["participant", "sound"]
    if frame["model"].nunique() > 1:
        effects += ["participant):C(model", "sound):C(model"]
    components = {name.replace("):C(", " x "): f"0 + C({name})" for name in effects}
    for method in _METHODS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge, which is looked at, or lies at the boundary
            try:
                model = mixedlm(formula, frame, groups="everything", vc_formula=components, re_formula="0")
                fit = model.fit(reml=True, method=method)
            except np.linalg.LinAlgError as error:
                raise ValueError(f"formula: {formula!r} cannot be fitted ({error}). Give a simpler one.") from error
        if fit.converged and np.isfinite(fit.bse_fe).all():
            return fit, True
    return fit, False


def _exact_df(frame: pd.DataFrame) -> float | None:
    """Satterthwaite's degrees of freedom of the mean, where every participant heard every sound."""
    table = frame.pivot_table(values="corrected", index="participant", columns="sound")
    return None if table.isna().to_numpy().any() else float(stats.crossed_mean(table.to_numpy()).df)


def _variances(fit: Any) -> dict[str, float]:
    return {**dict(zip(fit.model.exog_vc.names, np.maximum(fit.vcomp, 0.0), strict=True)), "trial": float(fit.scale)}


def _table(fit: Any, scale: float, df: np.ndarray, level: float) -> pd.DataFrame:
    import pandas as pd
    from scipy.stats import t

    estimate, se = scale * np.asarray(fit.fe_params), scale * np.asarray(fit.bse_fe)
    half = t.ppf(0.5 + level / 2, df) * se
    return pd.DataFrame(
        {
            "term": list(fit.fe_params.index),
            "estimate": estimate,
            "se": se,
            "t": estimate / se,
            "df": df,
            "p": 2 * t.sf(np.abs(estimate / se), df),
            "low": estimate - half,
            "high": estimate + half,
        }
    )


def _peaks(fit: Any, frame: pd.DataFrame, df: float, level: float) -> dict[str, tuple[float, float, float]]:
    """Where the parabola of each family is highest."""
    from scipy.stats import t

    covariance = np.asarray(fit.cov_params())[: len(fit.fe_params), : len(fit.fe_params)]
    found = {}
    for family in frame["family"].cat.categories:
        rows = frame["family"].to_numpy() == family
        levels, first = np.unique(frame["noise"].to_numpy()[rows], return_index=True)
        if len(levels) < 3:
            continue
        powers = levels[:3, None] ** np.arange(3)
        _, of_slope, of_bend = np.linalg.solve(powers, fit.model.exog[rows][first[:3]])
        contrasts = np.stack([of_slope, 2 * of_bend])  # the parabola is highest where one is minus x times the other
        slope, bend = contrasts @ np.asarray(fit.fe_params)
        var = contrasts @ covariance @ contrasts.T
        ends = fieller(slope, bend, var[0, 0], var[1, 1], var[0, 1], t.ppf(0.5 + level / 2, df))
        found[str(family)] = (float(-slope / bend), *ends) if bend < 0 else (np.nan, np.nan, np.nan)
    return found


def fieller(a: float, b: float, var_a: float, var_b: float, cov: float, t: float) -> tuple[float, float]:
    """Ends of the interval of -a / b by Fieller's theorem.

    Parameters
    ----------
    a, b : float
        Estimates.
    var_a, var_b, cov : float
        Their variances and covariance.
    t : float
        Quantile.

    Returns
    -------
    float, float
        Infinite where `b` is not told from zero.
    """
    # (a + b x)^2 <= t^2 (var_a + 2 x cov + x^2 var_b)
    square, linear, constant = b**2 - t**2 * var_b, a * b - t**2 * cov, a**2 - t**2 * var_a
    root = linear**2 - square * constant
    if square <= 0 or root < 0:
        return -np.inf, np.inf
    middle, half = -linear / square, np.sqrt(root) / square
    return float(middle - half), float(middle + half)
