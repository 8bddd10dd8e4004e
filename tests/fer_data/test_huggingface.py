import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fer2013_forms import pictures, png, write_parquet
from layouts.huggingface import NAMES, WORDS, tables, write_hub_shards, write_saved, write_saved_dict

from fer_data.adapters import huggingface
from fer_data.adapters.shared import parquet_shards
from fer_data.adapters.shared.parquet_shards import shard_at
from fer_data.errors import FerError

CLASSES = ["happy", "sad", "angry"]


def read_all(root, **options):
    rejections = []
    reading = huggingface.read(root, huggingface.Options(**options), rejections)
    return reading, list(reading.samples), rejections


def write_table(path, image, label, features):
    schema = pa.schema(
        [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.array(label).type)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})} if features else None,
    )
    rows = {"image": [{"bytes": data, "path": None} for data in image], "label": label}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows, schema=schema), path)
    return path


def faces(count):
    return [png(picture) for picture in pictures(count)]


@pytest.mark.parametrize("write", [write_hub_shards, write_saved_dict])
def test_the_rows_that_datasets_itself_reads(tmp_path, write):
    reading, samples, rejections = read_all(write(tmp_path), subject="who")
    assert rejections == [] and reading.notes == []
    for split, rows in tables().items():
        ours = [sample for sample in samples if sample.split == split]
        assert [sample.source_label for sample in ours] == [NAMES[code] for code in rows["emotion"]]
        assert [sample.facts["subject_id"] for sample in ours] == [str(who) for who in rows["who"]]
        stored = rows.with_format("arrow")[:]["img"].to_pylist()
        assert [sample.image for sample in ours] == [one["bytes"] for one in stored]


