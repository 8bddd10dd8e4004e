"""Near duplicates: the same photograph again, mirrored, moved, cropped, relit, compressed, blurred, at another size.

Three steps, each on less than the one before: fingerprints point at candidates (`fingerprints.py`, `neighbours.py`),
every candidate is laid upon its partner and their details compared (`alignment.py`), and what agrees becomes links and,
with the exact duplicates, groups. Pictures are compared in grey at 48 pixels, so that colour and size do not matter.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from fer_data.configuration import Configuration
from fer_data.duplicates import (
    NEAR,
    DuplicateReport,
    exact_links,
    marked_links,
    report_groups,
    write_links,
)
from fer_data.errors import FerError
from fer_data.links import group_ids
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.similarity.alignment import align
from fer_data.similarity.fingerprints import (
    DIMENSIONS,
    PICTURE_PX,
    THUMBNAIL_PX,
    UNIT,
    Thumbnails,
    fit_projection,
    gradient_histograms,
    mirrored,
    thumbnails,
)
from fer_data.similarity.neighbours import close_enough, close_pairs

FEW_ROWS = 100  # up to here every pair is aligned: a discriminant needs more pictures than these
_CLOSE = 0.77  # cosine of fingerprints from which a pair is worth aligning
_STRANGERS = 4.0  # strangers per picture that may be aligned: in very large sets the cosine has to be higher
_READ_ROWS = 65_536  # pictures, and histograms, in memory at once


class NearDuplicateConfig(Configuration):
    """When two pictures count as one photograph."""

    threshold: Annotated[float, Field(ge=0.7, le=1)] = 0.95  # similarity of details from which they do
    neighbours: Annotated[int, Field(ge=1, le=1000)] = 32  # candidates kept per picture
    flat_below: Annotated[float, Field(ge=0, le=128)] = (
        4.0  # standard deviation of brightness (0..255) that shows nothing
    )
    seed: Annotated[int, Field(ge=0)] = 0  # draws the sample that fingerprints are fitted on


class NearPairs(NamedTuple):
    """Pairs of pictures i < j that show one photograph, each once, ordered by i and j.

    Attributes:
        i, j: int64 [P], rows.
        similarity: float32 [P], at most 1.
        is_mirrored: bool [P], j shows i's mirror image.
        shift_px: float32 [P, 2], how far what j shows lies right of and below i's, in pixels of 48.
        zoom: float32 [P], how much larger j shows it (geometric mean of both axes).
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    similarity: NDArray[np.float32]
    is_mirrored: NDArray[np.bool_]
    shift_px: NDArray[np.float32]
    zoom: NDArray[np.float32]


@dataclass(frozen=True)
class NearDuplicateReport:
    """Exact and near duplicates of one or several manifests.

    Attributes:
        exact: groups of identical pictures.
        together: groups that exact and near duplicates make together.
        links: columns of `duplicates.LINKS`; exact duplicates are linked to the first of their group, near ones
            between such firsts; by kind, then by rising score.
        flat_rows: rows that show nothing (`flat_below`): never near duplicates, identical ones are exact duplicates.
        manifests: what was searched.
        config: how.
    """

    exact: DuplicateReport
    together: DuplicateReport
    links: pd.DataFrame
    flat_rows: int
    manifests: tuple[Manifest, ...]
    config: NearDuplicateConfig

    def summary(self) -> dict[str, Any]:
        """The figures as JSON can hold them."""
        near = self.links[self.links["kind"] == NEAR]
        return {
            "exact": self.exact.summary(),
            "together": self.together.summary(),
            "near_pairs": len(near),
            "near_pairs_across_splits": int(near["is_leak"].sum()),
            "near_pairs_with_conflicting_labels": int(near["is_conflict"].sum()),
            "flat_rows": self.flat_rows,
        }

    def sentence(self) -> str:
        """What a user should know: of identical pictures, and of those that show one photograph."""
        together = self.together.sentence("the same photograph, near duplicates included,", "the same photograph as")
        return f"{self.exact.sentence()}; {together}"

    def pairs_to_look_at(self, count: int = 50) -> pd.DataFrame:
        """The near duplicates that matter or may be wrong: leaks and conflicts first, the least alike first."""
        near = self.links[self.links["kind"] == NEAR]
        weight = near["is_leak"].astype(int) + near["is_conflict"].astype(int)
        return near.iloc[np.lexsort((near["score"].to_numpy(), -weight.to_numpy()))].head(count)

    def write(self, out: Path, *, replace: bool = False) -> Path:
        """Write the links as a table of kind "duplicates".

        Raises:
            FerError: `out` exists and `replace` is false.
        """
        configuration = self.config.model_dump(mode="json")
        return write_links(self.manifests, self.links, out, self.summary(), configuration, replace=replace)


