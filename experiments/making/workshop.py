"""Makes the manifests of an experiment's arms, step by step; what several arms share is made once.

manifests/<experiment>/<arm>.parquet            what an arm trains on
manifests/<experiment>/steps/<step>-<id>.parquet  what a step made; the id is that of what went in
runs/<experiment>/sources/                      judges and generators of the sources, see `draw_faces`
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments.arms import AddConfig, Arm, MakeConfig
from experiments.identity import rows_sha256
from experiments.making.added import add_faces
from experiments.making.covered import add_covered
from experiments.making.drawn import SourceConfig, draw_faces
from experiments.making.labels import clean, review
from fer_data import manifest as manifests
from fer_data.errors import FerError
from fer_data.files import sha256_file, sha256_json
from fer_data.locks import name_lock
from fer_data.manifest import Manifest
from fer_data.progress import SILENT, Reporter
from fer_data.project import relative


@dataclass(frozen=True)
class Workshop:
    """Where and from what the arms of one experiment are made.

    Attributes:
        name: of the experiment; names its folder.
        root: the project.
        audit: the audit that orders reviews and cleans; None where no arm needs one.
        sources: generated faces that arms may ask for by name.
        draws: whether faces that are missing are drawn, which takes hours; else `make` says None.
    """

    name: str
    root: Path
    audit: Path | None
    sources: Mapping[str, SourceConfig]
    draws: bool = True
    reporter: Reporter = SILENT

    @property
    def folder(self) -> Path:
        """Where its manifests lie."""
        return self.root / "manifests" / self.name

    @cached_property
    def _audit_sha256(self) -> str | None:
        if self.audit is not None and not self.audit.is_file():
            raise FerError(f"{self.audit} is missing; audit the faces first: fer audit, or correct `audit`")
        return None if self.audit is None else sha256_file(self.audit)

    def make(self, arm: Arm, base: Manifest) -> Manifest | None:
        """What the arm trains on: `base` itself where nothing is to be made of it.

        Returns:
            None where faces would have to be drawn first and `draws` is false.

        Raises:
            FerError: a step is refused, or a manifest that this experiment did not make lies in its place.
        """
        if arm.make is None:
            return base
        try:
            made = self._after_steps(arm.make, base)
        except FerError as error:
            raise FerError(f"arm {arm.name}: {error}") from None
        return None if made is None else self._kept(arm.name, arm.make, made)

    def labels_of(self, arm: Arm, base: Manifest) -> Manifest:
        """What a generator learns from: the labels of an arm, before any face is added."""
        return base if arm.make is None else self._labels(arm.make, base)

    def _labels(self, make: MakeConfig, base: Manifest) -> Manifest:
        if make.review is not None:
            config, audit = make.review, self.audit
            settings = [config.model_dump(mode="json"), self._audit_sha256]
            words = f"review-{config.faces or 'all'}-{config.order}-{config.answers}"
            return self._step(words, settings, base, lambda out: review(base, audit, config, out))
        if make.clean is not None:
            policy, audit = make.clean, self.audit
            settings = [policy, self._audit_sha256]
            return self._step(f"clean-{policy}", settings, base, lambda out: clean(base, audit, policy, out))
        return base

    def _after_steps(self, make: MakeConfig, base: Manifest) -> Manifest | None:
        labels = made = self._labels(make, base)
        for number, add in enumerate(make.add):
            synthetic = self._synthetic(add, labels)
            if synthetic is None:
                return None
            settings = [add.model_dump(mode="json", exclude={"synthetic", "source"}), rows_sha256(synthetic)]
            made = self._step(f"add-{number}", settings, made, _adding(made, synthetic, add))
        if make.occlude is not None:
            covering, before = make.occlude, made
            settings = [covering.model_dump(mode="json")]
            made = self._step("cover", settings, before, lambda out: add_covered(before, covering, out, self.reporter))
        return made

    def _synthetic(self, add: AddConfig, labels: Manifest) -> Manifest | None:
        """The generated faces to choose from; drawn, or None, where they are not there yet."""
        if add.synthetic is not None:
            path = manifests.manifest_path(self.root / add.synthetic)
            return manifests.read(path) if self.draws or path.is_file() else None
        if add.source not in self.sources:
            raise FerError(
                f"add: expected one of the experiment's sources ({', '.join(self.sources) or 'it has none'}), found "
                f"{add.source!r}"
            )
        config = self.sources[add.source]
        step = f"{add.source}-{self._id('draw', config.model_dump(mode='json'), labels)}"
        out = manifests.manifest_path(self.folder / "steps" / step)
        if out.is_file():
            return manifests.read(out)
        if not self.draws:
            return None
        with name_lock(out.with_name(f"{out.stem}.drawing"), wait=True):
            if out.is_file():  # another process drew them while this one waited
                return manifests.read(out)
            return draw_faces(labels, config, out, self.root / "runs" / self.name / "sources", self.reporter)

    def _step(self, words: str, settings: Any, source: Manifest, work: Callable[[Path], Manifest]) -> Manifest:
        """What a step makes of `source`, made unless it is there."""
        out = manifests.manifest_path(self.folder / "steps" / f"{words}-{self._id(words, settings, source)}")
        with name_lock(out, wait=True):
            return manifests.read(out) if out.is_file() else work(out)

    def _id(self, words: str, settings: Any, source: Manifest) -> str:
        return sha256_json([words, settings, rows_sha256(source)])[:8]

    def _kept(self, arm: str, make: MakeConfig, made: Manifest) -> Manifest:
        """The arm's manifest under its own name, made again where its recipe changed."""
        recipe = sha256_json([make.model_dump(mode="json"), made.path.stem])
        out = manifests.manifest_path(self.folder / arm)
        with name_lock(out, wait=True):
            if out.is_file():
                found = manifests.read(out)
                if found.metadata.get("made") == recipe and rows_sha256(found) == rows_sha256(made):
                    return found
                if "made" not in found.metadata:
                    raise FerError(
                        f"{relative(out, self.root)}: expected a manifest that this experiment made for arm "
                        f"{arm}, found one of {found.metadata['command']}; move it away, or name it as the arm's "
                        "`manifest`"
                    )
                if found.metadata["made"] == recipe:
                    raise FerError(
                        f"{relative(out, self.root)}: the manifest of arm {arm} changed since it was made; "
                        "delete it to have it made again"
                    )
            return manifests.derive(
                made,
                made.table,
                out,
                command="fer experiment",
                configuration=make.model_dump(mode="json"),
                replace=True,
                made=recipe,
            )


def _adding(source: Manifest, synthetic: Manifest, add: AddConfig) -> Callable[[Path], Manifest]:
    return lambda out: add_faces(source, synthetic, add, out)
