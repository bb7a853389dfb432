"""Channels of several participants come together by name, and by nothing else."""

import warnings

import mne
import numpy as np
import pytest

from eegic import Participant, trf
from eegic.eeg.channels import same_channels
from eegic.eeg.preprocessing import preprocess

NAMES = ["Fz", "Cz", "Pz", "Oz", "T7"]


def listener(rng, ch_names, name="sub-01", **changes):
    """Each channel holds its own name as a number, and noise."""
    own = np.array([sum(map(ord, channel)) for channel in ch_names])
    eeg = [own + rng.standard_normal((n, len(ch_names))) for n in (200, 150)]
    arguments = {"unit": "uV", "name": name, "montage": "biosemi64", "masks": [np.arange(n) > 9 for n in (200, 150)]}
    return Participant.from_arrays(eeg, ["bach", "holst"], 64.0, ch_names=ch_names, **{**arguments, **changes})


def columns(person):
    return {name: person.trials[0].eeg[:, i] for i, name in enumerate(person.ch_names)}


class TestOrder:
    def test_columns_follow_their_names(self, rng):
        first, second = listener(rng, NAMES), listener(rng, NAMES[::-1], "sub-02", bads=["T7", "Cz"])
        one, two = same_channels([first, second])
        assert one is first
        assert two.ch_names == tuple(NAMES) == tuple(two.info["ch_names"])
        assert set(two.bads) == {"T7", "Cz"} and one.bads == ()
        for name, column in columns(two).items():
            np.testing.assert_array_equal(column, columns(second)[name])
        where = {channel["ch_name"]: channel["loc"] for channel in second.info["chs"]}
        for channel in two.info["chs"]:
            np.testing.assert_array_equal(channel["loc"], where[channel["ch_name"]])
        assert (two.name, two.stimuli, two.history) == ("sub-02", second.stimuli, second.history)
        assert all(a.mask is b.mask for a, b in zip(two.trials, second.trials, strict=True))
        with pytest.raises(ValueError, match="read-only"):
            two.trials[0].eeg[0] = 0

    def test_shuffled_channels_give_the_same_scores(self, rng):
        sound = [rng.standard_normal((n, 1)) for n in (200, 150)]
        eeg = [1e-5 * (x + rng.standard_normal((len(x), 5))) for x in sound]
        shuffled = rng.permutation(5)
        people = [
            Participant.from_arrays(eeg, ["a", "b"], 64.0, ch_names=NAMES),
            Participant.from_arrays([x[:, shuffled] for x in eeg], ["a", "b"], 64.0, ch_names=np.take(NAMES, shuffled)),
        ]
        one, two = (
            trf.nested_crossval(sound, person.eeg, 64.0, tmin=0.0, tmax=0.1, alphas=[0.1]).r
            for person in same_channels(people)
        )
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-12)

    def test_the_same_channels_pass_untouched(self, rng):
        people = [listener(rng, NAMES, f"sub-{i}") for i in range(3)]
        for channels in ("all", "intersection"):
            assert all(a is b for a, b in zip(same_channels(iter(people), channels=channels), people, strict=True))


