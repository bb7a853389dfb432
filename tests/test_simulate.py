"""The simulated study: its EEG is what its truth says, and draws belong to names."""

import subprocess
import sys

import mne
import numpy as np
import pytest
from scipy.signal import welch

from eegic import envelope
from eegic.datasets import MelodyGrammar, simulate, simulate_study
from eegic.datasets.scalp import electrodes
from eegic.trf import fit

SMALL = {"duration": 10, "n_channels": 7, "rng": 11, "progress": False}


def study(n_participants=2, n_stimuli=3, **options):
    return simulate_study(n_participants, n_stimuli, **(SMALL | options))


def eeg(one, name, stimulus, presentation=0):
    person = next(p for p in one.participants if p.name == name)
    return [trial.eeg for trial in person.trials if trial.stimulus == stimulus][presentation]


def lagged(values, n_lags):
    """Explicit design: column f * n_lags + k is feature f, k samples late, zero before the start."""
    columns = [np.concatenate([np.zeros(k), x[: len(x) - k]]) for x in values.T for k in range(n_lags)]
    return np.stack(columns, axis=1)


def estimated_kernels(one, person, penalty):
    """Ridge on the explicit design, shape (n_features, n_lags, n_channels)."""
    n_lags = len(one.truth.lags)
    x = [lagged(one.envelopes[t.stimulus].stack(one.surprisal[t.stimulus]).values, n_lags) for t in person.trials]
    x = np.concatenate([trial - trial.mean(axis=0) for trial in x])
    y = np.concatenate([trial.eeg - trial.eeg.mean(axis=0) for trial in person.trials])
    scale = x.std(axis=0)
    x = x / scale
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y) / scale[:, None]
    return weights.reshape(2, n_lags, -1)  # the inverse of the column order in `lagged`


@pytest.fixture(scope="module")
def loud():
    return study(2, 4, duration=30, snr=30.0, surprisal_effect=1.0, rhythm="free", timbre="flute")


@pytest.fixture(scope="module")
def silent():
    """Background alone: three participants, four minutes each, all electrodes."""
    return study(3, 4, duration=60, n_channels=None, snr=0.0, sfreq=100)


# ------------------------------------------------------------------ EEG and truth
def test_eeg_minus_explicit_response_is_the_background(loud):
    quiet = study(2, 4, duration=30, snr=0.0, rhythm="free", timbre="flute")
    for person in loud.participants:
        kernels = loud.truth.kernels[person.name]
        for stimulus in loud.stimuli:
            x = lagged(loud.envelopes[stimulus].stack(loud.surprisal[stimulus]).values, len(loud.truth.lags))
            response = x @ kernels.reshape(-1, kernels.shape[-1])
            difference = eeg(loud, person.name, stimulus) - eeg(quiet, person.name, stimulus)
            np.testing.assert_allclose(difference, response, rtol=0, atol=1e-17)


def test_ridge_recovers_the_kernels_of_each_participant(loud):
    for person in loud.participants:
        estimate, truth = estimated_kernels(loud, person, penalty=1.0), loud.truth.kernels[person.name]
        for f in range(2):
            assert np.corrcoef(estimate[f].ravel(), truth[f].ravel())[0, 1] > 0.95
            assert np.linalg.norm(estimate[f] - truth[f]) < 0.3 * np.linalg.norm(truth[f])


def test_without_effect_the_surprisal_kernel_is_zero_and_is_estimated_so(loud):
    null = study(2, 4, duration=30, snr=30.0, surprisal_effect=0.0, rhythm="free", timbre="flute")
    for person in null.participants:
        assert not null.truth.kernels[person.name][1].any()
        found, real = estimated_kernels(null, person, 1.0)[1], loud.truth.kernels[person.name][1]
        assert np.linalg.norm(found) < 0.1 * np.linalg.norm(real)


def test_without_effect_the_eeg_does_not_know_the_surprisal():
    pitch, timing, both = (study(rhythm="free", surprisal=k, surprisal_effect=0) for k in ("pitch", "timing", "both"))
    assert not np.array_equal(pitch.surprisal["melody-01"].values, timing.surprisal["melody-01"].values)
    for stimulus in pitch.stimuli:
        np.testing.assert_array_equal(eeg(pitch, "sub-01", stimulus), eeg(timing, "sub-01", stimulus))
        np.testing.assert_array_equal(eeg(pitch, "sub-01", stimulus), eeg(both, "sub-01", stimulus))


