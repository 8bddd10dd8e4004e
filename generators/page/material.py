"""What the parts of a generation's page look at, each thing read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fer_data.expressions import LIGHTS, OCCLUSIONS
from fer_data.files import read_json
from fer_data.manifest import Manifest
from fer_data.plans import Key
from fer_data.project import relative

_OCCLUSION_WORDS = {
    None: "any occlusion",
    "none": "uncovered",
    "hand_mouth": "hand over mouth",
    "hand_eyes": "hand over eyes",
    "hair": "hair or scarf",
}
_LIGHT_WORDS = {
    None: "any light",
    "normal": "normal light",
    "low": "low light",
    "side": "light from the side",
    "back": "light from behind",
}


@dataclass(frozen=True)
class CellYield:
    """What became of one cell of the plan.

    Attributes:
        asked: faces that the plan asks for; None where the plan does not name the cell.
        drawn: faces drawn.
        kept: those that screening kept, no more than the plan asks for; None without screening.
        passed: share of the faces drawn that are good enough to be kept, 0..1; None where it is not known.
        dropped: faces by reason.
        rows: int64 [drawn], their rows of `Material.faces`.
    """

    label: str
    occlusion: str | None
    light: str | None
    asked: int | None
    drawn: int
    kept: int | None
    passed: float | None
    dropped: Mapping[str, int]
    rows: NDArray[np.int64] = field(repr=False)

    @property
    def condition(self) -> str:
        """Occlusion and light in words."""
        return condition_words(self.occlusion, self.light)


@dataclass(frozen=True)
class Material:
    """A generation, and what is known of it.

    Attributes:
        drawn: all faces drawn, before screening.
        training: the manifest that the generator was trained on.
        verdicts: rows of the screening table, every sample_id is in `drawn`; None without screening.
        screening: the table's footer; empty without screening.
        screening_place: the table's path as a command would name it.
        fidelity: what `generators.fidelity.measure_fidelity` returned; None where it was not measured.
    """

    drawn: Manifest
    training: Manifest
    verdicts: pd.DataFrame | None = None
    screening: Mapping[str, Any] = field(default_factory=dict)
    screening_place: str = ""
    fidelity: Mapping[str, Any] | None = None

    @cached_property
    def faces(self) -> pd.DataFrame:
        """The faces in the order drawn, index 0..N-1: sample_id, label, occlusion, light, seed, parent, generation_id.

        With screening also its columns. Words that are not known are None.
        """
        frame = self.drawn.frame[["sample_id", "label"]].reset_index(drop=True)
        facts = self.drawn.facts(["occlusion", "light", "seed", "parents", "generation_id"])
        facts["parent"] = [None if parents is None or not len(parents) else parents[0] for parents in facts["parents"]]
        faces = pd.concat([frame, facts.drop(columns="parents")], axis=1)
        for word in ("occlusion", "light", "parent"):
            faces[word] = faces[word].astype(object).where(faces[word].notna(), None)
        if self.verdicts is None:
            return faces
        return faces.merge(self.verdicts.drop(columns="given_label", errors="ignore"), on="sample_id", how="left")

    @property
    def is_screened(self) -> bool:
        return self.verdicts is not None

    @cached_property
    def kept(self) -> NDArray[np.bool_]:
        """Which faces screening kept, bool [N]; all of them without screening."""
        if not self.is_screened:
            return np.ones(len(self.faces), dtype=bool)
        return self.faces["keep"].eq(True).to_numpy(dtype=bool)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why faces were dropped, the most frequent first."""
        if not self.is_screened:
            return ()
        counts = self.faces.loc[~self.kept, "reason"].dropna().value_counts()
        return tuple(sorted((str(reason) for reason in counts.index), key=lambda reason: (-counts[reason], reason)))

    @cached_property
    def cells(self) -> tuple[CellYield, ...]:
        """The cells that the plan asks for and those that were drawn, by label, occlusion and light."""
        keys = list(zip(*(self.faces[word].tolist() for word in ("label", "occlusion", "light")), strict=True))
        rows: dict[Key, list[int]] = {key: [] for key, asked in self.asked.items() if asked}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return tuple(self._cell(key, rows[key]) for key in sorted(rows, key=self._place))

    @cached_property
    def asked(self) -> Mapping[Key, int]:
        """Faces that the plan asks for, by cell; empty where nothing tells of the plan."""
        if any("asked" in cell for cell in self._told_cells.values()):
            return {key: int(cell["asked"]) for key, cell in self._told_cells.items() if "asked" in cell}
        plans = (generation.get("plan", {}).get("cells", ()) for generation in self.generations)
        cells = next((cells for cells in plans if cells), ())
        return {(cell["label"], cell["occlusion"], cell["light"]): int(cell["count"]) for cell in cells}

    @cached_property
    def _told_cells(self) -> Mapping[Key, Mapping[str, Any]]:
        """What the screening table tells of each cell. A plan that was filled in rounds is told of here alone."""
        return {(cell["label"], cell["occlusion"], cell["light"]): cell for cell in self.screening.get("cells", ())}

    @cached_property
    def generations(self) -> tuple[Mapping[str, Any], ...]:
        """How the faces of each store were made, as the stores tell."""
        told = (store.info.get("generation") or {} for store in self.drawn.stores.values())
        return tuple(generation for generation in told if generation)

    @cached_property
    def checkpoints(self) -> Mapping[str, Mapping[str, Any]]:
        """What each checkpoint says of itself, by its path; empty where it is no longer there."""
        from generators.models import DESCRIPTION  # opens every kind of generator, which a page without it need not

        paths = dict.fromkeys(str(generation.get("checkpoint", "")) for generation in self.generations)
        files = {path: self.drawn.root / path / DESCRIPTION for path in paths}
        return {path: read_json(file) if file.is_file() else {} for path, file in files.items()}

    @property
    def drawn_place(self) -> str:
        """The manifest of drawn faces as a command would name it."""
        return manifest_place(self.drawn)

    @property
    def training_place(self) -> str:
        return manifest_place(self.training)

    @property
    def kept_place(self) -> str:
        """The manifest of the kept faces as a command would name it; that of the drawn ones without screening."""
        return self.screening_place.removesuffix(".screening.parquet") if self.is_screened else self.drawn_place

    def _cell(self, key: Key, rows: list[int]) -> CellYield:
        chosen = np.asarray(rows, dtype=np.int64)
        kept = int(self.kept[chosen].sum()) if self.is_screened else None
        dropped = {}
        if self.is_screened:
            own = self.faces["reason"].iloc[chosen[~self.kept[chosen]]].value_counts()
            dropped = {reason: int(own[reason]) for reason in self.reasons if reason in own}
        passed = kept / len(rows) if kept is not None and rows else None
        passed = self._told_cells.get(key, {}).get("yield", passed)
        return CellYield(*key, self.asked.get(key), len(rows), kept, passed, dropped, chosen)

    def _place(self, key: Key) -> tuple[int, int, int]:
        label, occlusion, light = key
        places = (_position(occlusion, OCCLUSIONS), _position(light, LIGHTS))
        return (_position(label, self.drawn.labels), *places)


def condition_words(occlusion: str | None, light: str | None) -> str:
    """Occlusion and light for a reader: "mask, low light"."""
    if occlusion is None and light is None:
        return "no stated condition"
    return f"{_OCCLUSION_WORDS.get(occlusion, occlusion)}, {_LIGHT_WORDS.get(light, light)}"


def manifest_place(manifest: Manifest) -> str:
    """A manifest as a command would name it."""
    return relative(manifest.path, manifest.root).removesuffix(".parquet")


def _position(word: str | None, known: Sequence[str]) -> int:
    """Place of a word in a list; unknown ones come first."""
    return known.index(word) if word in known else -1
