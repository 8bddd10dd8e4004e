import csv

import numpy as np
import pytest
import torch

from classifier.rate_finder import find_rate
from classifier.training import train
from fer_data.errors import FerError
from fer_data.expressions import BASIC7


def test_the_suggested_rate_learns_better_than_far_smaller_and_far_larger_ones(tmp_path, striped_faces, tiny):
    curve = find_rate(striped_faces(140), BASIC7, tiny, steps=60)
    losses = {}
    for factor in (0.01, 1.0, 300.0):
        config = tiny.model_copy(update={"learning_rate": factor * curve.suggested, "steps": 24, "evaluations": 3})
        checkpoint = train(striped_faces(140), striped_faces(70, 1), BASIC7, config, tmp_path / f"{factor}")
        losses[factor] = read_score(checkpoint)
    assert losses[1.0] < losses[0.01] and losses[1.0] < losses[300.0]


def read_score(checkpoint) -> float:
    import json

    return json.loads((checkpoint / "classifier.json").read_text())["chosen"]["val"]["cross_entropy"]


def test_the_rates_grow_evenly_and_the_curve_is_kept(tmp_path, striped_faces, tiny):
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    curve = find_rate(striped_faces(70), BASIC7, tiny, steps=40)
    assert torch.equal(torch.random.get_rng_state(), before)
    ratios = np.array(curve.rates[1:]) / curve.rates[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-9)
    assert curve.rates[0] == 1e-5 and len(curve.rates) == len(curve.losses) == len(curve.smoothed) <= 40
    lowest = curve.rates[int(np.argmin(curve.smoothed))]
    assert curve.suggested == pytest.approx(lowest / 3, rel=0.5)
    with curve.write(tmp_path / "runs" / "rates.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["loss"]) for row in rows] == curve.losses
    again = find_rate(striped_faces(70), BASIC7, tiny, steps=40)
    assert again == curve


def test_smoothing_starts_at_the_first_loss(striped_faces, tiny):
    curve = find_rate(striped_faces(70), BASIC7, tiny, steps=30)
    weights = [0.9 ** np.arange(count)[::-1] for count in range(1, len(curve.losses) + 1)]
    expected = [np.average(curve.losses[: len(weight)], weights=weight) for weight in weights]
    np.testing.assert_allclose(curve.smoothed, expected, rtol=1e-6)


def test_a_loss_that_never_falls_is_told(striped_faces, tiny):
    with pytest.raises(FerError, match="expected a loss that falls at first, found none"):
        find_rate(striped_faces(70), BASIC7, tiny, steps=1)
    with pytest.raises(FerError, match="found none of disgust"):
        faces = striped_faces(70)
        find_rate(faces.select(faces.classes != 1), BASIC7, tiny)
