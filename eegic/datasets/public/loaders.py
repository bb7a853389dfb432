"""From the files of a public data set, as they were downloaded, to participants and what they heard."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eegic import _checks
from eegic.audio import Audio, read_audio
from eegic.datasets.public.layout_bids import BIDS
from eegic.datasets.public.layout_cnd import CND
from eegic.datasets.public.layout_fif import ALICE, OPENMIIR
from eegic.datasets.public.places import SCORES, Layout, Place, as_manifest, named, natural

if TYPE_CHECKING:
    from eegic.datasets.public.manifest import Manifest
    from eegic.eeg import Cnd, Participant

_LAYOUTS = {"bids": BIDS, "cnd": CND, "alice": ALICE, "openmiir": OPENMIIR}
_OF_STIMULI = ("channel",)  # options that `read_stimulus` looks at, and no reader of EEG
_CHANNELS = {"left": 0, "right": 1}


def load_participant(
    manifest: Manifest | str,
    participant: str | int,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Participant | Cnd:
    """Read a participant of a public data set, with the reader and the options that its manifest names.

    Parameters
    ----------
    manifest : Manifest or str
        The data set, or its name.
    participant : str or int
        As `participants_of` names them; ``"01"``, ``"sub-01"`` and 1 are one.
    root : path, optional
        Folder of the data set; by default where `fetch` puts it.
    **options
        Arguments of the reader, instead of those in the manifest: of `eegic.eeg.read_bids`, of `eegic.eeg.read_cnd`,
        or, for recordings in FIF files, of `eegic.eeg.read_participant`. Notes lists those that are known here only.

    Returns
    -------
    Participant or Cnd
        A `Cnd` for data sets in CND: its `participant`, with the features that come with it.

    Notes
    -----
    Paths in a manifest count from `root`. Its options beyond those of the readers:

    ``heard`` (BIDS)
        Pattern of the one sound file, from the root, that holds all that a listener heard, in step with the recording;
        ``{participant}`` stands for ``sub-01``. Each trial then lasts from its start to the first of: the end of the
        sound file that started, the next start, an event of ``until``. As trials may end early, each has a sound of its
        own, such as ``"sub-01/do wah ditty"``, which `stimulus_files` cuts. ``heard=None`` takes the sound files as
        they are.
    ``until`` (BIDS)
        Kinds of events (``trial_type`` or ``value``) that end a trial.
    ``bads`` (BIDS)
        Channels to mark as bad besides those that the files mark, such as electrodes that are not on the scalp.
    ``sounds`` (BIDS)
        As in `read_bids`; in a manifest an empty text stands for None, no trial.
    ``condition`` (CND)
        Read the trials of these conditions only.
    ``silent`` (CND)
        Leave out the trials of conditions whose names contain this, such as ``"imag"``: in imagery nothing sounds.
    ``channel``
        Which channel of a stereo file was the music; see `read_stimulus`.

    Examples
    --------
    >>> from eegic import datasets, eeg
    >>> from eegic.datasets import load_participant, participants_of
    >>> import tempfile
    >>> study = datasets.simulate_study(2, 4, duration=8, n_channels=8, progress=False, rng=0)
    >>> with tempfile.TemporaryDirectory() as root:
    ...     files = eeg.write_cnd(f"{root}/dataCND", study.participants, study.envelopes)
    ...     print(participants_of("dilibach", root))
    ...     load_participant("dilibach", 2, root)
    ['1', '2']
    Cnd(Participant(sub-02: 4 trials of 4 sounds, 32 s, 8 channels at 64 Hz); 64 Hz: envelope)
    """
    place = Place.of(manifest, root, options)
    with _known_problems(place):
        layout = _layout(place)
        person, path = named(place, str(participant), layout.participants(place))
        return layout.load(place, person, path)


def participants_of(manifest: Manifest | str, root: str | os.PathLike[str] | None = None) -> list[str]:
    """Return who of a data set is on this disk, in order, by the ids of its manifest (``"01"``, not ``"sub-01"``).

    Parameters
    ----------
    manifest, root
        As in `load_participant`.

    Returns
    -------
    list of str
        Participants whose EEG is there; links to files that were not fetched do not count.
    """
    place = Place.of(manifest, root)
    with _known_problems(place):
        return sorted(_layout(place).participants(place), key=natural)


def files_of(
    manifest: Manifest | str,
    participant: str | int,
    root: str | os.PathLike[str] | None = None,
    **options: Any,
) -> list[Path]:
    """Return the files on which the result of `load_participant` depends, found without reading EEG.

    Parameters
    ----------
    manifest, participant, root, **options
        As in `load_participant`.

    Returns
    -------
    list of Path
        Recordings and what lies beside them, tables (also that of the manifest), and sounds that tell how long trials
        last; sorted.
    """
    place = Place.of(manifest, root, options)
    with _known_problems(place):
        layout = _layout(place)
        return sorted(set(layout.files(place, *named(place, str(participant), layout.participants(place)))))


def stimulus_files(
    manifest: Manifest | str,
    root: str | os.PathLike[str] | None = None,
    participant: str | int | None = None,
    **options: Any,
) -> dict[str, Path]:
    """Return the sound, or the score, of each stimulus of a data set.

    Parameters
    ----------
    manifest, root
        As in `load_participant`.
    participant : str or int, optional
        Leave out what this listener cannot have heard.
    **options
        Those with which `load_participant` is called.

    Returns
    -------
    dict of str to Path
        By the names that the trials of `load_participant` carry. `read_stimulus` reads sounds and scores alike.

    Notes
    -----
    Which file is which stimulus is said by ``stimuli.tsv`` of the manifest (``stim_id`` and ``path``, which may be a
    bare file name, or else ``score``), or by the layout of the data set; it is never guessed by order. Where the
    manifest has an option ``heard``, the sound of each trial is cut from what the listener heard, into
    ``derivatives/eegic/heard`` in the data set; what was cut before is left as it is.
    """
    place = Place.of(manifest, root, options)
    with _known_problems(place):
        layout = _layout(place)
        if participant is None:
            return layout.stimuli(place, None)
        return layout.stimuli(place, named(place, str(participant), layout.participants(place))[0])


def read_stimulus(
    manifest: Manifest | str, path: str | os.PathLike[str], *, name: str | None = None, **options: Any
) -> Audio:
    """Read the sound of a stimulus, or render its score.

    Parameters
    ----------
    manifest : Manifest or str
        The data set, or its name.
    path : path
        A file of `stimulus_files`.
    name : str, optional
        Name of the stimulus; by default that of the file without its suffix.
    **options
        For scores: arguments of `eegic.datasets.render_midi`.

    Returns
    -------
    Audio
        Where the manifest has an option ``channel`` (``"left"`` or ``"right"``) that channel alone: in music_imagery,
        the left channel is the metronome, which the mean of both would mix into the music.
    """
    manifest, path = as_manifest(manifest), Path(path)
    name = path.stem if name is None else name
    if path.suffix.lower() in SCORES:
        from eegic.datasets.scores.rendering import render_midi

        rendered = render_midi(path, **options)
        return Audio(rendered.samples, rendered.sfreq, name)
    if options:
        raise TypeError(f"{path}: {', '.join(options)}: only scores are rendered, and this is a sound. Leave them out.")
    audio = read_audio(path, name=name)
    channel = manifest.loader.options.get("channel")
    if channel is None:
        return audio
    column = _CHANNELS[_checks.one_of(f"{manifest.id}: [loader.options] channel", channel, _CHANNELS)]
    if audio.samples.shape[1] != 2:
        raise ValueError(
            f"{path}: expected two channels, of which the {channel} one is the music, got {audio.samples.shape[1]}. Is "
            "it the file that was presented? If nothing but the music is in it, use `read_audio`."
        )
    return Audio(audio.samples[:, column], audio.sfreq, name)


def _layout(place: Place) -> Layout:
    """How the files of a data set lie; its options are checked."""
    reader = place.manifest.loader.reader
    layout = _LAYOUTS.get(reader) or _LAYOUTS.get(place.id)
    if layout is None:
        raise ValueError(
            f"{place.id}: how its files lie is not known (reader {reader!r}, format {place.manifest.format!r}), so "
            "nothing is guessed. Read its recordings yourself: `eegic.eeg.read_participant` takes what MNE opens."
        )
    known = (*layout.options, *_OF_STIMULI)
    for option in place.given:
        _checks.one_of(f"{place.id}: option", option, known)
    for option in place.manifest.loader.options:
        _checks.one_of(f"{place.manifest.folder / 'dataset.toml'}: [loader.options]", option, known)
    return layout


@contextmanager
def _known_problems(place: Place) -> Iterator[None]:
    """Add what the manifest knows of to errors."""
    try:
        yield
    except (ValueError, OSError) as error:
        problems = "".join(f"\n  - {problem}" for problem in place.manifest.loader.known_problems)
        if problems:
            error.add_note(f"Known of {place.id}:{problems}")
        raise
