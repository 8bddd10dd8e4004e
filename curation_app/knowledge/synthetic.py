"""What screening thought of synthetic faces, and the training face that each comes nearest to."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc

from curation_app.knowledge.side_tables import SideTable
from fer_data import manifest as manifests
from fer_data.images import Pixels
from fer_data.manifest import Manifest


@dataclass(frozen=True)
class Judgement:
    """What screening says of one synthetic face.

    Attributes:
        label: the expression that the judge sees.
        p: the judge's probability of the expression that was asked for, 0..1.
        score: 0..1, low = the judge does not see what was asked for.
        reason: why screening drops the face, or None where it keeps it.
        nearest: sample_id of the nearest training face, or None.
        copy_score: share of real faces, unseen in training, that come nearer to a training face, 0..1; low = nearly a
            copy of `nearest`.
    """

    label: str | None
    p: float | None
    score: float | None
    reason: str | None
    nearest: str | None
    copy_score: float | None


class Screening:
    """A screening table, and the pictures of the training faces that it names."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Align a table with a manifest.

        Raises:
            FerError: the table is missing or of another kind.
        """
        self.table = SideTable(path, "screening", manifest)
        self._root = manifest.root
        self._training: dict[str, Manifest] = {}

    def judge(self, row: int) -> Judgement | None:
        """What screening says of a row of the manifest; None where it was not screened."""
        if not self.table.known[row]:
            return None
        names = ("judge_label", "judge_p", "label_score", "reason", "nearest_sample_id", "copy_score")
        return Judgement(*(self.table.value(name, row) for name in names))

    def training_picture(self, sample_id: str) -> Pixels | None:
        """A face of the manifests that were screened against, uint8 [H, W] or [H, W, 3]; None where it is gone.

        Raises:
            FerError: it is there and cannot be read.
        """
        for name in self.table.metadata.get("parents", {}):
            training = self._opened(name)
            rows = None if training is None else training.table.filter(pc.field("sample_id") == sample_id)
            if training is not None and rows is not None and len(rows):
                return training.stores[rows["store"][0].as_py()].image(rows["store_row"][0].as_py())
        return None

    def _opened(self, name: str) -> Manifest | None:
        if name not in self._training and (self._root / name).is_file():
            self._training[name] = manifests.read(self._root / name)
        return self._training.get(name)
