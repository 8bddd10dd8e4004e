"""How sampling_speed.py judges that two ways of drawing are equally good, and what it chooses by."""

import argparse
import importlib
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.kid_differences import kid_difference
from generators.fidelity.distances import kernel_distance, polynomial_mmd2
from generators.fidelity.estimates import around
from generators.pixels import SAMPLE_BATCH

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def program(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("sampling_speed")


@pytest.fixture
def settings(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("sampling_settings")


def features(count: int, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(count, 6)) + shift).astype(np.float32)


def test_the_difference_is_that_of_the_two_kids():
    real, ours, peer = features(40), features(25, 0.3, 1), features(25, 0.1, 2)
    found = kid_difference(real, ours, peer)
    expected = kernel_distance(real, ours).value - kernel_distance(real, peer).value
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.count == 25
    swapped = kid_difference(real, peer, ours)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))
    assert kid_difference(real, ours, ours).high == pytest.approx(0, abs=1e-12)
    with pytest.raises(ValueError, match="found 25 and 24"):
        kid_difference(real, ours, peer[:24])


def test_its_interval_leaves_out_each_real_face_and_each_pair():
    real, ours, peer = (features(*each).astype(np.float64) for each in ((9,), (7, 0.5, 1), (7, 0.2, 2)))

    def difference(reals: np.ndarray, pairs: np.ndarray) -> float:
        return polynomial_mmd2(real[reals], ours[pairs]) - polynomial_mmd2(real[reals], peer[pairs])

    every = np.arange(9), np.arange(7)
    by_real = [difference(np.delete(every[0], row), every[1]) for row in range(9)]
    by_pair = [difference(every[0], np.delete(every[1], row)) for row in range(7)]
    error = (8 * np.var(by_real) + 6 * np.var(by_pair)) ** 0.5
    found = kid_difference(*(each.astype(np.float32) for each in (real, ours, peer)))
    assert found.standard_error == pytest.approx(error, rel=1e-4)


def test_what_both_share_does_not_widen_the_interval():
    """As where two solvers start from the same noise."""
    real, ours = features(200), features(100, 0.2, 1)
    alike, unlike = ours + features(100, 0.05, 2) * 0.05, features(100, 0.25, 3)
    apart = [kid_difference(real, ours, peer).standard_error for peer in (alike, unlike)]
    alone = kernel_distance(real, ours).standard_error
    assert apart[0] < 0.3 * alone < apart[1]


def measured(program, setting, found: np.ndarray, seconds: float):
    """Faces of a setting whose features and times are given."""
    drawn = program.Drawn(setting, (), np.zeros((len(found), 1, 4, 4), np.uint8), (seconds, 3 * seconds, 2 * seconds))
    return program.Measured(drawn, found, around(0.0, 1.0, len(found)), None)


def test_the_fastest_setting_that_is_shown_to_be_as_good_is_chosen(program):
    real, as_good = features(300), features(120, 0.3, 1)
    peer, slow, fast, bad = (program.Setting(solver, 4) for solver in ("ddpm", "euler", "dpm", "unipc"))
    found = {
        peer: measured(program, peer, as_good, 100),
        slow: measured(program, slow, as_good + np.float32(0.001), 3),
        fast: measured(program, fast, as_good + np.float32(0.002), 2),
        bad: measured(program, bad, features(120, 0.9, 3), 1),
    }
    assert program.choose(found, peer, real, margin=0.1) == fast
    del found[fast], found[slow]
    assert program.choose(found, peer, real, margin=0.1) == bad  # there is no other
    closer = program.Setting("heun", 4)
    found[closer] = measured(program, closer, features(120, 0.7, 4), 9)
    assert program.choose(found, peer, real, margin=0.1) == closer


def test_too_few_faces_show_nothing_to_be_equal(program):
    """A point estimate would have called these equal."""
    real, peer = features(300), program.Setting("ddpm", 4)
    theirs = measured(program, peer, features(4, 0.5, 1), 10)
    ours = measured(program, program.Setting("dpm", 4), features(4, 0.3, 2), 1)
    assert program.difference(ours, theirs, real).value < 0
    line = program.ratio_figure(ours, theirs, real, 0.1, promised=True)
    assert line["ratio"] == 10 and line["equal_kid"] is False and line["reached"] is False


@pytest.mark.parametrize(("seconds", "reached"), [(0.1, True), (1.0, False)])
def test_the_ratio_is_that_of_the_median_times(program, seconds, reached):
    real, same = features(300), features(120, 0.3, 1)
    ours = measured(program, program.Setting("dpm", 8), same, seconds)
    theirs = measured(program, program.Setting("ddpm", 1000), same, 10)
    line = program.ratio_figure(ours, theirs, real, 0.05, promised=True)
    assert line["equal_kid"] is True and line["reached"] is reached
    assert line["ratio"] == pytest.approx(10 / seconds)
    assert line["value"] == pytest.approx(2 * seconds / SAMPLE_BATCH, abs=1e-4)
    assert line["peer_value"] == pytest.approx(20 / SAMPLE_BATCH, abs=1e-4)