def find_near_duplicates(
    manifests: Sequence[Manifest],
    config: NearDuplicateConfig | None = None,
    reporter: Reporter = SILENT,
) -> NearDuplicateReport:
    """Find exact and near duplicates within and across manifests.

    A sample that several manifests hold counts once, with the split and label of the first.

    Raises:
        FerError: no manifest was given, or one sample_id names different pictures in two of them.
    """
    config = config or NearDuplicateConfig()
    samples = _samples(manifests)
    is_first = ~samples["pixel_sha256"].duplicated().to_numpy() | samples["pixel_sha256"].isna().to_numpy()
    firsts = np.flatnonzero(is_first)
    small = _read_thumbnails(manifests, samples.iloc[firsts], reporter)
    pairs = near_pairs(small, config, reporter)
    flat = samples["pixel_sha256"].isin(samples["pixel_sha256"].iloc[firsts[is_flat(small, config.flat_below)]])
    exact = _exact_report(samples)
    ends = pd.concat([exact_links(exact.table), _near_links(samples["sample_id"].to_numpy()[firsts], pairs)])
    linked = samples[samples["sample_id"].isin(pd.concat([ends["a"], ends["b"]]))].reset_index(drop=True)
    place = pd.Index(linked["sample_id"])
    edges = np.stack([place.get_indexer(pd.Index(ends[end])) for end in ("a", "b")], axis=1)
    members = linked.assign(twin_group=group_ids(linked["sample_id"].tolist(), edges))
    return NearDuplicateReport(
        exact=exact,
        together=report_groups(members[["sample_id", "twin_group", "split", "label"]]),
        links=marked_links(ends.reset_index(drop=True), members),
        flat_rows=int(flat.sum()),
        manifests=tuple(manifests),
        config=config,
    )


def near_pairs(small: Thumbnails, config: NearDuplicateConfig, reporter: Reporter = SILENT) -> NearPairs:
    """Find the pairs of thumbnails that show one photograph.

    Args:
        small: uint16 [N, 24, 24], as `fingerprints.thumbnails` makes them; flat ones are left out.
    """
    rows = np.flatnonzero(~is_flat(small, config.flat_below))
    shown = small[rows]
    with reporter.stage("near duplicates", 3) as stage:
        i, j, is_mirrored = _candidates(shown, config)
        stage.advance(2, f"{len(i):,} candidates")
        fit = align(shown, i, j, is_mirrored)
        stage.advance(1)
    order = np.lexsort((-fit.similarity, j, i))  # of a pair as it is and mirrored, the better one comes first
    order = order[fit.similarity[order] >= config.threshold]
    again = (np.diff(i[order], prepend=-1) == 0) & (np.diff(j[order], prepend=-1) == 0)
    order = order[~again]
    return NearPairs(
        i=rows[i[order]],
        j=rows[j[order]],
        similarity=fit.similarity[order],
        is_mirrored=is_mirrored[order],
        shift_px=fit.shift_px[order],
        zoom=np.sqrt(fit.zoom[order].prod(axis=1)),
    )


def is_flat(small: Thumbnails, flat_below: float) -> NDArray[np.bool_]:
    """Which thumbnails, bool [N], vary by less than `flat_below` (standard deviation of brightness 0..255)."""
    spread = np.empty(len(small), dtype=np.float32)
    for start in range(0, len(small), _READ_ROWS):
        block = small[start : start + _READ_ROWS].reshape(-1, THUMBNAIL_PX**2)
        spread[start : start + _READ_ROWS] = block.std(axis=1, dtype=np.float32) / UNIT
    return spread < flat_below


