"""Writes stores: every picture is decoded once, hashed and kept, on all cores, in the order of the samples."""

import contextlib
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa

from fer_data import images
from fer_data.errors import FerError
from fer_data.facts import STATED, FactsWriter
from fer_data.files import publish_folder, sha256_file, sha256_json, staging_folder
from fer_data.locks import remove_abandoned
from fer_data.parallel import batched, ordered_map
from fer_data.project import remember_dataset_root
from fer_data.samples import Sample
from fer_data.sources import Source
from fer_data.store import ARROW, Store
from fer_data.views import View, look

_SMALL_BYTES = 1 << 16
_TOGETHER = 32  # samples that one thread takes at a time
_BATCH_ROWS, _BATCH_BYTES = 8192, 32 << 20  # pictures of one Arrow batch, whichever is reached first
_IMAGE = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())]))],
    metadata={"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}}}})},
)


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is kept of a sample's picture: its bytes where the store embeds them, and what was measured."""

    data: bytes | None
    file_sha256: str
    pixel_sha256: str
    width_px: int
    height_px: int
    mode: str


class StoreWriter:
    """Writes a store; it appears under its name when `close` returns, or not at all.

    Use as a context manager. `add` returns the row, `add_all` the rows of many, `close` the finished store.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        *,
        licence: Mapping[str, Any],
        source: str,
        files: Source | None = None,
        embed: bool = False,
        view: View | None = None,
        votes_labels: Sequence[str] = (),
        generation: Mapping[str, Any] | None = None,
    ) -> None:
        """Args:
        name: of the store's folder, an id of the content is added.
        root: the project.
        files: where samples without an image are read from.
        embed: copy the files' bytes into the store, instead of reading them where they lie.
        view: how the pictures are cut whenever they are read.
        """
        self._name, self._project, self._files, self._view = name, root, files, view
        self._kind = "embedded" if files is None or embed or files.kind == "stream" else files.kind
        self._info = {
            "kind": self._kind,
            "name": name,
            "source": source,
            "view": view.model_dump() if view else None,
            "licence": dict(licence),
            "votes_labels": list(votes_labels),
            "generation": dict(generation) if generation else None,
        }
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        stores = self._project / "stores"
        stores.mkdir(parents=True, exist_ok=True)
        remove_abandoned(stores)
        with contextlib.ExitStack() as opening:
            self._path = opening.enter_context(staging_folder(stores, self._name))
            self._facts = FactsWriter(self._path / "facts.parquet")
            opening.callback(self._facts.abandon)
            self._images = _ImagesWriter(self._path / ARROW) if self._kind == "embedded" else None
            if self._images is not None:
                opening.callback(self._images.abandon)
            self._open = opening.pop_all()
        return self

    def add(self, sample: Sample) -> int:
        """Store one sample's picture and facts.

        Raises:
            FerError: the picture does not decode, or the view finds no face in it.
            ValueError: a fact that has no column in FACTS or is measured here, or no picture at all.
        """
        return self._append(sample, self._take(sample))

    def add_all(self, samples: Iterable[Sample]) -> Iterator[tuple[Sample, int | FerError]]:
        """Store many samples, in their order: each with its row, or with what is wrong with its picture.

        Samples are taken a little ahead of what is yielded.
        """

        def take(batch: list[Sample]) -> list[tuple[Sample, _Picture | FerError]]:
            return [(sample, self._take_or_error(sample)) for sample in batch]

        samples = iter(samples)
        first = next(samples, None)
        if first is None:
            return
        # Small pixels are stored sooner than two threads have handed Python's lock to and fro.
        small = isinstance(first.image, np.ndarray) and first.image.nbytes <= _SMALL_BYTES
        on_cores: Callable[..., Iterator[list[tuple[Sample, _Picture | FerError]]]] = map if small else ordered_map
        for batch in on_cores(take, batched(itertools.chain([first], samples), _TOGETHER)):
            for sample, picture in batch:
                yield sample, picture if isinstance(picture, FerError) else self._append(sample, picture)

    def close(self) -> Store:
        """Finish the store and open it."""
        rows = len(self._facts)
        # The name is an id of the content: pictures, source labels, every fact, and what store.json says of them.
        digest = sha256_json({"facts": self._facts.close(), **self._info})
        files = {"facts.parquet": sha256_file(self._path / "facts.parquet")}
        if self._images is not None:
            self._images.close(fingerprint=digest[:16])
            files[ARROW] = sha256_file(self._path / ARROW)
        final = self._project / "stores" / f"{self._name}-{digest[:8]}"
        # Each store has a root of its own: another download under the same name leaves this one's pictures alone.
        root_key = None if self._kind == "embedded" else final.name
        info = {**self._info, "root_key": root_key, "rows": rows, "content_sha256": digest, "files": files}
        (self._path / "store.json").write_text(json.dumps(info, indent=2) + "\n")
        if not _intact(final):  # the same content imported before is the same store
            publish_folder(self._path, final)
        if root_key is not None and self._files is not None:
            remember_dataset_root(root_key, self._files.path, self._project)
        return Store(final, self._project)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def _take_or_error(self, sample: Sample) -> _Picture | FerError:
        try:
            return self._take(sample)
        except FerError as error:
            return error

    def _take(self, sample: Sample) -> _Picture:
        """Encode or decode one picture, and measure it; called from several threads."""
        if not sample.facts.keys() <= STATED:
            raise ValueError(f"facts that a sample cannot state: {sorted(sample.facts.keys() - STATED)}")
        if isinstance(sample.image, np.ndarray):
            pixels, data = sample.image, images.encode_png(sample.image)
        else:
            data = sample.image if sample.image is not None else self._read_file(sample)
            pixels = images.decode(data, sample.where)
        if self._view is not None:
            box, landmarks = sample.facts.get("face_box"), sample.facts.get("landmarks")
            pixels = look(pixels, self._view, box, landmarks, sample.where)
        return _Picture(
            data=data if self._kind == "embedded" else None,
            file_sha256=hashlib.sha256(data).hexdigest(),
            pixel_sha256=images.pixel_sha256(pixels),
            width_px=pixels.shape[1],
            height_px=pixels.shape[0],
            mode=images.mode(pixels),
        )

    def _read_file(self, sample: Sample) -> bytes:
        if self._files is None:
            raise ValueError(f"{sample.where}: the sample brings no picture, and no source was given")
        return self._files.read(sample.file or sample.key)

    def _append(self, sample: Sample, picture: _Picture) -> int:
        row = len(self._facts)
        self._facts.append(
            {
                "store_row": row,
                "key": sample.key,
                "file": sample.file,
                "source_label": sample.source_label,
                "file_sha256": picture.file_sha256,
                "pixel_sha256": picture.pixel_sha256,
                "pixel_key": int.from_bytes(bytes.fromhex(picture.pixel_sha256[:16]), "big", signed=True),
                "width_px": picture.width_px,
                "height_px": picture.height_px,
                "mode": picture.mode,
                **sample.facts,
            }
        )
        if self._images is not None and picture.data is not None:
            self._images.append(picture.data)
        return row


class _ImagesWriter:
    """Writes encoded pictures as an Arrow image dataset, batch by batch."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir()
        self._folder, self._name = path.parent, path.name
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_stream(self._sink, _IMAGE)
        self._waiting: list[bytes] = []
        self._bytes = 0

    def append(self, data: bytes) -> None:
        self._waiting.append(data)
        self._bytes += len(data)
        if len(self._waiting) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
            self._flush()

    def close(self, fingerprint: str) -> None:
        """Finish the file, and write the two side files that let `datasets.load_from_disk` open the folder."""
        self._flush()
        self._writer.close()
        self._sink.close()
        state: dict[str, Any] = {
            "_data_files": [{"filename": self._name}],
            "_fingerprint": fingerprint,
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        features = {"image": {"_type": "Image"}}
        info = {"citation": "", "description": "", "features": features, "homepage": "", "license": ""}
        (self._folder / "state.json").write_text(json.dumps(state, indent=2))
        (self._folder / "dataset_info.json").write_text(json.dumps(info, indent=2))

    def abandon(self) -> None:
        """Close an unfinished file; a finished one is closed already."""
        self._sink.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        images_type = _IMAGE.field("image").type
        columns = [pa.array(self._waiting, pa.binary()), pa.nulls(len(self._waiting), pa.string())]
        struct = pa.StructArray.from_arrays(columns, fields=list(images_type))
        self._writer.write_batch(pa.record_batch([struct], schema=_IMAGE))
        self._waiting.clear()
        self._bytes = 0


def _intact(store: Path) -> bool:
    """Whether a store lies there with every byte that it was published with."""
    try:
        files = json.loads((store / "store.json").read_text())["files"]
        return all(sha256_file(store / name) == expected for name, expected in files.items())
    except (OSError, ValueError, KeyError):
        return False