def test_the_effect_adds_the_convolution_of_surprisal_and_nothing_else():
    without, with_effect = study(surprisal_effect=0), study(surprisal_effect=0.8)
    for name in ("sub-01", "sub-02"):
        np.testing.assert_array_equal(without.truth.kernels[name][0], with_effect.truth.kernels[name][0])
        for stimulus in without.stimuli:
            bits, kernel = with_effect.surprisal[stimulus].values[:, 0], with_effect.truth.kernels[name][1]
            response = np.stack([np.convolve(bits, k)[: len(bits)] for k in kernel.T], axis=1)
            added = eeg(with_effect, name, stimulus) - eeg(without, name, stimulus)
            np.testing.assert_allclose(added, response, rtol=0, atol=1e-18)
            assert np.abs(added).max() > 1e-7


@pytest.mark.parametrize(("rhythm", "surprisal"), [("isochronous", "both"), ("free", "timing"), ("free", "pitch")])
def test_snr_and_effect_are_as_asked(rhythm, surprisal):
    # responses alone, by the truth; participants scatter around the typical one by a log-normal gain of SD 0.25
    one = study(40, 4, n_channels=16, snr=0.05, surprisal_effect=0.7, rhythm=rhythm, surprisal=surprisal, duration=8)
    log_snr, log_effect = [], []
    for name, kernels in one.truth.kernels.items():
        variances = []
        for f, features in enumerate((one.envelopes, one.surprisal)):
            responses = [lagged(x.values, len(one.truth.lags)) @ kernels[f] for x in features.values()]
            variances.append(np.mean([response.var(axis=0) for response in responses]))
        log_snr.append(np.log(variances[0] / one.truth.noise_sd[name] ** 2))
        log_effect.append(0.5 * np.log(variances[1] / variances[0]))
    for values, asked in ((log_snr, np.log(0.05)), (log_effect, np.log(0.7))):
        assert abs(np.mean(values) - asked) < 4 * np.std(values) / np.sqrt(len(values))
        assert np.std(values) < 1.0
    assert 0.1 < np.std(log_snr)


def test_the_eeg_follows_the_sound(loud):
    truth = loud.truth
    assert truth.features == ("envelope", "surprisal")
    model = fit(np.eye(64, 1), np.eye(64, 1), 64.0, tmin=0.0, tmax=0.4, alpha=1.0)
    np.testing.assert_array_equal(truth.lags, model.times)  # so the truth can be drawn over an estimate
    for kernels in truth.kernels.values():
        for f, (rise, fall) in enumerate([(0.1, 0.2), (0.2, 0.29)]):
            course = kernels[f, :, np.argmax(truth.topographies[f])]
            assert abs(truth.lags[np.argmax(course)] - rise) < 0.035
            assert abs(truth.lags[np.argmin(course)] - fall) < 0.035
            assert np.abs(course[[0, -1]]).max() < 0.03 * np.abs(course).max()


def test_participants_differ_in_latency_and_gain():
    kernels = [k[0].sum(axis=1) for k in study(6).truth.kernels.values()]
    shapes = np.array([k / np.linalg.norm(k) for k in kernels])
    sizes = np.array([np.linalg.norm(k) for k in kernels])
    assert sizes.std() > 0.1 * sizes.mean()
    similarity = (shapes @ shapes.T)[np.triu_indices(6, 1)]
    assert 0.3 < similarity.min() < 0.99


def test_topographies_are_smooth_fronto_central_and_different():
    one = simulate_study(1, 1, 4, rng=0)
    names = list(one.participants[0].ch_names)
    to_envelope, to_surprisal = one.truth.topographies
    for row, near in ((to_envelope, ("Fz", "FCz")), (to_surprisal, ("Cz", "CPz", "FCz", "C2"))):
        assert names[int(np.argmax(row))] in near
        assert row[names.index("Iz")] < 0.2 * row.max()
        assert abs(row[names.index("FCz")] - row[names.index("FC1")]) < 0.15 * row.max()
    assert np.corrcoef(to_envelope, to_surprisal)[0, 1] < 0.9


