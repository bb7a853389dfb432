"""Figures of a group show its numbers, whatever its size."""

import dataclasses
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from handmade import tracked
from trackings import people, tracking

import eegic as ei
from eegic.viz.peaks import peaks_of

LEVELS = (0.0, 0.3, 0.6)
TWO = tuple(f"{family} {level:g}" for level in LEVELS for family in ("aligned", "unaligned"))
LONG = tuple(f"surprisal of the model of melody, kind {k}" for k in "abcdefgh")


@cache
def group(n=6, models=TWO, gain=(0.002, 0.0, 0.012, 0.006, 0.004, 0.0), over="median", regions=None, **options):
    """A group whose models are named; by default two families at three noise levels."""
    named = {name: (name,) for name in models}
    results = people(n, (gain * len(models))[: len(models)], n_models=len(models), models=named, **options)
    front = {"front": results[0].ch_names[:3]} if regions else None
    return ei.group_test(results, over=over, regions=front)


@cache
def unequal():
    """One participant lacks a channel, and nobody has a value in another; seeds differ."""
    results = people(5, [0.01, 0.0], n_models=2, n_channels=8)
    lost = [[1, 2], [2], [2], [2], [2]]
    cut = []
    for k, (one, channels) in enumerate(zip(results, lost, strict=True)):
        arrays = {name: getattr(one, name).copy() for name in ("r_full", "r_reduced", "null")}
        kernels = {name: values.copy() for name, values in one.kernels.items()}
        for values in (*arrays.values(), *kernels.values()):
            values[..., channels] = np.nan
        settings = one.settings | {"rng": k}
        cut.append(dataclasses.replace(one, **arrays, kernels=kernels, settings=settings))
    return ei.group_test(cut)


def bars(figure):
    """Rectangles of the bars, from left to right."""
    return sorted(figure.axes[0].patches, key=lambda bar: bar.get_x())


def middle(bar):
    return bar.get_x() + bar.get_width() / 2


def texts(axes, what):
    return [text for text in axes.texts if set(text.get_text()) <= set(what)]


def markers(axes, marker):
    return [line for line in axes.lines if line.get_marker() == marker]


# ------------------------------------------------------------------ bars
def test_bars_are_means_of_corrected_gains_at_their_noise_level():
    one = group()
    figure = ei.plot_delta_r(one)
    axes = figure.axes[0]
    drawn = bars(figure)
    np.testing.assert_allclose([bar.get_height() for bar in drawn], one.summary[:, 0].mean(axis=1))
    ticks = dict(zip([text.get_text() for text in axes.get_xticklabels()], axes.get_xticks(), strict=True))
    assert list(ticks) == ["0", "0.3", "0.6"]
    for level, pair in zip(ticks.values(), zip(drawn[::2], drawn[1::2], strict=True), strict=True):
        assert level == pytest.approx(np.mean([middle(bar) for bar in pair])), "families stand side by side"
    assert axes.get_xlabel() == "Noise level" and axes.get_ylabel() == "Corrected Δr\n(median over channels)"
    looks = [(bar.get_facecolor(), bar.get_hatch()) for bar in drawn]
    assert len(set(looks[::2])) == len(set(looks[1::2])) == 1 and looks[0][1] != looks[1][1], "families differ in grey"


