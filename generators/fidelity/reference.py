"""The real faces that synthetic ones are compared with: training faces, and held-out ones that stand in for samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from fer_data.errors import FerError
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from generators.contract import Judge
from generators.fidelity.agreement import Answers, ConditionJudge, answers, require_known
from generators.fidelity.altered import altered_faces
from generators.fidelity.configuration import FidelityConfig
from generators.fidelity.copy_detection import CopySearch, copy_threshold, fit_search
from generators.fidelity.estimates import Doubles, Rows
from generators.fidelity.faces import (
    Embeddings,
    Faces,
    Key,
    Mix,
    halves,
    in_mix,
    picture_size,
    read_faces,
    real_rows,
    with_real_conditions,
)
from generators.fidelity.measures import (
    Counts,
    Figures,
    Found,
    Marks,
    agreements,
    copies,
    feature_figures,
    memory,
)
from generators.fidelity.memorisation import Memory, is_exact_copy, measure_memory


@dataclass(frozen=True)
class Reference:
    """What synthetic faces are compared with; made once for any number of synthetic manifests.

    Held-out faces that are the same photograph as a training face are no measure of chance likeness (of FER-2013's
    validation faces more than a fifth are): where faces are looked up among training faces they are left out. One half
    of the others is looked up as synthetic faces are; the second half is what "held out" means to both, and
    calibrates the copy detector.

    Attributes:
        real: where the faces lie.
        training, held_out: the faces.
        search, threshold: the copy detector, and the similarity from which it flags.
        marks: what was found out about the held-out faces.
        apart: int64 [B], the second half.
        fresh: bool [H], held-out faces that the judge of conditions did not learn from: of these alone its agreement
            is told.
        size_px: what pictures were brought to.
        config: how all was measured.
        judge, condition_judge: who judged.
    """

    real: Manifest
    training: Faces
    held_out: Faces
    search: CopySearch
    threshold: float
    marks: Marks
    apart: Rows
    fresh: NDArray[np.bool_]
    size_px: int
    config: FidelityConfig
    judge: Judge
    condition_judge: ConditionJudge | None
    _known: dict[tuple[Key, Mix, int, Counts], Figures] = field(default_factory=dict, repr=False)
    _altered: dict[tuple[str | None, str | None], tuple[Marks, Rows]] = field(default_factory=dict, repr=False)

    def training_rows(self, key: Key, mix: Mix) -> Rows:
        """The training faces of a group, in a mix of labels."""
        return in_mix(self.training.rows(key, exactly=False), self.training.labels, mix, self.config.seed)

    def counts(self, key: Key, mix: Mix, count: int, limit: int) -> Counts:
        """The faces of each side on which figures of `count` synthetic faces of a group rest, and those of real ones.

        Fréchet distances take no more than there are held-out faces, so that both rest on equally many. A side that
        is too small to be measured does not count.
        """
        held_out = len(in_mix(self.held_out.rows(key, exactly=False), self.held_out.labels, mix, self.config.seed))
        size = min(len(self.training_rows(key, mix)), limit, self.config.faces)
        count, held_out = (side if side >= self.config.fewest else size for side in (count, held_out))
        return Counts(min(size, count), min(size, count, held_out))

    def real_figures(self, key: Key, mix: Mix, subset_size: int, counts: Counts) -> Figures:
        """The figures of the held-out faces of a group in a mix of labels, measured when they are first asked for.

        Copies and memory are those of all labels: no class is special to them, and few faces would tell little. Where
        too few faces show a condition, agreement is measured on others that are brought under it.
        """
        asked = key, mix, subset_size, counts
        if asked not in self._known:
            every = self.held_out.rows(key, exactly=False)
            rows = in_mix(every, self.held_out.labels, mix, self.config.seed)
            found = self.figures(self.held_out, self.marks, key, rows, mix, subset_size, counts, examined=every)
            if key.level in ("condition", "cell") and len(rows) < self.config.fewest:
                found = replace(found, agreement=self._altered_agreement(key, mix), altered=True)
            self._known[asked] = found
        return self._known[asked]

    def _altered_agreement(self, key: Key, mix: Mix) -> dict[str, Found]:
        condition = key.occlusion, key.light
        if condition not in self._altered:
            pictures, rows = altered_faces(self.held_out, *condition, self.config.altered_faces, self.config.seed)
            labels = self.held_out.labels[rows].tolist()
            occlusions, lights = (_of([word] * len(rows), self.fresh[rows]) for word in condition)
            told = judged(pictures, labels, occlusions, lights, self.judge, self.condition_judge)
            self._altered[condition] = Marks(told, np.arange(0), {}, {}), rows
        marks, rows = self._altered[condition]
        return agreements(marks, in_mix(np.arange(len(rows)), self.held_out.labels[rows], mix, self.config.seed))

    def figures(
        self,
        faces: Faces,
        marks: Marks,
        key: Key,
        rows: Rows,
        mix: Mix,
        subset_size: int,
        counts: Counts,
        examined: Rows | None = None,
    ) -> Figures:
        """The figures of some faces of a group, synthetic or real.

        Args:
            mix: of labels among the training faces that they are compared with.
            counts: the faces of each side where figures depend on their number.
            examined: the faces of which copies and memory are told; None for `rows`.
        """
        is_cell = key.level == "cell"
        training = self.training_rows(key, mix)
        examined = rows if examined is None else examined
        spaces = {} if is_cell else faces.points
        return Figures(
            len(rows),
            agreements(marks, rows),
            copies(marks, examined),
            {
                space: feature_figures(
                    self.training.points[space][training],
                    points[rows],
                    self.config,
                    counts,
                    subset_size,
                )
                for space, points in spaces.items()
            },
            {} if is_cell or key.level == "condition" else memory(marks, examined, self.config.fewest),
        )


def read_reference(
    real: Manifest,
    judge: Judge,
    config: FidelityConfig,
    reporter: Reporter = SILENT,
    *,
    condition_judge: ConditionJudge | None = None,
    embeddings: Embeddings | None = None,
    drawn: Manifest | None = None,
) -> Reference:
    """Read and judge the real faces.

    Args:
        drawn: synthetic faces that will be compared with them; where `config.size_px` is null and these are smaller,
            real faces are brought to their size.

    Raises:
        FerError: no real faces in train or in the held-out split, or labels that the judge does not know.
    """
    size_px = measured_size(config, real, drawn)
    with reporter.stage("real faces", 4) as stage:
        chosen = real_rows(real, config.held_out)
        training, held_out = (read_faces(real, rows, judge, embeddings or {}, size_px) for rows in chosen)
        require_known(held_out.labels.tolist(), judge.labels)
        stage.advance(2, "light")
        if config.per_condition:
            training, held_out = (
                with_real_conditions(faces, config.lit_faces, config.seed) for faces in (training, held_out)
            )
        stage.advance(1, "copies among real faces")
        search = fit_search(training.thumbnails, training.histograms, config.candidates, config.seed)
        likeness = search.similarity(held_out.thumbnails, held_out.histograms)
        asked, apart = _halves(real, held_out, likeness, config)
        threshold = copy_threshold(likeness[apart], config.false_copies)
        fresh = _fresh(real, chosen[1], condition_judge)
        labels, occlusions, lights = held_out.words()
        marks = Marks(
            judged(held_out.pictures, labels, _of(occlusions, fresh), _of(lights, fresh), judge, condition_judge),
            asked,
            copied(held_out.pictures[asked], likeness[asked], training, threshold, config),
            memories(held_out, asked, training, held_out, apart, config.seed),
        )
        stage.advance(1)
    return Reference(
        real, training, held_out, search, threshold, marks, apart, fresh, size_px, config, judge, condition_judge
    )


def measured_size(config: FidelityConfig, real: Manifest, drawn: Manifest | None) -> int:
    """The side in px that pictures are brought to: as configured, else of the smaller of drawn and real faces."""
    return config.size_px or picture_size(*(manifest for manifest in (real, drawn) if manifest is not None))


def judged(
    pictures: NDArray[np.uint8],
    labels: Sequence[str | None],
    occlusions: Sequence[str | None],
    lights: Sequence[str | None],
    judge: Judge,
    condition_judge: ConditionJudge | None,
) -> dict[str, Answers | str]:
    """What the judges saw in pictures uint8 [N, C, S, S], beside what was asked or stated of each."""
    nothing = "no condition judge was given"
    found: dict[str, Answers | str] = {
        "agreement": answers(labels, judge.labels, judge.probabilities(pictures)),
        "occlusion_agreement": nothing,
        "light_agreement": nothing,
    }
    if condition_judge is not None:
        seen = condition_judge.probabilities(pictures)
        found["occlusion_agreement"] = answers(occlusions, condition_judge.occlusions, seen["occlusion"])
        found["light_agreement"] = answers(lights, condition_judge.lights, seen["light"])
    return found


def copied(
    pictures: NDArray[np.uint8], likeness: Doubles, training: Faces, threshold: float, config: FidelityConfig
) -> dict[str, NDArray[np.bool_]]:
    """Which of E faces copy a training face, bool [E]: by the calibrated and the strict threshold, and exactly."""
    return {
        "flagged": likeness >= threshold,
        "near_duplicates": likeness >= config.near_duplicate,
        "exact": is_exact_copy(pictures, training.pictures),
    }


def memories(
    faces: Faces,
    rows: Rows,
    training: Faces,
    held_out: Faces,
    apart: Rows,
    seed: int,
    real: Mapping[str, Memory] | None = None,
) -> dict[str, Memory]:
    """Some of the faces beside training faces and beside the held-out faces `apart`, in every space.

    Args:
        real: what is usual among real faces; None where the faces are these.
    """
    views, known, others = faces.views(), training.views(), held_out.views()
    return {
        space: measure_memory(
            view.take(rows),
            known[space].points,
            others[space].points[apart],
            seed,
            None if real is None else real[space].usual,
        )
        for space, view in views.items()
    }


def _halves(real: Manifest, held_out: Faces, likeness: Doubles, config: FidelityConfig) -> tuple[Rows, Rows]:
    """Two halves of the held-out faces that are no near duplicates of training faces, no group in both."""
    free = np.flatnonzero(likeness < config.near_duplicate)
    first, second = (free[half] for half in halves(held_out.groups[free], config.seed))
    if min(len(first), len(second)) < 1:
        raise FerError(
            f"{real.path}: expected held-out faces in {config.held_out} of at least 2 groups that are no near "
            f"duplicates of training faces, found {len(free)} such faces; split the manifest anew with fer split"
        )
    return first, second


def _of(words: Sequence[str | None], chosen: NDArray[np.bool_]) -> list[str | None]:
    """N words, null where bool [N] is false: there nothing is asked."""
    return [word if asked else None for word, asked in zip(words, chosen, strict=True)]


def _fresh(real: Manifest, rows: NDArray[np.bool_], condition_judge: ConditionJudge | None) -> NDArray[np.bool_]:
    """Which of the rows, bool [N], the judge of conditions learnt nothing from, their groups included; bool [H]."""
    learnt = [] if condition_judge is None else list(condition_judge.learnt_from)
    groups = real.frame["group_id"].to_numpy()
    known = groups[real.frame["sample_id"].isin(learnt).to_numpy()]
    return np.asarray(~np.isin(groups[rows], known))
