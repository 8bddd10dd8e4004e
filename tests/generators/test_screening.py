import numpy as np
import pytest

from fer_data import manifest as manifests
from fer_data import tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7
from generators.checks.copies import fit_detector, look
from generators.screening import ScreenConfig, screen

CONFIG = ScreenConfig(size_px=16)
NO_BAND = ScreenConfig(size_px=16, too_near=0, too_far=0)  # six faces of a class hardly tell what is usual


def face(make_up, label, seed):
    return make_up(label, np.random.default_rng(1000 + seed))


@pytest.fixture
def make_up(request):
    """The function of conftest.py that paints a face."""

    def paint(label, random):
        picture = random.integers(60, 140, size=(16, 16), dtype=np.uint8)
        place = 2 * BASIC7.index(label) + 1
        picture[place : place + 2] = random.integers(220, 256, size=(2, 16), dtype=np.uint8)
        return picture

    return paint


@pytest.fixture
def suspects(make_manifest, training, make_up):
    """Good faces, and one of each kind that screening must drop."""
    faces = [{"label": label, "split": "train", "image": face(make_up, label, i)} for i, label in enumerate(BASIC7)]
    copied = training.pictures(16, 1)[3, 0]
    faces += [
        {"label": "fear", "split": "train", "image": face(make_up, "anger", 50)},
        {"label": "fear", "split": "train", "image": np.full((16, 16), 77, np.uint8)},
        {"label": "anger", "split": "train", "image": copied},
        {"label": "anger", "split": "train", "image": np.ascontiguousarray(copied[:, ::-1])},
        {"label": "anger", "split": "train", "image": face(make_up, "anger", 0)},
    ]
    for row in faces:
        row["facts"] = {"occlusion": "mask" if row["label"] == "fear" else None, "light": None}
    return make_manifest("suspects", faces, origin="synthetic")


def test_screening_drops_each_kind_of_bad_face_and_says_why(suspects, training, judge, root):
    kept, path = screen(suspects, training, judge, root / "manifests" / "screened", NO_BAND, replace=True)
    table, metadata = tables.read_table(path, kind="screening")
    frame = table.to_pandas()
    assert frame["reason"].fillna("").tolist() == [
        *[""] * 7,
        "the judge disagrees",
        "blank",
        "near-copy of a training face",
        "near-copy of a training face",
        "near-copy of another sample",
    ]
    assert frame["keep"].tolist() == [True] * 7 + [False] * 5
    assert kept.frame["sample_id"].tolist() == suspects.frame["sample_id"].tolist()[:7]
    assert frame["judge_label"].iloc[7] == "anger"
    assert frame["nearest_sample_id"].iloc[9] == training.frame["sample_id"].iloc[3]
    assert frame["sibling_sample_id"].iloc[11] == suspects.frame["sample_id"].iloc[0]
    for score in ("label_score", "blank_score", "copy_score", "sibling_score"):
        assert frame[score].between(0, 1).all()
    assert frame["copy_score"].iloc[9] == 0
    assert frame["label_score"].iloc[7] < frame["label_score"].iloc[:7].min()
    assert metadata["reasons"] == {
        "near-copy of a training face": 2,
        "the judge disagrees": 1,
        "blank": 1,
        "near-copy of another sample": 1,
    }
    assert {"label": "fear", "occlusion": "mask", "light": None, "made": 3, "kept": 1} in metadata["cells"]
    assert sum(cell["kept"] for cell in metadata["cells"]) == 7
    assert [entry["state"] for entry in manifests.lineage(kept)] == ["as it was"] * 3


def test_an_unsure_judge_drops_more(suspects, training, judge, root):
    strict = ScreenConfig(size_px=16, minimum_p=0.999)
    kept, _ = screen(suspects, training, judge, root / "manifests" / "strict", strict, replace=True)
    lenient, _ = screen(suspects, training, judge, root / "manifests" / "lenient", CONFIG, replace=True)
    assert len(kept) < len(lenient)


@pytest.mark.parametrize("validation_faces", [0, 200])
def test_few_real_held_out_faces_are_called_copies(validation_faces, make_manifest, make_up, judge, suspects, root):
    random = np.random.default_rng(4)
    faces = [
        {"label": label, "split": split, "image": make_up(label, random)}
        for split, count in (("train", 210), ("val", validation_faces))
        for label in (BASIC7 * 30)[:count]
    ]
    real = make_manifest(f"real{validation_faces}", faces)
    _, path = screen(suspects, real, judge, root / "manifests" / "calibrated", CONFIG, replace=True)
    calibration = tables.read_metadata(path)["calibration"]
    assert calibration["faces"] == (
        "validation" if validation_faces else "training faces against those of other groups"
    )
    assert calibration["flagged"] <= 0.01
    assert calibration["count"] == (validation_faces or 210)


