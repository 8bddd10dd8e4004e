"""The faces that choose and judge, and what is one with them: twins, groups, and what a generator saw of either."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data import tables
from fer_data.errors import FerError
from fer_data.links import HELD_OUT_SPLITS, related_groups, twins_across
from fer_data.manifest import Manifest

Rows = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """The validation and test faces of a manifest.

    Attributes:
        yardstick: the manifest.
        link_tables: tables of near duplicates that count as twins, besides identical pictures and groups.
    """

    yardstick: Manifest
    link_tables: Sequence[Path] = ()

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """Rows of the yardstick that are one, int64 [N]: joined over groups, identical pictures and links."""
        return related_groups(self.yardstick, self.link_tables)

    @cached_property
    def split(self) -> NDArray[np.object_]:
        """The yardstick's splits, object [N]."""
        return self.yardstick.frame["split"].to_numpy(dtype=object)

    @cached_property
    def _judged_ids(self) -> pd.Index:
        """Of rows of the yardstick that are one with a held-out face."""
        held_out = np.isin(self.split, HELD_OUT_SPLITS)
        return pd.Index(
            self.yardstick.frame["sample_id"][np.isin(self.groups, self.groups[held_out])].unique(), dtype=object
        )

    @cached_property
    def _judged_pictures(self) -> pd.Index:
        pictures = self.yardstick.facts(["pixel_sha256"])["pixel_sha256"]
        return pd.Index(pictures[np.isin(self.split, HELD_OUT_SPLITS)].unique(), dtype=object)

    @cached_property
    def _new_pictures(self) -> pd.Index:
        """Those of held-out faces that the train split has not."""
        pictures = self.yardstick.facts(["pixel_sha256"])["pixel_sha256"]
        return self._judged_pictures.difference(pictures[self.split == "train"], sort=False)

    @cached_property
    def _new_groups(self) -> NDArray[np.int64]:
        """Groups of held-out faces that no face of the train split is in."""
        groups = self.yardstick.frame["group_id"].to_numpy()
        return np.setdiff1d(groups[np.isin(self.split, HELD_OUT_SPLITS)], groups[self.split == "train"])

    def related(self, of: str, others: Sequence[str]) -> Rows:
        """Rows of split `of`, bool over the yardstick, that are one with rows of the splits `others`."""
        elsewhere = self.groups[np.isin(self.split, list(others))]
        return np.asarray((self.split == of) & np.isin(self.groups, elsewhere))

    def twins_in(self, manifest: Manifest, rows: Rows) -> Rows:
        """Which of some rows of another manifest are one with a held-out face, bool over that manifest.

        A row is known by its sample_id, a copy by that of the face it was made from, any row by its picture.
        """
        facts = manifest.facts(["pixel_sha256", "parents"])
        ids = manifest.frame["sample_id"]
        origins = [parents[0] if parents is not None and len(parents) else own
                   for own, parents in zip(ids, facts["parents"], strict=True)]  # fmt: skip
        known = _among(origins, self._judged_ids) | _among(facts["pixel_sha256"], self._judged_pictures)
        return np.asarray(rows & known)

    def brought_in(self, manifest: Manifest, rows: Rows) -> Rows:
        """Which of some rows of another manifest are held-out faces that the yardstick's train split knows nothing of.

        By picture, and by group: another picture of a held-out person or scene is as much of a leak.
        """
        pictures = manifest.facts(["pixel_sha256"])["pixel_sha256"]
        of_group = np.isin(manifest.frame["group_id"].to_numpy(), self._new_groups)
        return np.asarray(rows & (_among(pictures, self._new_pictures) | of_group))

    def count_leaks(self) -> dict[str, int]:
        """How many held-out faces are also elsewhere: identical pictures, and all that is one."""

        def identical(of: str, *others: str) -> int:
            return int(twins_across(self.yardstick, of, others).sum())

        def related(of: str, *others: str) -> int:
            return int(self.related(of, others).sum())

        return {
            "test_faces_with_twins_in_train": identical("test", "train"),
            "test_faces_with_twins_in_val": identical("test", "val"),
            "val_faces_with_twins_in_train": identical("val", "train"),
            "test_faces_related_to_train": related("test", "train"),
            "test_faces_related_to_val": related("test", "val"),
            "val_faces_related_to_train": related("val", "train"),
            "test_faces_identical_to_train_or_val": identical("test", "train", "val"),
            "test_faces_related_to_train_or_val": related("test", "train", "val"),
            "link_tables": len(self.link_tables),
        }


def refuse_judged_groups(where: str, manifest: Manifest, rows: Rows, yardstick: Manifest) -> None:
    """Refuse training rows whose generator saw a face that is one with a validation or test face.

    One are identical pictures and groups, over any chain of them. A face that a generator saw stands for the group
    that it has in the yardstick, else in the manifest, else for the one that it had then.

    Args:
        where: what the rows belong to, for the message.
        rows: bool over the manifest.

    Raises:
        FerError: there are such rows, or a generation does not tell what was seen.
    """
    stores = {name: manifest.stores[name] for name in manifest.frame["store"][rows].unique()}
    generations = {name: store.info["generation"] for name, store in stores.items() if store.info["generation"]}
    if not generations:
        return
    groups = related_groups(yardstick)
    held_out = yardstick.frame["split"].isin(HELD_OUT_SPLITS).to_numpy(dtype=bool)
    renamed = _Lookup(yardstick.frame["group_id"], groups)
    in_yardstick = _Lookup(yardstick.frame["sample_id"], groups)
    in_manifest = _Lookup(manifest.frame["sample_id"], manifest.frame["group_id"].to_numpy())
    for name, generation in generations.items():
        if not generation.get("seen"):
            raise FerError(
                f"{where}: {name}: expected its generation to name the table of samples that the generator saw, "
                "found none; generate the faces again"
            )
        table, _ = tables.read_table(manifest.root / generation["seen"], columns=["sample_id", "group_id"])
        seen = table.to_pandas()
        known = in_manifest(seen["sample_id"], seen["group_id"].to_numpy())
        seen_groups = in_yardstick(seen["sample_id"], renamed(known, known))
        leaked = np.flatnonzero(held_out & np.isin(groups, seen_groups))
        if len(leaked):
            first = ", ".join(yardstick.frame["sample_id"].iloc[leaked[:3]])
            raise FerError(
                f"{where}: {manifest.path}: expected that the generator of {name} saw no group of val or test, found "
                f"{len(leaked)} rows in {len(np.unique(groups[leaked]))} such groups (first: {first}); train the "
                f"generator on the training split of {yardstick.path}, or leave its faces out"
            )


class _Lookup:
    """Groups by name; the first of equal names counts."""

    def __init__(self, names: Any, groups: NDArray[np.int64]) -> None:
        index = pd.Index(names)
        first = ~index.duplicated()
        self._index, self._groups = index[first], groups[first]

    def __call__(self, names: Any, otherwise: NDArray[np.int64]) -> NDArray[np.int64]:
        """The group of each name, int64 [M]; `otherwise` [M] where it is unknown."""
        place = self._index.get_indexer(pd.Index(names))
        return np.where(place >= 0, self._groups[np.maximum(place, 0)], otherwise)


def _among(values: Iterable[object], known: pd.Index) -> Rows:
    """Which of some values are known; the index keeps its hash table from one question to the next."""
    return np.asarray(known.get_indexer(pd.Index(values, dtype=object)) >= 0)
