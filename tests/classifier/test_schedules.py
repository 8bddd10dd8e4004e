import pytest
import torch

from classifier.schedules import learning_rate_at


def test_one_cycle_rises_to_its_peak_and_falls_to_almost_nothing():
    rates = [learning_rate_at(step, 100, 0.4, 0.25) for step in range(100)]
    assert rates[0] == pytest.approx(0.4 / 25) and max(rates) == rates[25] == 0.4
    assert rates[:26] == sorted(rates[:26]) and rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[-1] < 0.4 / 500
    assert learning_rate_at(0, 1, 0.4, 0.0) == 0.4


def test_cosine_is_torchs_after_a_straight_warm_up():
    rates = [learning_rate_at(step, 100, 0.4, 0.1, "cosine") for step in range(100)]
    assert rates[:10] == pytest.approx([0.4 * (step + 1) / 11 for step in range(10)])
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=0.4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 90)
    for rate in rates[10:]:
        assert rate == pytest.approx(schedule.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        schedule.step()
    assert learning_rate_at(0, 1, 0.4, 0.0, "cosine") == 0.4
