"""Pages to read: one for each participant, one for the group."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from eegic import _checks, _files
from eegic.study import results
from eegic.study.ground import LACKS, Ground, Unit
from eegic.study.provenance import anonymous
from eegic.study.settings import Shipped, columns
from eegic.study.stages import eeg, features, group, tracking
from eegic.study.stages.tracking import RESULT

_Warning = tuple[str, str, str]  # stage, label and text


def units(ground: Ground) -> list[Unit]:
    """One per participant, unless the study does without, and one for the group."""
    settings = ground.study.settings
    about = settings.report.about
    found = [_of_participant(ground, f"sub-{who}", about) for who in ground.people if settings.report.participants]
    if len(ground.people) > 1:
        found.append(_of_group(ground, about))
    return found


def _of_participant(ground: Ground, label: str, about: str | None) -> Unit:
    fault = ground.lacking([("eeg", label), ("tracking", label)])
    if fault:
        return Unit("report", label, fault=fault)
    person, result = ground.entries["eeg", label], ground.entries["tracking", label]
    told = {"about": about, "notes": _notes(_said(ground, _behind(ground, label)))}
    given = {**told, "who": label, "result": result.file(RESULT), "person": person.file(eeg.PARTICIPANT)}
    return ground.unit("report", label, told, [person.key, result.key], given)


def _of_group(ground: Ground, about: str | None) -> Unit:
    fault = ground.lacking([("group", group.LABEL)])
    if fault:
        return Unit("report", group.LABEL, fault=fault)
    whole = ground.entries["group", group.LABEL]
    people = [f"sub-{who}" for who in ground.people]
    there = [label for label in people if ("tracking", label) in ground.entries]
    told = {
        "about": about,
        "mixed": ground.study.settings.group.mixed,
        "missing": _reasons(ground, [label for label in people if label not in there]),
        "left_out": {f"sub-{who}": _line(why) for who, why in sorted(ground.excluded.items())},
        "notes": [*_notes(_said(ground, [("group", group.LABEL)])), *_elsewhere(ground, there)],
    }
    given = {
        **told,
        "group": whole.file(f"out/group/{group.GROUP}"),
        "people": [ground.entries["tracking", label].file(RESULT) for label in there],
    }
    return ground.unit("report", group.LABEL, told, [whole.key], given)


def _reasons(ground: Ground, labels: list[str]) -> dict[str, str]:
    """Why there is no result of these: as units say now, or else as they failed last."""
    units = [*eeg.units(ground), *tracking.units(ground)] if labels else []
    faults = {(unit.stage, unit.label): unit.fault for unit in units}
    before = {place: why for place, why in results.last_failures(ground.study.out).items() if LACKS not in why}
    before |= ground.faults
    found = {}
    for label in labels:
        place = ("tracking", label) if ("eeg", label) in ground.entries else ("eeg", label)
        found[label] = _line(faults.get(place) or before.get(place) or "not analysed")
    return found


def _behind(ground: Ground, label: str) -> list[tuple[str, str]]:
    """Stages and labels of all that a participant heard, of its features, and of the participant."""
    heard = ground.entries["eeg", label].about["stimuli"]
    used = {name: feature for name, feature in ground.study.settings.used.items() if not isinstance(feature, Shipped)}
    series = [
        ("features", features.label(stimulus, column))
        for name, feature in used.items()
        for column in columns(name, feature)
        for stimulus in heard
    ]
    return [*(("sounds", stimulus) for stimulus in heard), *series, ("eeg", label), ("tracking", label)]


def _said(ground: Ground, places: Iterable[tuple[str, str]]) -> list[_Warning]:
    """What was warned of where these were computed."""
    entries = {place: ground.entries[place] for place in places if place in ground.entries}
    return [(*place, anonymous(text)) for place, entry in entries.items() for text in entry.about.get("warnings", ())]


def _notes(said: Iterable[_Warning]) -> list[str]:
    """Warnings as they are, with their stage; what is said of many sounds alike is said once."""
    alike: dict[tuple[str, str], list[str]] = {}
    for stage, label, text in said:
        alike.setdefault((stage, text), []).append(label)
    of_sounds = ("sounds", "features")
    return [
        f"{stage}{f' ({_checks.listed(labels)})' if stage in of_sounds else ''}: {text}"
        for (stage, text), labels in alike.items()
    ]


def _elsewhere(ground: Ground, labels: Iterable[str]) -> list[str]:
    """Where the warnings about participants stand, if there are any."""
    said = {label: warnings for label in labels if (warnings := _said(ground, _behind(ground, label)))}
    if not said:
        return []
    n, m = len({one for warnings in said.values() for one in warnings}), len(said)
    counted = f"{n} warning{'s' * (n != 1)} about the data of {m} participant{'s' * (m != 1)} stand{'s' * (n == 1)}"
    if not ground.study.settings.report.participants:
        return [f"{counted} in warnings.tsv"]
    return [f"{counted} on {'their pages' if m > 1 else f'the page of {next(iter(said))}'}"]


def _line(text: str) -> str:
    """A reason in one line, which does not say whose home folder things lie in."""
    return " ".join(str(anonymous(text)).split())


def compute(given: Mapping[str, Any], draft: Path) -> dict[str, Any]:
    """Write a page."""
    import matplotlib

    matplotlib.use("Agg")
    pages = draft / "out" / "reports"
    pages.mkdir(parents=True)
    if "group" in given:
        return _group_page(given, pages)
    from eegic.eeg import Participant
    from eegic.reports import report_participant

    person = Participant.load(given["person"])
    page = pages / f"{given['who']}.html"
    told = {"about": given["about"], "notes": given["notes"]}
    report_participant(given["result"], page, **told, quality=person, progress=False)
    return {}


def _group_page(given: Mapping[str, Any], pages: Path) -> dict[str, Any]:
    from matplotlib import pyplot as plt

    from eegic import viz
    from eegic.group import mixed_model
    from eegic.reports import report_group
    from eegic.results import GroupResult

    result = GroupResult.load(given["group"])
    mixed = None
    if given["mixed"] is not None:
        try:
            mixed = mixed_model(result, given["mixed"] or None)
        except ValueError:
            pass  # the stage before has noted it
    told = {name: given[name] for name in ("about", "missing", "left_out", "notes")}
    report_group(result, pages / "group.html", **told, mixed=mixed, participants=given["people"], progress=False)
    for name, draw in (("bars", viz.plot_delta_r), ("maps", viz.plot_topography)):
        figure = draw(result)
        with _files.replacing(pages.parent / "figures" / f"{name}.png") as picture:
            figure.savefig(picture, dpi=150)
        plt.close(figure)
    return {}
