"""Mixed models: listeners and pieces both drawn at random."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eegic import _checks, stats
from eegic.group.alike import check_group
from eegic.results import GroupResult
from eegic.results.group import EVERYWHERE

if TYPE_CHECKING:
    import pandas as pd

_METHODS = ("lbfgs", "powell")  # tried in this order
_WORDS = ("noise", "family", "model", "C", "I")  # that a formula may hold
_COVERED = 0.95  # by the intervals


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
        A row per fixed effect: ``term, estimate, se, t, df, p, low, high``, estimates in units of Δr, two-sided p, 95 %
        interval; and ``sd_participant, sd_sound, sd_rest``, by how much the effect itself varies between participants,
        between sounds, and besides.
    n_values, n_participants, n_sounds : int
        Of what was fitted.
    converged : bool
        False if the maximum was not found for some effect; its estimate is then not to be used.
    peaks : dict of str to (float, float, float)
        Of each family: the noise level at which the fitted parabola is highest, and the ends of its interval
        (Fieller's), which are infinite where the data set no bound. NaN where the parabola does not bend down, or is
        highest outside the levels that were measured.
    notes : tuple of str
        What was left out, and what to be careful with.
    """

    formula: str
    region: str
    table: pd.DataFrame
    n_values: int
    n_participants: int
    n_sounds: int
    converged: bool
    peaks: dict[str, tuple[float, float, float]]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        size = f"{self.n_participants} participants x {self.n_sounds} sounds, {self.n_values} values"
        return f"MixedModel({self.formula};{'' if self.converged else ' NOT CONVERGED;'} {size})"

    def __str__(self) -> str:
        """A line per effect for a terminal."""
        columns = ["term", "estimate", "low", "high", "t", "df", "p"]
        return f"{self!r}\n{self.table[columns].to_string(index=False, float_format='{:.4g}'.format)}"


@dataclass(frozen=True)
class _Fit:
    """Mean of an effect over participants and sounds."""

    estimate: float
    variance: float
    df: float
    sd: tuple[float, float, float]
    converged: bool


def mixed_model(group: GroupResult, formula: str | None = None, *, region: str = EVERYWHERE) -> MixedModel:
    """Estimate effects on the corrected gain, with crossed random effects of participants and sounds.

    Parameters
    ----------
    group : GroupResult
    formula : str, optional
        Fixed effects, of ``noise``, ``family`` and ``model``, say ``"corrected ~ noise * family"``; ``"corrected ~ 0 +
        model"`` is the mean of each. By default the mean (one model); ``noise + I(noise**2)`` by family (three noise
        levels or more: is a middle one best?), ``noise`` by family (two), or the mean of each model.
    region : str
        The median (or mean) over its channels is what is fitted.

    Returns
    -------
    MixedModel

    Notes
    -----
    Every trial has a value for every model. So each effect is first estimated within each trial, and then its mean over
    participants and sounds, with the participants' and the sounds' own deviations as crossed random effects (restricted
    maximum likelihood by statsmodels, on values of variance 1, given back in units of Δr). That is the model with all
    random slopes; nothing is assumed of how the errors of models go together within a trial. Sounds heard more than
    once are averaged first.

    t of a complete table has Satterthwaite's degrees of freedom (`stats.crossed_mean`); otherwise as many as there are
    participants or sounds, whichever are fewer, less one, which is cautious.

    Examples
    --------
    >>> import eegic as ei
    >>> study = ei.datasets.simulate_study(5, 6, duration=6, n_channels=4, snr=0.1, progress=False, rng=0)
    >>> results = [ei.cortical_tracking(person, study.envelopes, study.surprisal, tmax=0.3, alphas=[0.1], n_folds=3,
    ...                                 n_null=99, rng=0, progress=False) for person in study.participants]
    >>> mixed_model(ei.group_test(results))
    MixedModel(corrected ~ 1; 5 participants x 6 sounds, 30 values)
    """
    check_group(group)
    _checks.one_of("region", region, group.regions)
    conditions, notes = _conditions(group), []
    formula = _default(conditions) if formula is None else checked(formula)
    if re.search(r"\bnoise\b", formula):
        left = [model for model in conditions.index if np.isnan(conditions.loc[model, "noise"])]
        conditions = conditions.drop(left)
        notes += [f"without {_checks.listed(left)}: no noise level"] if left else []
    terms, design = design_of(formula, conditions)
    values = _values(group, region, list(conditions.index))
    sizes = {name: values.index.get_level_values(name).nunique() for name in ("participant", "sound")}
    for name, size in sizes.items():
        if size < 2:
            raise ValueError(f"group: {name}s as a random effect need at least 2, got {size}.")
    effects = values.to_numpy() @ np.linalg.pinv(design).T  # of every trial
    fits = [_fitted(effect, values.index) for effect in effects.T]
    failed = [term for term, fit in zip(terms, fits, strict=True) if not fit.converged]
    if failed:
        notes.append(f"not converged, not to be used: {_checks.listed(failed)}")
    return MixedModel(
        formula=formula,
        region=region,
        table=_table(terms, fits),
        n_values=values.size,
        n_participants=sizes["participant"],
        n_sounds=sizes["sound"],
        converged=not failed,
        peaks=_peaks(conditions, design, effects, values.index) if "noise**2" in formula.replace(" ", "") else {},
        notes=tuple(notes),
    )


