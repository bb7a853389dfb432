"""The same numbers from numpy arrays and torch tensors."""

import numpy as np
import pytest
from oracle import trials

from eegic import trf

torch = pytest.importorskip("torch")
WINDOW = {"tmin": -2 / 64, "tmax": 4 / 64}
pytestmark = pytest.mark.filterwarnings("ignore:The chosen alpha sits at the edge")


def tensors(arrays, device):
    return [torch.from_numpy(a).to(device) for a in arrays]


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return request.param


@pytest.mark.parametrize(
    "options", [{}, {"per_channel": True}, {"penalty": "smooth"}, {"bands": [0, 1, 1]}, {"backward": True}]
)
def test_nested_crossval_agrees(rng, device, options):
    x, y = trials(rng)
    x[1][40:44, 0] = np.nan
    masks = [rng.random(len(t)) < 0.95 for t in x]
    settings = {**WINDOW, "alphas": np.logspace(-3, 2, 6), **options}
    ours = trf.nested_crossval(x, y, 64.0, **settings, masks=masks)
    theirs = trf.nested_crossval(tensors(x, device), tensors(y, device), 64.0, **settings, masks=tensors(masks, device))
    assert theirs.r.device.type == device
    np.testing.assert_allclose(theirs.r.cpu(), ours.r, atol=1e-9)
    np.testing.assert_allclose(theirs.weights.cpu(), ours.weights, rtol=1e-6, atol=1e-9 * abs(ours.weights).max())
    np.testing.assert_array_equal(theirs.alpha, ours.alpha)
    assert "CrossVal(5 segments" in repr(theirs)


def test_models_agree(rng, device):
    x, y = trials(rng)
    ours = trf.fit(x, y, 64.0, **WINDOW, alpha=0.1)
    theirs = trf.fit(tensors(x, device), tensors(y, device), 64.0, **WINDOW, alpha=0.1)
    np.testing.assert_allclose(theirs.weights.cpu(), ours.weights, rtol=1e-8)
    np.testing.assert_allclose(theirs.score(tensors(x, device), tensors(y, device)).cpu(), ours.score(x, y), atol=1e-9)
    np.testing.assert_allclose(theirs.patterns().cpu(), ours.patterns(), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(theirs.to_mtrf().predict(stimulus=list(x))[0], ours.predict(x)[0], atol=1e-9)


def test_mixed_kinds_are_refused(rng):
    x, y = trials(rng)
    with pytest.raises(TypeError, match=r"all numpy arrays, or all torch tensors.*numpy \(cpu\) and torch"):
        trf.fit(tensors(x, "cpu"), y, 64.0, **WINDOW, alpha=0.1)


def test_tensors_that_ask_for_gradients_are_taken(rng):
    x, y = trials(rng)
    plain = trf.fit(tensors(x, "cpu"), tensors(y, "cpu"), 64.0, **WINDOW, alpha=0.1)
    asking = trf.fit([t.requires_grad_() for t in tensors(x, "cpu")], tensors(y, "cpu"), 64.0, **WINDOW, alpha=0.1)
    assert not asking.weights.requires_grad
    np.testing.assert_array_equal(asking.weights, plain.weights)


def test_groups_may_be_a_tensor():
    assert trf.group_folds(torch.tensor([0, 0, 1, 2]), 4) == ((0, 1), (2,), (3,))
