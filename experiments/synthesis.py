"""How generated faces fared: asked, drawn, kept and why not, and whether a judge sees the label that was asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifier.prediction import Classifier
from fer_data import tables
from fer_data.links import twins_across
from fer_data.manifest import Manifest
from fer_data.votes import reference_labels
from generators.fidelity import Agreement, label_agreement
from generators.fidelity.distances import kernel_distance
from generators.fidelity.faces import in_mix, mix_of
from generators.models import DESCRIPTION, describe_checkpoint

FEWEST = 30  # faces on each side of a distance
MOST = 2000  # faces of a kind that are shown to the judge, drawn at random: seconds, not minutes

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Generated faces that came of one asking.

    Attributes:
        made: all that were drawn; None where they are not on this machine any more.
        kept: those that screening kept; `made` where nothing was screened.
        asked: how many were asked for.
    """

    made: Manifest | None
    kept: Manifest
    asked: int

    @property
    def shown(self) -> Manifest:
        """Those that are shown to a judge: what was drawn, screening's choice where nothing else is left."""
        return self.kept if self.made is None else self.made

    @property
    def generation(self) -> Mapping[str, Any]:
        """By which checkpoint, and from which faces it learnt."""
        told: Mapping[str, Any] = next(iter(self.shown.stores.values())).info["generation"]
        return told

    @property
    def screening(self) -> Path | None:
        """The table of what screening said of every face that was drawn."""
        name = self.kept.metadata.get("screening")
        return None if name is None else self.kept.root / name


def describe_source(source: Source, real: Manifest, judge: Classifier | None) -> dict[str, Any]:
    """One entry of `sources` for `experiments.report.write_report`.

    At most `MOST` generated faces, and as many real ones of either split, are shown to the judge.

    Args:
        real: the manifest whose training and test faces are the reference.
        judge: a classifier that saw no synthetic face and did not screen these; None where there is none to ask.
    """
    kept, shown, screening = source.kept, source.shown, source.screening
    return {
        "name": kept.name,
        "title": f"{source.generation['kind']}: {_subject(shown)}",
        "preset": _preset(source, real),
        "asked": source.asked,
        "made": len(shown if screening is None else tables.read_table(screening, columns=["keep"])[0]),
        "kept": len(kept),
        "dropped": {} if screening is None else tables.read_metadata(screening)["reasons"],
        "real_labels": _truth(real)[1],
        "agreement": {} if judge is None else _agreement(shown, real, judge),
        "kid": None if judge is None else _distance(shown, real, judge),
    }


def _subject(made: Manifest) -> str:
    """What the faces show, with the conditions that all of them have: "disgust, fear", "all classes, covered"."""
    present = set(made.frame["label"])
    classes = [label for label in made.labels if label in present]
    words = ["all classes"] if len(classes) == len(made.labels) else classes
    facts = made.facts(["occlusion", "light"]).astype(object)
    for column, plain, name in (("occlusion", "none", "covered"), ("light", "normal", "in low light")):
        if (facts[column].notna() & (facts[column] != plain)).all():
            words.append(name)
    return ", ".join(words)


def _preset(source: Source, real: Manifest) -> str:
    """How the generator was trained: "48 px, trained for 60 minutes on fer2013"."""
    checkpoint = source.kept.root / source.generation["checkpoint"]
    if not (checkpoint / DESCRIPTION).is_file():
        return f"trained on {real.name}; its checkpoint is not on this machine"
    config = describe_checkpoint(checkpoint)["config"]
    budget = f"{config['steps']:,} steps" if config["steps"] else f"{config['minutes']:g} minutes"
    return f"{config['size_px']} px, trained for {budget} on {real.name}"


def _agreement(made: Manifest, real: Manifest, judge: Classifier) -> dict[str, dict[str, Any]]:
    """Label → generated faces in which the judge sees it, of how many; under "real" the same of real test faces."""
    shown = _some(np.arange(len(made)))
    generated = _judged(judge, made, shown, made.frame["label"].to_numpy(dtype=object))
    names, _ = _truth(real)
    rows = np.flatnonzero(_test_apart(real) & np.isin(names.astype(str), list(generated)))
    genuine = _judged(judge, real, _some(rows), names) if len(rows) else {}
    return {
        label: {**_counts(found), "real": _counts(genuine[label]) if label in genuine else None}
        for label, found in generated.items()
    }


def _judged(judge: Classifier, manifest: Manifest, rows: Rows, labels: NDArray[np.object_]) -> dict[str, Agreement]:
    """Label → agreement of the judge with the labels of some rows."""
    found = label_agreement(judge, _pictures(judge, manifest, rows), list(labels[rows]))
    return {label: agreement for label, agreement in found.items() if label != "all"}


def _counts(agreement: Agreement) -> dict[str, int]:
    return {"agreed": round(agreement.value * agreement.count), "of": agreement.count}


def _distance(made: Manifest, real: Manifest, judge: Classifier) -> dict[str, Any] | None:
    """KID of the generated faces to real training faces, and of real test faces without copies as its floor.

    Real faces are taken in the generated ones' mix of labels. None where fewer than `FEWEST` faces stand on a side: the
    estimate would be noise.
    """
    labels = real.frame["label"].astype(object).where(real.frame["label"].notna(), None).to_numpy()
    in_train = (real.frame["split"] == "train").to_numpy(dtype=bool)
    mix = mix_of(made.frame["label"].to_numpy(dtype=object))
    train, test = (_some(in_mix(np.flatnonzero(rows), labels, mix, 0)) for rows in (in_train, _test_apart(real)))
    if min(len(train), len(test), len(made)) < FEWEST:
        return None
    features = [
        judge.features(_pictures(judge, source, rows))
        for source, rows in ((real, train), (made, _some(np.arange(len(made)))), (real, test))
    ]
    found, floor = (kernel_distance(features[0], other) for other in features[1:])
    return {"value": found.value, "standard_error": found.standard_error, "floor": floor.value}


def _truth(real: Manifest) -> tuple[NDArray[np.object_], str]:
    """The best labels of every row, object [N], null where there is none, and what they are."""
    names, kind = reference_labels(real)
    if all(name is None for name in names):
        return real.frame["label"].to_numpy(dtype=object), "given labels"
    return names, kind


def _test_apart(real: Manifest) -> NDArray[np.bool_]:
    """Test rows whose picture is in no other split, bool [N]."""
    return (real.frame["split"] == "test").to_numpy(dtype=bool) & ~twins_across(real, "test", ("train", "val"))


def _some(rows: Rows) -> Rows:
    """At most `MOST` of the rows, drawn at random, ascending."""
    if len(rows) <= MOST:
        return rows
    return np.sort(np.random.default_rng(0).permutation(rows)[:MOST])


def _pictures(judge: Classifier, manifest: Manifest, rows: Rows) -> NDArray[np.uint8]:
    """Some rows, ascending, as the judge sees them: uint8 [N, C, S, S]."""
    mask = np.zeros(len(manifest), dtype=bool)
    mask[rows] = True
    return manifest.pictures(judge.size_px, judge.channels, mask)