def test_error_bars_are_standard_errors_over_participants():
    one = group()
    axes = ei.plot_delta_r(one).axes[0]
    for container, values in zip(axes.containers[1::2], one.summary[:, 0], strict=True):
        ((_, low), (_, high)) = container.lines[2][0].get_segments()[0]
        assert (high - low) / 2 == pytest.approx(values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("n", [2, 6, 30])
def test_every_participant_has_a_point_in_each_bar_and_a_line_through_each_family(n):
    one = group(n)
    figure = ei.plot_delta_r(one)
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    for bar, values, line in zip(bars(figure), one.summary[:, 0], dots, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert (abs(line.get_xdata() - middle(bar)) < bar.get_width() / 2).all()
    joined = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 3 and line.get_marker() == "None"]
    expected = [one.summary[rows, 0, i] for rows in ([0, 2, 4], [1, 3, 5]) for i in range(n)]
    np.testing.assert_array_equal([line.get_ydata() for line in joined], expected)


def test_the_raw_gain_stands_above_its_null_by_the_corrected_gain():
    one = group(over="mean")
    axes = ei.plot_delta_r(one).axes[0]
    raw = {line.get_xdata()[0]: line.get_ydata()[0] for line in markers(axes, "D")}
    chance = {line.get_xdata()[0]: line.get_ydata()[0] for line in markers(axes, "_")}
    np.testing.assert_allclose(list(raw.values()), one.gain.mean(axis=(1, 2)))
    corrected = [value - chance[place] for place, value in raw.items()]
    np.testing.assert_allclose(corrected, [bar.get_height() for bar in bars(axes.figure)])
    assert axes.get_ylabel() == "Corrected Δr\n(mean over channels)"


@pytest.mark.parametrize("n", [2, 6, 30])
def test_raw_gains_stand_beside_bars_and_nearer_their_own(n):
    figure = ei.plot_delta_r(group(n))
    stems = [line.get_xdata()[0] for line in markers(figure.axes[0], "D")]
    drawn = bars(figure)
    for k, (x, bar) in enumerate(zip(stems, drawn, strict=True)):
        assert x < bar.get_x() - 0.05, "its edge is no stem"
        if k:
            before = drawn[k - 1].get_x() + drawn[k - 1].get_width()
            assert x > before + 0.05
            assert x - before > bar.get_x() - x


@pytest.mark.parametrize(("n", "width"), [(6, None), (6, 3.4), (30, None)])
def test_no_line_of_a_participant_runs_through_a_mark(n, width):
    import matplotlib.pyplot as plt

    axes = None if width is None else plt.subplots(figsize=(width, 3.6), layout="constrained")[1]
    figure = ei.plot_delta_r(group(n), axes=axes)
    figure.draw_without_rendering()
    panel = figure.axes[0]
    joined = [line for line in panel.lines if len(line.get_xdata()) == 3 and line.get_marker() == "None"]
    marks = [text.get_window_extent() for text in texts(panel, "*†") if text.get_text()]
    assert joined and marks
    for line in joined:
        x, y = panel.transData.transform(line.get_xydata()).T
        for box in marks:
            within = np.linspace(box.x0, box.x1, 50)
            within = within[(within >= x[0]) & (within <= x[-1])]
            assert not (np.interp(within, x, y) > box.y0).any()


def test_marks_say_for_whom_a_gain_is_significant():
    one = group(regions=True)
    figure = ei.plot_delta_r(one, region="front")
    listeners, pieces = one.listeners_by_region.p_maxt[:, 1] < 0.05, one.p_pieces_by_region[:, 1] < 0.05
    expected = ["*" * int(a) + "†" * int(b) for a, b in zip(listeners, pieces, strict=True)]
    assert set(expected) == {"", "†", "*†"}
    marks = texts(figure.axes[0], "*†")
    assert [text.get_text() for text in marks] == expected
    for mark, bar, values in zip(marks, bars(figure), one.summary[:, 1], strict=True):
        assert mark.xy[0] == pytest.approx(middle(bar)) and mark.xy[1] >= values.max()
        assert mark.xy[1] < figure.axes[0].get_ylim()[1]
    assert figure.axes[0].get_legend().get_title().get_text().split("\n") == [
        "mean ± SE, dots: 6 participants",
        "* p < .05, new listeners (max-T, 6 models × 2 regions)",
        "† p < .05, new pieces (not corrected)",
    ]
    assert figure.axes[0].get_ylabel() == "Corrected Δr\n(median over channels of front)"


def test_nothing_is_said_of_new_pieces_without_shared_surrogates():
    figure = ei.plot_delta_r(unequal())
    assert not unequal().shared and "†" not in figure.axes[0].get_legend().get_title().get_text()
    assert not any("†" in text.get_text() for text in figure.axes[0].texts)


def test_models_without_a_noise_level_stand_alone_under_their_name():
    one = group(models=("IC 0", "onsets", "IC 0.5", "entropy"))
    figure = ei.plot_delta_r(one)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "0.5", "onsets", "entropy"]
    np.testing.assert_allclose([bar.get_height() for bar in bars(figure)], one.summary[[0, 2, 1, 3], 0].mean(axis=1))
    (label,) = (text for text in axes.texts if text.get_text() == "Noise level")
    assert label.xy[0] == pytest.approx(np.mean(axes.get_xticks()[:2])), "below the levels alone"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["IC", "raw Δr and its null"]
    alone = ei.plot_delta_r(one, models=["onsets"]).axes[0]
    assert alone.get_xlabel() == "" and not [text for text in alone.texts if text.get_text() == "Noise level"]


