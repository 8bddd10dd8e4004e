"""What the classifiers of an experiment looked at: test faces under heat maps, for the report."""

from pathlib import Path

from classifier.checkpoints import checkpoint_folder
from classifier.prediction import load_classifier
from experiments import choice as choices
from experiments.before_after import open_parts, records_folder
from experiments.evaluation.faces import heat_map_sheets
from experiments.evaluation.scoring import Judged
from experiments.settings import ExperimentConfig
from experiments.sheets import Sheet

PER_CLASS = 4


def collect_heat_maps(config: ExperimentConfig, project_root: Path, out: Path) -> dict[str, list[Sheet]]:
    """Test faces of every class read right and wrong by the baseline and by the primary arm, first seed, first fold.

    An arm whose classifier is not on this machine is left out; so are all where `config.sheets` is 0.

    Args:
        out: folder of the experiment.

    Raises:
        FerError: a network without convolutions.
    """
    if not config.sheets:
        return {}
    choice = choices.read_choice(records_folder(config, project_root, out), config) if config.choose else {}
    part = open_parts(choices.with_choice(config, choice), project_root, out)[0]
    question, found = part.design.question, {}
    for arm in (question.baseline, question.primary):
        if part.has_checkpoint(arm, question.seeds[0]):
            classifier = load_classifier(checkpoint_folder(part.run_folder(arm, question.seeds[0])))
            found[arm] = heat_map_sheets(Judged(part.design.yardstick, classifier), PER_CLASS)
    return found
