"""`fer evaluate` from the command line, with a real classifier."""

import json

import numpy as np
import pytest

from classifier.training import TrainConfig, train_manifest
from fer_data import manifest as manifests


@pytest.fixture
def checkpoint(project, monkeypatch):
    monkeypatch.chdir(project)
    faces = manifests.read(project / "manifests/faces")
    config = TrainConfig(
        model="thin_resnet10",
        size_px=16,
        steps=12,
        batch_size=32,
        evaluations=1,
        dynamics=0,
        threads=1,
        mirror_average=False,
    )
    return train_manifest(faces, config, project / "runs/a")


def test_evaluate_writes_figures_and_a_page(fer, project, checkpoint):
    code, out, err = fer(
        "evaluate", "manifests/faces", "--checkpoint", checkpoint, "--robustness", "--baseline", checkpoint,
        "--fairness", "--sheets", "--out", "judged",
    )  # fmt: skip
    assert (code, "Traceback" in err) == (0, False), err
    found = json.loads((project / "judged.json").read_text())
    views = {view["key"]: view for view in found["views"]}
    metrics = views["leak_free/given"]["metrics"]
    assert f"accuracy {metrics['accuracy']:.3f}" in out and "→ judged.html" in out
    assert metrics["count"] == 68 and found["faces_with_twins"] == 2
    told = found["robustness"]["views"]["leak_free/given"]
    assert told["clean"]["accuracy"] == metrics["accuracy"]
    assert told["errors"]["accuracy"]["mce"] == 1 and len(told["conditions"]) == 8
    page = (project / "judged.html").read_text()
    for title in ("Scores", "Classes", "Confidence", "Occlusion and low light", "Fairness", "What it looked at"):
        assert f"<h2>{title}</h2>" in page
    assert "whether it saw some of these" not in page
    assert page.count('class="faces') >= 2
    kept = sorted((project / ".cache/robustness").iterdir())
    assert len(kept) == 8 and np.load(kept[0]).shape == (5, 70, 1, 16, 16)

    assert fer("evaluate", "manifests/faces", "--checkpoint", checkpoint, "--out", "judged")[0] == 1
    code, out, _ = fer("evaluate", "manifests/faces", "--checkpoint", checkpoint, "--split", "val", "--json")
    assert code == 0 and json.loads(out)["views"][0]["metrics"]["count"] == 70


def test_training_tells_how_many_faces_are_one_with_held_out_ones(fer, project, monkeypatch):
    monkeypatch.chdir(project)

    def told(*more):
        few = (
            "model=thin_resnet10",
            "size_px=16",
            "steps=4",
            "evaluations=1",
            "threads=1",
            "trackers=[]",
            "dynamics=0",
        )
        settings = [word for one in few for word in ("--set", one)]
        code, out, err = fer("train", "manifests/faces", *settings, "--replace", *more)
        assert code == 0, err
        return out.replace("\n", " ")

    assert "training faces that are one with faces of val or test: 2; fer evaluate scores the test split" in told()
    assert "that are one with" not in told("--leaks", "drop_from_train")


def test_a_class_that_was_never_learnt_is_named(fer, project, checkpoint):
    path = checkpoint / "classifier.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "unseen": ["disgust"]}))
    code, out, _ = fer("evaluate", "manifests/faces", "--checkpoint", checkpoint, "--out", "judged")
    assert code == 0 and "had no training face of disgust; its answers to such faces count" in out.replace("\n", " ")
    assert "had no training face of disgust" in (project / "judged.html").read_text()


def test_evaluate_refuses_in_one_sentence(fer, project, checkpoint):
    def refused(*arguments):
        code, _, err = fer("evaluate", "manifests/faces", "--checkpoint", checkpoint, *arguments)
        assert code == 1 and err.count("\n") == 1
        return err

    assert "expected --out" in refused("--sheets")
    assert "expected --robustness" in refused("--baseline", checkpoint)
    assert "expected val or test" in refused("--split", "train")
    code, _, err = fer("evaluate", "manifests/faces", "--checkpoint", "nowhere")
    assert code == 1 and "nowhere" in err
