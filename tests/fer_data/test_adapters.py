"""What holds for every adapter, in every form that it reads."""

import inspect

import fer2013_forms as forms
import numpy as np
import pytest

from fer_data import images, manifest
from fer_data.adapters.registry import ADAPTERS, find_adapter
from fer_data.configuration import Configuration
from fer_data.errors import FerError
from fer_data.expressions import label_names
from fer_data.importing import import_dataset
from fer_data.licenses import Licence
from fer_data.store import FACTS


def csv(root):
    return forms.write_lines(root / "fer2013.csv", forms.csv_lines())


def csv_with_votes(root):
    forms.write_lines(root / "fer2013new.csv", forms.votes_lines())
    return csv(root)


def icml(root):
    return forms.write_lines(root / "icml_face_data.csv", forms.csv_lines(order="emotion, Usage, pixels"))


def parquet(root):
    codes = [row % 7 for row in range(28)]
    forms.write_parquet(root / "train-00000-of-00001.parquet", forms.ALPHABETICAL, codes)
    forms.write_parquet(root / "test-00000-of-00001.parquet", forms.ALPHABETICAL, codes)
    return root


# name → adapter, what writes a small copy, options as given on the command line
CASES = {
    "csv": ("fer2013", csv, lambda root: {}),
    "csv with votes": ("fer2013", csv_with_votes, lambda root: {"votes": root / "fer2013new.csv"}),
    "icml csv": ("fer2013", icml, lambda root: {}),
    "class folders": ("fer2013", forms.write_folders, lambda root: {}),
    "FER+ folders": ("fer2013", forms.write_ferplus, lambda root: {}),
    "parquet": ("fer2013", parquet, lambda root: {}),
    "drawn": ("procedural", lambda root: None, lambda root: {"count": 80, "seed": 3}),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path_factory):
    """(adapter, root, options) of one form."""
    name, write, options = CASES[request.param]
    folder = tmp_path_factory.mktemp("download")
    root = write(folder)
    adapter = find_adapter(name)
    return adapter, root, adapter.Options(**options(folder))


def read(case):
    adapter, root, options = case
    rejections = []
    reading = adapter.read(root, options, rejections)
    return reading, list(reading.samples), rejections


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_tells_what_its_dataset_is(name):
    adapter = ADAPTERS[name]
    assert name == adapter.NAME and adapter.TITLE
    assert isinstance(adapter.LICENCE, Licence) and adapter.LICENCE.summary
    assert adapter.KNOWN_DEFECTS and all(isinstance(defect, str) for defect in adapter.KNOWN_DEFECTS)
    assert issubclass(adapter.Options, Configuration)
    assert list(inspect.signature(adapter.read).parameters) == ["root", "options", "rejections"]
    adapter.Options()  # every option has a default


def test_every_adapter_has_a_case():
    assert {name for name, _, _ in CASES.values()} == set(ADAPTERS)


def test_samples_are_unique_named_and_within_the_label_set(case):
    reading, samples, rejections = read(case)
    labels = label_names(reading.label_set)
    assert samples and not rejections
    assert len({sample.key for sample in samples}) == len(samples)
    assert {sample.label for sample in samples} <= {*labels, None}
    assert {sample.split for sample in samples} <= {*manifest.SPLITS, None}
    assert reading.total_images == len(samples)
    assert all(sample.where for sample in samples)
    assert all(set(sample.facts) <= set(FACTS.names) for sample in samples)
    votes = [sample.facts["votes"] for sample in samples if sample.facts.get("votes") is not None]
    assert all(len(counts) == len(reading.votes_labels) for counts in votes)


def test_pictures_are_grey_or_colour_bytes(case):
    reading, samples, _ = read(case)
    for sample in samples:
        if isinstance(sample.image, np.ndarray):
            assert sample.image.dtype == np.uint8 and sample.image.ndim in (2, 3)
        else:
            data = sample.image if sample.image is not None else (reading.root / sample.key).read_bytes()
            assert images.decode(data, sample.where).dtype == np.uint8


def test_reading_twice_gives_the_same(case):
    (_, first, _), (_, again, _) = read(case), read(case)
    assert [(one.key, one.label, one.split) for one in first] == [(one.key, one.label, one.split) for one in again]
    assert all(np.array_equal(one.image, other.image) for one, other in zip(first, again, strict=True))


def test_an_import_is_valid_to_the_last_hash(case, project):
    adapter, root, options = case
    result = import_dataset(adapter, root, "manifests/m", options)
    assert manifest.validate(result.manifest, full=True) == []
    assert result.rejections == [] and result.rejects_path is None
    facts = result.manifest.facts(["pixel_sha256", "source_label"])
    assert facts["pixel_sha256"].str.len().eq(64).all()
    again = import_dataset(adapter, root, "manifests/again", options)
    # the name of an in-place store tells whose root it is; all else is the same
    assert again.manifest.frame.drop(columns="store").equals(result.manifest.frame.drop(columns="store"))


def test_a_missing_path_is_one_sentence(tmp_path):
    with pytest.raises(FerError, match="none"):
        ADAPTERS["fer2013"].read(tmp_path / "none", ADAPTERS["fer2013"].Options(), [])