def test_the_detector_keeps_its_promise_on_fresh_faces(judge, make_up):
    random = np.random.default_rng(0)
    batch = [np.stack([make_up(BASIC7[i % 7], random) for i in range(count)])[:, None] for count in (300, 1000, 1000)]
    train, held_out, fresh = (look(pictures, judge.features) for pictures in batch)
    detector = fit_detector(train, held_out, 0.05)
    assert detector.false_rate <= 0.05
    assert detector.is_copy(detector.nearest_face(fresh)[0]).mean() == pytest.approx(0.05, abs=0.025)
    noisy = np.clip(batch[0][:50].astype(int) + random.normal(0, 3, size=(50, 1, 16, 16)), 0, 255).astype(np.uint8)
    distance, nearest = detector.nearest_face(look(noisy, judge.features))
    assert detector.is_copy(distance).all()
    assert nearest.tolist() == list(range(50))


def test_the_first_of_a_cluster_stays(judge, make_up):
    random = np.random.default_rng(0)
    many = np.stack([make_up(BASIC7[i % 7], random) for i in range(300)])[:, None]
    detector = fit_detector(look(many[:150], judge.features), look(many[150:], judge.features), 0.01)
    samples = look(many[[10, 11, 10, 12, 10]], judge.features)
    distance, sibling = detector.earlier_sibling(samples, np.array([True, True, True, True, True]))
    assert detector.is_copy(distance).tolist() == [False, False, True, False, True]
    assert sibling[[2, 4]].tolist() == [0, 0]
    assert np.isinf(distance[0])


def test_what_cannot_be_screened_is_refused(suspects, training, make_manifest, judge, root):
    out = root / "manifests" / "refused"

    class Other:
        labels = ("happy", "sad")
        probabilities = features = None

    with pytest.raises(FerError, match="expected a judge of its labels"):
        screen(suspects, training, Other(), out, CONFIG)
    held_out = make_manifest("held-out", [{"label": "fear", "split": "test"}])
    with pytest.raises(FerError, match="expected training faces to compare with"):
        screen(suspects, held_out, judge, out, CONFIG)
    other_set = manifests.write(
        training.frame, root / "manifests" / "eight", label_set="basic8", command="test",
        licence=training.metadata["licence"], replace=True,
    )  # fmt: skip
    with pytest.raises(FerError, match="expected the label set basic7"):
        screen(suspects, other_set, judge, out, CONFIG)
    empty = manifests.write(
        suspects.frame[:0], root / "manifests" / "empty", label_set="basic7", command="test",
        licence=training.metadata["licence"], replace=True,
    )  # fmt: skip
    with pytest.raises(FerError, match="found no rows"):
        screen(empty, training, judge, out, CONFIG)
    nameless = make_manifest("nameless", [{"label": None, "split": "train"}], origin="synthetic")
    for name, wrong in ((f"found {len(training)} other rows", training), ("found 1 other rows", nameless)):
        with pytest.raises(FerError, match=f"expected synthetic faces with a label to screen, {name}"):
            screen(wrong, training, judge, out, CONFIG)
    screen(suspects, training, judge, out, CONFIG)
    with pytest.raises(FerError, match="add --replace"):
        screen(suspects, training, judge, out, CONFIG)


def reasons_of(path):
    return tables.read_table(path, kind="screening")[0].to_pandas().set_index("sample_id")["reason"].fillna("")


@pytest.fixture(scope="module")
def crowd(make_manifest):
    """Enough real faces to tell what is usual: 40 of each of seven classes to learn from, 10 held out."""
    random = np.random.default_rng(3)
    faces = []
    for split, count in (("train", 40), ("val", 10)):
        for label in BASIC7 * count:
            picture = random.integers(60, 140, size=(16, 16), dtype=np.uint8)
            place = 2 * BASIC7.index(label) + 1
            picture[place : place + 2] = random.integers(220, 256, size=(2, 16), dtype=np.uint8)
            faces.append({"label": label, "split": split, "image": picture})
    return make_manifest("crowd", faces)


def as_synthetic(label, image, occlusion=None, light=None):
    facts = {"occlusion": occlusion, "light": light}
    return {"label": label, "split": "train", "image": image, "facts": facts}


