"""Does the null of delta_r hold, and what does it find? Simulated studies of known truth; minutes, hence slow."""

import numpy as np
import pytest
from scipy.stats import binom
from studies import MODEL, SFREQ, answer, failed, many, music, null_study, pink

from eegic import stats, trf

pytestmark = pytest.mark.slow
N_STUDIES = 400


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("scheme", ["repair", "pseudo"])
def test_false_positives_are_as_many_as_they_say(scheme, rho):
    gains = many(null_study, N_STUDIES, rho, scheme)
    assert not failed(f"{scheme}, rho {rho}", gains)
    raw = gains[:, 0]
    assert raw.mean() < -5 * raw.std() / np.sqrt(len(raw))  # raw gains are biased below zero


N_LISTENERS, N_SOUNDS, N_NULL = 8, 8, 39
EFFECTS = np.array([0.0, 0.05, 0.08, 0.11, 0.15])  # of the added feature, next to an answer to the baseline of 1


def group_study(seed):
    """Of every effect and listener: mean gain, its null, gain of every sound, and share of the variance of the EEG.

    Listeners differ in noise and in how they answer. They and the effects are channels of one analysis: with an alpha
    for each, channels do not touch each other, and exchanges are the same for every listener anyway.
    """
    rng = np.random.default_rng([seed, 13])
    to_baseline, to_added = rng.uniform(0.1, 0.4, N_LISTENERS), rng.uniform(0.5, 1.5, N_LISTENERS)
    noise = np.exp(0.3 * rng.standard_normal(N_LISTENERS))
    baseline, added, eeg, share = [], [], [], []
    for _ in range(N_SOUNDS):
        envelope, feature = music(rng, 0.5, 639)
        known = answer(envelope) * to_baseline + pink(rng, len(envelope), N_LISTENERS) * noise
        new = answer(feature - 0.5 * envelope) * to_baseline * to_added
        baseline.append(envelope)
        added.append(feature)
        eeg.append(np.hstack([known + effect * new for effect in EFFECTS]))
        share.append(np.outer(EFFECTS**2, new.var(axis=0) / known.var(axis=0)).ravel())
    d = trf.delta_r(baseline, added, eeg, SFREQ, **MODEL, per_channel=True, n_null=N_NULL, rng=seed)
    of_all = np.vstack([d.gain, d.null, d.delta_r, np.mean(share, axis=0)])
    return of_all.reshape(-1, len(EFFECTS), N_LISTENERS)


def by_exchange(gains):
    """P-values of (n_studies, 1 + n_null, n_effects) gains and their nulls."""
    return stats.p_value(gains[:, 0], np.swapaxes(gains[:, 1:], 0, 1))


def by_sign(gains):
    """One-sided p-values of as many raw gains above zero, along the last axis."""
    return binom.sf((gains > 0).sum(axis=-1) - 1, gains.shape[-1], 0.5)


def matched(p):
    """Which of (n_studies, n_effects) p-values are below what rejects .05 of those without an effect, the first column.

    So much would a test find whose true level were known. Ties with the limit count as the share that makes .05.
    """
    limit = np.sort(p[:, 0])[int(0.05 * len(p))]
    tied = np.isclose(p, limit, rtol=1e-9, atol=0)
    below = (p < limit) & ~tied
    return below + tied * (0.05 - below[:, 0].mean()) / tied[:, 0].mean()


def test_power_is_above_that_of_the_sign_of_raw_gains():
    """At the same rate of false positives; at the nominal one, the sign of raw gains finds next to nothing.

    A listener is tested over sounds, a group over listeners. Listeners differ, so before their gains are averaged, each
    is divided by the spread of its own null. The plain mean, which the noisiest listeners rule, is printed to compare.
    """
    results = many(group_study, 400)
    groups, each = results[:, : 1 + N_NULL], np.concatenate(np.moveaxis(results, 3, 0))
    scaled = (groups - groups.mean(axis=1, keepdims=True)) / groups.std(axis=1, keepdims=True)
    p = {
        "listener, surrogates": by_exchange(each[:, : 1 + N_NULL]),
        "listener, sign": by_sign(np.moveaxis(each[:, 1 + N_NULL : -1], 1, 2)),
        "group, surrogates": by_exchange(scaled.mean(axis=-1)),
        "group, sign": by_sign(groups[:, 0]),
        "group, surrogates, plain mean": by_exchange(groups.mean(axis=-1)),
    }
    print("\nPower at .05 (where .05 of studies without an effect are rejected)")
    print(f"{'added share of variance':30}" + " ".join(f"{share:<11.4f}" for share in results[:, -1].mean(axis=(0, 2))))
    for name, values in p.items():
        columns = zip((values <= 0.05 + 1e-9).mean(axis=0), matched(values).mean(axis=0), strict=True)
        print(f"{name:30}" + " ".join(f"{nominal:.2f} ({same:.2f})" for nominal, same in columns))
    for who in ("listener", "group"):
        gap = matched(p[f"{who}, surrogates"])[:, 1:] - matched(p[f"{who}, sign"])[:, 1:]
        assert (gap.mean(axis=0) > 0).all()
        assert (gap.mean(axis=0) > 3 * gap.std(axis=0) / np.sqrt(len(gap))).sum() >= 2