def test_chosen_models_keep_the_look_they_have_among_all():
    one = group()
    every, some = bars(ei.plot_delta_r(one)), bars(ei.plot_delta_r(one, models=["unaligned 0.6", "unaligned 0.3"]))
    assert [bar.get_height() for bar in some] == [every[3].get_height(), every[5].get_height()]
    assert some[0].get_facecolor() == every[3].get_facecolor() and some[0].get_hatch() == every[3].get_hatch()
    assert len(bars(ei.plot_delta_r(one, models="aligned 0"))) == 1


@pytest.mark.parametrize(
    ("n", "models", "width"),
    [
        (2, ("surprisal",), None),
        (30, TWO, None),
        (6, LONG, None),
        (6, TWO, 3.4),
        (6, ("IC 0", "IC 0.3", *LONG[:3]), 3.4),
    ],
)
def test_bars_and_their_names_have_room(n, models, width):
    import matplotlib.pyplot as plt

    axes = None if width is None else plt.subplots(figsize=(width, 3.6), layout="constrained")[1]
    figure = ei.plot_delta_r(group(n, models), axes=axes)
    figure.draw_without_rendering()
    (panel,) = figure.axes
    box, legend = panel.get_tightbbox(), panel.get_legend().get_window_extent()
    assert box.x0 >= -1 and box.x1 <= figure.bbox.x1 + 1 and box.y0 >= -1 and box.y1 <= figure.bbox.y1 + 1
    assert legend.y0 >= panel.get_window_extent().y1, "it hides nothing"
    for mark in texts(panel, "*†"):
        assert not mark.get_window_extent().overlaps(legend)
    names = [text for text in panel.get_xticklabels() if not text.get_rotation()]
    for one, other in combinations([text.get_window_extent() for text in names], 2):
        assert not one.overlaps(other)
    slanted = [text for text in panel.get_xticklabels() if text.get_rotation()]
    assert all("surprisal" in text.get_text() for text in slanted), "levels stay level"


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda g: ei.plot_delta_r(tracked()), TypeError, "plot_delta_r: expected a GroupResult, .* got Tracking"),
        (lambda g: ei.plot_delta_r(g, region="frnt"), ValueError, "region: expected one of 'all', got 'frnt'"),
        (lambda g: ei.plot_delta_r(g, models=["Aligned 0"]), ValueError, "model: expected one of .* mean 'aligned 0'"),
        (lambda g: ei.plot_delta_r(g, models=[]), ValueError, "models: expected one or more names, got none"),
        (lambda g: ei.plot_delta_r(g, models=["aligned 0"] * 2), ValueError, "'aligned 0' stands more than once"),
        (
            lambda g: ei.plot_noise_profile(g.summary),
            TypeError,
            "plot_noise_profile: expected a GroupResult, .* ndarray",
        ),
        (
            lambda g: ei.plot_noise_profile(g, agreement=[0.1]),
            TypeError,
            r"agreement: .* got list. Write {'aligned': \[",
        ),
        (
            lambda g: ei.plot_noise_profile(g, agreement={"IC": [0.1] * 3}),
            ValueError,
            "agreement: expected one of 'aligned', 'unaligned', got 'IC'",
        ),
        (
            lambda g: ei.plot_noise_profile(g, agreement={"aligned": [0.1]}),
            ValueError,
            r"agreement\['aligned'\]: expected a value per noise level \(0.0, 0.3, 0.6\), got 1",
        ),
        (
            lambda g: ei.plot_noise_profile(g, agreement=pd.DataFrame({"what": ["IC"], "level": [0.1]})),
            ValueError,
            r"agreement: expected columns 'family' \(or 'what'\), 'noise' and 'rho', got 'what', 'level'",
        ),
        (
            lambda g: ei.plot_noise_profile(g, agreement={"aligned": [0.1] * 3}, axes=3),
            ValueError,
            "axes: expected two, for gains and agreement, got 1",
        ),
        (lambda g: ei.plot_topography(g, which="people"), ValueError, "which: expected one of 'listeners', 'pieces'"),
        (lambda g: ei.plot_topography(g, show="all"), ValueError, "show: expected one of 'marked', 'significant'"),
        (
            lambda g: ei.plot_topography(g, title="a"),
            ValueError,
            "info, mask, title, axes: a GroupResult brings its own",
        ),
        (lambda g: ei.plot_topography(tracked(), which="pieces"), ValueError, "which: chooses a test of a GroupResult"),
        (
            lambda g: ei.plot_topography(np.ones(6), g.info, which="pieces"),
            ValueError,
            "which: chooses a test of a GroupResult; of an array, `mask`",
        ),
        (
            lambda g: ei.plot_topography(np.ones(6), g.info, show="significant"),
            ValueError,
            "'significant' needs a `mask`",
        ),
        (
            lambda g: ei.plot_topography(unequal(), which="pieces"),
            ValueError,
            "no null for new pieces.* Its notes: .*rng",
        ),
        (lambda g: ei.plot_null(unequal()), ValueError, "no null for new pieces.* Its notes: .*rng"),
        (lambda g: ei.plot_trf(g, peaks=0), ValueError, "peaks: expected at least 1, got 0"),
        (
            lambda g: ei.plot_trf(g, feature="envelope"),
            ValueError,
            "feature: it chooses whose peaks get maps. Add peaks",
        ),
        (lambda g: ei.plot_trf(g, peaks=True, axes=3), ValueError, "axes: with peaks, maps stand above the course"),
        (
            lambda g: ei.plot_trf(g.lags, {"a": g.lags}, peaks=1),
            ValueError,
            "peaks: maps need the channels of a Tracking",
        ),
        (
            lambda g: ei.plot_trf(g, peaks=1, feature="IC"),
            ValueError,
            "feature: expected one of 'envelope', 'aligned 0'",
        ),
        (lambda g: ei.plot_trf(g, channel="fp1"), ValueError, "channel: expected one of .* Did you mean 'Fp1'"),
    ],
)
def test_what_no_group_has_is_said(draw, error, message):
    with pytest.raises(error, match=message):
        draw(group())


