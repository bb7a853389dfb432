"""Many participants together: against scipy, against loops, and against simulated effects."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.sparse.csgraph import connected_components
from scipy.stats import permutation_test, ttest_rel
from trackings import people, tracking

import eegic as ei
from eegic import stats
from eegic.group.mixed import fieller
from eegic.results import GroupResult


@pytest.fixture(scope="module")
def crowd():
    return people(7, 0.004, n_models=2)


@pytest.fixture(scope="module")
def group(crowd):
    return ei.group_test(crowd, regions={"left": ["Fp1", "AF7"]})


class TestTogether:
    def test_corrected_gains_are_those_of_the_participants(self, group, crowd):
        np.testing.assert_allclose(group.corrected, np.stack([one.corrected for one in crowd], axis=1))
        np.testing.assert_allclose(group.summary[:, 0], np.median(group.corrected, axis=2))
        np.testing.assert_allclose(group.summary[:, 1], np.median(group.corrected[..., :2], axis=2))

    def test_new_listeners_are_a_sign_flip_of_corrected_gains(self, group):
        expected = permutation_test(
            (group.corrected[1],), np.mean, permutation_type="samples", alternative="greater", n_resamples=np.inf
        )
        np.testing.assert_allclose(group.listeners.p[1], expected.pvalue, atol=1e-12)
        assert group.p_min["listeners"] == 1 / 2**7

    def test_correction_is_for_channels_and_models_together(self, group):
        both = np.hstack(list(group.corrected))
        np.testing.assert_array_equal(group.listeners.p_maxt.ravel(), stats.sign_flip(both).p_maxt)

    def test_new_pieces_are_surrogates_averaged_one_by_one(self, group, crowd):
        gain, null = (np.mean([getattr(one, what) for one in crowd], axis=0) for what in ("gain", "null"))
        at_least = (null >= gain[:, None]).sum(axis=1)
        np.testing.assert_allclose(group.p_pieces, (1 + at_least) / 100)
        assert (group.p_pieces_maxt >= group.p_pieces - 1e-12).all()

    def test_pieces_by_region_against_a_loop(self, group, crowd):
        wanted = []
        for k in range(2):
            total = np.zeros(100)
            for one in crowd:
                pooled = np.vstack([one.gain[k], one.null[k]])
                total += np.median(pooled - pooled.mean(axis=0), axis=1)
            wanted.append((total[1:] >= total[0]).sum() + 1)
        np.testing.assert_allclose(group.p_pieces_by_region[:, 0], np.array(wanted) / 100)

    def test_single_participants_keep_their_own_p_values(self, crowd):
        group = ei.group_test(crowd, over="mean")
        np.testing.assert_allclose(group.region_p[:, 0], np.transpose([one.p_mean for one in crowd]))

    def test_order_and_names_of_channels_do_not_matter(self, crowd):
        turned = replace_channels(crowd[0], [3, 1, 0, 2, 5, 4])
        one, other = ei.group_test(crowd), ei.group_test([*crowd[1:], turned])
        for name in one.ch_names:
            at, there = one.ch_names.index(name), other.ch_names.index(name)
            np.testing.assert_allclose(one.listeners.t[:, at], other.listeners.t[:, there])
            np.testing.assert_allclose(one.p_pieces[:, at], other.p_pieces[:, there])

    def test_noise_levels_are_read_from_names(self, crowd):
        assert ei.group_test(crowd).conditions == {"IC 0": ("IC", 0.0), "IC 0.1": ("IC", 0.1)}
        named = ei.group_test(crowd, conditions={"IC 0": ("aligned", 0.5)}).conditions
        assert named["IC 0"] == ("aligned", 0.5)
        models = {"surprisal": ("surprisal",), "step 2": ("step 2",)}
        found = ei.group_test(people(2, n_models=2, models=models)).conditions
        assert [family for family, _ in found.values()] == ["surprisal", "step 2"]
        assert np.isnan([noise for _, noise in found.values()]).all()

    def test_a_participant_without_effect_is_like_any_other(self):
        crowd = people(6, 0.006)
        none = people(1, 0.0, seed=5)[0]
        group = ei.group_test([*crowd, replace(none, participant="sub-99")])
        table = group.to_frame("participant").set_index("participant")
        assert table.loc["sub-99", "p"] > 0.05
        assert group.to_frame("region")["significant"][0] == (table["p"] <= 0.05).sum()

    def test_saved_trackings_can_be_named(self, crowd, group, tmp_path):
        for one in crowd:
            one.save(tmp_path / f"{one.participant}.npz")
        again = ei.group_test(sorted(tmp_path.glob("*.npz")), regions={"left": ["Fp1", "AF7"]})
        np.testing.assert_array_equal(again.listeners.p_maxt, group.listeners.p_maxt)


class TestMissing:
    def test_participants_take_part_where_they_can(self):
        crowd = people(5, 0.004, n_channels=6)
        crowd[0] = replace_channels(crowd[0], [0, 1, 2])
        crowd[1] = without(crowd[1], 4)
        group = ei.group_test(crowd)
        np.testing.assert_array_equal(group.n[0], [5, 5, 5, 4, 3, 4])
        assert any("sub-01" in note and "AF3" not in note for note in group.notes)
        assert np.isfinite(group.listeners.p).all()
        assert group.info["bads"] == []

    def test_a_channel_that_nobody_has_changes_no_other(self):
        crowd = people(6, 0.004)
        all_of_them = ei.group_test(crowd)
        lacking = ei.group_test([without(one, 2) for one in crowd])
        assert np.isnan(lacking.listeners.p[0, 2]) and np.isnan(lacking.p_pieces[0, 2])
        assert lacking.info["bads"] == [lacking.ch_names[2]]
        rest = [0, 1, 3, 4, 5]
        np.testing.assert_array_equal(lacking.listeners.p[:, rest], all_of_them.listeners.p[:, rest])
        smaller = ei.group_test([replace_channels(one, rest) for one in crowd])
        np.testing.assert_array_equal(lacking.listeners.p_maxt[:, rest], smaller.listeners.p_maxt)
        np.testing.assert_array_equal(lacking.p_pieces_maxt[:, rest], smaller.p_pieces_maxt)

    def test_a_participant_without_a_region_is_missing_there_only(self):
        crowd = people(5, 0.004)
        crowd[0] = replace_channels(crowd[0], [2, 3, 4, 5])
        group = ei.group_test(crowd, regions={"left": ["Fp1", "AF7"]})
        table = group.to_frame("region").set_index("region")
        assert (table.loc["all", "n"], table.loc["left", "n"]) == (5, 4)

    def test_a_region_that_nobody_has_is_empty_and_harms_no_other(self):
        crowd = [without(one, 0) for one in people(5, 0.004)]
        table = ei.group_test(crowd, regions={"left": ["Fp1"]}).to_frame("region").set_index("region")
        assert table.loc["left", "n"] == 0 and np.isnan(table.loc["left", ["p_listeners", "d", "prevalence"]]).all()
        assert np.isfinite(table.loc["all", ["p_listeners", "d", "prevalence"]].astype(float)).all()

    def test_a_participant_without_any_value_is_refused_by_name(self):
        crowd = people(3)
        for channel in range(6):
            crowd[1] = without(crowd[1], channel)
        with pytest.raises(ValueError, match="results: 'sub-02' without any value"):
            ei.group_test(crowd)


class TestWhoCanBePutTogether:
    def test_one_participant_is_no_group(self):
        with pytest.raises(ValueError, match="at least 2 participants, got 1"):
            ei.group_test(people(1))
        with pytest.raises(TypeError, match="expected several, one per participant, got Tracking"):
            ei.group_test(people(1)[0])

    def test_five_participants_state_the_smallest_p(self):
        assert ei.group_test(people(5)).p_min["listeners"] == 0.03125

    def test_a_participant_counts_once(self):
        with pytest.raises(ValueError, match="sub-01"):
            ei.group_test([*people(2), people(1)[0]])

    def test_models_in_another_order_are_refused(self, crowd):
        turned = replace(
            crowd[0], participant="other", models=dict(reversed(crowd[0].models.items())), r_full=crowd[0].r_full[::-1]
        )
        with pytest.raises(ValueError, match="these in another order"):
            ei.group_test([*crowd, turned])
        with pytest.raises(TypeError, match=r"got dict. Pass its .values\(\)"):
            ei.group_test({one.participant: one for one in crowd})

    def test_different_questions_are_not_averaged(self, crowd):
        for other, message in (
            (people(1, models={"x": ("x",)})[0], "different models"),
            (people(1, n_models=2, lags=np.arange(9) / 64)[0], "different lags"),
            (changed(crowd[0], null="shift"), "different null"),
            (replace(crowd[0], baseline=("flux",)), "different baseline"),
        ):
            with pytest.raises(ValueError, match=message):
                ei.group_test([*crowd, replace(other, participant="other")])

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"sounds": ["piece 0", "piece 1", "piece 2", "bach"]}, r"heard different pieces \('bach', 'piece 3'\)"),
            ({"rng": 2}, "different rng. Give all participants the same rng"),
            ({"n_null": 49}, "different n_null"),
        ],
    )
    def test_without_shared_surrogates_nothing_is_said_of_pieces(self, crowd, changes, reason, tmp_path):
        other = replace(people(1, 0.004, n_models=2, **changes)[0], participant="other")
        group = ei.group_test([*crowd, other])
        assert not group.shared
        assert np.isnan(group.p_pieces).all() and np.isnan(group.p_pieces_by_region).all()
        assert np.isfinite(group.listeners.p).all()
        assert any(re.search(reason, note) for note in group.notes), group.notes
        group.save(tmp_path / "a.npz")
        assert not GroupResult.load(tmp_path / "a.npz").shared
        assert np.isnan(group.to_frame("region")["p_count"]).all()

    def test_shifted_features_say_nothing_of_pieces(self):
        group = ei.group_test([changed(one, null="shift") for one in people(3)])
        assert not group.shared and "no exchange of the pieces" in group.notes[0]


class TestTables:
    @pytest.mark.parametrize("over", ["mean", "median"])
    def test_trials_average_to_participants(self, crowd, over):
        """The median over channels of a trial does not, by itself: skewed trials would put it off zero."""
        group = ei.group_test(crowd, over=over)
        trials = group.to_frame("trial").groupby(["participant", "model"])["corrected"].mean()
        people_ = group.to_frame("participant").set_index(["participant", "model"])["corrected"]
        pd.testing.assert_series_equal(trials, people_.sort_index(), check_names=False)

    def test_channels_have_means_errors_and_p_values(self, group):
        table = group.to_frame("channel").query("model == 'IC 0.1'").set_index("channel")
        values = pd.DataFrame(group.corrected[1], columns=group.ch_names)
        np.testing.assert_allclose(table["corrected"], values.mean())
        np.testing.assert_allclose(table["se"], values.sem())
        np.testing.assert_allclose(table["t"], values.mean() / values.sem())
        np.testing.assert_allclose(table["delta_r"] - table["null_mean"], table["corrected"])
        assert (table["p_listeners_fdr"] >= table["p_listeners"]).all()
        assert set(table["noise"]) == {0.1}

    def test_regions_have_effect_sizes_and_prevalence(self, group):
        row = group.to_frame("region").query("model == 'IC 0' and region == 'all'").iloc[0]
        values = group.summary[0, 0]
        assert row["d"] == pytest.approx(values.mean() / values.std(ddof=1))
        assert row["d_low"] < row["d"] < row["d_high"]
        assert row["significant"] == (group.region_p[0, 0] <= 0.05).sum()
        assert row["prevalence_low"] <= row["prevalence"] <= row["prevalence_high"]
        assert group.prevalence("IC 0").found == row["significant"]

    def test_too_few_surrogates_for_single_participants_are_said(self):
        group = ei.group_test(people(4, n_null=9))
        assert np.isnan(group.to_frame("region")["prevalence"]).all()
        with pytest.raises(ValueError, match="there are too few surrogates"):
            group.prevalence()

    def test_a_saved_group_gives_the_same_tables(self, group, tmp_path):
        group.save(tmp_path / "group.npz")
        again = GroupResult.load(tmp_path / "group.npz")
        for by in ("channel", "region", "participant", "trial"):
            pd.testing.assert_frame_equal(group.to_frame(by), again.to_frame(by))
        assert repr(again) == repr(group)

    def test_the_line_says_of_whom_each_p_value_speaks(self, group):
        lines = str(group).splitlines()
        assert lines[0] == repr(group) and len(lines) == 2 + len(group.models) + 1
        assert "new listeners" in lines[1] and "new pieces" in lines[1]
        assert (
            f"{group.summary[1, 0].mean():+.4f}" in lines[3] and "smallest p possible: listeners 0.00781" in lines[-1]
        )

    def test_a_damaged_file_is_refused(self, group, tmp_path):
        group.save(tmp_path / "a.npz")
        with np.load(tmp_path / "a.npz") as file:
            arrays = dict(file)
        about = json.loads(str(arrays["about"]))
        for change in (
            {"region_gain": arrays["region_gain"][..., :-1]},
            {"owner": arrays["owner"] + 1},
            {"r_full": arrays["r_full"][:1]},
            {"about": np.array(json.dumps({**about, "families": ["one"]}))},
            {"about": np.array(json.dumps({**about, "regions": {"all": ["nowhere"]}}))},
            {"about": np.array(json.dumps({**about, "settings": {}}))},
            {"about": np.array(json.dumps({**about, "settings": {**about["settings"], "over": "x"}}))},
            {"about": np.array(json.dumps({**about, "regions": {"left": ["Fp1"], "right": ["Fp1"]}}))},
            {"region_p": arrays["region_p"] + 1},
            {"r_full": np.full_like(arrays["r_full"], np.nan)},
        ):
            np.savez(tmp_path / "b.npz", **{**arrays, **change})
            with pytest.raises(ValueError, match="damaged, or changed by hand"):
                GroupResult.load(tmp_path / "b.npz")

    def test_what_could_not_be_loaded_is_not_written(self, group, tmp_path):
        with pytest.raises(ValueError, match="not written, since it could not be loaded"):
            replace(group, owner=group.owner + 1).save(tmp_path / "a.npz")
        assert not (tmp_path / "a.npz").exists()


class TestComparison:
    def test_differences_within_participants(self, group):
        table = ei.compare_models(group, "IC 0.1", "IC 0", by="channel")
        difference = group.corrected[1] - group.corrected[0]
        np.testing.assert_allclose(table["t"], ttest_rel(group.corrected[1], group.corrected[0]).statistic)
        expected = permutation_test((difference,), np.mean, permutation_type="samples", n_resamples=np.inf)
        np.testing.assert_allclose(table["p"], expected.pvalue, atol=1e-12)

    def test_a_model_is_not_compared_with_itself(self, group):
        with pytest.raises(ValueError, match="two different models"):
            ei.compare_models(group, "IC 0", "IC 0")


class TestMixed:
    def test_the_mean_is_that_of_a_crossed_table(self):
        group = ei.group_test(crossed(8, 6, lambda noise: 0.003 + 0 * noise, levels=[0.0], seed=2))
        fit = ei.mixed_model(group)
        table = group.to_frame("trial").pivot_table(values="corrected", index="participant", columns="sound")
        exact = stats.crossed_mean(table.to_numpy())
        row = fit.table.iloc[0]
        assert fit.formula == "corrected ~ 1" and fit.converged
        assert row["estimate"] == pytest.approx(exact.mean, rel=1e-3)
        assert row["se"] == pytest.approx(exact.se, rel=0.02)
        assert row["df"] == pytest.approx(exact.df)

    def test_simulated_effects_are_recovered_in_units_of_delta_r(self):
        def truth(noise):
            return 0.002 + 0.012 * noise - 0.015 * noise**2  # highest at 0.4

        levels = [0.0, 0.2, 0.4, 0.6, 0.8]
        group = ei.group_test(crossed(12, 8, truth, levels=levels, seed=1))
        fit = ei.mixed_model(group)
        assert fit.formula == "corrected ~ noise + I(noise**2)" and fit.converged
        rows = fit.table.set_index("term")
        for term, value in (("Intercept", 0.002), ("noise", 0.012), ("I(noise ** 2)", -0.015)):
            assert rows.loc[term, "low"] < value < rows.loc[term, "high"]
            assert abs(rows.loc[term, "estimate"] - value) < 0.003
        at, low, high = fit.peaks["IC"]
        assert low < 0.4 < high and abs(at - 0.4) < 0.05
        means = ei.mixed_model(group, "corrected ~ 0 + model").table
        assert list(means["term"]) == [f"model[{name}]" for name in group.models]
        np.testing.assert_allclose(means["estimate"], group.summary[:, 0].mean(axis=1), atol=1e-6)
        assert means["sd_participant"].mean() == pytest.approx(0.002, rel=0.5)
        assert means["sd_rest"].mean() == pytest.approx(0.002, rel=0.2)

    def test_families_are_compared_with_the_first(self):
        crowd = crossed(6, 5, lambda noise: 0.001 + 0.004 * noise, levels=[0.0, 0.2, 0.4, 0.6], seed=3)
        conditions = dict(zip(crowd[0].models, [("a", 0.0), ("a", 0.4), ("b", 0.0), ("b", 0.4)], strict=True))
        fit = ei.mixed_model(ei.group_test(crowd, conditions=conditions))
        assert fit.formula == "corrected ~ noise * family"
        assert any(term == "family[T.b]" for term in fit.table["term"])

    def test_models_without_a_noise_level_are_named(self):
        crowd = crossed(5, 4, lambda noise: 0.001 + 0 * noise, levels=[0.0, 0.3, 0.6], seed=4)
        group = ei.group_test(crowd, conditions={"IC 0.6": ("true surprisal", np.nan)})
        fit = ei.mixed_model(group, "corrected ~ noise")
        assert any("IC 0.6" in note for note in fit.notes)

    @pytest.mark.parametrize(
        ("formula", "message"),
        [
            ("delta_r ~ noise", "expected 'corrected ~ ...'"),
            ("corrected", "expected 'corrected ~ ...'"),
            ("corrected ~ nois", "got 'nois'"),
            ("corrected ~ __import__('os')", "got '__import__'"),
            ("corrected ~ noise[0]", r"got 'noise\[0\]'"),
            ("corrected ~ (", "cannot be read"),
            ("corrected ~ I(noise**2) * noise", "do not tell apart"),
        ],
    )
    def test_a_formula_holds_nothing_but_known_names(self, group, formula, message):
        with pytest.raises(ValueError, match=message):
            ei.mixed_model(group, formula)

    def test_a_highest_point_outside_the_levels_is_not_named(self):
        crowd = crossed(6, 5, lambda noise: 0.01 * noise - 0.004 * noise**2, levels=[0.0, 0.3, 0.6], seed=6)
        assert np.isnan(ei.mixed_model(ei.group_test(crowd)).peaks["IC"]).all()

    def test_flat_parabolas_have_no_bounds(self):
        assert fieller(0.1, -0.2, 1.0, 1.0, 0.0, 2.0) == (-np.inf, np.inf)
        low, high = fieller(0.8, -2.0, 1e-8, 1e-8, 0.0, 2.0)
        assert low < 0.4 < high and high - low < 1e-3

    def test_fieller_covers_at_its_level(self):
        rng = np.random.default_rng(0)
        covariance = np.array([[0.04, -0.03], [-0.03, 0.05]])
        draws = rng.multivariate_normal([0.8, -1.0], covariance, 4000)
        ends = [fieller(a, b, covariance[0, 0], covariance[1, 1], covariance[0, 1], 1.96) for a, b in draws]
        hit = np.mean([low <= 0.8 <= high for low, high in ends])
        assert 0.93 < hit < 0.97


@pytest.mark.slow
def test_mixed_models_reject_at_their_level():
    """No effect of noise, models that share the EEG of a trial, participants and sounds with slopes of their own."""
    levels, found = [0.0, 0.2, 0.4], []
    models = {f"IC {level:g}": (f"IC {level:g}",) for level in levels}
    for seed in range(200):
        rng = np.random.default_rng(seed)
        of_participant, of_sound = 0.002 * rng.standard_normal((8, 1)), 0.001 * rng.standard_normal(8)
        slopes = 0.0007 * rng.standard_normal((3, 8, 1)) + 0.0005 * rng.standard_normal((3, 1, 8))
        trial = 0.002 * rng.standard_normal((8, 8)) + 0.0015 * rng.standard_normal((3, 8, 8))
        gain = of_participant + of_sound + slopes + trial  # model, participant, sound
        crowd = [
            tracking(f"sub-{i}", np.repeat(gain[:, i, :, None], 2, axis=2), np.zeros((3, 9, 2)), models=models)
            for i in range(8)
        ]
        found.append(ei.mixed_model(ei.group_test(crowd), "corrected ~ noise").table["p"])
    for rejected in (np.array(found) < 0.05).sum(axis=0):
        assert 2 <= rejected <= 21  # a test that is right fails this once in a thousand


class TestClusters:
    def test_enhancement_is_the_integral_of_extent_and_height(self):
        """All flips, each with the integral over every height of its connected channels."""
        crowd = people(6, 0.003, n_channels=7, spread=0.002)
        group = ei.group_test(crowd)
        ring = np.abs(np.subtract.outer(np.arange(7), np.arange(7))) == 1
        table = ei.cluster_test(group, adjacency=ring)
        largest = [integral(t_of(group.corrected[0] * signs[:, None]), ring).max() for signs in every_sign(6)]
        observed = integral(t_of(group.corrected[0]), ring)
        expected = [(np.array(largest) >= one - 1e-9).mean() for one in observed]
        np.testing.assert_allclose(table["p"], expected, atol=1.1 / 64)
        np.testing.assert_allclose(table["t"], t_of(group.corrected[0]))

    def test_a_cluster_has_one_p_value(self):
        group = ei.group_test(people(8, 0.006, n_channels=8, spread=0.001))
        table = ei.cluster_test(group, method="cluster", threshold=2.0)
        inside = table[table["cluster"] > 0]
        assert len(inside) and (inside.groupby("cluster")["p"].nunique() == 1).all()
        assert 1 / 2**8 <= inside["p"].min() < 0.02
        assert table.loc[table["cluster"] == 0, "p"].isna().all()

    def test_channels_that_someone_lacks_take_no_part(self):
        crowd = people(6, 0.004, n_channels=8)
        crowd[2] = without(crowd[2], 3)
        table = ei.cluster_test(ei.group_test(crowd))
        assert np.isnan(table["p"][3]) and table["p"].drop(3).notna().all()

    def test_nothing_above_the_threshold_is_an_outcome(self):
        table = ei.cluster_test(ei.group_test(people(5, -0.01)), method="cluster", threshold=3.0)
        assert (table["cluster"] == 0).all()


class TestRegression:
    @pytest.fixture
    def two_groups(self):
        trained = people(6, 0.008, seed=1, spread=0.002)
        others = [
            replace(one, participant=f"other-{i}") for i, one in enumerate(people(6, 0.001, seed=2, spread=0.002))
        ]
        return ei.group_test([*trained, *others])

    def test_a_contrast_between_groups_is_a_t_test(self, two_groups):
        from statsmodels.api import OLS, add_constant

        who = pd.DataFrame(
            {"kind": ["trained"] * 6 + ["other"] * 6, "age": np.arange(12.0) % 5}, two_groups.participants
        )
        found = ei.group_regression(two_groups, who, "kind", confounds=["age"], n_permutations=499)
        x = add_constant(np.column_stack([np.repeat([1.0, 0.0], 6), who["age"]]))
        for channel in range(6):
            fit = OLS(two_groups.corrected[0][:, channel], x).fit()
            assert found["t"][channel] == pytest.approx(fit.tvalues[1])
            assert found["effect"][channel] == pytest.approx(fit.params[1])
        assert found["p_maxt"].max() < 0.05
        less = ei.group_regression(two_groups, who, "kind", alternative="less", n_permutations=199)
        assert (less["t"] > 0).all() and less["p_maxt"].min() > 0.5

    def test_ties_count_as_at_least_as_large(self):
        """Three against three: no p is below one of twenty, though sums in another order differ by rounding."""
        values = [0.01, 0.011, 0.012, 0.001, 0.002, 0.003]
        crowd = [tracking(f"sub-{i}", np.full((1, 2, 4), one), np.zeros((1, 9, 4))) for i, one in enumerate(values)]
        who = pd.DataFrame({"kind": ["b"] * 3 + ["a"] * 3}, index=[one.participant for one in crowd])
        found = ei.group_regression(
            ei.group_test(crowd), who, "kind", by="region", alternative="greater", n_permutations=4000
        )
        assert found["p_maxt"][0] == pytest.approx(0.05, abs=0.015) and found["contrast"][0] == "b - a"

    def test_nilearn_and_our_flips_agree_on_the_mean(self, two_groups):
        from nilearn.mass_univariate import permuted_ols

        values = two_groups.corrected[0]
        one = permuted_ols(
            np.ones((12, 1)), values, model_intercept=False, n_perm=4999, two_sided_test=True, random_state=0,
            output_type="dict",
        )  # fmt: skip
        ours = stats.sign_flip(values, alternative="two-sided")
        np.testing.assert_allclose(one["t"][0], ours.t)
        np.testing.assert_allclose(10 ** -one["logp_max_t"][0], ours.p_maxt, atol=0.01)

    def test_whoever_is_unknown_is_named(self, two_groups):
        who = pd.DataFrame({"kind": ["a", "b"] * 6, "age": 20.0}, index=two_groups.participants)
        with pytest.raises(ValueError, match="no row for 'other-5'"):
            ei.group_regression(two_groups, who.iloc[:-1], "kind")
        with pytest.raises(ValueError, match="'age' is the same for all"):
            ei.group_regression(two_groups, who, "age")
        with pytest.raises(ValueError, match="has 3 kinds"):
            ei.group_regression(two_groups, who.assign(kind=list("abc") * 4), "kind")
        with pytest.raises(ValueError, match="more than 12 participants can tell apart"):
            ei.group_regression(two_groups, who.assign(same=who["kind"] == "a"), "kind", confounds=["same"])


def replace_channels(one, picks):
    """A participant with these channels, in this order."""
    names = [one.ch_names[k] for k in picks]
    made = tracking(one.participant, one.delta_r[..., picks], one.null[..., picks], models=one.models, ch_names=names)
    return replace(made, stimuli=one.stimuli, sounds=one.sounds, settings=one.settings)


def changed(one, **settings):
    return replace(one, settings=one.settings | settings)


def without(one, channel):
    """A participant in whom a channel is bad."""
    delta_r, null = one.delta_r.copy(), one.null.copy()
    delta_r[..., channel] = null[..., channel] = np.nan
    return replace(one, r_full=one.r_reduced + delta_r, null=null)


def crossed(n_participants, n_sounds, truth, *, levels, seed):
    """Participants and sounds that each add their own to the gain at every noise level."""
    rng = np.random.default_rng(seed)
    levels = np.array(levels)
    of_participant, of_sound = 0.002 * rng.standard_normal(n_participants), 0.001 * rng.standard_normal(n_sounds)
    models = {f"IC {level:g}": (f"IC {level:g}",) for level in levels}
    found = []
    for i in range(n_participants):
        trial = 0.002 * rng.standard_normal((len(levels), n_sounds))
        gain = truth(levels)[:, None] + of_participant[i] + of_sound + trial
        null = np.zeros((len(levels), 19, 4))
        found.append(tracking(f"sub-{i:02d}", np.repeat(gain[..., None], 4, axis=2), null, models=models))
    return found


def every_sign(n):
    return 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)


def t_of(values):
    return values.mean(axis=0) / (values.std(axis=0, ddof=1) / np.sqrt(len(values)))


def integral(t, neighbours):
    """Of extent ** 0.5 * height ** 2 over heights: exact, since extents change only where a channel drops out."""
    total = np.zeros(len(t))
    edges = np.concatenate([[0.0], np.sort(t[t > 0])])
    for low, high in pairwise(edges):
        above = np.flatnonzero(t >= high)
        _, part = connected_components(neighbours[np.ix_(above, above)])
        total[above] += np.bincount(part)[part] ** 0.5 * (high**3 - low**3) / 3
    return total
