"""Results in sentences: the numbers are those of the result, and every sentence is true of it."""

import dataclasses
import re
import types
from itertools import product

import numpy as np
import pandas as pd
import pytest
from handmade import tracked

from eegic import group_test
from eegic.reports import numbers, of_group, words
from eegic.reports.claims import claims
from eegic.reports.of_group import smallest


def changed(result=None, settings=None, **fields):
    """A result with other fields, and other settings."""
    result = tracked() if result is None else result
    return dataclasses.replace(result, settings={**result.settings, **(settings or {})}, **fields)


def listeners(n=5):
    """Participants whose corrected gains lie evenly around zero, in steps of 0.001."""
    rng = np.random.default_rng(3)
    people, null = [], tracked().null
    null = null - null.mean(axis=1, keepdims=True)
    for number in range(n):
        r_full = tracked().r_reduced + 0.001 * (
            number - (n - 1) / 2 + 0.1 * rng.standard_normal(tracked().r_full.shape)
        )
        people.append(changed(participant=f"p{number}", r_full=r_full, null=null))
    return people


@pytest.fixture(scope="module")
def group():
    return group_test(listeners())


class TestNumbers:
    @pytest.mark.parametrize(
        ("p", "written"),
        [(0.003, "p = .003"), (0.05, "p = .050"), (0.0004, "p < .001"), (1.0, "p = 1"), (np.nan, "p not defined")],
    )
    def test_p_has_no_leading_zero_and_is_never_zero(self, p, written):
        assert numbers.p_equals(p) == written

    @pytest.mark.parametrize(
        ("value", "written"),
        [(0.00312, "+0.0031"), (-0.0021, "−0.0021"), (-0.00001, "0.0000"), (0.0, "0.0000"), (np.nan, "–")],
    )
    def test_a_difference_has_its_sign_unless_it_is_zero(self, value, written):
        assert numbers.signed(value) == written

    def test_a_range_has_a_dash_unless_it_begins_below_zero(self):
        assert numbers.span(0, 400, "ms") == "0–400 ms"
        assert numbers.span(-100, 400, "ms") == "−100 to 400 ms"
        assert numbers.span(100, 100, "ms") == "100 ms"

    @pytest.mark.parametrize(
        ("names", "written"),
        [((), ""), ("a", "a"), ("ab", "a and b"), ("abc", "a, b and c"), ("abcd", "a, b and 2 more")],
    )
    def test_names_are_listed_as_in_a_sentence(self, names, written):
        assert numbers.together(names, 2 if len(names) == 4 else 3) == written

    def test_small_probabilities_and_shares_keep_digits(self):
        assert [numbers.level(p) for p in (0.05, 1 / 256, 2.5e-5)] == [".05", ".0039", "2.5e-5"]
        assert [numbers.percent(share) for share in (0.974, 0.0012, 0)] == ["97 %", "0.1 %", "0 %"]

    def test_a_share_below_zero_has_a_true_minus_and_zero_none(self):
        assert [numbers.percent(share) for share in (-0.001, -0.0, -0.021)] == ["0 %", "0 %", "−2 %"]

    def test_one_thing_has_no_plural(self):
        assert numbers.counted(1, "trial") == "1 trial"
        assert numbers.counted(1000, "surrogate") == "1,000 surrogates"


