"""Generated faces that an arm gets besides: which of a screened manifest, how many, and by whose generator."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from experiments.arms import AddConfig
from fer_data import manifest as manifests
from fer_data import merging
from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.project import relative
from generators.training_faces import select_faces


def add_faces(source: Manifest, synthetic: Manifest, config: AddConfig, out: Path) -> Manifest:
    """Write the manifest with generated faces added to its training split.

    Args:
        config: `ratio` and `weight` are set.

    Raises:
        FerError: fewer faces than asked for, faces of another generator than the configuration allows, and what
            `fer_data.merging.merge` refuses.
    """
    if config.same_training:
        require_same_training(source, synthetic)
    rows = chosen_rows(source, synthetic, config)
    chosen = manifests.write(
        synthetic.frame[rows].assign(weight=np.float32(config.weight or 0)).reset_index(drop=True),
        out.with_name(f"{out.stem}-faces.parquet"),
        label_set=synthetic.label_set,
        command="fer experiment",
        licence=synthetic.metadata["licence"],
        parents={relative(synthetic.path, synthetic.root): synthetic.sha256},
        configuration=config.model_dump(mode="json"),
        replace=True,
    )
    return merging.merge([source, chosen], out, replace=True)


def chosen_rows(source: Manifest, synthetic: Manifest, config: AddConfig) -> NDArray[np.bool_]:
    """Which generated faces are added, bool over the rows of `synthetic`.

    For each class, `ratio` times as many as it has real training faces. Fewer faces are always among more: the choice
    is the beginning of one shuffle.

    Raises:
        FerError: an unknown class, no class at all, or fewer faces than asked for.
    """
    usable = (
        (synthetic.frame["origin"] == "synthetic").to_numpy(dtype=bool)
        & (synthetic.frame["repeat"] > 0).to_numpy()
        & (synthetic.frame["weight"] > 0).to_numpy()
    )
    if config.conditions != "any":
        facts = synthetic.facts(["occlusion", "light"]).astype(object)
        plain = (facts["occlusion"].isna() | (facts["occlusion"] == "none")) & (
            facts["light"].isna() | (facts["light"] == "normal")
        )
        usable &= plain.to_numpy() if config.conditions == "plain" else ~plain.to_numpy()
    if not usable.any():
        raise FerError(
            f"{synthetic.path}: expected generated faces to add, found none that may be trained on; train the "
            "generator longer, or have screening drop less"
        )
    rows = np.zeros(len(synthetic), dtype=bool)
    for label, count in wanted_faces(source, synthetic, config).items():
        found = np.flatnonzero(usable & (synthetic.frame["label"] == label).to_numpy(dtype=bool))
        if len(found) < count and config.short == "refuse":
            raise FerError(
                f"{synthetic.path}: expected {count:,} faces of {label} ({config.ratio:g} for each of the "
                f"{round(count / (config.ratio or 1)):,} that {source.path.stem} has), found {len(found):,}; draw "
                "more, lower the ratio, or set short: take"
            )
        seed = [config.seed, source.labels.index(label)]
        rows[found[np.random.default_rng(seed).permutation(len(found))[:count]]] = True
    return rows


def wanted_faces(source: Manifest, synthetic: Manifest, config: AddConfig) -> dict[str, int]:
    """How many faces of each class `config` asks for.

    Raises:
        FerError: an unknown class, or two label sets.
    """
    if synthetic.label_set != source.label_set:
        raise FerError(
            f"{synthetic.path}: expected the label set {source.label_set} of {source.path}, found "
            f"{synthetic.label_set}; draw faces of these labels"
        )
    there = set(synthetic.frame["label"])
    classes = [name for name in source.labels if name in there] if config.classes is None else config.classes
    strange = [name for name in classes if name not in source.labels]
    if strange:
        raise FerError(
            f"add: expected classes of {source.label_set} ({', '.join(source.labels)}), found {', '.join(strange)}; "
            "correct them"
        )
    frame = source.frame
    real = (frame["split"] == "train") & (frame["origin"] == "real") & (frame["repeat"] > 0)
    have: pd.Series[int] = frame["label"][real].value_counts()
    return {name: round((config.ratio or 0) * int(have.get(name, 0))) for name in classes}


def require_same_training(source: Manifest, synthetic: Manifest) -> None:
    """Refuse faces of a generator that learnt from other faces or labels than the training split of `source`.

    Raises:
        FerError: there are such faces.
    """
    own = select_faces(source, 0).sha256
    for name, store in synthetic.stores.items():
        generation = store.info["generation"] or {}
        if generation.get("training_sha256") != own:
            raise FerError(
                f"{synthetic.path}: expected that the generator of {name} learnt from the training faces and labels of "
                f"{relative(source.path, source.root)}, found others; train it on that manifest, or set "
                "same_training: false"
            )
