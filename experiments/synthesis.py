"""How generated faces fared: asked, made, kept and why not, and whether a judge sees the label that was asked for."""

from typing import Any

import numpy as np

from classifier.prediction import Classifier
from fer_data import tables
from fer_data.balance import Plan
from fer_data.links import twins_across
from fer_data.manifest import Manifest
from fer_data.votes import reference_labels
from generators.fidelity import label_agreement
from generators.fidelity.distances import kernel_distance
from generators.fidelity.faces import in_mix, mix_of
from generators.models import describe_checkpoint

FEWEST = 30  # faces on each side of a distance


def describe_source(
    kind: str, plan: Plan, made: Manifest, kept: Manifest, real: Manifest, judge: Classifier
) -> dict[str, Any]:
    """One entry of `sources` for `experiments.report.write_report`.

    Args:
        made: the synthetic faces, before screening.
        kept: those that screening kept; its footer names the screening table.
        real: the manifest whose training and test faces are the reference.
        judge: a classifier that saw no synthetic face and did not screen these.
    """
    pictures = made.pictures(judge.size_px, judge.channels)
    labels = made.frame["label"].tolist()
    agreement = label_agreement(judge, pictures, labels)
    reasons = tables.read_metadata(made.root / kept.metadata["screening"])["reasons"]
    checkpoint = next(iter(made.stores.values())).info["generation"]["checkpoint"]
    config = describe_checkpoint(made.root / checkpoint)["config"]
    budget = f"{config['steps']:,} steps" if config["steps"] else f"{config['minutes']:g} minutes"
    return {
        "name": kind,
        "title": f"{kind} faces",
        "preset": f"{config['size_px']} px, trained for {budget}",
        "asked": sum(cell.count for cell in plan.cells),
        "made": len(made),
        "kept": len(kept),
        "dropped": reasons,
        "agreement": {
            label: {"agreed": round(found.value * found.count), "of": found.count}
            for label, found in agreement.items()
            if label != "all"
        },
        "kid": _distance(made, real, judge),
    }


def describe_judge(real: Manifest, judge: Classifier) -> str:
    """What the judge's agreement has to be compared with: its agreement on real test faces, in one sentence."""
    names, kind = reference_labels(real)
    if all(name is None for name in names):
        names, kind = real.frame["label"].to_numpy(dtype=object), "given labels"
    test = (real.frame["split"] == "test").to_numpy(dtype=bool) & ~twins_across(real, "test", ("train", "val"))
    rows = test & np.array([name in judge.labels for name in names])
    if not rows.any():
        return ""
    found = label_agreement(judge, real.pictures(judge.size_px, judge.channels, rows), list(names[rows]))
    shares = ", ".join(f"{label} {100 * share.value:.0f} % of {share.count}" for label, share in found.items())
    return f"For comparison, on real test faces without twins the judge agrees with the {kind} in: {shares}."


def _distance(made: Manifest, real: Manifest, judge: Classifier) -> dict[str, Any] | None:
    """KID of the generated faces to real training faces, and of real test faces without twins as its floor.

    Real faces are taken in the generated ones' mix of labels. None where fewer than `FEWEST` faces stand on a side: the
    estimate would be noise.
    """
    labels = real.frame["label"].astype(object).where(real.frame["label"].notna(), None).to_numpy()
    in_train, in_test = ((real.frame["split"] == split).to_numpy(dtype=bool) for split in ("train", "test"))
    mix = mix_of(made.frame["label"].to_numpy(dtype=object))
    apart = ~twins_across(real, "test", ("train", "val"))
    train, test = (
        np.isin(np.arange(len(labels)), in_mix(np.flatnonzero(rows), labels, mix, 0))
        for rows in (in_train, in_test & apart)
    )
    if min(train.sum(), test.sum(), len(made)) < FEWEST:
        return None
    features = [
        judge.features(source.pictures(judge.size_px, judge.channels, rows))
        for source, rows in ((real, train), (made, np.ones(len(made), dtype=bool)), (real, test))
    ]
    found, floor = (kernel_distance(features[0], other) for other in features[1:])
    return {"value": found.value, "standard_error": found.standard_error, "floor": floor.value}