class TestMethodsOfAParticipant:
    def test_numbers_are_filled_in(self):
        text = words.methods(tracked())
        for said in (
            "The EEG of Jörg was analysed: 7 trials of 5 pieces, 66 s in all",
            "6 channels at 32 Hz; Pz has no value",
            "the baseline feature envelope (reduced model)",
            "ic (full model “ic”), or noisy ic and ic (full model “ic.npy”)",
            "lags of 0–125 ms",
            "chosen among 3 values from 0.01 to 100",
            "One piece at a time was held out, with all its presentations.",
            "39 surrogates were drawn at random (seed 0), so the smallest p-value that could come out is .025",
            "corrected for 5 channels and 2 models together",
        ):
            assert said in text

    @pytest.mark.parametrize(
        ("highpass", "lowpass", "moved", "told"),
        [
            (0.0, 16.0, 0, "The recording carries no note of a filter or of a change of reference."),
            (1.0, 8.0, 1, "The recording carries notes of a filter to 1–8 Hz and of a change of reference."),
            (1.0, 16.0, 0, "The recording carries a note of a high-pass at 1 Hz, and none of a change of reference."),
            (0.0, 16.0, 1, "The recording carries a note of a change of reference, and none of a filter."),
        ],
    )
    def test_filters_and_reference_are_those_of_the_recording(self, highpass, lowpass, moved, told):
        info = tracked().info.copy()
        with info._unlock():
            info.update(highpass=highpass, lowpass=lowpass, custom_ref_applied=moved)
        assert told in words.methods(changed(info=info))

    def test_every_null_is_told_apart(self):
        told = {
            words.methods(changed(settings={"null": null, "conditional": conditional}))
            for null in ("repair", "pseudo", "shift", "events")
            for conditional in (True, False)
        }
        assert len(told) == 7, "events is never conditional"

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({}, "The whole analysis was repeated in each, with its search for the regularisation."),
            ({"refit_alpha": False}, "with the regularisation that was chosen in the real data."),
            ({"alphas": [0.1]}, "fitted and scored anew, with the same regularisation."),
            ({"alphas": [0.1], "refit_alpha": False}, "fitted and scored anew, with the same regularisation."),
        ],
    )
    def test_what_surrogates_repeat_depends_on_what_was_searched(self, settings, told):
        text = words.methods(changed(settings=settings))
        assert told in text
        assert ("whole analysis" in text) == (not settings)

    def test_exact_nulls_draw_nothing(self):
        text = words.methods(changed(exact=True))
        assert "All 39" in text
        assert "random" not in text

    def test_cut_time_does_not_hold_out_sounds(self):
        text = words.methods(changed(settings={"gap": 0.5, "n_folds": 5}))
        assert "another part of the same pieces" in text
        assert "all presentations" not in text

    def test_a_single_alpha_was_not_chosen(self):
        text = words.methods(changed(settings={"alphas": [0.1]}))
        assert "with a regularisation of 0.1" in text
        assert "chosen" not in text

    def test_samples_left_out_are_counted(self):
        text = words.methods(changed(n_samples=tracked().n_samples // 2))
        assert "of which 33 s (50 %) were used" in text


class TestFindingsOfAParticipant:
    def test_they_are_the_numbers_of_the_result(self):
        result = tracked()
        text = words.findings(result)
        for row, name in enumerate(result.models):
            corrected = numbers.signed(np.nanmean(result.corrected[row]))
            found = int((result.p_maxt[row] < 0.05).sum())
            assert f"{name}: corrected Δr = {corrected} ± " in text
            assert f"{found} of 5 {'has' if found == 1 else 'have'} p < .05" in text

    def test_the_centre_of_the_null_stands_beside_why_zero_is_not_it(self):
        text = words.findings(changed(null=tracked().null * 0 - 0.0042))
        assert "not to be compared with zero" in text
        assert "here −0.0042." in text

    def test_the_reason_is_true_of_centres_above_zero(self):
        text = words.findings(changed(null=tracked().null * 0 + 0.0042))
        assert "mostly below zero" in text
        assert "here +0.0042." in text
        assert "by chance alone" not in text

    def test_one_surrogate_has_no_error_and_finds_nothing(self):
        text = words.findings(changed(null=tracked().null[:, :1]))
        assert "±" not in text
        assert "no p-value below .05 can come out" in text

    def test_one_model_needs_no_correction_for_models(self):
        one = {name: getattr(tracked(), name)[:1] for name in ("r_full", "null")}
        text = words.findings(changed(models={"ic": ("ic",)}, alpha=tracked().alpha[:2], **one))
        assert "models" not in text.replace("model,", "")
        assert "corrected for all channels." in text


class TestQuality:
    def test_little_data_is_said_to_be_little(self):
        much = changed(n_samples=100 * tracked().n_samples, segments=tracked().segments * [1, 100, 100])
        assert "less than the 460 s" in words.quality(tracked())[0]
        assert "460" not in words.quality(much)[0]

    def test_scores_that_are_too_good_are_doubted(self):
        modest = changed(r_reduced=tracked().r_reduced / 10, r_full=tracked().r_full / 10)
        assert "look for leakage" in words.quality(tracked())[1]
        assert "leakage" not in words.quality(modest)[1]

    def test_a_ceiling_is_given_only_where_it_is_defined(self):
        ceiling = tracked().ceiling
        nowhere = dataclasses.replace(ceiling, interval=ceiling.interval - 2)
        assert "It is highest at Fz" in words.quality(tracked())[2]
        assert "defined in 0 of 6 channels, since" in words.quality(changed(ceiling=nowhere))[2]
        assert "no noise ceiling" in words.quality(changed(ceiling=None))[2]

    def test_a_noisy_regressor_is_named_and_an_exact_one_is_not(self):
        told = " ".join(words.quality(tracked()))
        assert re.search(r"noisy ic\. Of the rest, 38 % is not noise", told)
        assert "of ic. Of" not in told

    def test_regularisation_at_the_edge_is_noticed(self):
        middle = changed(alpha=np.ones_like(tracked().alpha))
        assert any("widen" in one for one in words.quality(tracked()))
        assert not any("widen" in one for one in words.quality(middle))


class TestGroups:
    def test_methods_name_tests_and_smallest_p(self, group):
        text = words.methods(group)
        for said in (
            "5 participants",
            "35 trials of 5 pieces",
            "all 32 patterns of signs, one-sided (greater)",
            "is .031",
            "39 surrogates",
            "is .025",
        ):
            assert said in text

    @pytest.mark.parametrize(
        ("missing", "left_out", "told"),
        [
            ({"a": "no EEG."}, {}, "1 of 6 participants is missing (a: no EEG)."),
            ({}, {"a": ""}, "1 participant was left out (a)."),
            ({"a": "a: no\n\nEEG"}, {"b": "b, trial 0: slept"}, "(a: no EEG) and 1 was left out (b, trial 0: slept)."),
            (
                {"a": "x", "b": "y", "c": "x"},
                {"d": "z", "e": "z"},
                "3 of 8 participants are missing (a and c: x; b: y) and 2 were left out (d and e: z).",
            ),
        ],
    )
    def test_who_is_not_in_the_group_is_told_after_the_data(self, group, missing, left_out, told):
        data, absent, *rest = of_group.methods(group, missing, left_out).split("\n\n")
        assert absent.endswith(told)
        assert "\n\n".join([data, *rest]) == words.methods(group)

    def test_blocks_are_not_called_trials(self):
        cut = [changed(one, settings={"gap": 0.5}) for one in listeners()]
        assert "35 blocks of time of 5 pieces" in words.methods(group_test(cut))

    def test_findings_are_those_of_the_table(self, group):
        text = words.findings(group)
        for _, row in group.to_frame("region").iterrows():
            assert f"{row['model']}: corrected Δr = {numbers.signed(row['corrected'])} ± " in text
            assert f"{numbers.p_equals(row['p_listeners'])} for new listeners" in text
            assert f"{numbers.p_equals(row['p_pieces'])} for new pieces" in text

    def test_no_effect_is_no_evidence_of_none(self, group):
        said = claims(group)
        assert said["New listeners"].startswith("No model has p < .05, corrected for 2 models.")
        assert "no evidence that nothing is there" in said["New listeners"]

    def test_an_effect_is_claimed_for_those_models_that_have_it(self):
        people = listeners()
        for person in people:
            person.r_full[1] += 0.1
        said = claims(group_test(people))["New listeners"]
        assert said.startswith("ic.npy has p < .05, corrected for 2 models; ic not.")
        assert "does not say that other pieces" in said

    def test_without_shared_surrogates_nothing_is_said_of_pieces(self):
        people = listeners()
        people[1] = changed(people[1], settings={"rng": 9})
        apart = group_test(people)
        assert "different rng" in claims(apart)["New pieces"]
        assert "New pieces were not tested." in words.methods(apart)
        assert "new pieces" not in words.findings(apart).split("\n\n")[0]

    def test_few_participants_cannot_reach_the_level(self):
        few = group_test(listeners(3))
        assert claims(few)["New listeners"].startswith(
            "No model could have p < .05: the smallest that so few can give is .12."
        )
        told = " ".join(words.quality(few))
        assert "For new listeners, no p-value below .05 could come out: the smallest is .12" in told

    @pytest.mark.parametrize(("outlier", "expected"), [(3, "too large, if anything"), (-3, "too small")])
    def test_a_skewed_group_is_told_which_way_its_test_errs(self, outlier, expected):
        people = listeners()
        people[0].r_full[:] += outlier
        told = " ".join(words.quality(group_test(people)))
        assert f"the p-value is {expected}." in told
        assert "Compare" not in told
        assert told.count("5 participants are too few for the tests of the trimmed mean and of the median") == 1
        assert "their smallest p-values are .062 and .12." in told

    @pytest.mark.parametrize(("n", "compared"), [(6, "trimmed"), (8, "both")])
    def test_only_tests_that_could_find_something_are_recommended(self, n, compared):
        people = listeners(n)
        people[0].r_full[:] += 3
        told = " ".join(words.quality(group_test(people)))
        if compared == "both":
            assert re.search(r"Compare the tests of the trimmed mean \(p .*\) and of the median \(p ", told)
            assert "too few" not in told
        else:
            assert re.search(r"Compare the test of the trimmed mean \(p [^)]*\)\.", told)
            assert "6 participants are too few for the test of the median: its smallest p-value is .062." in told

    @pytest.mark.parametrize(("center", "cut"), [("trimmed", lambda n: n // 5), ("median", lambda n: (n - 1) // 2)])
    def test_the_smallest_p_is_that_of_all_patterns_of_signs(self, center, cut):
        for n in (4, 6, 9):
            values = np.sort(np.array([*product((-1, 1), repeat=n)]) * (1 + np.sqrt(np.arange(n))), axis=1)
            centres = values[:, cut(n) : n - cut(n)].mean(axis=1)
            made = types.SimpleNamespace(settings={"rng": 0, "n_flips": 10_000})
            assert smallest(made, n, center) == pytest.approx(np.mean(centres >= centres.max() - 1e-12))

    def test_an_interval_of_d_takes_six_participants(self):
        told = [words.findings(group_test(listeners(n))).split("\n\n")[0] for n in (5, 6)]
        assert ["(95 % interval −" in one for one in told] == [False, True]
        assert all(" d = " in one for one in told)

    def test_the_best_noise_level_is_not_claimed(self, group):
        levels = group_test(listeners(), conditions={"ic": ("ic", 0.1), "ic.npy": ("ic", 0.5)})
        assert "was seen in these data" in words.findings(levels)
        assert "noise level" not in words.findings(group)

    def test_channels_that_some_lack_are_counted(self):
        people = listeners()
        people[0].r_full[..., 0] = np.nan
        assert "with a value in 0–5 of 5 participants, by channel" in words.methods(group_test(people))


class TestBothAtOnce:
    """The card of a mixed model says what its table shows."""

    @staticmethod
    def said(group, terms, p, estimate, **more):
        table = pd.DataFrame({"term": terms, "estimate": estimate, "df": more.pop("df", 4.0), "p": p})
        return claims(group, types.SimpleNamespace(**{"table": table, "formula": "corrected ~ 0 + model", **more}))[
            "Both at once"
        ]

    def test_models_with_and_without_are_named(self, group):
        terms = ["model[ic]", "model[ic.npy]"]
        text = self.said(group, terms, [0.2, 0.01], [0.001, 0.002])
        assert text.startswith(
            "ic.npy has p < .05, two-sided and not corrected for several models; ic not. t has 4 degrees of freedom. A "
        )
        assert "5 listeners and 5 pieces" in text
        assert "this one asks more than either of the others, and its p-values are two-sided." in text
        assert "Below zero" not in text
        assert self.said(group, terms, [0.2, 0.3], [0.1, 0.1]).startswith("No model has p < .05, two-sided")
        assert "Below zero: ic." in self.said(group, terms, [0.01, 0.01], [-0.1, 0.1])

    def test_the_mean_of_several_models_is_called_so(self, group):
        text = self.said(group, ["Intercept"], [0.01], [0.01])
        assert text.startswith("The mean of all 2 models is +0.0100, p = .010, two-sided. t has 4 degrees of freedom.")

    def test_degrees_of_freedom_are_cautious_only_where_pieces_were_missed(self, group):
        terms = ["model[ic]", "model[ic.npy]"]
        few = dataclasses.replace(group, sounds=("other", *group.sounds[1:]))
        cautious = "t has 4 degrees of freedom, one less than the fewer of participants and pieces, which is cautious."
        assert cautious in self.said(few, terms, [0.2, 0.01], 0.1)
        assert "cautious" not in self.said(group, terms, [0.2, 0.01], 0.1)
        text = self.said(few, terms, [0.2, 0.01], 0.1, df=[4.0, 5.25])
        assert "t has 4 to 5.2 degrees of freedom. A" in text
        assert "t has 1 degree of freedom. A" in self.said(group, terms, [0.2, 0.01], 0.1, df=1.0)

    def test_the_intercept_of_a_single_model_is_that_model(self):
        people = [
            changed(one, models={"ic": ("ic",)}, r_full=one.r_full[:1], null=one.null[:1], alpha=one.alpha[:2])
            for one in listeners()
        ]
        assert self.said(group_test(people), ["Intercept"], [0.01], [0.1]).startswith(
            "ic has p < .05, two-sided. t has"
        )

    @pytest.mark.parametrize(
        ("terms", "more"),
        [
            (["Intercept", "noise"], {}),
            (["model[ic]", "model[other]"], {}),
            (["model[ic]", "model[ic.npy]"], {"converged": False}),
        ],
    )
    def test_what_is_no_mean_of_models_or_not_converged_is_not_stated(self, group, terms, more):
        text = self.said(group, terms, [0.01, 0.01], [0.1, 0.1], **more)
        assert text.startswith("A mixed model (corrected ~ 0 + model)")
        assert "p <" not in text
        assert ("do not use" in text) == bool(more)


def test_what_was_heard_is_called_a_piece(group):
    for result in (tracked(), group, group_test(listeners(3))):
        text = " ".join([words.methods(result), words.findings(result), *words.quality(result)])
        assert not re.search(r"\bsounds\b", text)


def test_no_sentence_calls_anything_significant(group):
    for result in (tracked(), group):
        text = " ".join([words.methods(result), words.findings(result), *words.quality(result)])
        assert "significant" not in text
        assert "nan" not in text.split()
        assert "  " not in text


def test_other_things_have_no_words():
    with pytest.raises(TypeError, match="expected a Tracking or a GroupResult, got dict. Load a saved one"):
        words.methods({})