def test_what_is_reported_shares_no_seed_with_what_was_chosen_by(settings):
    asked = [settings.Asked("fear", None)] * 7
    setting = settings.Setting("dpm", 4)
    first, fresh = (settings.batches_of(setting, asked, 70, start) for start in (0, 96))
    seeds = [{batch.start + row for batch in batches for row in range(SAMPLE_BATCH)} for batches in (first, fresh)]
    assert [len(each) for each in seeds] == [96, 96]
    assert not seeds[0] & seeds[1]


@pytest.mark.parametrize(("faces", "ddpm_faces"), [(70, 40), (40, 70), (40, 0)])
def test_the_ratio_rests_on_faces_that_nothing_was_chosen_by(program, monkeypatch, tmp_path, faces, ddpm_faces):
    random, drawn = np.random.default_rng(0), []

    def pictures(count):
        return random.integers(0, 256, (count, 1, 8, 8), dtype=np.uint8)

    def draw_settings(model, batches, work):
        drawn.append({(batch.setting, batch.start + row) for batch in batches for row in range(SAMPLE_BATCH)})
        counts = Counter(batch.setting for batch in batches)
        return [
            program.Drawn(
                setting, (program.Asked("fear", None),) * 32 * own, pictures(32 * own), (setting.steps,) * own
            )
            for setting, own in counts.items()
        ]

    asked = [program.Asked("fear", None)] * 50
    monkeypatch.setattr(program, "real_faces", lambda arguments, split, limit: (pictures(60), asked))
    monkeypatch.setattr(program, "draw_settings", draw_settings)
    arguments = argparse.Namespace(
        judge=None,
        model=None,
        faces=faces,
        ddpm_faces=ddpm_faces,
        ddpm_steps=40,
        steps_of={"euler": (4, 8)},
        quick=False,
    )
    lines = list(program.quality_figures(arguments, tmp_path))
    peer, ours = program.Setting("ddpm", 40), [program.Setting("euler", steps) for steps in (4, 8)]
    assert {setting for setting, _ in drawn[0]} == {*ours, *([peer] if ddpm_faces else [])}
    if not ddpm_faces:
        assert len(drawn) == 1 and len(lines) == 1 + len(ours)
        return
    (fresh,) = drawn[1:]
    assert not {seed for _, seed in drawn[0]} & {seed for _, seed in fresh}
    whole_batches = SAMPLE_BATCH * -(-ddpm_faces // SAMPLE_BATCH)
    counts = Counter(setting for setting, _ in fresh)
    assert counts.pop(peer) == whole_batches and list(counts.values()) == [whole_batches]
    told, (chosen,) = lines[-1], counts
    assert (told["figure"], told["setting"], told["n"]) == ("seconds per face at equal KID", chosen.name, whole_batches)
    assert told["ratio"] == 40 / chosen.steps


def test_on_a_gpu_one_process_is_timed_by_the_clock(settings, monkeypatch):
    monkeypatch.setattr(settings, "cores", lambda: 5)
    for device, expected in (("cpu", (5, time.process_time)), ("cuda", (1, time.perf_counter))):
        monkeypatch.setattr(settings, "drawing_device", lambda device=device: torch.device(device))
        assert (settings.processes(), settings._clock()) == expected


def test_the_peer_draws_with_the_same_weights_and_other_noise_on_the_way(settings, monkeypatch, tmp_path):
    """Every solver asks the network that the checkpoint holds, DDPM too, under the same guidance."""
    opened, told = [], []

    class Opened:
        channels, size_px = 1, 4
        velocity = staticmethod(lambda images, *_: images)

        def __init__(self, options):
            from generators.condition import Vocabulary

            opened.append(options)
            self.vocabulary = Vocabulary(("fear",), (), ("low",))

        def sample(self, conditions, seeds):
            return np.zeros((len(seeds), 1, 4, 4), np.uint8)

    model = settings.Model(tmp_path, {"guidance": 2})
    monkeypatch.setattr(settings, "load_generator", lambda path, options: Opened({"path": path, **options}))
    draw_ddpm = settings.draw_ddpm
    monkeypatch.setattr(settings, "draw_ddpm", lambda *given: told.append(given) or draw_ddpm(*given))
    draw = settings._drawer(model)
    for solver in ("dpm", "ddpm"):
        (batch,) = settings.batches_of(settings.Setting(solver, 4), [settings.Asked("fear", "low")], 1, 32)
        assert draw(batch)[0].shape == (SAMPLE_BATCH, 1, 4, 4)
    same = {"path": tmp_path, "guidance": 2}
    assert opened == [{**same, "steps": 1}, {**same, "solver": "dpm", "steps": 4}, same]
    ((velocity, start, conditions, seed, steps),) = told
    assert velocity is Opened.velocity and steps == 4
    assert conditions.tolist() == [[0, 0, 0]] * SAMPLE_BATCH
    assert seed not in range(32, 64)  # which are the seeds of `start`
    assert np.array_equal(start, settings.noise(np.arange(32, 64), (1, 4, 4)))