def test_a_hub_name_is_loaded_by_datasets(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"  # `load_dataset` opens a folder like a name of the hub, without the network
    folder.mkdir()
    write_hub_shards(folder)
    reading, samples, rejections = read_all(None, hub=str(folder))
    _, stored, _ = read_all(folder)
    assert rejections == [] and reading.total_images == 9
    assert [(one.label, one.split, one.image) for one in samples] == [
        (one.label, one.split, one.image) for one in sorted(stored, key=lambda one: one.split == "test")
    ]
    assert any("no hub_revision was given" in note for note in reading.notes)
    pinned, _, _ = read_all(None, hub=str(folder), hub_revision="main")
    assert pinned.notes == []


def test_a_hub_name_that_cannot_be_loaded_is_one_sentence(tmp_path):
    with pytest.raises(FerError, match="cannot be loaded .*; check the name and the network"):
        read_all(None, hub=str(tmp_path / "nothing"))


def test_without_datasets_a_hub_name_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(FerError, match="needs the package datasets"):
        read_all(None, hub="owner/name")


def test_a_path_or_a_hub_name_but_not_both(tmp_path):
    with pytest.raises(FerError, match="expected a path or .*, found none"):
        read_all(None)
    with pytest.raises(FerError, match="expected a path or .*, found both"):
        read_all(tmp_path, hub="owner/name")


def test_minus_one_and_null_are_no_label_and_other_numbers_are_faults(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", CLASSES, [0, -1, None, 3, 2], [*faces(4), None])
    reading, samples, rejections = read_all(path)
    assert [(sample.label, sample.source_label) for sample in samples] == [
        ("happiness", "happy"),
        (None, None),
        (None, None),
    ]
    assert [(one.where, one.found) for one in rejections] == [
        ("train.parquet row 3", "3"),
        ("train.parquet row 4", "null"),
    ]
    assert reading.total_images == 5


def test_class_names_that_nobody_explained_are_refused_unless_no_row_has_them(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", ["happy", "meh"], [0, 1, 1])
    with pytest.raises(FerError, match=r"found 'meh' \(2\)"):
        read_all(path)
    assert [sample.label for sample in read_all(path, labels={"meh": "neutral"})[1]] == [
        "happiness",
        "neutral",
        "neutral",
    ]
    assert len(read_all(write_parquet(tmp_path / "val.parquet", ["happy", "meh"], [0, 0]))[1]) == 2


def test_numbers_without_names_need_the_user(tmp_path):
    features = {"image": {"_type": "Image"}, "label": {"_type": "Value", "dtype": "int64"}}
    path = write_table(tmp_path / "train.parquet", faces(2), [0, 1], features)
    with pytest.raises(FerError, match="expected one ClassLabel column, found none among image, label; name it"):
        read_all(path)
    with pytest.raises(FerError, match=r"found '0' \(1\), '1' \(1\)"):
        read_all(path, label="label")
    _, samples, _ = read_all(path, label="label", labels={0: "fear", 1: "disgust"})
    assert [sample.label for sample in samples] == ["fear", "disgust"]


def test_without_features_the_user_names_both_columns(tmp_path):
    path = write_table(tmp_path / "train.parquet", faces(2), ["happy", "sad"], None)
    with pytest.raises(FerError, match="expected one Image column, found none"):
        read_all(path)
    _, samples, _ = read_all(path, image="image", label="label")
    assert [sample.label for sample in samples] == ["happiness", "sadness"]


def test_columns_are_checked(tmp_path):
    path = write_parquet(tmp_path / "train.parquet", CLASSES, [0])
    with pytest.raises(FerError, match="expected the column mood, found image, label"):
        read_all(path, label="mood")
    with pytest.raises(FerError, match=r"expected the column who \(subject\)"):
        read_all(path, subject="who")
    with pytest.raises(FerError, match="expected pictures inside the file .*found int64"):
        read_all(path, image="label")
    with pytest.raises(FerError, match="expected a label a row in column image"):
        read_all(path, label="image")


def test_splits_are_the_users_where_names_say_nothing(tmp_path):
    write_parquet(tmp_path / "part-00000-of-00001.parquet", CLASSES, [0])
    write_parquet(tmp_path / "dev" / "0000.parquet", CLASSES, [0])
    reading, samples, _ = read_all(tmp_path)
    assert [sample.split for sample in samples] == ["val", None]
    assert (
        "1 shards whose name tells no split are left without one (first: part-00000-of-00001.parquet)" in reading.notes
    )
    assert [sample.split for sample in read_all(tmp_path, splits={"dev": "test"})[1]] == ["test", None]


def test_one_dataset_at_a_time(tmp_path):
    with pytest.raises(FerError, match="found no files"):
        read_all(tmp_path)
    write_saved(tmp_path)
    write_parquet(tmp_path / "train.parquet", CLASSES, [0])
    with pytest.raises(FerError, match="found both"):
        read_all(tmp_path)


def test_a_saved_dataset_is_read_as_its_state_says(tmp_path):
    folder = write_saved(tmp_path)
    state = folder / "state.json"
    said = json.loads(state.read_text())
    assert {sample.split for sample in read_all(folder)[1]} == {None}
    state.write_text(json.dumps({**said, "_split": "validation"}))
    assert {sample.split for sample in read_all(folder)[1]} == {"val"}
    state.write_text(json.dumps({**said, "_data_files": [{"filename": "gone.arrow"}]}))
    with pytest.raises(FerError, match=r"expected the file gone.arrow, found none"):
        read_all(folder)
    for broken in ("[]", "{", '{"_data_files": [{}]}', '{"_data_files": 3}'):
        state.write_text(broken)
        with pytest.raises(FerError, match="expected what `save_to_disk` writes"):
            read_all(folder)


def test_damaged_files_are_one_sentence(tmp_path):
    folder = write_saved(tmp_path)
    arrow = next(folder.glob("*.arrow"))
    data = arrow.read_bytes()
    arrow.write_bytes(data[: len(data) // 2])
    with pytest.raises(FerError, match="cannot be read to its end"):
        read_all(folder)
    arrow.write_bytes(b"nothing of the kind")
    with pytest.raises(FerError, match="expected an arrow file"):
        read_all(folder)
    path = write_parquet(tmp_path / "train.parquet", CLASSES, [0] * 9)
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(len(whole) // 2) + whole[40 + len(whole) // 2 :])
    with pytest.raises(FerError, match="train.parquet"):
        read_all(path)
    path.write_bytes(b"")
    with pytest.raises(FerError, match="expected a parquet file"):
        read_all(path)


def test_a_column_that_unpacks_beyond_all_bounds_is_refused(tmp_path, monkeypatch):
    pq.write_table(pa.table({"image": [bytes(1 << 20)]}), tmp_path / "a.parquet", compression="zstd")
    assert shard_at(tmp_path / "a.parquet", "a.parquet").rows == 1
    monkeypatch.setattr(parquet_shards, "SPARE_BYTES", 0)
    with pytest.raises(FerError, match="expected columns of at most 200 times their packed size, found image"):
        shard_at(tmp_path / "a.parquet", "a.parquet")


def test_large_rows_come_a_few_at_a_time(tmp_path):
    noise = np.random.default_rng(0).bytes(8 << 20)
    table = pa.table({"image": [noise] * 3, "n": [0, 1, 2]})
    pq.write_table(table, tmp_path / "a.parquet", use_dictionary=False)
    batches = list(shard_at(tmp_path / "a.parquet", "a.parquet").batches(["n"]))
    assert pa.Table.from_batches(batches)["n"].to_pylist() == [0, 1, 2]
    pq.write_table(pa.table({"n": list(range(1500))}), tmp_path / "b.parquet")
    assert [len(batch) for batch in shard_at(tmp_path / "b.parquet", "b").batches(["n"])] == [512, 512, 476]


def test_an_arrow_file_that_points_outside_itself_is_refused(tmp_path):
    batch = pa.record_batch([pa.array(["a"])], ["label"])
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    data = (tmp_path / "a.arrow").read_bytes()
    good = np.array([0, 1], np.int32).tobytes()
    assert data.count(good) >= 1
    at = data.rindex(good)
    (tmp_path / "a.arrow").write_bytes(data[:at] + np.array([0, 1 << 30], np.int32).tobytes() + data[at + 8 :])
    with pytest.raises(FerError, match="cannot be read to its end"):
        list(shard_at(tmp_path / "a.arrow", "a.arrow").batches(["label"]))


def test_text_that_is_no_unicode_is_one_sentence(tmp_path):
    column = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff"))
    pq.write_table(pa.table({"label": column}), tmp_path / "a.parquet")
    shard = shard_at(tmp_path / "a.parquet", "a.parquet")
    with pytest.raises(FerError, match="column label cannot be read"):
        shard.values(next(shard.batches(["label"])), "label")


def test_words_are_those_of_the_features():
    assert [WORDS[name] for name in NAMES] == ["happiness", "sadness", "anger"]
