"""A small project with every table that the curator reads: what is in it is known row by row.

Rows 0..11 are real faces of the sources a (0..7) and b (8..11), rows 12..15 synthetic. Rows 2 and 3 are one picture
under two labels, rows 4 and 9 one picture in train and test, rows 6 and 7 near duplicates under two labels.
"""

import numpy as np
import pyarrow as pa

from fer_data import licenses, manifest, tables
from fer_data.duplicates import LINKS, NEAR
from fer_data.expressions import BASIC7
from fer_data.images import encode_png
from fer_data.manifest import Manifest
from fer_data.quality import ISSUES
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter

REAL, SYNTHETIC = 12, 4
IDS = [*(f"a/{row}" for row in range(8)), *(f"b/{row}" for row in range(8, REAL)), *(f"made/{n}" for n in range(4))]
LABELS = ["fear"] * 3 + ["anger"] + ["fear"] * 3 + ["sadness"] + ["happiness"] * 4 + ["disgust"] * SYNTHETIC
VOTERS = ("fear", "happiness", "NF")
SAME_PICTURE = {3: 2, 9: 4}
MODEL = "surprise"  # what it sees in the first rows


def make_project(root) -> Manifest:
    """The manifest `faces`, and the manifest `training` that its synthetic faces were screened against."""
    (root / "fer.toml").touch()
    real = _store(root, "real", REAL, votes_labels=VOTERS)
    made = _store(root, "made", SYNTHETIC, generation={"generation_id": "test"})
    rows = manifest.new_rows(
        len(IDS),
        sample_id=IDS,
        store=[real] * REAL + [made] * SYNTHETIC,
        store_row=[*range(REAL), *range(SYNTHETIC)],
        label=LABELS,
        split=["train"] * 8 + ["val", "test", None, None] + ["train"] * SYNTHETIC,
        group_id=np.arange(len(IDS)),
        origin=["real"] * REAL + ["synthetic"] * SYNTHETIC,
    )
    write = {"label_set": "basic7", "command": "test", "licence": licenses.DRAWN.as_dict()}
    training = manifest.new_rows(
        2, sample_id=["t/0", "t/1"], store=real, store_row=[5, 6], label="fear", split="train", group_id=[0, 1]
    )
    manifest.write(training, root / "manifests/training", **write)
    return manifest.write(rows, root / "manifests/faces", **write)


def add_tables(faces: Manifest) -> None:
    """Every table of the manifest, where the verbs put it."""
    keep(faces, "label_audit", "audit/faces.parquet", audit_columns())
    keep(faces, "quality", "audit/faces.quality.parquet", quality_columns())
    near = {"a": IDS[6], "b": IDS[7], "kind": NEAR}
    links = [{name: near.get(name) for name in LINKS.names}]
    links += [{**links[0], "a": IDS[first], "b": IDS[copy]} for copy, first in SAME_PICTURE.items()]
    keep(faces, "duplicates", "audit/faces.duplicates.parquet", pa.Table.from_pylist(links, LINKS))
    screened = {
        "sample_id": IDS[REAL:],
        "keep": [True, True, True, False],
        "reason": [None, None, None, "the judge disagrees"],
        "judge_label": ["disgust"] * 3 + ["anger"],
        "judge_p": np.float32([0.9, 0.5, 0.75, 0.25]),
        "label_score": [0.9, 0.5, 0.75, 0.25],
        "nearest_sample_id": ["t/1", "a/0", "gone/0", None],
        "copy_score": [0.5, 0.25, 0.75, 1.0],
    }
    parents = {"manifests/gone.parquet": "0", "manifests/faces.parquet": "0", "manifests/training.parquet": "0"}
    keep(faces, "screening", "manifests/faces.screening.parquet", screened, parents=parents)
    angles = np.radians([0, 80, 10, 11, 30, 40, 5, 6])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    features = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 2)
    folded = {"sample_id": IDS[:8], "fold": pa.array([0, 0, 0, 0, 1, 1, 0, 0], pa.int16()), "features": features}
    keep(faces, "repeat", "predictions/faces.repeats/0.parquet", folded)
    maps = [encode_png(np.full((12, 12), 10 * row, np.uint8)) for row in range(3)]
    keep(faces, "heat_maps", "predictions/faces.heat_maps.parquet", {"sample_id": IDS[:3], "heat_map": maps})


def audit_columns() -> dict:
    """Of rows 0..7, row 3 is the worst, then 1, 0 and 2; these four are marked."""
    score = np.array([0.3, 0.2, 0.4, 0.1, 0.8, 0.9, 0.6, 0.7])
    kinds = ["wrong", "ambiguous", "wrong", "wrong", "fine", "not_a_face", "out_of_distribution", "fine"]
    return {
        "sample_id": IDS[:8],
        "suggested_label": [MODEL] * 2 + ["anger", MODEL] + LABELS[4:8],
        "label_score": score,
        "is_label_issue": score < 0.5,
        "is_reviewed": [False] * 7 + [True],
        "rank": np.argsort(np.argsort(score)) + 1,
        "kind": kinds,
        "neighbours": [[IDS[1], "gone/1", IDS[2]]] + [[]] * 7,
        "face_score": np.linspace(0.9, 0.2, 8),
        "outlier_score": np.linspace(0.8, 0.1, 8),
        "is_outlier": [False] * 5 + [True, True, False],
        "is_conflicting_duplicate": [False, False, True, True] + [False] * 4,
        **{f"p_{label}": np.full(8, (k + 1) / 28, dtype=np.float32) for k, label in enumerate(BASIC7)},
    }


def quality_columns() -> dict:
    """Row 1 is dark (0.2) and blurred (0.1), row 4 dark (0.15); voters saw no face in row 8."""
    columns = {"sample_id": IDS}
    for issue, score in ISSUES.items():
        scores = np.full(len(IDS), 0.9, np.float32)
        for row, value in {"dark": {1: 0.2, 4: 0.15}, "blurred": {1: 0.1}, "not_a_face": {8: 0.3}}.get(
            issue, {}
        ).items():
            scores[row] = value
        columns |= {score: scores, f"is_{issue}": scores < 0.5}
    return columns


def keep(faces: Manifest, kind: str, path: str, columns: object, **facts: object):
    """Write a table of the project, over what was there."""
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    metadata = tables.provenance(kind, "test", **{"parents": {"manifests/faces.parquet": faces.sha256}, **facts})
    return tables.write_table(faces.root / path, table, metadata, replace=True, row_group_size=3)


def _store(root, name: str, count: int, **more: object) -> str:
    rng = np.random.default_rng(count)
    pictures = rng.integers(0, 256, (count, 12, 12), dtype=np.uint8)
    with StoreWriter(name, root, licence=licenses.DRAWN.as_dict(), source=name, **more) as writer:
        for row in range(count):
            facts = {"occlusion": "mask"} if row == 0 else {}
            facts |= {"votes": [row, 1, 0]} if name == "real" and row < 2 else {}
            picture = pictures[SAME_PICTURE.get(row, row) if name == "real" else row]
            writer.add(Sample(f"{row}", picture, None, None, None, f"row {row}", facts))
        return f"stores/{writer.close().path.name}"