# ------------------------------------------------------------------ features
def test_features_are_those_that_users_compute():
    one = study(rhythm="free", timbre=("piano", "flute"), second_voice=True, duration=9.98)
    for name in one.stimuli:
        melody, by_hand = one.melodies[name], envelope(one.audio[name], 64)
        grid = one.envelopes[name]
        assert grid.n_times == one.surprisal[name].n_times == len(eeg(one, "sub-01", name)) == 639
        assert grid.n_times / 64 == melody.duration
        shared = min(grid.n_times, by_hand.n_times)
        np.testing.assert_array_equal(grid.values[:shared], by_hand.values[:shared])
        assert one.surprisal[name].values.sum() == pytest.approx(melody.surprisal("both").values.sum())
        assert one.onsets[name].values.sum() == melody.n_notes
        np.testing.assert_array_equal(one.onsets[name].values > 0, one.surprisal[name].values > 0)
        assert one.audio[name].name == name


def test_notes_find_their_place_whatever_the_duration(rng):
    """The end of a piece that is no whole number of samples long held notes that no sample was near."""
    grammar = MelodyGrammar(rhythm="free")
    for asked in (1.6, 1.601, 10.0, 25.801, 31.601, *rng.uniform(1.6, 8, 200)):
        for sfreq in (64.0, 99.9):
            duration = simulate._whole_samples(asked, sfreq)
            assert 0 <= duration - asked < 1 / sfreq
            melody = simulate._melodies(grammar, 1, duration, 0)["melody-01"]
            impulses = simulate._impulses(simulate._ones(melody), sfreq, duration)
            assert impulses.values.sum() == melody.n_notes
            assert impulses.n_times == round(duration * sfreq)


@pytest.mark.parametrize("duration", [1.601, 25.801, 31.601])
def test_durations_between_two_samples(duration):
    one = study(1, 1, duration=duration)
    assert len(one.participants[0].trials[0].eeg) == np.ceil(duration * 64)


def test_stimuli_differ():
    one = study(1, 12, duration=4)
    for features in (one.melodies, one.audio, one.surprisal, one.envelopes):
        content = [getattr(x, "samples", getattr(x, "values", getattr(x, "pitches", None))) for x in features.values()]
        assert len({np.asarray(array).tobytes() for array in content}) == 12


def test_melodies_that_come_twice_are_written_anew(monkeypatch):
    # one bar in free rhythm may hold a single note, so a few hundred draws repeat each other
    short = MelodyGrammar(rhythm="free"), 300, 1.6, 0
    melodies = simulate._melodies(*short).values()
    assert len({(m.pitches.tobytes(), m.onsets.tobytes()) for m in melodies}) == 300
    monkeypatch.setattr(simulate, "_DISTINCT_ATTEMPTS", 1)
    with pytest.raises(ValueError, match="no 300 different melodies"):
        simulate._melodies(*short)


# ------------------------------------------------------------------ seeds
def test_the_same_seed_gives_the_same_study_and_another_another():
    one, again, other = study(), study(), study(rng=12)
    for name in one.stimuli:
        np.testing.assert_array_equal(eeg(one, "sub-02", name), eeg(again, "sub-02", name))
        np.testing.assert_array_equal(one.audio[name].samples, again.audio[name].samples)
        assert not np.array_equal(one.audio[name].samples, other.audio[name].samples)
    assert np.corrcoef(eeg(one, "sub-01", name)[:, 0], eeg(other, "sub-01", name)[:, 0])[0, 1] < 0.3


def test_a_generator_or_nothing_leaves_a_seed_that_repeats_the_study():
    for rng in (np.random.default_rng(0), None):
        one = study(1, 1, rng=rng)
        again = study(1, 1, rng=one.truth.seed)
        np.testing.assert_array_equal(eeg(one, "sub-01", "melody-01"), eeg(again, "sub-01", "melody-01"))


def test_participants_and_trials_stay_when_the_study_grows():
    small, large = study(2, n_presentations=1), study(4, n_presentations=3)
    for one, same in zip(small.participants, large.participants, strict=False):
        assert one.name == same.name
        assert one.stimuli == same.stimuli[:3]
        np.testing.assert_array_equal(small.truth.kernels[one.name], large.truth.kernels[one.name])
        for trial, same_trial in zip(one.trials, same.trials, strict=False):
            np.testing.assert_array_equal(trial.eeg, same_trial.eeg)


