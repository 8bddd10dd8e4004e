import pytest
import torch
from torch import nn

from classifier.fusion import fold_norms
from classifier.models import FaceClassifier, build_model


def trained_a_little(name: str) -> FaceClassifier:
    """Weights and running statistics that are not those of a fresh network."""
    model = build_model(name, 7, 1, 48)
    generator = torch.Generator().manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 2, generator=generator)
            part.bias.data.normal_(generator=generator)
            part.running_mean.normal_(generator=generator)
            part.running_var.uniform_(0.2, 3, generator=generator)
    return model.eval()


@pytest.mark.parametrize("name", ["thin_resnet10", "thin_vgg", "resnet18", "timm:mobilenetv3_small_050"])
@torch.no_grad()
def test_folded_networks_say_the_same(name):
    model = trained_a_little(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.randn(5, 1, 48, 48, generator=torch.Generator().manual_seed(1))
    folded = fold_norms(model)
    assert torch.allclose(folded(images).softmax(1), model(images).softmax(1), atol=1e-5)
    assert torch.allclose(folded.features(images), model.features(images), rtol=1e-3, atol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in called(folded.body))


def called(body: nn.Module) -> list[nn.Module]:
    return [body.get_submodule(node.target) for node in body.graph.nodes if node.op == "call_module"]


class Shared(nn.Module):
    """One convolution used twice, and one whose maps are used beside their norm."""

    def __init__(self):
        super().__init__()
        self.shared, self.branch = nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)
        self.norm, self.other = nn.BatchNorm2d(1), nn.BatchNorm2d(1)

    def forward(self, images):
        branch = self.branch(images)
        return (self.norm(self.shared(images)) + self.shared(images) + self.other(branch) + branch).mean(dim=(2, 3))


class Looks(nn.Module):
    """Decides by the pictures: how it goes on cannot be told beforehand."""

    def forward(self, images):
        return images.mean(dim=(2, 3)) if images.sum() > 0 else images.amax(dim=(2, 3))


@torch.no_grad()
def test_what_cannot_be_folded_stays():
    model = FaceClassifier(Shared(), 1, 7).eval()
    model.body.norm.running_var.fill_(3)
    model.body.other.running_var.fill_(2)
    images = torch.randn(3, 1, 8, 8)
    assert torch.allclose(fold_norms(model)(images), model(images), atol=1e-6)
    looking = FaceClassifier(Looks(), 1, 7).eval()
    assert fold_norms(looking) is looking
