"""Side files with damaged bytes: what can be read is read, the rest is named, and nothing else happens."""

import random

import pytest
from layouts import affectnet as affectnet_layout
from layouts import caer_s as caer_layout
from layouts import expw as expw_layout
from layouts import mmi as mmi_layout
from layouts import multi_pie as multi_pie_layout

from fer_data.adapters import affectnet, caer_s, expw, mmi, multi_pie
from fer_data.errors import FerError

# adapter, what writes the copy, the side file, how many samples and pictures there are at most
LISTS = {
    "affectnet": (affectnet, affectnet_layout.write_csv, "AffectNet/Manually_Annotated_file_lists/training.csv", 29),
    "affectnet without header": (
        affectnet,
        affectnet_layout.write_csv,
        "AffectNet/Manually_Annotated_file_lists/validation.csv",
        29,
    ),
    "affectnet array": (affectnet, affectnet_layout.write_npy, "train_set/annotations/0_val.npy", 20),
    "expw": (expw, expw_layout.write, "ExpW/label/label.lst", 9),
    "caer_s boxes": (caer_s, caer_layout.write, "../d-annotation/test.txt", 21),
    "mmi action units": (mmi, mmi_layout.write, "mmi/Sessions/1767/S052-001-oao_aucs.xml", 14),
    "mmi emotion": (mmi, mmi_layout.write, "mmi/Sessions/1767/S052-001.xml", 14),
    "multi_pie subjects": (multi_pie, multi_pie_layout.write, "Multi-Pie/meta/subject_list.txt", 22),
}
DAMAGES = 25


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out, doubled or inserted at a few places."""
    out = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        start = rng.randrange(len(out) + 1)
        end = min(len(out), start + rng.randrange(0, 9))
        kind = rng.randrange(4)
        if kind == 0:
            out[start:end] = rng.randbytes(end - start)
        elif kind == 1:
            del out[start:end]
        elif kind == 2:
            out[start:start] = out[start:end]
        else:
            out[start:start] = rng.choice([b",", b"\n", b"\r", b" ", b"\0", b"\xff", b'"', b"-", b";;", b"9" * 40])
    return bytes(out)


@pytest.mark.parametrize("name", LISTS)
def test_damage_is_told_and_harms_nothing_else(name, tmp_path):
    adapter, write, file, most = LISTS[name]
    (tmp_path / "d").mkdir()
    root = write(tmp_path / "d")
    options = adapter.Options(boxes=caer_layout.write_boxes(root)) if adapter is caer_s else adapter.Options()
    good = (root / file).read_bytes()
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for _ in range(DAMAGES):
        (root / file).write_bytes(damaged(good, rng))
        rejections = []
        try:
            reading = adapter.read(root, options, rejections)
            samples = list(reading.samples)
        except FerError as error:
            assert "expected" in str(error)
            continue
        assert len(samples) <= most
        assert len({sample.key for sample in samples}) == len(samples)
        assert all("expected" in rejection.sentence() and rejection.found for rejection in rejections)