def test_presentations_repeat_the_sound_not_the_background():
    one = study(1, 2, n_presentations=2, snr=0.0)
    assert sorted(one.participants[0].stimuli) == ["melody-01"] * 2 + ["melody-02"] * 2
    first, second = (eeg(one, "sub-01", "melody-01", k) for k in range(2))
    assert abs(np.corrcoef(first[:, 0], second[:, 0])[0, 1]) < 0.3


def test_participants_hear_the_melodies_in_different_orders():
    assert len({person.stimuli for person in study(6, 6, duration=4).participants}) > 3


# ------------------------------------------------------------------ channels
def test_fewer_channels_are_nested_spread_and_placed():
    previous = set()
    for n_channels in (4, 8, 16, 64):
        names, directions = electrodes("biosemi64", n_channels)
        assert previous < set(names)
        previous = set(names)
        np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    names, directions = electrodes("biosemi64", 16)
    gaps = np.arccos(np.clip(directions @ directions.T - 2 * np.eye(16), -1, 1)).min(axis=1)
    assert gaps.min() > 0.5  # radians; neighbours of the whole cap are .3 apart
    info = study(1, 1, n_channels=16).participants[0].info
    assert tuple(info["ch_names"]) == names
    assert all(np.linalg.norm(channel["loc"][:3]) > 0.05 for channel in info["chs"])


@pytest.mark.parametrize("montage", ["colin27_1020", "GSN-HydroCel-32", "biosemi32"])
def test_any_montage(montage):
    one = study(1, 1, montage=montage, n_channels=None)
    expected = mne.channels.make_standard_montage(montage)
    assert one.participants[0].ch_names == tuple(expected.ch_names)
    given = study(1, 1, montage=expected, n_channels=None)
    np.testing.assert_array_equal(one.participants[0].trials[0].eeg, given.participants[0].trials[0].eeg)


# ------------------------------------------------------------------ background, drift, blinks
def test_the_background_has_the_size_it_says(silent):
    for person in silent.participants:
        variance = np.mean([np.mean(trial.eeg**2) for trial in person.trials])
        assert np.sqrt(variance) == pytest.approx(silent.truth.noise_sd[person.name], rel=0.06)
        assert 4e-6 < np.sqrt(variance) < 25e-6


def test_the_background_is_one_over_f_with_alpha_at_the_back(silent):
    for person in silent.participants:
        samples = np.concatenate([trial.eeg for trial in person.trials])
        frequency, power = welch(samples, 100, nperseg=500, axis=0)
        names = list(person.ch_names)
        band = (frequency >= 1) & (frequency <= 6)
        slope = np.polyfit(np.log(frequency[band]), np.log(power[band].mean(axis=1)), 1)[0]
        assert abs(slope + 1) < 0.2
        alpha = (frequency >= 7.5) & (frequency <= 12.5)
        assert abs(frequency[alpha][np.argmax(power[alpha, names.index("Oz")])] - 10) < 2
        near, beside = power[alpha].max(axis=0), power[(frequency >= 4) & (frequency <= 6)].mean(axis=0)
        assert near[names.index("Oz")] > 4 * beside[names.index("Oz")]
        assert near[names.index("Fpz")] < 1.5 * beside[names.index("Fpz")]
        assert power[frequency > 30].max() < 1e-2 * power[band].min()


def test_neighbours_share_background(silent):
    samples = silent.participants[0].trials[0].eeg
    names = list(silent.participants[0].ch_names)
    r = np.corrcoef(samples.T)
    near, far = r[names.index("FCz"), names.index("Cz")], r[names.index("Fz"), names.index("Iz")]
    assert 0.5 < near < 0.99 and abs(far) < 0.4


def test_background_does_not_return_to_its_start(silent):
    # a Fourier series of the length of the trial would end where it began
    steps = [np.abs(t.eeg[-1] - t.eeg[0]).mean() for p in silent.participants for t in p.trials]
    neighbours = [np.abs(np.diff(t.eeg, axis=0)).mean() for p in silent.participants for t in p.trials]
    assert np.mean(steps) > 2 * np.mean(neighbours)


