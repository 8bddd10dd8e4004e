import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from fer_data.errors import FerError
from generators.fidelity.embeddings import load_embedding

NAME = "vit_tiny_patch16_224"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A ViT with random weights, saved with a head and the position embedding of 224 px, as timm publishes them."""
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(NAME, pretrained=False)
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path, model.eval()


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_those_of_the_saved_network(weights, channels):
    path, model = weights
    images = np.random.default_rng(0).integers(0, 256, size=(3, channels, 32, 32), dtype=np.uint8)
    found = load_embedding(path, NAME, size_px=32)(images)
    assert (found.shape, found.dtype) == ((3, 192), np.float32)
    same = timm.create_model(NAME, pretrained=False, num_classes=0, dynamic_img_size=True).eval()
    same.load_state_dict({name: value for name, value in model.state_dict().items() if not name.startswith("head.")})
    with torch.no_grad():
        batch = torch.from_numpy(images).float().expand(-1, 3, -1, -1) / 255
        expected = same((batch - 0.5) / 0.5).numpy()
    assert found == pytest.approx(expected, abs=1e-4)


def test_pictures_are_brought_to_the_size_that_is_asked_for(weights):
    path, _ = weights
    embed = load_embedding(path, NAME, size_px=48)
    small = np.random.default_rng(0).integers(0, 256, size=(2, 1, 24, 24), dtype=np.uint8)
    assert embed(small).shape == (2, 192)
    assert embed(small[:0]).shape == (0, 192)


def test_weights_as_the_authors_publish_them_and_another_patch_grid(weights, tmp_path):
    """A `.pth` with the mask token that DINOv2 trains with and without a head."""
    path, model = weights
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("head.")}
    torch.save({**state, "mask_token": torch.zeros(1, 192)}, tmp_path / "authors.pth")
    images = np.random.default_rng(0).integers(0, 256, size=(2, 1, 32, 32), dtype=np.uint8)
    found = load_embedding(tmp_path / "authors.pth", NAME, size_px=32)(images)
    assert found == pytest.approx(load_embedding(path, NAME, size_px=32)(images))


def test_what_is_no_such_network_is_refused(weights, tmp_path):
    path, _ = weights
    with pytest.raises(FerError, match="found no such file"):
        load_embedding(tmp_path / "none.safetensors", NAME)
    with pytest.raises(FerError, match="expected an architecture that timm has"):
        load_embedding(path, "vit_no_such_thing")
    with pytest.raises(FerError, match="expected weights of resnet18"):
        load_embedding(path, "resnet18")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(FerError, match="broken.safetensors: expected weights of vit_tiny"):
        load_embedding(tmp_path / "broken.safetensors", NAME)
    with pytest.raises(FerError, match="for pictures of 33 px"):
        load_embedding(path, NAME, size_px=33)