def _candidates(
    small: Thumbnails, config: NearDuplicateConfig
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pairs i < j worth aligning, as they are or mirrored."""
    if len(small) <= FEW_ROWS:
        i, j = np.triu_indices(len(small), k=1)
        return np.tile(i, 2), np.tile(j, 2), np.arange(2 * len(i)) >= len(i)
    project, limit = fit_projection(small, config.seed), config.neighbours
    base, flipped = (np.empty((len(small), DIMENSIONS), dtype=np.float32) for _ in range(2))
    for start in range(0, len(small), _READ_ROWS):
        histograms = gradient_histograms(small[start : start + _READ_ROWS])
        base[start : start + _READ_ROWS] = project(histograms)
        flipped[start : start + _READ_ROWS] = project(mirrored(histograms))
    found = [
        close_pairs(queries, base, close_enough(queries, base, _CLOSE, _STRANGERS, config.seed), limit, config.seed)
        for queries in (base, flipped)
    ]
    i, j = (np.concatenate([pairs[end] for pairs in found]) for end in (0, 1))
    return i, j, np.arange(len(i)) >= len(found[0][0])


def _samples(manifests: Sequence[Manifest]) -> pd.DataFrame:
    """Samples of all manifests, each once: sample_id, split, label, pixel_sha256, and manifest and row they lie at."""
    if not manifests:
        raise FerError("near duplicates: expected at least one manifest, found none")
    parts = []
    for number, manifest in enumerate(manifests):
        rows = manifest.table.select(["sample_id", "split", "label"]).to_pandas()
        parts.append(
            pd.DataFrame(
                {
                    **{name: rows[name].astype(object) for name in rows},
                    "pixel_sha256": manifest.facts(["pixel_sha256"])["pixel_sha256"].astype(object),
                    "manifest": number,
                    "row": np.arange(len(rows)),
                }
            )
        )
    samples = pd.concat(parts, ignore_index=True)
    named = samples.drop_duplicates(["sample_id", "pixel_sha256"])
    twice = named["sample_id"].duplicated()
    if twice.any():
        raise FerError(
            f"{manifests[-1].path}: expected that a sample_id names one picture in all manifests, found "
            f"{named['sample_id'][twice].iloc[0]!r} with two ({int(twice.sum())} such); compare them with fer diff"
        )
    return named.reset_index(drop=True)


def _read_thumbnails(manifests: Sequence[Manifest], samples: pd.DataFrame, reporter: Reporter) -> Thumbnails:
    """Thumbnails of samples, in their order, uint16 [N, 24, 24]; few pictures are in memory at once."""
    small = np.empty((len(samples), THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint16)
    with reporter.stage("pictures", len(samples)) as stage:
        for number, part in samples.reset_index(drop=True).groupby("manifest"):
            manifest = manifests[int(str(number))]
            for start in range(0, len(part), _READ_ROWS):
                block = part.iloc[start : start + _READ_ROWS]
                mask = np.zeros(len(manifest), dtype=bool)
                mask[block["row"].to_numpy()] = True  # rows ascend within a manifest, as pictures come
                small[block.index] = thumbnails(manifest.pictures(PICTURE_PX, 1, mask)[:, 0])
                stage.advance(len(block))
    return small


def _exact_report(samples: pd.DataFrame) -> DuplicateReport:
    twins = samples[samples["pixel_sha256"].notna() & samples["pixel_sha256"].duplicated(keep=False)]
    leading = b"".join(bytes.fromhex(str(digest)[:16]) for digest in twins["pixel_sha256"])
    groups = np.frombuffer(leading, dtype=">i8").astype(np.int64)
    return report_groups(twins[["sample_id", "split", "label"]].assign(twin_group=groups))


def _near_links(sample_ids: NDArray[Any], pairs: NearPairs) -> pd.DataFrame:
    links = pd.DataFrame(
        {
            "a": sample_ids[pairs.i],
            "b": sample_ids[pairs.j],
            "kind": NEAR,
            "score": np.minimum(pairs.similarity, 1),
            "mirrored": pairs.is_mirrored,
            "shift_x_px": pairs.shift_px[:, 0],
            "shift_y_px": pairs.shift_px[:, 1],
            "zoom": pairs.zoom,
        }
    )
    return links.sort_values("score", kind="stable")