def test_drift_is_slow_and_has_the_size_asked():
    without, drifting = study(6, 3, snr=0.0, n_channels=32), study(6, 3, snr=0.0, n_channels=32, drift=2.0)
    ratios = []
    for name, sd in without.truth.noise_sd.items():
        for stimulus in without.stimuli:
            drift = eeg(drifting, name, stimulus) - eeg(without, name, stimulus)
            ratios.append(drift.var(axis=0).mean() / sd**2)
            frequency, power = welch(drift - drift.mean(axis=0), 64, nperseg=640, axis=0)
            assert power[frequency < 1].sum() > 0.8 * power.sum()
    assert np.mean(ratios) == pytest.approx(4, abs=4 * np.std(ratios) / np.sqrt(len(ratios)))


def test_blinks_are_positive_frontal_and_as_many_as_asked():
    options = {"duration": 60, "n_channels": None, "snr": 0.0}
    without, blinking = study(1, 2, **options), study(1, 2, blinks=30.0, **options)
    names = list(without.participants[0].ch_names)
    n_blinks = 0
    for stimulus in without.stimuli:
        blinks = eeg(blinking, "sub-01", stimulus) - eeg(without, "sub-01", stimulus)
        forehead = blinks[:, names.index("Fpz")]
        assert blinks.min() > -1e-18
        assert 50e-6 < forehead.max() < 500e-6
        assert blinks[:, names.index("Oz")].max() < 0.01 * forehead.max()
        assert np.linalg.svd(blinks, compute_uv=False)[1] < 1e-9 * np.linalg.norm(blinks)
        n_blinks += forehead.sum() / 64 / (100e-6 * 0.06 * np.sqrt(2 * np.pi))  # area over that of one blink
    assert abs(n_blinks - 60) < 4 * np.sqrt(60)


# ------------------------------------------------------------------ the door
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_participants": 0}, "n_participants: expected at least 1"),
        ({"n_stimuli": 0}, "n_stimuli: expected at least 1"),
        ({"n_presentations": 0}, "n_presentations: expected at least 1"),
        ({"duration": -3}, "duration: expected a finite positive"),
        ({"duration": 1}, "expected at least a bar"),
        ({"snr": -0.1}, "snr: expected 0 or more, got -0.1"),
        ({"snr": np.nan}, "snr: expected a finite number"),
        ({"surprisal_effect": -1}, "surprisal_effect: expected 0 or more"),
        ({"drift": -1}, "drift: expected 0 or more"),
        ({"blinks": -1}, "blinks: expected 0 or more"),
        ({"surprisal": "rhythm"}, "surprisal: expected one of"),
        ({"surprisal": "timing"}, "Pass rhythm='free'"),
        ({"rhythm": "iso"}, "rhythm: expected one of"),
        ({"timbre": ("piano", "kazoo")}, "timbre: expected one of"),
        ({"timbre": ()}, "timbre: expected one or more"),
        ({"montage": "biosemi65"}, "Did you mean 'biosemi64'"),
        ({"montage": mne.channels.make_dig_montage()}, "montage: expected positions of electrodes, got none"),
        ({"n_channels": 65}, "the montage has 64 electrodes, got 65"),
        ({"n_channels": 0}, "n_channels: expected at least 1"),
        ({"sfreq": 20}, "sfreq: expected at least 32 Hz"),
        ({"rng": -1}, "rng: expected at least 0"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        study(**options)


@pytest.mark.parametrize("options", [{"drift": True}, {"blinks": "many"}, {"rng": "seed"}, {"n_channels": 3.0}])
def test_bad_types(options):
    with pytest.raises(TypeError, match=f"{next(iter(options))}: expected a"):
        study(**options)


def test_one_channel_one_trial_one_participant():
    one = study(1, 1, n_channels=1, duration=2)
    assert one.participants[0].trials[0].eeg.shape == (128, 1)
    assert one.participants[0].ch_names == ("Cz",)


def test_importing_datasets_is_light():
    heavy = "torch mne scipy matplotlib pandas soxr soundfile tqdm sklearn"
    code = f"import sys, eegic.datasets; print(*[m for m in '{heavy}'.split() if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not loaded, f"importing eegic.datasets loads {loaded}: import them inside the function that needs them."
