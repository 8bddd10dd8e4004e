"""A classifier as the guide of a generator: which way a picture has to change to show an expression more."""

from functools import partial
from pathlib import Path

from torch import Tensor

from classifier.checkpoints import checkpoint_folder
from classifier.prediction import Classifier, load_classifier
from fer_data.files import sha256_file, sha256_json
from generators.contract import Guide, GuideSource


def guide_of(classifier: Classifier) -> Guide:
    """Log-probabilities of asked labels, which can be differentiated by the pictures.

    A face is seen as it is, not averaged with its mirror image: the gradient of the average would make faces
    symmetric. Its labels must be the generator's, in the same order.
    """

    def guide(pictures: Tensor, labels: Tensor) -> Tensor:
        scores = classifier.log_probabilities((pictures + 1) * 127.5)
        return scores.gather(1, labels[:, None].to(scores.device))[:, 0].to(pictures.device)

    return guide


def guide_source(checkpoint: Path) -> GuideSource:
    """The guide in a classifier's checkpoint folder, or in the folder of a finished run, for any process to open."""
    return GuideSource(partial(_open_guide, checkpoint), classifier_sha256(checkpoint))


def classifier_sha256(checkpoint: Path) -> str:
    """Identity of a classifier: the files of its checkpoint, not where they lie."""
    inner = checkpoint_folder(checkpoint)
    folder = inner if inner.is_dir() else checkpoint
    return sha256_json({path.name: sha256_file(path) for path in sorted(folder.glob("*")) if path.is_file()})


def _open_guide(checkpoint: Path) -> Guide:
    return guide_of(load_classifier(checkpoint))
