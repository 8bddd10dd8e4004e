"""How true synthetic faces are, in figures that stand beside what real faces get.

`measure_fidelity` returns one JSON-able dictionary, which `write_fidelity` keeps as `<synthetic>.fidelity.json`:

    kind            "fidelity"
    synthetic       {"path", "sha256", "count"}; kept_faces likewise or null; real the same with "training", "held_out"
    held_out        the split whose real faces stand in for synthetic ones in every `real` below: "val" or "test"
    size_px         the side that all pictures were brought to
    configuration   the resolved FidelityConfig
    features        space → {"width"}: "judge", "gradients" (histograms of the picture's edges) and one per embedding;
                    what KID, coverage and the like are measured in
    copy_detector   {"threshold", "calibrated_on", "left_out"}: similarity of details from which a face is flagged; real
                    faces it was calibrated on; held-out faces left out as near duplicates of training faces
    condition_judge {"left_out"}: held-out faces of which its agreement is not told, since it learnt from them or
                    others of their group; null where none was asked
    groups          one entry per group of the synthetic faces, in this order: all, each label, each (occlusion, light)
                    and each (label, occlusion, light) that occurs
    kept            null, or entries of the same groups over the faces that screening kept

A group is

    level           "all", "label", "condition" or "cell"
    label, occlusion, light     null where the group does not fix it (in a condition or cell: where it was not stated)
    count           faces; real_count: training faces that it is compared with; held_out_count: real faces of the split;
                    both in the group's own mix of labels: faces of rare labels are not held against those of all.
                    Of copies and memorisation "real" is of all labels, where the group does not fix one
    agreement       measure, with "chance": share in which the judge sees the label that was asked for
    occlusion_agreement, light_agreement     the same for the condition judge and the stated conditions
    copies          "flagged" (copy detector, threshold calibrated), "near_duplicates" (its strict threshold, that of
                    `fer duplicates`), "exact" (the very picture of a training face, or its mirror image): measures
    features        space → "kid", "subset_kid", "frechet", "frechet_infinity", "precision", "recall", "density",
                    "coverage" (with "expected": of a perfect generator at this count), "distance" (mean pairwise),
                    "vendi": measures; empty in cells
    memorisation    space ("pixels", "gradients", "judge", embeddings) → "nearer_training" (one half without memory),
                    "unusually_near" (real faces: 1 %), "distance_ratio", "authenticity": measures, told in
                    `memorisation.Memory`; empty in conditions and cells

a measure is {"value", "low", "high", "count", "real"}: a 95 % interval, the faces it rests on, and the same four of
real held-out faces (null where there are none; with "altered": true where too few show a condition, so that the
judge saw others that were occluded or relit for it). Where a figure depends on the number of faces, both rest on
equally many; where fewer real ones are held out, Fréchet distances take no more of either, and nothing stands beside
recall and coverage. What cannot be measured is {"value": null, "reason": "…"}; low and high are null where an interval
has no meaning, and of "subset_kid" hold 95 % of the subsets. Nothing is ever NaN.
"""

from generators.fidelity.agreement import Agreement, ConditionJudge, label_agreement
from generators.fidelity.configuration import FidelityConfig
from generators.fidelity.distances import Kid, kid, polynomial_mmd2
from generators.fidelity.reference import Reference, read_reference
from generators.fidelity.report import fidelity_path, measure_fidelity, read_fidelity, write_fidelity
from generators.fidelity.wording import describe_fidelity

__all__ = [
    "Agreement",
    "ConditionJudge",
    "FidelityConfig",
    "Kid",
    "Reference",
    "describe_fidelity",
    "fidelity_path",
    "kid",
    "label_agreement",
    "measure_fidelity",
    "polynomial_mmd2",
    "read_fidelity",
    "read_reference",
    "write_fidelity",
]
