"""Messages at the public door: what was expected, what came, what to do."""

import numpy as np
import pytest

from eegic import _checks

AXES = "(n_times, n_channels)"


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "bool", "float16", "float32", ">f8", "longdouble"])
def test_real_numbers_of_any_width_become_float64(dtype):
    given = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    array = _checks.real_array("eeg", given, 2, axes=AXES)
    assert array.dtype == np.dtype("float64") and array.dtype.isnative
    np.testing.assert_array_equal(array, given)


def test_the_array_is_a_copy_in_c_order(rng):
    given = np.asfortranarray(rng.standard_normal((5, 3)))
    array = _checks.real_array("eeg", given, 2, axes=AXES)
    array[0, 0] = 99
    assert given[0, 0] != 99
    assert array.flags.c_contiguous


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([[1.0, 2.0], [3.0]], TypeError, r"eeg: expected one array \(n_times.*ragged.*rows of equal length"),
        ([[1j, 2.0]], TypeError, "eeg: expected real numbers, got dtype complex128.*magnitude"),
        ([["a", "b"]], TypeError, "got dtype <U1.*Convert to float64"),
        (np.array([[None, 1.0]]), TypeError, "got dtype object.*Convert to float64"),
        (None, TypeError, "got dtype object.*NoneType"),
        (np.array([["2026-01-01"]], "datetime64[D]"), TypeError, "got dtype datetime64"),
        ([1.0, 2.0], ValueError, r"expected an array \(n_times, n_channels\), got shape \(2,\)"),
        (3.0, ValueError, r"got shape \(\)"),
        (np.ma.masked_greater([[1.0, 2.0]], 1), TypeError, r"got a masked one.*filled\(np.nan\)"),
    ],
)
def test_what_is_no_real_array_is_refused(given, error, message):
    with pytest.raises(error, match=message):
        _checks.real_array("eeg", given, 2, axes=AXES)


def test_integers_can_be_refused_with_advice():
    with pytest.raises(TypeError, match="times: expected floating-point numbers, got dtype int64. Divide by the rate."):
        _checks.real_array("times", [0, 1], 1, axes="(n_times,)", integers="Divide by the rate.")


@pytest.mark.parametrize("value", [64, 64.0, np.float32(64), np.int16(64)])
def test_a_number_is_a_number(value):
    assert _checks.positive("sfreq", value, "hertz") == 64.0
    assert type(_checks.positive("sfreq", value, "hertz")) is float
    assert type(_checks.finite("shift", value, "seconds")) is float


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf])
def test_positive_refuses_what_is_not(value):
    with pytest.raises(ValueError, match="sfreq: expected a finite positive number of hertz, got"):
        _checks.positive("sfreq", value, "hertz")


@pytest.mark.parametrize("value", ["64", None, True, [64.0], 64j])
def test_positive_refuses_other_types(value):
    with pytest.raises(TypeError, match="sfreq: expected a number of hertz, got"):
        _checks.positive("sfreq", value, "hertz")


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_finite_refuses_what_is_not(value):
    with pytest.raises(ValueError, match="shift: expected a finite number of seconds"):
        _checks.finite("shift", value, "seconds")
    assert _checks.finite("shift", -1.5, "seconds") == -1.5


def test_count():
    assert _checks.count("n_null", np.int32(3)) == 3
    assert _checks.count("n_null", 0, minimum=0) == 0
    with pytest.raises(ValueError, match="n_null: expected at least 1, got 0"):
        _checks.count("n_null", 0)
    for value in (1.0, True, "3", None):
        with pytest.raises(TypeError, match="n_null: expected a whole number"):
            _checks.count("n_null", value)


def test_one_of_names_the_choices_and_the_closest():
    assert _checks.one_of("kind", "hold", ("hold", "linear")) == "hold"
    with pytest.raises(
        ValueError, match=r"kind: expected one of 'hold', 'linear', got 'lineer'. Did you mean 'linear'\?"
    ):
        _checks.one_of("kind", "lineer", ("hold", "linear"))
    with pytest.raises(ValueError, match=r"got 7\.$"):
        _checks.one_of("kind", 7, ("hold", "linear"))


def test_one_of_many_stays_readable():
    with pytest.raises(ValueError, match=r"'E11' and 52 more, got 'F40'. Did you mean 'E40'"):
        _checks.one_of("channel", "F40", [f"E{i}" for i in range(64)])


@pytest.mark.parametrize("given", ["ic", ["ic"], ("ic",), np.array(["ic"]), {"ic": 0}, (name for name in ["ic"])])
def test_names_come_as_one_text_or_several(given):
    names = _checks.unique_names("names", given, 1, "feature")
    assert names == ("ic",)
    assert type(names[0]) is str


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (["a", "b"], ValueError, r"names: expected one name per feature \(3\), got 2: 'a', 'b'"),
        ([f"f{i}" for i in range(9)], ValueError, "got 9: 'f0', 'f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7' and 1 more"),
        (["a", "b", "a"], ValueError, "each feature needs its own name, but 'a' stands more than once"),
        (["a", 1, "b"], TypeError, r"names: expected strings, got 1 \(int\)"),
        (None, TypeError, r"names: expected strings, got None \(NoneType\)"),
    ],
)
def test_wrong_names(given, error, message):
    with pytest.raises(error, match=message):
        _checks.unique_names("names", given, 3, "feature")
