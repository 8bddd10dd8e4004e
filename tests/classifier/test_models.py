import pytest
import torch
from safetensors.torch import save_file

from classifier.models import build_model, require_any_size
from fer_data.errors import FerError

SMALL = ("thin_resnet18", "thin_resnet10", "thin_resnet34")


@pytest.mark.parametrize(
    "name", [*SMALL, "thin_vgg", "resnet18", "timm:mobilenetv3_small_050", "timm:vit_tiny_patch16_224"]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_features_and_logits_fit_together(name, channels):
    model = build_model(name, 7, channels, 48).eval()
    images = torch.randn(2, channels, 48, 48)
    with torch.no_grad():
        logits, features = model(images), model.features(images)
        assert logits.shape == (2, 7) and features.ndim == 2
        assert torch.equal(model.head(features), logits)


@pytest.mark.parametrize("size_px", [16, 24, 32, 48, 64, 100, 224])
def test_the_stem_keeps_faces_between_15_and_28_px(size_px):
    body = build_model("thin_resnet18", 7, 1, size_px).body
    side = body.stem(torch.zeros(1, 1, size_px, size_px)).shape[-1]
    assert side == size_px if size_px <= 28 else 15 <= side <= 28


def test_thin_networks_are_as_small_as_said():
    count = {name: sum(p.numel() for p in build_model(name, 7, 1, 48).parameters()) for name in SMALL}
    assert 0.65e6 < count["thin_resnet18"] < 0.75e6
    assert count["thin_resnet10"] < 0.35e6
    assert 1.3e6 < count["thin_resnet34"] < 1.4e6


@pytest.mark.parametrize(
    ("name", "width"), [("thin_resnet10x0.5", 64), ("thin_resnet18x1.5", 192), ("thin_resnet34x2", 256)]
)
def test_a_name_may_state_a_width(name, width):
    model = build_model(name, 7, 1, 48)
    assert model.head.in_features == width
    assert model(torch.zeros(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize(
    "name", ["thin_resnet18x0", "thin_resnet18x0.1", "thin_resnet18x", "thin_resnet50", "thin_vggx2"]
)
def test_other_widths_and_depths_are_unknown(name):
    with pytest.raises(FerError, match="is unknown"):
        build_model(name, 7, 1, 48)


def test_networks_that_take_one_size_only_are_told_apart():
    for name in ("thin_resnet18", "resnet18", "thin_vgg", "timm:mobilenetv3_small_050"):
        model = build_model(name, 7, 1, 48)
        require_any_size(model, name, 1, 32)
        assert model.training
    for name in ("baseline_mlp", "timm:vit_tiny_patch16_224"):
        with pytest.raises(FerError, match=f"start_px 32: expected a network .* found {name}"):
            require_any_size(build_model(name, 7, 1, 48), name, 1, 32)


@pytest.mark.parametrize("size_px", [8, 16, 24, 40, 48, 96, 224])
def test_the_thin_vgg_takes_faces_of_any_size(size_px):
    model = build_model("thin_vgg", 7, 1, size_px).eval()
    assert model(torch.zeros(1, 1, size_px, size_px)).shape == (1, 7)
    assert sum(p.numel() for p in model.parameters()) < 0.45e6


def test_the_thin_vgg_has_no_shortcuts_and_knows_where_things_are():
    model = build_model("thin_vgg", 7, 1, 48).eval()
    assert not [name for name, _ in model.named_modules() if "shortcut" in name]
    places = torch.rand(2, 128, 3, 3)
    upside_down = places.flip(2)
    torch.testing.assert_close(places.mean(dim=(2, 3)), upside_down.mean(dim=(2, 3)))  # what a ResNet's head sees
    assert not torch.allclose(model.body.hidden(places), model.body.hidden(upside_down), atol=1e-3)


def test_the_seed_alone_decides_the_weights_and_the_global_state_stays():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, same, other = (build_model("thin_resnet10", 7, 1, 16, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.head.weight, other.head.weight)


def test_pretrained_weights_of_colour_models_are_summed_for_grey(tmp_path):
    colour = build_model("resnet18", 10, 3, 48, seed=1)
    save_file({f"{key}": value for key, value in colour.body.state_dict().items()}, tmp_path / "w.safetensors")
    grey = build_model("resnet18", 7, 1, 48, seed=2, weights=tmp_path / "w.safetensors").eval()
    images = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        expected = colour.eval().features(images.expand(-1, 3, -1, -1))
        torch.testing.assert_close(grey.features(images), expected, rtol=1e-3, atol=1e-4)


def test_pretrained_weights_of_grey_models_are_spread_over_colours(tmp_path):
    grey = build_model("resnet18", 10, 1, 48, seed=1)
    save_file(grey.body.state_dict(), tmp_path / "w.safetensors")
    colour = build_model("resnet18", 7, 3, 48, seed=2, weights=tmp_path / "w.safetensors").eval()
    images = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        expected = grey.eval().features(images)
        torch.testing.assert_close(colour.features(images.expand(-1, 3, -1, -1)), expected, rtol=1e-3, atol=1e-4)


def test_a_stem_for_large_pictures_and_a_head_are_left_out(tmp_path):
    from torchvision.models import resnet18

    whole = resnet18(weights=None)  # as a file from the web: 7x7 stem, head of 1000 classes
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    model = build_model("resnet18", 7, 1, 48, seed=2, weights=tmp_path / "w.safetensors")
    fresh = build_model("resnet18", 7, 1, 48, seed=2)
    assert torch.equal(model.body.conv1.weight, fresh.body.conv1.weight)
    assert torch.equal(model.head.weight, fresh.head.weight)
    assert torch.equal(model.body.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)


def test_this_projects_own_checkpoints_serve_as_pretrained_weights(tmp_path):
    first = build_model("thin_resnet10", 8, 1, 16, seed=1)
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    second = build_model("thin_resnet10", 7, 1, 16, seed=2, weights=tmp_path / "model.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(first.body.parameters(), second.body.parameters(), strict=True))


def test_refuses_weights_that_are_not_finite_or_shaped_strangely(tmp_path):
    state = build_model("thin_resnet10", 7, 1, 16).body.state_dict()
    state["stem.0.weight"] = torch.full_like(state["stem.0.weight"], float("nan"))
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(FerError, match=r"expected finite numbers, found others in 1 tensors \(first: stem.0.weight\)"):
        build_model("thin_resnet10", 7, 1, 16, weights=tmp_path / "nan.safetensors")
    strange = {key: torch.zeros(2, 3, 1, 1) for key in state}
    save_file(strange, tmp_path / "strange.safetensors")
    with pytest.raises(FerError, match="found 0 of"):
        build_model("thin_resnet10", 7, 1, 16, weights=tmp_path / "strange.safetensors")


def test_refuses_weights_of_another_model(tmp_path):
    save_file({"some.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FerError, match="found 0 of"):
        build_model("thin_resnet10", 7, 1, 16, weights=tmp_path / "other.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(FerError, match="expected a safetensors file"):
        build_model("thin_resnet10", 7, 1, 16, weights=tmp_path / "broken.safetensors")
    with pytest.raises(FerError, match="expected a safetensors file"):
        build_model("thin_resnet10", 7, 1, 16, weights=tmp_path / "missing.safetensors")


def test_refuses_unknown_names():
    with pytest.raises(FerError, match="expected one of thin_resnet10, thin_resnet18"):
        build_model("resnet19", 7, 1, 48)
    with pytest.raises(FerError, match=r"timm has no model 'resnet18x'; it has \w*resnet18x?|timm has no model"):
        build_model("timm:resnet18x", 7, 1, 48)
