"""Surprisal models from files, checked weight by weight and setting by setting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eegic import _checks, weights
from eegic.surprisal import networks
from eegic.surprisal.model import SurprisalModel

_KNOWN_SIZES = ("dim", "depth", "heads")
_HPARAMS = ("causal_transformer_hparams", "transformer_wrapper_hparams")
_KWARGS = {*_HPARAMS, "n_cls", "noise_context", "generator"}
_SETTINGS = {"max_seq_length", "model_type", "model_kwargs", "codec", "encoder"}
_HARMLESS = {  # settings of a public checkpoint that do not change what the networks compute
    "dim",
    "depth",
    "heads",
    "attn_flash",
    "attn_dropout",
    "ff_dropout",
    "rotary_pos_emb",
    "emb_dropout",
}


def load_surprisal(
    name_or_path: str | os.PathLike[str],
    *,
    device: str | torch.device = "auto",
    download: bool = False,
    sha256: str | None = None,
) -> SurprisalModel:
    """Load a surprisal model.

    Parameters
    ----------
    name_or_path : str or Path
        A .safetensors file with its .json, a .pt file in the public layout, or a name: "mini", which comes with eegic,
        or a published checkpoint.
    device : str
        "auto" (CUDA if there is one), "cpu" or "cuda".
    download : bool
        True fetches a published checkpoint that is not on this machine.
    sha256 : str, optional
        Digest that the file must have.

    Returns
    -------
    SurprisalModel

    Notes
    -----
    Loading is strict: every weight must be there with its shape, none may be left over, and settings that would change
    what the networks compute are refused by name. Nothing in the file is executed.
    """
    stored = weights.read(name_or_path, "surprisal", download=download, sha256=sha256)
    state = _without_copies(stored.name, stored.state)
    try:
        config = networks.config_of(state, _max_seq_length(stored.settings))
    except ValueError as error:
        raise ValueError(f"{stored.name}: {error}.") from error
    _check_settings(stored.name, stored.settings, config)
    with torch.device("meta"):
        network = networks.ARFlow(config)
    shapes = {networks.public_name(name): tensor.shape for name, tensor in network.state_dict().items()}
    weights.check_state(stored.name, state, shapes)
    own = {name: state[networks.public_name(name)] for name in network.state_dict()}
    _check_rotation(stored.name, own["backbone.inv_freq"], networks.rotary_frequencies())
    network.load_state_dict(own, assign=True)
    network.requires_grad_(False).eval()
    codec = _codec(stored.name, stored.settings.get("codec"), Path(name_or_path).parent)
    encoder = str(stored.settings.get("encoder", ""))
    model = SurprisalModel(network, torch.device("cpu"), stored.name, stored.sha256, stored.licence, codec, encoder)
    return model.to(device)


def _codec(name: str, codec: object, folder: Path) -> str | None:
    """The codec that a model names: of the manifest, or a file, which is looked for beside the model first."""
    if codec is not None and not isinstance(codec, str):
        raise ValueError(f"{name}: expected the name or path of a codec among the settings, got {codec!r}.")
    if codec is None or codec in weights.entries() or not (folder / codec).is_file():
        return codec
    return str(folder / codec)


def _check_rotation(name: str, found: Tensor, expected: Tensor) -> None:
    if not torch.allclose(found, expected, rtol=1e-4):
        raise ValueError(f"{name}: its rotary frequencies are not those of this network. It is another architecture.")


def _max_seq_length(settings: Mapping[str, Any]) -> int:
    length = settings.get("max_seq_length")
    if not isinstance(length, int) or length < 2:
        raise ValueError(f"expected a max_seq_length of at least 2 frames among the settings, got {length!r}")
    return length


def _without_copies(name: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the copy of the head that public files carry under another name, if it is one."""
    head, copy = "diff_mlp.", "ode.ode_approx."
    for key in [key for key in state if key.startswith(copy)]:
        original = state.get(head + key.removeprefix(copy))
        if original is None or original.shape != state[key].shape or not torch.equal(original, state[key]):
            raise ValueError(
                f"{name}: {key} differs from {head + key.removeprefix(copy)}, of which it should be a copy. "
                "Which of the two to use is not known; ask the makers of the file."
            )
    return {key: tensor for key, tensor in state.items() if not key.startswith(copy)}


def _check_settings(name: str, settings: Mapping[str, Any], config: networks.FlowConfig) -> None:
    given = settings.get("model_kwargs") or {}
    if not isinstance(given, Mapping) or not all(isinstance(given.get(key) or {}, Mapping) for key in _HPARAMS):
        raise ValueError(f"{name}: expected model_kwargs as a dictionary of settings, got {given!r}.")
    unknown = sorted(set(settings) - _SETTINGS) + sorted(set(given) - _KWARGS)
    if unknown:
        raise ValueError(
            f"{name}: settings that are not known, and might change the network: {_checks.listed(unknown)}."
        )
    kind = settings.get("model_type", "LTM-rectflows")
    if kind != "LTM-rectflows":
        raise ValueError(f"{name}: expected a model of type 'LTM-rectflows', got {kind!r}. It is another architecture.")
    for key in ("n_cls", "noise_context"):
        if given.get(key):
            raise ValueError(
                f"{name}: trained with {key}={given[key]!r}; the likelihood of such a model is not defined."
            )
    sizes = given.get("causal_transformer_hparams") or {}
    strange = sorted((set(sizes) | set(given.get("transformer_wrapper_hparams") or {})) - _HARMLESS)
    if strange or sizes.get("rotary_pos_emb", True) is not True:
        raise ValueError(
            f"{name}: settings that change the network and are not supported: "
            f"{_checks.listed(strange or ['rotary_pos_emb=False'])}."
        )
    found = dict(zip(_KNOWN_SIZES, (config.width, config.depth, config.heads), strict=True))
    wrong = {key: sizes[key] for key in _KNOWN_SIZES if key in sizes and sizes[key] != found[key]}
    if wrong:
        raise ValueError(
            f"{name}: the settings say {wrong}, the shapes of the weights {found}. The file is inconsistent."
        )
