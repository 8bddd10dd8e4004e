from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from fer_data import conditions as real_conditions
from fer_data.errors import FerError
from generators.contract import GuideSource
from generators.drawing import requests as drawing
from generators.drawing.chunks import Chunk
from generators.drawing.requests import Opening, Request, draw_requests, put_on

SHAPE = (4, 1, 16, 16)


class Echo:
    """Draws its condition and seed, and tells how many threads it had."""

    def __init__(self):
        self.threads = []

    def sample(self, conditions, seeds, faces=None):
        self.threads.append(torch.get_num_threads())
        start = np.zeros((len(seeds), 1, 16, 16)) if faces is None else faces
        return (start + conditions[:, :1, None, None] + seeds[:, None, None, None]).astype(np.uint8)


def request(number, **more):
    rows = np.arange(4, dtype=np.int64)
    chunk = Chunk(Path(f"{number}"), slice(0, 4), SHAPE)
    return Request(0, chunk, np.stack([rows + number] * 3, axis=1), rows, **more)


def test_requests_are_drawn_here_with_one_thread():
    echo = Echo()
    torch.set_num_threads(2)
    try:
        drawn = dict(
            (asked.chunk.path.name, pictures)
            for asked, pictures in draw_requests(Opening((), {}), [echo], map(request, range(3)), 3, 1)
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert echo.threads == [1, 1, 1]
    assert drawn["2"][:, 0, 0, 0].tolist() == [2, 4, 6, 8]


def test_faces_are_handed_to_the_generator():
    faces = np.full(SHAPE, 100, np.uint8)
    assert request(1, faces=faces).draw([Echo()])[:, 0, 0, 0].tolist() == [101, 103, 105, 107]


@pytest.mark.parametrize(
    ("processes", "seconds_each", "gpu", "guide", "elsewhere"),
    [
        (1, 100, False, None, 0),
        (3, 0, False, None, 3),
        (9, 0, False, None, 4),  # no more than requests
        (0, 100, False, None, 2),  # one per core, and the first was drawn here
        (0, 1, False, None, 0),  # not worth it
        (0, 100, True, None, 0),
        (3, 100, False, GuideSource(lambda: None, "abc"), 0),  # does not pickle
        (3, 100, False, GuideSource(partial(int, "7"), "abc"), 3),
    ],
)
def test_processes_are_started_where_they_pay(monkeypatch, processes, seconds_each, gpu, guide, elsewhere):
    clock = iter(np.arange(100) * float(seconds_each))
    started = []

    def fake_map(start, requests, count):
        started.append(count)
        for asked in requests:
            yield asked, asked.draw([Echo()])

    monkeypatch.setattr(drawing, "map_apart", fake_map)
    monkeypatch.setattr(drawing, "cores", lambda: 2)
    monkeypatch.setattr(drawing.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    found = list(draw_requests(Opening((), {}, guide), [Echo()], map(request, range(4)), 4, processes))
    assert [asked.chunk.path.name for asked, _ in found] == ["0", "1", "2", "3"]
    assert started == ([elsewhere] if elsewhere else [])


@pytest.mark.parametrize("channels", [1, 3])
def test_conditions_are_put_on_each_face_from_its_own_seed(channels):
    faces = np.random.default_rng(0).integers(60, 200, size=(4, channels, 24, 24), dtype=np.uint8)
    before = faces.copy()
    asked = [("mask", "low"), (None, "side"), ("sunglasses", None), (None, None)]
    seeds = np.array([5, 6, 2**62, 8])
    changed = put_on(faces, asked, seeds)
    assert np.array_equal(faces, before)
    assert changed.shape == faces.shape
    assert np.array_equal(changed[3], faces[3])
    for row in range(4):
        assert np.array_equal(put_on(faces[row : row + 1], asked[row : row + 1], seeds[row : row + 1])[0], changed[row])
    assert not np.array_equal(put_on(faces, asked, seeds + 1)[0], changed[0])
    assert changed[0].mean() < faces[0].mean() / 2
    occluding, relighting = np.random.default_rng([5, 1]).integers(2**31, size=2)
    image = faces[0, 0] if channels == 1 else np.ascontiguousarray(faces[0].transpose(1, 2, 0))
    expected = real_conditions.relight(real_conditions.occlude(image, "mask", occluding), "low", relighting)
    assert np.array_equal(expected, changed[0, 0] if channels == 1 else changed[0].transpose(1, 2, 0))


def test_faces_that_are_too_small_to_put_something_on_are_told():
    with pytest.raises(FerError, match="at least 16x16 pixels, found 12x12"):
        put_on(np.zeros((1, 1, 12, 12), np.uint8), [("mask", None)], np.array([0]))
