"""A small project made of numpy pictures: seven classes as bright squares in seven places, some labels wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.expressions import BASIC7
from fer_data.licenses import DRAWN
from fer_data.links import group_ids
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from generators import dcgan

SIZE_PX = 16


def picture(label: str, generator: np.random.Generator) -> np.ndarray:
    place = BASIC7.index(label)
    image = generator.integers(0, 140, (SIZE_PX, SIZE_PX))
    row, column = divmod(place, 3)
    image[5 * row : 5 * row + 4, 5 * column : 5 * column + 4] += 80
    return image.astype(np.uint8)


def write_faces(root: Path, name: str, count: int, seed: int) -> manifests.Manifest:
    """Faces in three splits; a fifth of the labels wrong, two test pictures that are also in train."""
    generator = np.random.default_rng(seed)
    rows = []
    with StoreWriter("procedural", root, licence=DRAWN.as_dict(), source="procedural") as writer:
        pictures = []
        for index in range(count):
            true = BASIC7[index % 7]
            split = ("train", "train", "train", "val", "test")[index // 7 % 5]
            twin = split == "test" and index // 7 == 4 and index % 7 < 2
            image = pictures[index - 28] if twin else picture(true, generator)
            pictures.append(image)
            wrong = split == "train" and generator.random() < 0.2
            label = BASIC7[(index + 1) % 7] if wrong else true
            facts = {"true_label": true, "occlusion": "none", "light": "normal"}
            row = writer.add(Sample(f"{index:05d}", image, label, label, split, f"row {index}", facts))
            rows.append((f"procedural/{index:05d}", row, label, split))
        store = writer.close()
    ids, store_rows, labels, splits = zip(*rows, strict=True)
    frame = manifests.new_rows(
        count,
        sample_id=list(ids),
        store=f"stores/{store.path.name}",
        store_row=np.array(store_rows),
        label=list(labels),
        split=list(splits),
        group_id=group_ids(ids, np.empty((0, 2), dtype=np.int64)),
    )
    out = root / "manifests" / name
    return manifests.write(frame, out, label_set="basic7", command="fer import procedural", licence=DRAWN.as_dict())


def write_clean(faces: manifests.Manifest, name: str = "clean", drop: int = 3) -> manifests.Manifest:
    """What a simulated reviewer makes of them: the truth in train, a few dropped. The test labels it spoils."""
    truth = faces.facts(["true_label"])["true_label"]
    frame = faces.frame.copy()
    train = frame["split"] == "train"
    changed = int((train & (frame["label"] != truth)).sum())
    frame.loc[train, "label"] = truth[train]
    frame.loc[frame["split"] == "test", "label"] = "anger"
    frame = frame.drop(index=frame.index[:drop]).reset_index(drop=True)
    return manifests.write(
        frame,
        faces.path.with_name(name),
        label_set="basic7",
        command="fer apply",
        licence=DRAWN.as_dict(),
        parents={f"manifests/{faces.path.name}": faces.sha256},
        decisions={"reviewers": ["simulated:planted truth"], "relabelled": changed, "dropped": drop, "log_sha256": "1"},
    )


def make_project(folder: Path) -> Path:
    (folder / "fer.toml").write_text('name = "test"\n')
    write_clean(write_faces(folder, "faces", 350, 1))
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with manifests/faces and manifests/clean."""
    return make_project(tmp_path)


@pytest.fixture(scope="module")
def module_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for a whole module: copy it before changing anything."""
    return make_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="module")
def drawn_as_squares() -> Iterator[None]:
    """Two steps teach a DCGAN nothing: inside, what it draws is made up as `picture` makes faces."""

    def sample(self, conditions, seeds, faces=None):
        labels = [BASIC7[int(place)] for place in conditions[:, 0]]
        drawn = [picture(label, np.random.default_rng(int(seed))) for label, seed in zip(labels, seeds, strict=True)]
        return np.array(drawn, dtype=np.uint8).reshape(-1, 1, SIZE_PX, SIZE_PX)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dcgan.Dcgan, "sample", sample)
        yield


@pytest.fixture
def write_synthetic() -> Callable[..., manifests.Manifest]:
    """Writes real faces and 14 generated ones whose generator saw the rows `seen`."""

    def write(faces: manifests.Manifest, name: str, seen: pd.DataFrame) -> manifests.Manifest:
        generator = np.random.default_rng(5)
        table = pa.Table.from_pandas(seen[["sample_id", "group_id"]], preserve_index=False)
        tables.write_table(faces.root / "runs/g/seen.parquet", table, {"kind": "seen"}, replace=True)
        generation = {"id": "g", "seen": "runs/g/seen.parquet", "rows": len(seen)}
        with StoreWriter(
            "generated", faces.root, licence=DRAWN.as_dict(), source="generated", generation=generation
        ) as writer:
            for index in range(14):
                label = BASIC7[index % 7]
                facts = {"occlusion": "mask", "light": "low", "seed": index}
                image = picture(label, generator)
                writer.add(Sample(f"{len(seen)}-{index}", image, label, label, "train", f"row {index}", facts))
            store = writer.close()
        synthetic = manifests.new_rows(
            14,
            sample_id=[f"generated/{index}" for index in range(14)],
            store=f"stores/{store.path.name}",
            store_row=np.arange(14),
            label=[BASIC7[index % 7] for index in range(14)],
            label_origin="generated",
            split="train",
            group_id=np.arange(14),
            origin="synthetic",
        )
        return manifests.write(
            pd.concat([faces.frame, synthetic], ignore_index=True),
            faces.path.with_name(name),
            label_set="basic7",
            command="fer merge",
            licence=DRAWN.as_dict(),
            replace=True,
        )

    return write
