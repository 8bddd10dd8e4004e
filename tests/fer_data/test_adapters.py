"""What holds for every adapter, in every form that it reads."""

import importlib
import inspect
import shutil
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fer_data import images, manifest
from fer_data.adapters.registry import ADAPTERS, find_adapter
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import label_names
from fer_data.importing import PicturesConfig, import_dataset
from fer_data.licenses import Licence
from fer_data.store import FACTS

# modules of tests/layouts, each with CASES
LAYOUTS = (
    "fer2013",
    "ferplus",
    "ferg",
    "folders",
    "huggingface",
    "nhfi",
    "table",
    "ckplus",
    "jaffe",
    "kdef",
    "rafdb",
    "affectnet",
    "afew",
    "bu3dfe",
    "caer_s",
    "expw",
    "mmi",
    "multi_pie",
    "oulu_casia",
    "sfew",
    "procedural",
)
CASES = {
    f"{layout}: {name}": case
    for layout in LAYOUTS
    for name, case in importlib.import_module(f"layouts.{layout}").CASES.items()
}


@pytest.fixture(params=CASES)
def case(request, tmp_path_factory):
    """(adapter, root, options, what is expected) of one form."""
    return opened(CASES[request.param], tmp_path_factory.mktemp("download"))


def opened(expected, folder):
    root = expected.write(folder)
    adapter = find_adapter(expected.adapter)
    return adapter, root, adapter.Options(**expected.options(folder)), expected


def read(adapter, root, options):
    rejections = []
    reading = adapter.read(root, options, rejections)
    return reading, list(reading.samples), rejections


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_tells_what_its_dataset_is(name):
    adapter = ADAPTERS[name]
    assert name == adapter.NAME and adapter.TITLE
    assert isinstance(adapter.LICENCE, Licence) and adapter.LICENCE.summary
    assert all(isinstance(fact, str) and fact for fact in (*adapter.KNOWN_DEFECTS, *adapter.UNVERIFIED))
    for fact in (adapter.CITATION, adapter.HOMEPAGE, adapter.ACCESS):
        assert fact is None or fact.strip()
    assert issubclass(adapter.Options, Configuration)
    assert list(inspect.signature(adapter.read).parameters) == ["root", "options", "rejections"]


def test_every_adapter_has_a_case():
    assert {case.adapter for case in CASES.values()} == set(ADAPTERS)


def test_samples_are_unique_named_and_within_the_label_set(case):
    *download, expected = case
    reading, samples, rejections = read(*download)
    labels = label_names(reading.label_set)
    assert not rejections
    assert len(samples) == expected.rows
    assert Counter(sample.label for sample in samples) == expected.labels
    assert len({sample.key for sample in samples}) == len(samples)
    assert {sample.label for sample in samples} <= {*labels, None}
    assert {sample.split for sample in samples} <= {*manifest.SPLITS, None}
    assert reading.total_images == len(samples)
    assert all(sample.where for sample in samples)
    assert all(set(sample.facts) <= set(FACTS.names) for sample in samples)
    assert all(sample.target is None or len(sample.target) == len(labels) for sample in samples)
    votes = [sample.facts["votes"] for sample in samples if sample.facts.get("votes") is not None]
    assert all(len(counts) == len(reading.votes_labels) for counts in votes)


def test_pictures_are_grey_or_colour_bytes(case):
    reading, samples, _ = read(*case[:3])
    for sample in samples:
        if isinstance(sample.image, np.ndarray):
            assert sample.image.dtype == np.uint8 and sample.image.ndim in (2, 3)
        else:
            data = sample.image if sample.image is not None else reading.source.read(sample.file or sample.key)
            assert images.decode(data, sample.where).dtype == np.uint8


def test_reading_twice_gives_the_same(case):
    (_, first, _), (_, again, _) = read(*case[:3]), read(*case[:3])
    assert [told(one) for one in first] == [told(one) for one in again]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(first, again, strict=True))


def told(sample):
    return sample.key, sample.file, sample.label, sample.source_label, sample.split, sample.facts


def test_an_import_is_valid_to_the_last_hash(case, project):
    adapter, root, options, _ = case
    result = import_dataset(adapter, root, "manifests/m", options)
    assert manifest.validate(result.manifest, full=True) == []
    assert result.rejections == [] and result.rejects_path is None
    facts = result.manifest.facts(["pixel_sha256", "source_label"])
    assert facts["pixel_sha256"].str.len().eq(64).all()
    embedded = import_dataset(adapter, root, "manifests/again", options, PicturesConfig(embed=True))
    # the name of a store tells whose root it is; all else is the same
    assert embedded.manifest.frame.drop(columns="store").equals(result.manifest.frame.drop(columns="store"))
    assert next(iter(embedded.manifest.stores.values())).info["kind"] == "embedded"
    assert embedded.manifest.facts(["pixel_sha256"]).equals(facts[["pixel_sha256"]])


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.archives])
def test_an_archive_reads_like_the_folder(name, kind, tmp_path):
    folder = tmp_path / "download"
    folder.mkdir()
    adapter, root, options, _ = opened(CASES[name], folder)
    archive = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root))
    _, unpacked, _ = read(adapter, root, options)
    reading, packed, rejections = read(adapter, archive, options)
    assert not rejections
    assert [told(sample) for sample in packed] == [told(sample) for sample in unpacked]
    assert reading.source is None or reading.source.kind == ("stream" if kind == "gztar" else "archive")
    if kind == "tar":
        assert tarfile.is_tarfile(archive)


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "procedural"])
def test_what_is_no_download_is_one_sentence(name, tmp_path):
    adapter = ADAPTERS[name]
    options = next(case for case in CASES.values() if case.adapter == name).options(tmp_path)
    with pytest.raises(FerError, match="none"):
        adapter.read(tmp_path / "none", adapter.Options(**options), [])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(FerError, match="expected"):
        list(adapter.read(empty, adapter.Options(**options), []).samples)
    with pytest.raises(FerError, match="expected"):
        adapter.read(None, adapter.Options(**options), [])