def _conditions(group: GroupResult) -> pd.DataFrame:
    """Family and noise level by model; the first family is what others are compared with."""
    import pandas as pd

    families, noise = zip(*group.conditions.values(), strict=True)
    names = list(group.models)
    kinds = {"family": (families, list(dict.fromkeys(families))), "model": (names, names)}
    columns = {name: pd.Categorical(values, order) for name, (values, order) in kinds.items()}
    return pd.DataFrame({**columns, "noise": noise, "corrected": 0.0}, index=names)


def _default(conditions: pd.DataFrame) -> str:
    """What is asked if nothing is said: the richest shape that every family has the levels for."""
    known = conditions.dropna(subset="noise")
    levels = known.groupby("family", observed=True)["noise"].nunique()
    if len(levels) and levels.min() >= 2:
        parts = ["noise", "I(noise**2)"][: 2 if levels.min() >= 3 else 1]
        return "corrected ~ " + " + ".join(part if len(levels) == 1 else f"{part} * family" for part in parts)
    return "corrected ~ 0 + model" if len(conditions) > 1 else "corrected ~ 1"


def checked(formula: object) -> str:
    """Fixed effects, once they are of known names: what else a formula may hold would be run as Python."""
    example = "Write, say, 'corrected ~ noise * family'."
    if not isinstance(formula, str):
        raise TypeError(f"formula: expected a text, got {type(formula).__name__}. {example}")
    left, tilde, right = formula.partition("~")
    if left.strip() != "corrected" or not tilde:
        raise ValueError(
            f"formula: expected 'corrected ~ ...', the corrected gain on the left, got {formula!r}. {example}"
        )
    foreign = [word for word in re.findall(r"[^\W\d]\w*", right) if word not in _WORDS]
    if foreign or not re.fullmatch(r"[\w\s.+*:()-]*", right):
        raise ValueError(
            f"formula: expected {', '.join(_WORDS[:-2])}, C(...), I(...), numbers and + - * : on the right, got "
            f"{foreign[0] if foreign else right.strip()!r}. {example}"
        )
    return formula


def design_of(formula: str, conditions: pd.DataFrame) -> tuple[list[str], np.ndarray]:
    """Terms and their values for every model, (n_models, n_terms)."""
    from statsmodels.formula.api import ols

    used = conditions.assign(**{name: conditions[name].cat.remove_unused_categories() for name in ("family", "model")})
    try:
        model = ols(formula, used)
    except Exception as error:  # the parser's own
        raise ValueError(f"formula: {formula!r} cannot be read ({str(error).splitlines()[0]}).") from error
    design = np.asarray(model.exog)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise ValueError(
            f"formula: {formula!r} asks for {design.shape[1]} effects, which {len(design)} models at these levels "
            "do not tell apart. Leave some out; 'corrected ~ 0 + model' is the mean of each."
        )
    return list(model.exog_names), design


