"""Copies of real training faces that are covered or darkened: what is usually done instead of synthesis."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from experiments.arms import OccludeConfig
from fer_data import conditions
from fer_data import manifest as manifests
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.samples import Sample
from fer_data.store_writer import StoreWriter
from fer_data.tabular.rows import with_columns

SOURCE = "covered"


def add_covered(source: Manifest, config: OccludeConfig, out: Path, reporter: Reporter = SILENT) -> Manifest:
    """Write the manifest with a covered, a darkened or a covered and darkened copy of some real training faces.

    Each copy has its face's label, target and group. Which of the three it is, and by what it is covered, is drawn for
    each face; the same configuration gives the same copies.
    """
    rows = _chosen_rows(source, config)
    table = source.table.take(pa.array(rows))
    ids = table["sample_id"].to_pylist()
    facts = source.facts(["landmarks", "occlusion", "light"]).iloc[rows].astype(object)
    words = facts[["occlusion", "light"]]
    stated: list[dict[str, Any]] = [*words.where(words.notna(), None).to_dict("records")]  # type: ignore[list-item]
    stores = table["store"].cast(pa.string()).to_pylist()
    licence = source.metadata["licence"]
    with StoreWriter(SOURCE, source.root, licence=licence, source=SOURCE) as writer:
        with reporter.stage("covering and darkening real faces", len(rows)) as stage:
            for place, (name, row) in enumerate(zip(stores, table["store_row"].to_pylist(), strict=True)):
                image, changes = _changed(source.stores[name].image(row), facts["landmarks"].iloc[place], config, place)
                told = {
                    **stated[place],
                    **changes,
                    "condition_source": "applied",
                    "parents": [ids[place]],
                    "seed": config.seed,
                }
                key = ids[place].replace("/", "_")
                writer.add(Sample(key, image, None, None, "train", ids[place], told))
                stage.advance()
        store = writer.close()
    copies = with_columns(
        table,
        sample_id=[f"{SOURCE}/{name.replace('/', '_')}" for name in ids],
        store=pa.array([f"stores/{store.path.name}"] * len(rows)),
        store_row=np.arange(len(rows)),
        origin=pa.array(["derived"] * len(rows)),
        weight=pc.multiply(table["weight"], pa.scalar(config.weight, pa.float32())),
    )
    return manifests.derive(
        source,
        pa.concat_tables([source.table, copies]),
        out,
        command="fer experiment",
        configuration=config.model_dump(mode="json"),
        changed=("sample_id", "store", "store_row", "origin", "weight", "split"),
        replace=True,
    )


def _chosen_rows(source: Manifest, config: OccludeConfig) -> NDArray[np.int64]:
    """Rows of real, labelled training faces that nothing covers yet, in the order of the manifest."""
    frame = source.frame
    covered = source.facts(["occlusion"])["occlusion"].astype(object)
    usable = (
        (frame["split"] == "train")
        & (frame["origin"] == "real")
        & (frame["repeat"] > 0)
        & (frame["label"].notna() | frame["target"].notna())
        & (covered.isna() | (covered == "none"))
    )
    found = np.flatnonzero(usable.to_numpy(dtype=bool))
    count = round(config.share * len(found))
    return np.sort(found[np.random.default_rng(config.seed).permutation(len(found))[:count]])


def _changed(
    image: NDArray[np.uint8], landmarks: Any, config: OccludeConfig, place: int
) -> tuple[NDArray[np.uint8], dict[str, str]]:
    """A face with an occlusion, another light or both, each equally often, and the facts that tell so."""
    random = np.random.default_rng([config.seed, place])
    ways = [way for way, there in (("occlusion", config.occlusions), ("light", config.lights)) if there]
    way = str(random.choice([*ways, "both"] if len(ways) == 2 else ways))
    changes = {}
    if way != "light":
        changes["occlusion"] = str(random.choice(config.occlusions))
        image = conditions.occlude(image, changes["occlusion"], int(random.integers(2**31)), landmarks=landmarks)
    if way != "occlusion":
        changes["light"] = str(random.choice(config.lights))
        image = conditions.relight(image, changes["light"], int(random.integers(2**31)))
    return image, changes
