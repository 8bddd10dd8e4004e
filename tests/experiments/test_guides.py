import numpy as np
import pytest
import torch

from classifier.prediction import load_classifier
from classifier.training import TrainConfig, train_manifest
from experiments.guides import classifier_sha256, guide_of, guide_source
from fer_data import manifest as manifests
from fer_data.configuration import build


@pytest.fixture(scope="module")
def run(module_project):
    config = build(TrainConfig, {"model": "thin_resnet10", "size_px": 16, "epochs": 2, "threads": 1}, "test")
    clean = manifests.read(module_project / "manifests/clean")
    train_manifest(clean, config, module_project / "guide", leaks="score_apart")
    return module_project / "guide"


@pytest.mark.parametrize(("channels", "size"), [(1, 16), (3, 24)])
def test_a_guide_tells_the_labels_log_probability_and_where_it_grows(run, channels, size):
    guide = guide_of(load_classifier(run))
    pictures = torch.rand(3, channels, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    pictures.requires_grad_(True)
    labels = torch.tensor([0, 1, 6])
    every = torch.stack([guide(pictures.detach(), torch.full((3,), k)) for k in range(7)], dim=1)
    assert torch.allclose(every.exp().sum(dim=1), torch.ones(3), atol=1e-5)
    value = guide(pictures, labels)
    assert torch.allclose(value, every[torch.arange(3), labels])
    (slope,) = torch.autograd.grad(value.sum(), pictures)
    assert slope.shape == pictures.shape and slope.abs().amax(dim=(1, 2, 3)).gt(0).all()
    step = 0.02 * slope / slope.flatten(1).norm(dim=1)[:, None, None, None]
    assert (guide(pictures.detach() + step, labels) > value.detach()).all()


def test_a_guide_is_known_by_its_files_and_opens_anywhere(run, tmp_path):
    import pickle
    import shutil

    source = guide_source(run)
    shutil.copytree(run, tmp_path / "moved")
    assert source.sha256 == classifier_sha256(tmp_path / "moved") == classifier_sha256(run / "checkpoint")
    opened = pickle.loads(pickle.dumps(source.make))()
    pictures = torch.from_numpy(np.linspace(-1, 1, 512, dtype=np.float32).reshape(2, 1, 16, 16))
    labels = torch.tensor([2, 2])
    assert torch.equal(opened(pictures, labels), source.make()(pictures, labels))
    (tmp_path / "moved/checkpoint/classifier.json").write_text("{}")
    assert classifier_sha256(tmp_path / "moved") != source.sha256
