"""Heat maps: they are Grad-CAM's, they lie where the label can be told, and they stand beside the predictions."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional as F
from typer.testing import CliRunner

import fer_cli
from classifier.data import Faces, to_input
from classifier.explanation import encode_heat_map, explain, heat_maps_path
from classifier.grad_cam import heat_maps
from classifier.models import FaceClassifier, build_model
from classifier.out_of_fold import PredictConfig, predict_out_of_fold
from classifier.prediction import load_classifier
from classifier.training import train
from fer_data import images, tables
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

MARK_PX = 5


def marked_faces(count, seed):
    """Noise of 32x32 px, every second with a bright mark somewhere, which is its class; and where, int [N, 2]."""
    rng = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    places = rng.integers(2, 32 - MARK_PX - 2, (count, 2))
    pictures = rng.integers(90, 160, (count, 1, 32, 32), dtype=np.uint8)
    for picture, number, (top, left) in zip(pictures, classes, places, strict=True):
        if number:
            picture[0, top : top + MARK_PX, left : left + MARK_PX] = 255
    targets = torch.eye(7)[torch.from_numpy(classes)]
    ids = [f"marked/{index}" for index in range(count)]
    return Faces(torch.from_numpy(pictures), targets, torch.ones(count), ids), classes, places


@pytest.fixture
def predicted(striped_manifest, tiny, tmp_path):
    """A manifest of 84 training and 7 test faces, and the predictions of the former."""
    classes = [*range(7)] * 13
    made = striped_manifest(classes, ["train"] * 84 + ["test"] * 7)
    config = PredictConfig(folds=2, least_steps=6, train=tiny.model_copy(update={"steps": 6, "evaluations": 1}))
    out = made.root / "predictions/stripes.parquet"
    return made, predict_out_of_fold(made, config, out, made.root / "runs/predict-stripes")


def by_hand(model, images, classes):
    """Equations 1 and 2 of Grad-CAM, one picture at a time, the stage cut by hand."""
    body, found = model.body, []
    for picture, number in zip(to_input(images), classes, strict=True):
        maps = body.stages(body.stem(picture[None])).detach().requires_grad_()
        logit = model.head(maps.mean(dim=(2, 3)))[0, number]
        alpha = torch.autograd.grad(logit, maps)[0][0].mean(dim=(1, 2))
        found.append(F.relu(torch.einsum("c,cij->ij", alpha, maps[0])))
    whole = F.interpolate(torch.stack(found)[:, None], images.shape[2:], mode="bilinear")[:, 0].detach()
    return whole / whole.amax(dim=(1, 2), keepdim=True).clamp(min=1e-30)


def test_maps_are_those_of_the_paper(striped_faces):
    model = build_model("thin_resnet10", 7, 1, 48, seed=3).eval().requires_grad_(False)
    faces = striped_faces(12, size_px=48)
    classes = torch.arange(12) % 7
    found = heat_maps(model, faces.images, classes, mirror=False)
    torch.testing.assert_close(found, by_hand(model, faces.images, classes), atol=1e-5, rtol=1e-4)
    largest = found.amax(dim=(1, 2))
    assert found.shape == (12, 48, 48) and found.min() >= 0
    assert ((largest == 0) | largest.isclose(torch.ones(12))).all() and (largest > 0).sum() > 6
    mirrored = heat_maps(model, faces.images.flip(3), classes, mirror=True)
    torch.testing.assert_close(mirrored.flip(2), heat_maps(model, faces.images, classes, mirror=True))
    assert heat_maps(model, faces.images[:0], classes[:0], mirror=False).shape == (0, 48, 48)


def test_maps_point_at_what_tells_the_label(tmp_path, tiny):
    faces, _, _ = marked_faces(256, seed=0)
    config = tiny.model_copy(update={"size_px": 32, "steps": 60, "allow_empty_classes": True})
    classifier = load_classifier(train(faces, None, BASIC7, config, tmp_path / "run"))
    shown, classes, places = marked_faces(40, seed=1)
    pictures = shown.images.numpy()
    assert (classifier.probabilities(pictures).argmax(axis=1) == classes).mean() > 0.9
    marked = classes == 1
    maps = classifier.heat_maps(pictures[marked], classes[marked])
    hottest = np.stack(np.unravel_index(maps.reshape(20, -1).argmax(axis=1), (32, 32)), axis=1)
    near = np.abs(hottest - places[marked] - MARK_PX / 2).max(axis=1) <= 8
    assert near.mean() > 0.8  # a quarter would be chance


@pytest.mark.parametrize("name", ["thin_vgg", "resnet18", "timm:mobilenetv3_small_050"])
def test_every_kind_of_network_has_a_stage(name):
    size_px = 96 if name.startswith("timm") else 48
    model = build_model(name, 7, 1, size_px, seed=1)
    pictures = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 1, size_px, size_px), dtype=np.uint8))
    maps = heat_maps(model, pictures, torch.tensor([0, 3, 6]), mirror=True)
    assert maps.shape == (3, size_px, size_px) and maps.isfinite().all() and maps.amax() == 1
    assert model.training  # as it was


def test_refuses_a_network_without_places():
    model = FaceClassifier(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 8)), 8, 7)
    with pytest.raises(FerError, match="tell 3x3 places of a face of 16 px apart, found none"):
        heat_maps(model, torch.zeros(1, 1, 16, 16, dtype=torch.uint8), torch.tensor([0]), mirror=False)


def test_each_face_is_explained_by_the_classifier_that_judged_it(predicted):
    made, predictions = predicted
    path = explain(made, predictions, heat_maps_path(predictions))
    table, facts = tables.read_table(path, kind="heat_maps")
    judged, _ = tables.read_table(predictions)
    assert path.name == "stripes.heat_maps.parquet" and facts["faces"] == 84 and facts["seconds"] >= 0
    assert table["sample_id"].to_pylist() == judged["sample_id"].to_pylist()
    shares = np.column_stack([judged[f"p_{label}"].to_numpy() for label in BASIC7])
    assert table["label"].to_pylist() == [BASIC7[code] for code in shares.argmax(axis=1)]
    for fold in (0, 1):
        of_fold = judged["fold"].to_numpy() == fold
        classifier = load_classifier(made.root / f"runs/predict-stripes/repeat-0/fold-{fold}")
        rows = np.r_[of_fold, np.zeros(7, bool)]
        maps = classifier.heat_maps(made.pictures(16, 1, rows), shares[of_fold].argmax(axis=1))
        kept = table["heat_map"].filter(pa.array(of_fold)).to_pylist()
        assert [images.decode(png, "map").shape for png in kept] == [(16, 16)] * int(of_fold.sum())
        for png, heat in zip(kept, maps, strict=True):
            np.testing.assert_array_equal(images.decode(png, "map"), np.rint(255 * heat))


def test_a_condition_chooses_and_a_table_is_not_overwritten(predicted):
    made, predictions = predicted
    out = heat_maps_path(predictions)
    explain(made, predictions, out, where="label = 'fear'")
    assert tables.read_metadata(out)["faces"] == 12
    with pytest.raises(FerError, match="exists"):
        explain(made, predictions, out)
    explain(made, predictions, out, replace=True)
    assert tables.read_metadata(out)["faces"] == 84
    with pytest.raises(FerError, match="no face of .* meets it"):
        explain(made, predictions, out, where="split = 'test'", replace=True)


def test_refuses_predictions_that_cannot_be_explained(predicted, tmp_path):
    made, predictions = predicted
    table, facts = tables.read_table(predictions)
    other = tmp_path / "other.parquet"

    def refuse(changed, metadata, words):
        tables.write_table(other, changed, metadata, replace=True)
        with pytest.raises(FerError, match=words):
            explain(made, other, tmp_path / "maps.parquet")

    refuse(table, {key: value for key, value in facts.items() if key != "classifiers"}, "the folder is missing")
    refuse(table.drop_columns(["p_fear"]), facts, "p_fear is missing; predict again")
    refuse(table, {**facts, "classifiers": "runs/gone"}, "its classifiers are not in .*gone/repeat-0")
    strangers = pa.array([f"strange/{row}" for row in range(len(table))])
    refuse(table.set_column(0, "sample_id", strangers), facts, "none of its faces is in")


def test_the_verb_explains_predictions_that_are_there(predicted):
    made, predictions = predicted

    def fer(*arguments):
        return CliRunner().invoke(fer_cli.app, ["predict", str(made.path), *arguments])

    planned = fer("--explain", "--dry-run")
    assert planned.exit_code == 0 and "stripes.heat_maps.parquet" in planned.output
    assert not heat_maps_path(predictions).exists()
    told = fer("--explain", "--where", "label = 'fear'")
    assert told.exit_code == 0 and "12 faces explained in" in told.output and "next: fer curate" in told.output
    assert tables.read_metadata(heat_maps_path(predictions))["where"] == "label = 'fear'"
    assert tables.read_metadata(predictions)["kind"] == "predictions"  # as they were
    refused = fer("--where", "label = 'fear'")
    assert refused.exit_code == 2 and "expected --explain beside it" in refused.output


def test_a_heat_map_has_the_size_of_its_picture():
    heat = np.zeros((8, 8), dtype=np.float32)
    heat[:4] = 1
    shown = images.decode(encode_heat_map(heat, 40, 24), "map")
    assert shown.shape == (24, 40) and shown[:8].min() == 255 and shown[-8:].max() == 0