def test_what_is_unusual_among_real_faces_is_dropped(crowd, make_manifest, make_up, judge, root):
    fear = [face(make_up, "fear", seed) for seed in range(32)]
    heart = crowd.pictures(16, 1)[(crowd.frame["label"] == "fear").to_numpy()][:40, 0]
    smeared = np.full((16, 16), 100, np.uint8)
    smeared[5:8] = [[230], [240], [230]]
    clipped = np.where(fear[30] > 100, 255, 0).astype(np.uint8)
    clipped[5:7] = 255
    pictures = [smeared, clipped, heart.mean(axis=0).astype(np.uint8), *fear[:30]]
    made = make_manifest("unusual", [as_synthetic("fear", picture) for picture in pictures], origin="synthetic")
    _, path = screen(made, crowd, judge, root / "manifests" / "usual", CONFIG, replace=True)
    reasons = reasons_of(path).tolist()
    assert reasons[:3] == ["broken", "broken", "broken"]
    assert reasons.count("") >= 25
    lenient = ScreenConfig(size_px=16, minimum_p=0, broken=0)
    _, path = screen(made, crowd, judge, root / "manifests" / "lenient-usual", lenient, replace=True)
    reasons = reasons_of(path).tolist()
    assert reasons[1] == "unlike the class's real faces"
    assert reasons[0] == reasons[2] == "nearer to the class than real faces are"
    assert reasons.count("") >= 25
    table = tables.read_table(path)[0].to_pandas()
    assert table.loc[reasons_index(table, "unlike the class's real faces"), "band_score"].max() < 0.1
    calibration = tables.read_metadata(path)["calibration"]
    (band,) = calibration["distances"]
    assert (band["label"], band["occlusion"], band["light"], band["real_faces"]) == ("fear", None, None, 50)
    assert band["low"] < band["high"]
    assert band["judge_agrees"] == 1  # the pattern is always seen


def reasons_index(table, reason):
    return table.index[table["reason"] == reason]


def test_conditions_are_held_against_real_faces_in_the_same_condition(crowd, make_manifest, make_up, judge, root):
    """A dark face would be unusual among faces in good light."""
    from fer_data.conditions import relight

    dark = [relight(face(make_up, "fear", seed), "low", 50 + seed) for seed in range(20)]
    claimed = make_manifest("dark", [as_synthetic("fear", p, light="low") for p in dark], origin="synthetic")
    plain = make_manifest("not-dark", [as_synthetic("fear", p) for p in dark], origin="synthetic")
    kept = {}
    for made in (claimed, plain):
        out = root / "manifests" / f"held-{made.name}"
        kept[made.name] = len(screen(made, crowd, judge, out, CONFIG.model_copy(update={"minimum_p": 0.0}))[0])
    assert kept["dark"] >= 15
    assert kept["not-dark"] <= 5


def test_near_copies_of_faces_kept_earlier_are_dropped(crowd, make_manifest, make_up, judge, root):
    pictures = [face(make_up, "fear", seed) for seed in range(4)]
    earlier = make_manifest("earlier", [as_synthetic("fear", p) for p in pictures[:2]], origin="synthetic")
    made = make_manifest("later", [as_synthetic("fear", p) for p in pictures[1:]], origin="synthetic")
    kept, path = screen(made, crowd, judge, root / "manifests" / "after", CONFIG, earlier=earlier)
    assert reasons_of(path).tolist() == ["near-copy of another sample", "", ""]
    siblings = tables.read_table(path)[0].to_pandas()["sibling_sample_id"]
    assert siblings[0] == earlier.frame["sample_id"].iloc[1]
    assert earlier.sha256 in kept.metadata["parents"].values()
    alone, _ = screen(made, crowd, judge, root / "manifests" / "alone", CONFIG)
    assert len(alone) == 3


def test_a_class_without_real_faces_and_a_single_group_do_not_break_it(make_manifest, make_up, judge, root):
    """No neighbours of the class: nothing can be said about distances, the other checks stand."""
    real = [{"label": "anger", "split": "train", "image": face(make_up, "anger", seed)} for seed in range(40)]
    made = make_manifest("lonely", [as_synthetic("fear", face(make_up, "fear", 99))], origin="synthetic")
    kept, path = screen(made, make_manifest("angry", real), judge, root / "manifests" / "lonely-kept", CONFIG)
    assert len(kept) == 1
    table = tables.read_table(path)[0].to_pandas()
    assert table["band_score"].tolist() == [1]
    one_group = make_manifest("one-group", [{**row, "group": 1} for row in real])
    with pytest.raises(FerError, match="expected real faces of at least two groups"):
        screen(made, one_group, judge, root / "manifests" / "none", CONFIG)


def test_colour_at_the_faces_own_size(make_manifest, judge, root):
    random = np.random.default_rng(9)

    def colour(label):
        picture = random.integers(60, 140, size=(24, 24, 3), dtype=np.uint8)
        low = round((2 * BASIC7.index(label) + 1) * 1.5)
        picture[low : low + 3] = random.integers(220, 256, size=(3, 24, 3), dtype=np.uint8)
        return picture

    real = [{"label": label, "split": "train", "image": colour(label)} for label in BASIC7 * 12]
    made = [as_synthetic(label, colour(label), occlusion="mask") for label in BASIC7]
    training, synthetic = make_manifest("colour", real), make_manifest("colourful", made, origin="synthetic")
    _, path = screen(synthetic, training, judge, root / "manifests" / "colour-kept", ScreenConfig())
    calibration = tables.read_metadata(path)["calibration"]
    assert {row["occlusion"] for row in calibration["faults"]} == {"mask"}
    assert {row["real_faces"] for row in calibration["distances"]} == {12}
