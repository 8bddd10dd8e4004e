import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from classifier.prediction import load_classifier
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def test_a_classifier_judges_pictures_of_any_size(tmp_path, striped_faces, tiny):
    config = tiny.model_copy(update={"mirror_average": True, "steps": 4})
    classifier = load_classifier(train(striped_faces(70), None, BASIC7, config, tmp_path / "run"))
    images = striped_faces(300, 3).images.numpy()
    judged = classifier.probabilities(images)
    assert classifier.labels == BASIC7 and judged.shape == (300, 7) and judged.dtype == np.float32
    np.testing.assert_allclose(judged.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images[:, :, :, ::-1]), judged, atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images[5:6]), judged[5:6], atol=1e-5)
    np.testing.assert_allclose(classifier.probabilities(images.repeat(3, axis=1)), judged, atol=1e-5)
    assert classifier.probabilities(images.repeat(2, axis=2).repeat(2, axis=3)).shape == (300, 7)
    assert classifier.probabilities(images[:0]).shape == (0, 7)
    assert classifier.features(images).shape == (300, 128)
    assert load_classifier(tmp_path / "run").labels == BASIC7  # the run's folder serves as well


def test_probabilities_are_the_head_on_the_features(tmp_path, striped_faces, tiny):
    checkpoint = train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"steps": 4}), tmp_path / "run")
    classifier, images = load_classifier(checkpoint), striped_faces(20, 3).images.numpy()
    state = load_file(checkpoint / "model.safetensors")
    logits = torch.from_numpy(classifier.features(images)) @ state["head.weight"].T + state["head.bias"]
    np.testing.assert_allclose(classifier.probabilities(images), logits.softmax(dim=1).numpy(), atol=1e-5)


def test_log_probabilities_are_those_without_the_mirror_and_have_a_gradient(tmp_path, striped_faces, tiny):
    classifier = load_classifier(
        train(striped_faces(70), None, BASIC7, tiny.model_copy(update={"steps": 4}), tmp_path / "run")
    )
    images = striped_faces(8, 3).images
    told = classifier.log_probabilities(images.float())
    np.testing.assert_allclose(told.exp().numpy(), classifier.probabilities(images.numpy()), atol=1e-5)
    colour = images.repeat(1, 3, 2, 2).float()  # another size and number of channels
    for shown in (images.double(), colour):
        pictures = shown.clone().requires_grad_(True)
        classifier.log_probabilities(pictures)[:, 2].sum().backward()
        assert pictures.grad.shape == shown.shape and pictures.grad.abs().sum() > 0
    step = 1e-2 * pictures.grad / pictures.grad.abs().max()  # uphill, by a hundredth of a grey level
    assert classifier.log_probabilities(colour + step)[:, 2].sum() > classifier.log_probabilities(colour)[:, 2].sum()


@pytest.mark.parametrize(
    "images", [np.zeros((2, 16, 16), np.uint8), np.zeros((2, 1, 16, 16)), np.zeros((2, 2, 16, 16), np.uint8)]
)
def test_refuses_what_is_no_batch_of_pictures(tmp_path, striped_faces, tiny, images):
    classifier = load_classifier(
        train(striped_faces(14), None, BASIC7, tiny.model_copy(update={"steps": 1}), tmp_path / "run")
    )
    with pytest.raises(FerError, match=r"expected pictures uint8 \[N, 1 or 3, H, W\]"):
        classifier.probabilities(images)


def test_refuses_folders_without_a_whole_classifier(tmp_path, striped_faces, tiny):
    with pytest.raises(FerError, match=r"expected a classifier \(classifier.json\), found none"):
        load_classifier(tmp_path / "nothing")
    checkpoint = train(striped_faces(14), None, BASIC7, tiny.model_copy(update={"steps": 1}), tmp_path / "run")
    file = checkpoint / "model.safetensors"
    save_file({key: value for key, value in load_file(file).items() if "head" not in key}, file)
    with pytest.raises(FerError, match="expected the weights of thin_resnet10, found others"):
        load_classifier(checkpoint)
    file.write_bytes(b"broken")
    with pytest.raises(FerError, match="cannot be read .* train again"):
        load_classifier(checkpoint)