# ------------------------------------------------------------------ noise levels
def lines(axes):
    """Lines of a panel that the legend would name, by name."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_a_profile_has_a_line_per_family_over_the_noise_levels():
    one = group()
    axes = ei.plot_noise_profile(one).axes[0]
    assert list(lines(axes)) == ["aligned", "unaligned"]
    for rows, line, error in zip(([0, 2, 4], [1, 3, 5]), lines(axes).values(), axes.containers, strict=True):
        values = one.summary[rows, 0]
        np.testing.assert_allclose(line.get_xdata(), LEVELS, atol=0.02)
        np.testing.assert_allclose(line.get_ydata(), values.mean(axis=1))
        ends = np.array(error.lines[2][0].get_segments())[:, :, 1]
        np.testing.assert_allclose(np.diff(ends)[:, 0] / 2, values.std(axis=1, ddof=1) / np.sqrt(6))
    assert axes.get_xlabel() == "Noise level"
    assert axes.get_legend().get_title().get_text() == "mean ± SE, 6 participants"
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines(axes).values()}) == 2


def test_models_without_a_level_have_no_place_in_a_profile():
    assert list(lines(ei.plot_noise_profile(group(models=("IC 0", "onsets", "IC 0.5", "entropy"))).axes[0])) == ["IC"]
    with pytest.raises(ValueError, match="plot_noise_profile: no model has a noise level. .* drawn by `plot_delta_r`"):
        ei.plot_noise_profile(group(models=("onsets", "entropy")))


def test_agreement_with_true_surprisal_stands_below():
    agreement = {"unaligned": [0.1, 0.2, 0.3], "aligned": (0.4, 0.5, 0.45)}
    figure = ei.plot_noise_profile(group(), agreement=agreement)
    above, below = figure.axes
    assert above.get_xlim() == below.get_xlim() and below.get_xlabel() == "Noise level" and above.get_xlabel() == ""
    for family, values in agreement.items():
        np.testing.assert_array_equal(lines(below)[family].get_ydata(), values)
        assert lines(below)[family].get_color() == lines(above)[family].get_color()
    assert below.get_legend() is None, "named above"
    figure.draw_without_rendering()
    assert above.get_tightbbox().y0 >= below.get_tightbbox().y1


def test_agreement_may_be_a_table_with_intervals_and_what_has_no_level():
    import matplotlib.pyplot as plt

    rows = [("model", 0.9, 0.5, 0.52, 0.6), ("model", 0.3, 0.4, 0.3, 0.5), ("flux", np.nan, 0.2, 0.1, 0.3)]
    table = pd.DataFrame(rows, columns=["what", "noise", "rho", "rho_low", "rho_high"])
    figure, axes = plt.subplots(2, 1, layout="constrained")
    assert ei.plot_noise_profile(group(), agreement=table, axes=axes) is figure
    drawn = lines(axes[1])
    np.testing.assert_allclose(drawn["model"].get_xdata(), [0.3, 0.9], atol=0.02)
    np.testing.assert_allclose(drawn["model"].get_ydata(), [0.4, 0.5])
    ends = np.array(axes[1].containers[0].lines[2][0].get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, [[0.3, 0.5], [0.52, 0.6]])
    np.testing.assert_allclose(drawn["flux"].get_ydata(), [0.2, 0.2])
    assert axes[1].get_xlim()[1] > 0.9, "levels of the table are inside"
    assert [text.get_text() for text in axes[1].get_legend().get_texts()] == ["model", "flux"]
    own = table.rename(columns={"what": "family"}).drop(columns=["rho_low", "rho_high"])
    assert list(lines(ei.plot_noise_profile(group(), agreement=own).axes[1])) == ["model", "flux"]


# ------------------------------------------------------------------ maps
@pytest.mark.parametrize("which", [None, "pieces"])
def test_maps_of_a_group_show_means_and_mark_by_one_test(which):
    one = group()
    figure = ei.plot_topography(one, which=which)
    p = one.p_pieces_maxt if which else one.listeners.p_maxt
    assert 0 < (p < 0.05).sum() < p.size
    assert ((one.p_pieces_maxt < 0.05) != (one.listeners.p_maxt < 0.05)).any(), "the tests differ here"
    maps = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in maps[:2]] == ["aligned, noise 0", "unaligned, noise 0"]
    assert {axes.images[-1].get_clim()[1] for axes in maps} == {np.abs(one.corrected.mean(axis=1)).max()}
    for axes, own in zip(maps, p, strict=True):
        assert sum(len(line.get_xdata()) for line in markers(axes, "o")) == (own < 0.05).sum()
    note = f"marked: p < .05 for new {which or 'listeners'}, corrected for channels and models"
    assert figure.get_suptitle() == f"6 participants\n{note}"


def test_channels_that_some_lack_are_drawn_and_those_that_all_lack_crossed_out():
    figure = ei.plot_topography(unequal())
    assert figure.get_suptitle().split("\n")[-1] == "n = 4 to 5 per channel"
    for axes in (axes for axes in figure.axes if axes.get_title()):
        assert [len(line.get_xdata()) for line in markers(axes, "x")] == [1]
    lost = dataclasses.replace(unequal(), r_full=np.where(np.arange(8) < 3, unequal().r_full, np.nan))
    with pytest.raises(ValueError, match="model 'IC 0': a map needs at least 4 good channels with a value, got 2"):
        ei.plot_topography(lost)


@pytest.mark.parametrize("result", [group(), tracked()], ids=["group", "tracking"])
def test_only_significant_channels_can_have_a_colour(result):
    figure = ei.plot_topography(result, show="significant")
    p = result.listeners.p_maxt if result is group() else result.p_maxt
    mean = result.corrected.mean(axis=1) if result is group() else result.corrected
    maps = [axes for axes in figure.axes if axes.get_title()]
    limit = np.nanmax(np.abs(mean))
    for axes, own, values in zip(maps, p, mean, strict=True):
        shown = own[np.isfinite(values)] < 0.05
        (discs,) = (
            found for found in axes.collections if len(found.get_paths()) and found.get_clim() == (-limit, limit)
        )
        np.testing.assert_allclose(discs.get_array(), values[np.isfinite(values)][shown])
        (dots,) = markers(axes, ".")
        np.testing.assert_allclose(discs.get_offsets(), dots.get_xydata()[shown])
        assert not axes.images[-1].get_array().any(), "between channels nothing is claimed"
    assert figure.get_suptitle().split("\n")[1].startswith("coloured: p < .05")


def test_discs_tell_the_sign_without_colour():
    one = group()
    values = np.array([0.1, -0.2, 0.3, -0.1, 0.2, 0.1])
    mask = np.array([True, True, False, True, True, False])
    axes = ei.plot_topography(values, one.info, mask=mask, show="significant").axes[0]
    (discs,) = axes.collections
    np.testing.assert_array_equal(discs.get_array(), values[mask])
    assert [style[1] is not None for style in discs.get_linestyles()] == [False, True, True, False]


@pytest.mark.parametrize(
    ("models", "grid"),
    [
        (tuple(f"{family} {level:g}" for family in "ab" for level in (0, 0.2, 0.4, 0.6, 0.8)), (2, 5)),
        (TWO, (2, 3)),
        (("IC 0", "IC 0.3", "onsets"), (1, 3)),
    ],
)
def test_each_family_has_a_row_of_maps_where_that_fits(models, grid):
    figure = ei.plot_topography(group(models=models))
    figure.draw_without_rendering()
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert panels[0].get_gridspec().get_geometry() == grid
    boxes = [axes.title.get_window_extent() for axes in panels] + [figure._suptitle.get_window_extent()]
    for one, other in combinations(boxes, 2):
        assert not one.overlaps(other)
    assert max(box.x1 for box in boxes) <= figure.bbox.x1 and max(box.y1 for box in boxes) <= figure.bbox.y1


def test_models_of_one_family_and_level_keep_their_names():
    alike = {"small 0.3": ("IC", 0.3), "large 0.3": ("IC", 0.3), "onsets": ("onsets", float("nan"))}
    one = dataclasses.replace(group(models=tuple(alike)), conditions=alike)
    titles = [axes.get_title() for axes in ei.plot_topography(one).axes if axes.get_title()]
    assert titles == ["small 0.3", "large 0.3", "onsets"]


# ------------------------------------------------------------------ kernels
@cache
def answering():
    """Participants who answer to the added feature at 60 and 140 ms, some channels and some people more strongly."""
    rng = np.random.default_rng(4)
    lags, where = np.arange(20) / 100, np.array([3.0, 1.0, 0.0, 0.5, -1.0, -2.0])
    results = []
    for k in range(4):
        course = np.exp(-(((lags - 0.06) / 0.02) ** 2)) - 0.6 * np.exp(-(((lags - 0.14) / 0.02) ** 2))
        kernel = np.stack([0 * lags[:, None] * where, course[:, None] * where]) * (1 + 0.2 * k) * 1e-6
        delta_r = 0.002 * where + 0.001 * rng.standard_normal((1, 4, 6))
        null = 0.001 * rng.standard_normal((1, 19, 6))
        more = {"models": {"ic": ("ic",)}, "lags": lags, "sfreq": 100.0, "kernels": {"ic": kernel}}
        results.append(tracking(f"sub-{k}", delta_r, null, **more))
    return results


def test_kernels_of_a_group_are_means_at_its_best_channel():
    one = ei.group_test(answering())
    axes = ei.plot_trf(one).axes[0]
    assert axes.get_title() == f"4 participants, ic, {one.ch_names[0]}"
    mine = 1e6 * one.kernels["ic"][:, 1, :, 0]
    np.testing.assert_allclose(axes.lines[1].get_ydata(), mine.mean(axis=0))
    band = axes.collections[1].get_paths()[0].vertices[:, 1]
    error = mine.std(axis=0, ddof=1) / 2
    assert band.max() == pytest.approx((mine.mean(axis=0) + error).max())
    assert axes.get_legend().get_title().get_text() == "mean ± SE, n = 4"
    assert axes.get_ylabel() == "Weight (µV per SD)"


def test_a_legend_in_given_axes_hides_no_kernel():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3.4, 2.6), layout="constrained")
    ei.plot_trf(ei.group_test(answering()), axes=axes)
    figure.draw_without_rendering()
    lowest = axes.get_legend().get_window_extent().y0
    for part in (*axes.lines[:2], *axes.collections):
        assert part.get_window_extent().y1 < lowest


def test_participants_without_the_channel_do_not_count():
    one = unequal()
    axes = ei.plot_trf(one, model="IC 0.1", channel=one.ch_names[1]).axes[0]
    assert axes.get_legend().get_title().get_text() == "mean ± SE, n = 4 of 5"
    assert axes.get_title() == f"5 participants, IC, noise 0.1, {one.ch_names[1]}"
    with pytest.raises(ValueError, match=f"channel: '{one.ch_names[2]}' has no kernel"):
        ei.plot_trf(one, channel=one.ch_names[2])


@pytest.mark.parametrize("whose", ["group", "tracking"])
def test_maps_stand_above_the_peaks_of_a_kernel(whose):
    result = ei.group_test(answering()) if whose == "group" else answering()[0]
    figure = ei.plot_trf(result, peaks=True)
    *maps, _, course = figure.axes
    assert [axes.get_title() for axes in maps] == ["ic\n60 ms", "ic\n140 ms"]
    kernel = result.kernels["ic"].mean(axis=0)[1] if whose == "group" else result.kernels["ic"][1]
    np.testing.assert_allclose([axes.images[-1].get_clim()[1] for axes in maps], 1e6 * np.abs(kernel).max())
    (dots,) = markers(course, "o")
    np.testing.assert_allclose(dots.get_xdata(), [60, 140])
    np.testing.assert_allclose(dots.get_ydata(), 1e6 * kernel[[6, 14], 0])
    one = ei.plot_trf(result, peaks=1)
    assert [axes.get_title() for axes in one.axes[:-2]] == ["ic\n60 ms"], "the one that stands out most"
    figure.draw_without_rendering()
    assert min(axes.get_tightbbox().y0 for axes in maps) >= course.title.get_window_extent().y1


def test_a_kernel_without_a_peak_has_a_map_where_it_is_largest():
    one = answering()[0]
    rising = {"ic": np.arange(20)[None, :, None] * np.ones((2, 1, 6)) * np.arange(6) * 1e-6}
    figure = ei.plot_trf(dataclasses.replace(one, kernels=rising), peaks=True, feature="envelope")
    assert figure.axes[0].get_title() == "envelope\n190 ms"


def test_a_lag_at_which_nothing_is_there_is_no_peak():
    lags = np.arange(60)
    course = np.exp(-(((lags - 10) / 4) ** 2)) + 0.2 * np.exp(-(((lags - 45) / 4) ** 2))
    where = np.array([1.0, -1.0, 0.5])
    assert list(peaks_of(course[:, None] * where, 4)) == [10]
    larger = course + 0.3 * np.exp(-(((lags - 45) / 4) ** 2))
    assert list(peaks_of(larger[:, None] * where, 4)) == [10, 45]


# ------------------------------------------------------------------ chance
def test_the_null_of_a_group_is_that_of_new_pieces():
    one = group()
    axes = ei.plot_null(one, model="aligned 0.3").axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["aligned, noise 0.3"]
    assert axes.get_xlabel() == "Δr, mean over participants\nand channels"
    centre, observed = (line.get_xdata()[0] for line in axes.lines[:2])
    null = one.null[2].mean(axis=1)
    assert centre == pytest.approx(null.mean()) and observed == pytest.approx(one.gain[2].mean())
    p = (1 + (null >= one.gain[2].mean()).sum()) / (1 + len(null))
    assert axes.texts[0].get_text() == f"p = {p:.3g}"
    assert "99 surrogates" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_names_are_drawn_as_they_are():
    """Dollars begin no formula, and no legend leaves out a name for its underscore."""
    names = ("_hidden 0", "_hidden 0.3", "$x^2$ 0", "$x^2$ 0.3")
    one = group(models=names)
    for draw in (ei.plot_delta_r, ei.plot_noise_profile):
        figure = draw(one)
        figure.draw_without_rendering()
        shown = [text.get_text().strip("\N{ZERO WIDTH SPACE}") for text in figure.axes[0].get_legend().get_texts()]
        assert shown[:2] == ["_hidden", r"\$x^2\$"]
    kernels = ei.plot_trf(one, model=names[2])
    assert (
        kernels.axes[0].get_title() == r"6 participants, \$x^2\$, noise 0, " + kernels.axes[0].get_title()[-3:].strip()
    )


def test_maps_of_some_models_share_the_scale_of_these_alone():
    one = group()
    figure = ei.plot_topography(one, models=["aligned 0", "aligned 0.3"])
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["aligned, noise 0", "aligned, noise 0.3"]
    rows = [list(one.models).index(name) for name in ("aligned 0", "aligned 0.3")]
    largest = np.abs(one.corrected[rows].mean(axis=1)).max()
    assert figure.axes[0].images[0].get_clim()[1] == pytest.approx(largest)
    with pytest.raises(ValueError, match="models: chooses from a Tracking or GroupResult"):
        ei.plot_topography(one.corrected[0, 0], one.info, models=["aligned 0"])
