import torch

from classifier.averaging import WeightAverage
from classifier.models import build_model


def test_averaging_is_the_recursion_for_weights_and_running_statistics():
    network = build_model("thin_resnet10", 7, 1, 16)
    average = WeightAverage(network)
    expected = {key: value.double() for key, value in network.state_dict().items()}
    for step in range(3):
        network.train()(torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(step)))
        with torch.no_grad():
            for value in network.parameters():
                value.add_(0.1 * (step + 1))
        average.update(0.75)
        expected = {key: 0.75 * expected[key] + 0.25 * value for key, value in network.state_dict().items()}
    for key, value in average.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[key], rtol=1e-5, atol=1e-6)
        else:
            assert int(value) == 3  # batches that were counted are taken over, not averaged


def test_it_still_follows_after_weights_were_loaded():
    network, other = (build_model("thin_resnet10", 7, 1, 16, seed=seed) for seed in (0, 1))
    average = WeightAverage(network)
    network.load_state_dict(other.state_dict())
    average.update(0.0)
    assert all(torch.equal(a, b) for a, b in zip(average.network.parameters(), other.parameters(), strict=True))
