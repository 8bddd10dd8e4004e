"""What the classifiers of an experiment looked at: test faces under heat maps, for the report."""

from collections.abc import Sequence

from classifier.checkpoints import checkpoint_folder
from classifier.prediction import load_classifier
from experiments.evaluation.faces import heat_map_sheets
from experiments.evaluation.scoring import Judged
from experiments.runs import Part
from experiments.sheets import Sheet

PER_CLASS = 4


def collect_heat_maps(parts: Sequence[Part]) -> dict[str, list[Sheet]]:
    """Test faces of every class read right and wrong by the baseline and by the primary arm, first seed, first fold.

    An arm whose classifier is not on this machine is left out; so are all where the experiment's `sheets` is 0.

    Raises:
        FerError: a network without convolutions.
    """
    part = parts[0]
    if not part.design.config.sheets:
        return {}
    question, yardstick, found = part.design.question, part.design.yardstick, {}
    links = [part.design.root / path for path in part.design.config.links]
    for arm in (question.baseline, question.primary):
        if part.has_checkpoint(arm, question.seeds[0]):
            classifier = load_classifier(checkpoint_folder(part.run_folder(arm, question.seeds[0])))
            found[arm] = heat_map_sheets(Judged(yardstick, classifier, link_tables=links), PER_CLASS)
    return found