class TestSets:
    def test_different_sets_are_refused(self, rng):
        people = [listener(rng, NAMES), listener(rng, ["Iz", *NAMES[1:]], "sub-02"), listener(rng, NAMES[:4], "sub-03")]
        with pytest.raises(
            ValueError,
            match=r"different channels. sub-01 lacks Iz. sub-02 lacks Fz. sub-03 lacks T7, Iz. Rename .*the 3 that",
        ):
            same_channels(people)

    def test_the_intersection_says_what_it_cost(self, rng):
        people = [
            listener(rng, NAMES),
            listener(rng, ["Iz", *NAMES[:0:-1]], "sub-02"),
            listener(rng, NAMES[:4], "sub-03"),
        ]
        done = same_channels(people, channels="intersection")
        note = (
            "channels: kept the 3 that all 3 participants have; left out (and how many have it): Fz (2), T7 (2), Iz (1)"
        )
        for person, before in zip(done, people, strict=True):
            assert person.ch_names == ("Cz", "Pz", "Oz")
            assert person.history[-1] == note
            for name, column in columns(person).items():
                np.testing.assert_array_equal(column, columns(before)[name])

    def test_bad_channels_do_not_come_back(self, rng):
        people = [listener(rng, NAMES, bads=["Pz", "T7"]), listener(rng, ["Pz", "Cz"], "sub-02")]
        one, two = same_channels(people, channels="intersection")
        assert (one.bads, two.bads) == (("Pz",), ())
        assert np.isnan(one.eeg[0]).all(axis=0).tolist() == [False, True]

    def test_nothing_in_common(self, rng):
        with pytest.raises(ValueError, match="no channel in common. sub-01 lacks Oz. sub-02 lacks Fz, Cz"):
            same_channels([listener(rng, NAMES[:2]), listener(rng, ["Oz"], "sub-02")], channels="intersection")

    @pytest.mark.parametrize(
        ("mine", "yours"),
        [
            ("Fp1", "FP1"),
            ("Fp1", "EEG Fp1-REF"),
            ("T3", "T7"),
            ("P8", "EEG T6-LE"),
            ("Fc5.", "FC5"),
            ("EEG 001", "EEG001"),
        ],
    )
    def test_variants_are_named_and_never_matched(self, rng, mine, yours):
        people = [listener(rng, ["Cz", mine], montage=None), listener(rng, ["Cz", yours], "sub-02", montage=None)]
        with pytest.raises(ValueError, match=rf"These may be the same: {mine} = {yours}. Rename .*mne.rename_channels"):
            same_channels(people)
        with pytest.warns(UserWarning, match="may be the same under two names") as caught:
            done = same_channels(people, channels="intersection")
        assert caught[0].filename == __file__
        assert [person.ch_names for person in done] == [("Cz",), ("Cz",)]

    def test_the_advice_works(self, rng):
        people = [listener(rng, ["Cz", "T7"]), listener(rng, ["Cz", "T3"], "sub-02")]
        mne.rename_channels(people[1].info, {"T3": "T7"})
        assert [person.ch_names for person in same_channels(people)] == [("Cz", "T7"), ("Cz", "T7")]

    def test_names_that_only_look_alike_are_not_suggested(self, rng):
        with pytest.raises(ValueError) as caught:
            same_channels([listener(rng, ["Cz", "P1"]), listener(rng, ["Cz", "P10"], "sub-02")])
        assert "may be the same" not in str(caught.value)


class TestRecordings:
    def test_rates_must_agree(self, rng):
        slow = preprocess(listener(rng, NAMES, "sub-02"), sfreq=32.0, bad_channels="keep", progress=False)
        with pytest.raises(
            ValueError, match="sub-02 is sampled at 32 Hz, sub-01 at 64 Hz. Bring all to one rate first"
        ):
            same_channels([listener(rng, NAMES), slow])

    def test_references_that_differ_are_warned_of_at_the_call(self, rng):
        people = [listener(rng, NAMES, f"sub-0{i}") for i in (1, 2, 3)]
        people[1] = preprocess(people[1], bad_channels="keep", progress=False)
        with pytest.warns(
            UserWarning,
            match=r"different references \(as recorded: sub-01, sub-03; the average of channels: sub-02\). Give",
        ) as caught:
            same_channels(people)
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            same_channels([preprocess(p, bad_channels="keep", progress=False) for p in people])
        mastoids = preprocess(people[0], reference=["Cz", "Pz"], bad_channels="keep", progress=False)
        with pytest.warns(UserWarning, match=r"\(the mean of Cz, Pz: sub-01; the average of channels: sub-02\)"):
            same_channels([mastoids, people[1]])

    def test_wrong_arguments(self, rng):
        person = listener(rng, NAMES)
        with pytest.raises(ValueError, match="channels: expected one of 'all', 'intersection', got 'common'"):
            same_channels([person], channels="common")
        with pytest.raises(ValueError, match="participants: expected at least one, got none"):
            same_channels([])
        with pytest.raises(TypeError, match=r"participants\[1\]: expected a Participant, got ndarray"):
            same_channels([person, np.zeros(3)])
        with pytest.raises(TypeError, match="participants: expected several, got a single one. Write"):
            same_channels(person)
