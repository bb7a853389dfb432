"""Unique and shared parts of the gain, against analyses by hand and features whose parts are known."""

import numpy as np
import pytest

from eegic import trf

SFREQ = 32.0
OPTIONS = {"tmin": 0.0, "tmax": 3 / SFREQ, "alphas": [0.1], "n_null": 39, "rng": 0}


def study(rng, effects=(1.0, 1.0), rho=0.5, n=6):
    """A baseline, two features that correlate, and EEG that answers to them as strongly as `effects` say."""
    x = [rng.standard_normal((400, 3)) for _ in range(n)]
    for trial in x:
        trial[:, 2] = rho * trial[:, 1] + np.sqrt(1 - rho**2) * trial[:, 2]
    eeg = [t @ np.array([[1.0], [effects[0]], [effects[1]]]) + 3 * rng.standard_normal((400, 2)) for t in x]
    base, a, b = ([t[:, k : k + 1] for t in x] for k in range(3))
    return base, {"a": a, "b": b}, eeg


def beside(*sides):
    return [np.hstack(trials) for trials in zip(*sides, strict=True)]


def test_each_part_is_an_analysis_of_its_own(rng):
    base, added, eeg = study(rng)
    added["c"] = [rng.standard_normal((400, 2)) for _ in base]
    groups = list("aabbcc")
    with pytest.raises(ValueError, match="different features"):
        trf.partition(base, added, eeg, SFREQ, **OPTIONS, groups=groups)
    parts = trf.partition(base, added, eeg, SFREQ, **OPTIONS, n_folds=3)
    assert list(parts.unique) == ["a", "b", "c"]
    for name, found, x, more in (
        ("a", parts.unique["a"], beside(base, added["b"], added["c"]), added["a"]),
        ("b", parts.unique["b"], beside(base, added["a"], added["c"]), added["b"]),
        ("c", parts.unique["c"], beside(base, added["a"], added["b"]), added["c"]),
        ("joint", parts.joint, base, beside(*added.values())),
    ):
        expected = trf.delta_r(x, more, eeg, SFREQ, **OPTIONS, n_folds=3)
        np.testing.assert_array_equal(found.null, expected.null, err_msg=name)
        np.testing.assert_array_equal(found.delta_r, expected.delta_r, err_msg=name)
    full = parts.joint.r_reduced.mean(axis=0) + parts.joint.corrected
    unique = {name: full**2 - (full - part.corrected) ** 2 for name, part in parts.unique.items()}
    shared = full**2 - (full - parts.joint.corrected) ** 2 - sum(unique.values())
    assert (full > 0).all()
    for name, share in unique.items():
        np.testing.assert_allclose(parts.unique_variance[name], share, atol=1e-15)
    np.testing.assert_allclose(parts.shared_variance, shared, atol=1e-15)


def test_two_features_with_effects_have_parts_of_their_own_and_one_in_common(rng):
    parts = trf.partition(*study(rng), SFREQ, **OPTIONS)
    for one in (parts.joint, *parts.unique.values()):
        assert (one.p_maxt == 1 / 40).all()
    gain = parts.joint.corrected.mean()
    assert repr(parts).startswith(f"Partition(mean over channels: corrected Δr joint {gain:+.4f} (p 0.025), a +")


def test_variances_are_those_of_the_model_that_made_the_eeg():
    """Of 12 + 2 rho parts of variance, 9 are noise and 1 the baseline; each feature has 1 - rho² to itself."""
    for rho in (0.0, 0.5):
        parts = trf.partition(*study(np.random.default_rng(8), rho=rho, n=40), SFREQ, **OPTIONS)
        whole = 12 + 2 * rho
        for share in parts.unique_variance.values():
            np.testing.assert_allclose(share, (1 - rho**2) / whole, atol=0.012)
        shared = (2 + 2 * rho - 2 * (1 - rho**2)) / whole
        np.testing.assert_allclose(parts.shared_variance, shared, atol=0.012)


def test_a_redundant_feature_is_worth_nothing_beside_the_other(rng):
    parts = trf.partition(*study(rng, effects=(1.0, 0.0), rho=0.9), SFREQ, **OPTIONS)
    assert (parts.joint.p_maxt == 1 / 40).all()
    assert parts.unique["b"].p_mean > 0.05
    assert abs(parts.unique["b"].corrected).max() < 0.05 * parts.joint.corrected.min()
    assert (parts.unique["a"].p == 1 / 40).all()
    joint = parts.unique_variance["a"] + parts.unique_variance["b"] + parts.shared_variance
    np.testing.assert_allclose(parts.shared_variance / joint, 0.81, atol=0.05)  # rho², what b tells about a


def test_parts_share_their_surrogates(rng):
    data = study(rng)
    for seed in (3, np.random.default_rng(3), None):
        parts = trf.partition(*data, SFREQ, **{**OPTIONS, "rng": seed})
        (entropy,) = {part.entropy for part in (parts.joint, *parts.unique.values())}
        again = trf.partition(*data, SFREQ, **{**OPTIONS, "rng": entropy})
        np.testing.assert_array_equal(parts.shared_variance, again.shared_variance)
    other = trf.partition(*data, SFREQ, **{**OPTIONS, "rng": None})
    assert entropy != other.joint.entropy
    assert abs(other.joint.null - again.joint.null).max() > 1e-6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"added": "one"}, ValueError, "added: expected a dictionary of two or more features, got 1. Use delta_r"),
        ({"added": "list"}, ValueError, "added: expected a dictionary of two or more features, got list"),
        (
            {"added": "fewer"},
            ValueError,
            r"expected the same trials in all, got samples per trial \[\[400, .*\[400\]\]",
        ),
        ({"added": "shorter"}, ValueError, r"expected the same trials in all, got samples .*\[399, 399"),
        ({"null": "pseudo"}, ValueError, "no features for a baseline that changes. Use 'repair' or 'shift'"),
        ({"tmax": [0.1, 0.2, 0.3]}, ValueError, r"tmax: expected one number, got \[0.1, 0.2, 0.3\]: features change"),
        ({"rng": "seed"}, TypeError, "rng: expected a seed"),
        ({"n_nul": 9}, TypeError, "n_nul"),
        ({"copy": True}, ValueError, r"baseline explains 100\.0% of 'a'"),
    ],
)
def test_what_cannot_be_divided_is_said(rng, change, error, message):
    base, added, eeg = study(rng)
    change, kind = dict(change), change.get("added")
    if change.pop("copy", False):
        added["b"] = [2 * t for t in added["a"]]
    if kind:
        a, b = added.values()
        added = {
            "one": {"a": a},
            "list": [a, b],
            "fewer": {"a": a, "b": b[:1]},
            "shorter": {"a": a, "b": [t[1:] for t in b]},
        }[kind]
        del change["added"]
    with pytest.raises(error, match=message):
        trf.partition(base, added, eeg, SFREQ, **{**OPTIONS, **change})
