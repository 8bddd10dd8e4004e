"""The faces under review: an opened manifest, its pictures by row, and what is known and thought of each face.

Whatever is asked of all faces is an Arrow column or a numpy array, read when it is first asked for; nothing is a
Python object per row. A million faces are open in seconds and take a few hundred megabytes.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from curation_app.knowledge.copies import Copies, find_copies
from curation_app.knowledge.heat_maps import HeatMaps
from curation_app.knowledge.neighbours import Features, read_features
from curation_app.knowledge.opinions import Opinions
from curation_app.knowledge.reasons import tell_reasons
from curation_app.knowledge.row_groups import RowGroups
from curation_app.knowledge.side_tables import SideTable, find_tables, positions
from curation_app.knowledge.synthetic import Judgement, Screening
from fer_data import manifest as manifests
from fer_data.images import Pixels
from fer_data.tabular.columns import sources_of, value_codes, word_codes

NEIGHBOURS = 8
_COPIED = 3  # times as many are looked at, since a set may hold a picture several times

Codes = tuple[NDArray[np.signedinteger[Any]], tuple[str, ...]]


@dataclass(frozen=True)
class Face:
    """One face as the reviewer meets it.

    Attributes:
        row: its position in the manifest.
        label: the given label, or None.
        suggestion: the label that the model would give, or None without an opinion.
        score: how well the model's opinion fits the given label, 0 (badly) .. 1, or None.
        probabilities: float32 [K] in the order of the manifest's labels, or None.
        occlusion, light: conditions, or None where unknown.
        why: what the audit and the quality table flag it for, in words; empty where there is nothing.
        votes: how many people named which label, or None where nobody was asked.
    """

    row: int
    sample_id: str
    pixel_sha256: str
    label: str | None
    suggestion: str | None
    score: float | None
    probabilities: NDArray[np.float32] | None
    split: str | None
    origin: str
    occlusion: str | None
    light: str | None
    why: str = ""
    votes: dict[str, int] | None = None


class Collection:
    """Faces by row. Safe to share between threads: what is kept is the same whoever reads it first."""

    def __init__(self, manifest: manifests.Manifest, audit: Path | None = None, **tables: Path | None) -> None:
        """Find the tables that speak of a manifest, and align its audit with it.

        Args:
            audit: a table of a model's opinions; None takes the one that `fer audit` wrote, if any.
            tables: tables to take instead of those with the manifest's name, by field of
                `knowledge.side_tables.TablePaths`.

        Raises:
            FerError: the audit is of other faces, or lacks a label of the manifest.
        """
        self.manifest = manifest
        self.paths = find_tables(manifest, audit=audit, **tables)
        self.opinions = None if self.paths.audit is None else Opinions(self.paths.audit, manifest)
        self._kept: dict[str, tuple[Hashable, Any]] = {}
        self._making = threading.RLock()

    def __len__(self) -> int:
        return len(self.manifest)

    # -- all faces ---------------------------------------------------------------------------------------------

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the manifest's label set, in order."""
        return self.manifest.labels

    def codes(self, name: str) -> Codes:
        """A column as codes, small integers [N], -1 where unknown, and the words that they stand for.

        Args:
            name: `label`, `split`, `origin`, `source` (the part of the id before the first "/") or `suggestion`.
        """
        codes: Codes = self.keep(f"codes {name}", None, lambda: _small(*self._codes(name)))
        return codes

    def column(self, name: str) -> NDArray[np.object_]:
        """The same column as words, object [N], None where unknown."""
        codes, known = self.codes(name)
        words: NDArray[np.object_] = self.keep(f"words {name}", None, lambda: np.array([*known, None], object)[codes])
        return words

    def rows_of(self, sample_ids: Sequence[str]) -> NDArray[np.int64]:
        """Positions of samples, int64 [M]; -1 for those that are not here."""
        wanted = pa.chunked_array([pa.array(sample_ids, pa.string())])
        return positions(wanted, self.manifest.table["sample_id"])

    def keep(self, name: str, version: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` returns: made once, and again where `version` differs from the last time."""
        kept = self._kept.get(name)
        if kept is None or kept[0] != version:
            with self._making:  # who comes meanwhile waits for it
                kept = self._kept.get(name)
                if kept is None or kept[0] != version:
                    kept = self._kept[name] = version, make()
        return kept[1]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reviewer should know of the tables before trusting them, in sentences."""
        told = []
        if self.opinions is not None and self.opinions.is_outdated:
            told.append("The manifest has changed since it was audited; audit again for opinions on it as it is.")
        if self.opinions is not None and self.opinions.table.elsewhere:
            told.append(f"{self.opinions.table.elsewhere:,} audited faces are not in this manifest.")
        if self.paths.duplicates is None:
            told.append("Of copies only identical pictures are known; fer duplicates finds near duplicates.")
        return tuple(told)

    @cached_property
    def quality(self) -> SideTable | None:
        """Scores and flags of the pictures, or None where nobody measured them."""
        table = None if self.paths.quality is None else SideTable(self.paths.quality, "quality", self.manifest)
        return table if table is not None and table.known.any() else None  # one of a parent may be of other faces

    @cached_property
    def screening(self) -> Screening | None:
        """What screening says of synthetic faces, or None where there was none."""
        return None if self.paths.screening is None else Screening(self.paths.screening, self.manifest)

    @cached_property
    def copies(self) -> Copies:
        """Groups of faces that show one picture."""
        return find_copies(self.manifest, self.paths)

    # -- one face ----------------------------------------------------------------------------------------------

    def sample_id(self, row: int) -> str:
        """The id of a face."""
        return str(self.manifest.table["sample_id"][row].as_py())

    def label(self, row: int) -> str | None:
        """The given label of a face, or None."""
        return self._word("label", row)

    def face(self, row: int) -> Face:
        """All that is known of one face, but its pictures."""
        opinions = self.opinions
        return Face(
            row=row,
            sample_id=self.sample_id(row),
            pixel_sha256=str(self._fact("pixel_sha256", row)),
            label=self._word("label", row),
            suggestion=self._word("suggestion", row),
            score=None if opinions is None else opinions.score(row),
            probabilities=None if opinions is None else opinions.probabilities(row),
            split=self._word("split", row),
            origin=str(self._word("origin", row)),
            occlusion=self._fact("occlusion", row),
            light=self._fact("light", row),
            why=tell_reasons(self._flagging, row),
            votes=self._votes(row),
        )

    def picture(self, row: int) -> Pixels:
        """One picture, uint8 [H, W] or [H, W, 3], as stored.

        Raises:
            FerError: it cannot be read.
        """
        table = self.manifest.table
        return self.manifest.stores[table["store"][row].as_py()].image(table["store_row"][row].as_py())

    def picture_of(self, sample_id: str) -> Pixels | None:
        """The picture of a face of this manifest, or of those that its synthetic faces were screened against.

        Raises:
            FerError: it is there and cannot be read.
        """
        row = int(self.rows_of([sample_id])[0])
        if row >= 0:
            return self.picture(row)
        return None if self.screening is None else self.screening.training_picture(sample_id)

    def duplicates(self, row: int) -> NDArray[np.int64]:
        """The other rows that show the same picture, or nearly, int64 [C], ascending."""
        return self.copies.of(row)

    def neighbours(self, row: int) -> NDArray[np.int64] | None:
        """Up to NEIGHBOURS rows nearest in feature space, nearest first, each picture once; None where unknown.

        Without features at hand they are those that the audit names: the nearest with another label.
        """
        if self._features is not None:
            near = self._features.nearest(row, _COPIED * NEIGHBOURS, self.duplicates(row))
            return None if near is None else self.copies.one_of_each(near)[:NEIGHBOURS]
        named = None if self.opinions is None else self.opinions.neighbours(row)
        if named is None:
            return None
        rows = self.rows_of(named)
        return rows[rows >= 0]

    def judge(self, row: int) -> Judgement | None:
        """What screening says of a synthetic face; None where it was not screened."""
        return None if self.screening is None else self.screening.judge(row)

    def heat_map(self, row: int) -> NDArray[np.uint8] | None:
        """Where the model looked, uint8 [H, W], 255 = most; None where nobody asked it.

        Raises:
            FerError: it does not decode.
        """
        return None if self._heat_maps is None else self._heat_maps.of(row)

    # -- what is read at the first question --------------------------------------------------------------------

    @cached_property
    def _facts(self) -> dict[str, RowGroups]:
        return {name: RowGroups(store.path / "facts.parquet") for name, store in self.manifest.stores.items()}

    @cached_property
    def _features(self) -> Features | None:
        return read_features(self.paths.features, self.manifest)

    @cached_property
    def _heat_maps(self) -> HeatMaps | None:
        return None if self.paths.heat_maps is None else HeatMaps(self.paths.heat_maps, self.manifest)

    @cached_property
    def _flagging(self) -> list[SideTable]:
        tables = [None if self.opinions is None else self.opinions.table, self.quality]
        return [table for table in tables if table is not None]

    def _codes(self, name: str) -> Codes:
        if name == "suggestion":
            return (np.full(len(self), -1), ()) if self.opinions is None else self.opinions.suggestions()
        if name == "source":
            return value_codes(sources_of(self.manifest.table["sample_id"]))
        words = {"label": self.labels, "split": manifests.SPLITS, "origin": manifests.ORIGINS}[name]
        return word_codes(self.manifest.table[name], words), words

    def _word(self, name: str, row: int) -> str | None:
        codes, words = self.codes(name)
        return words[codes[row]] if codes[row] >= 0 else None

    def _fact(self, name: str, row: int) -> Any:
        """A fact of one row, None where unknown."""
        table = self.manifest.table
        return self._facts[table["store"][row].as_py()].value(name, table["store_row"][row].as_py())

    def _votes(self, row: int) -> dict[str, int] | None:
        names = self.manifest.stores[self.manifest.table["store"][row].as_py()].info["votes_labels"]
        counts = self._fact("votes", row) if names else None
        return None if counts is None else dict(zip(names, counts, strict=True))


def _small(codes: NDArray[np.signedinteger[Any]], words: tuple[str, ...]) -> Codes:
    """The same codes in one byte each, where there are few words."""
    return codes.astype(np.int8 if len(words) <= np.iinfo(np.int8).max else np.int32), words