def _values(group: GroupResult, region: str, models: list[str]) -> pd.DataFrame:
    """Corrected gain by participant and sound, a column per model."""
    frame = group.to_frame("trial")
    frame = frame[(frame["region"] == region) & frame["model"].isin(models)]
    table = frame.pivot_table(values="corrected", index=["participant", "sound"], columns="model", sort=False)
    return table[models].dropna()


def _fitted(effect: np.ndarray, index: pd.Index[Any]) -> _Fit:
    """Mean of an effect, participants and sounds as crossed random effects."""
    from statsmodels.formula.api import mixedlm

    frame = index.to_frame(index=False).assign(everything=1)
    df = min(frame[name].nunique() for name in ("participant", "sound")) - 1.0
    scale = float(effect.std())
    if not scale > 0:
        return _Fit(float(effect[0]), np.nan, np.nan, (0.0, 0.0, 0.0), True)
    frame["effect"] = effect / scale
    if (complete := frame.pivot(index="participant", columns="sound", values="effect")).notna().to_numpy().all():
        df = float(stats.crossed_mean(complete.to_numpy()).df)
    components = {name: f"0 + C({name})" for name in ("participant", "sound")}
    model = mixedlm("effect ~ 1", frame, groups="everything", vc_formula=components, re_formula="0")
    for method in _METHODS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it did not converge, which is looked at, or lies at the boundary
            fit = model.fit(reml=True, method=method)
        if converged := bool(fit.converged and np.isfinite(fit.bse_fe).all()):
            break
    spread = dict(zip(model.exog_vc.names, fit.vcomp, strict=True))
    variances = np.maximum([spread["participant"], spread["sound"], fit.scale], 0.0)
    participant, sound, rest = (float(sd) for sd in scale * np.sqrt(variances))
    error = float(np.asarray(fit.bse_fe)[0])
    return _Fit(
        scale * float(np.asarray(fit.fe_params)[0]), (scale * error) ** 2, df, (participant, sound, rest), converged
    )


def _table(terms: list[str], fits: list[_Fit]) -> pd.DataFrame:
    import pandas as pd
    from scipy.stats import t

    estimate, df = np.array([fit.estimate for fit in fits]), np.array([fit.df for fit in fits])
    se = np.sqrt([fit.variance for fit in fits])
    half = t.ppf(0.5 + _COVERED / 2, df) * se
    columns: dict[str, Any] = {"term": terms, "estimate": estimate, "se": se, "t": estimate / se, "df": df}
    columns |= {"p": 2 * t.sf(np.abs(estimate / se), df), "low": estimate - half, "high": estimate + half}
    for name, values in zip(("participant", "sound", "rest"), zip(*(fit.sd for fit in fits), strict=True), strict=True):
        columns[f"sd_{name}"] = values
    return pd.DataFrame(columns)


def _peaks(
    conditions: pd.DataFrame, design: np.ndarray, effects: np.ndarray, index: pd.Index[Any]
) -> dict[str, tuple[float, float, float]]:
    """Where the parabola of each family is highest."""
    from scipy.stats import t

    found = {}
    for family in conditions["family"].unique():
        rows = np.flatnonzero(conditions["family"] == family)
        levels, first = np.unique(conditions["noise"].to_numpy()[rows], return_index=True)
        if len(levels) < 3:
            continue
        powers = levels[:3, None] ** np.arange(3)
        _, of_slope, of_bend = np.linalg.solve(powers, design[rows[first[:3]]])
        slopes, bends = effects @ of_slope, 2 * effects @ of_bend  # highest where one is minus x times the other
        slope, bend, both = (_fitted(part, index) for part in (slopes, bends, slopes + bends))
        covariance = (both.variance - slope.variance - bend.variance) / 2
        quantile = t.ppf(0.5 + _COVERED / 2, min(slope.df, bend.df))
        ends = fieller(slope.estimate, bend.estimate, slope.variance, bend.variance, covariance, quantile)
        at = -slope.estimate / bend.estimate
        inside = bend.estimate < 0 and levels[0] <= at <= levels[-1]
        found[str(family)] = (at, *ends) if inside else (np.nan, np.nan, np.nan)
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
