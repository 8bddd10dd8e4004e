"""Frames of videos and little XML files, faithful ones and hostile ones."""

import io
import random

import av
import numpy as np
import pytest
from layouts.clips import avi
from layouts.faces import face

from fer_data.adapters.shared import videos
from fer_data.adapters.shared.videos import evenly, is_video, read_frames
from fer_data.adapters.shared.xml_elements import MAX_BYTES, parse_xml
from fer_data.errors import FerError

FACES = [face("happiness", number, 32) for number in range(7)]


def test_evenly_is_in_the_middle_of_equal_parts():
    assert evenly(10, 1) == [5]
    assert evenly(9, 3) == [1, 4, 7]
    assert evenly(3, 3) == [0, 1, 2] == evenly(3, 8)
    for total in range(1, 60):
        for count in range(1, total + 1):
            chosen = evenly(total, count)
            assert len(chosen) == count and chosen == sorted(set(chosen)) and 0 <= chosen[0] <= chosen[-1] < total
            gaps = np.diff([-1 - chosen[0], *chosen, 2 * total - chosen[-1]])[1:-1]
            assert gaps.size == 0 or gaps.max() - gaps.min() <= 1


def test_lossless_grey_frames_come_back_to_the_last_pixel():
    frames = read_frames(avi(FACES, "ffv1", rate=10), lambda total: range(total), "clip")
    assert [frame.number for frame in frames] == list(range(7))
    assert [frame.timestamp_s for frame in frames] == pytest.approx([number / 10 for number in range(7)])
    assert all(np.array_equal(frame.pixels, pixels) for frame, pixels in zip(frames, FACES, strict=True))


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4"])
def test_frames_are_those_that_were_asked_for(codec):
    clip = avi([face("fear", number, 32, colour=True) for number in range(7)], codec)
    frames = read_frames(clip, lambda total: [total - 1, 2, 2], "clip")
    assert [frame.number for frame in frames] == [2, 6]
    for frame in frames:
        distances = [
            np.abs(frame.pixels.astype(int) - face("fear", number, 32, colour=True)).mean() for number in range(7)
        ]
        assert int(np.argmin(distances)) == frame.number
    assert read_frames(clip, lambda total: [], "clip") == []


@pytest.mark.parametrize("data", [b"", b"RIFF", b"\x00" * 500, b"\x89PNG\r\n\x1a\n", b"#EXTM3U\nfile:///etc/passwd\n"])
def test_what_is_no_avi_is_refused(data):
    with pytest.raises(FerError, match="clip: expected a whole AVI video, found one that does not decode"):
        read_frames(data, lambda total: [0], "clip")


def test_frames_that_are_not_there_are_refused():
    with pytest.raises(FerError, match="clip: expected 7 frames that decode, found fewer"):
        read_frames(avi(FACES, "ffv1"), lambda total: [total], "clip")


def test_bounds_hold(monkeypatch):
    clip = avi(FACES, "ffv1")
    monkeypatch.setattr(videos, "MAX_FRAMES", 6)
    with pytest.raises(FerError, match="clip: expected 1 to 6 frames, found 7"):
        read_frames(clip, lambda total: [0], "clip")
    monkeypatch.setattr(videos, "MAX_FRAMES", 7)
    monkeypatch.setattr(videos, "MAX_KEPT_BYTES", 3000)
    assert len(read_frames(clip, lambda total: [0, 3], "clip")) == 2
    with pytest.raises(FerError, match="clip: expected frames that fit into 3,000 bytes, found larger ones"):
        read_frames(clip, lambda total: [0, 3, 6], "clip")
    monkeypatch.setattr(videos, "MAX_PIXELS", 1000)
    with pytest.raises(FerError, match="clip: expected frames of 1 to 1,000 pixels, found 32x32"):
        read_frames(clip, lambda total: [0], "clip")


def test_a_codec_that_nobody_knows_is_refused():
    clip = avi(FACES, "mjpeg").replace(b"MJPG", b"ZZZZ")
    with pytest.raises(FerError, match="clip: expected a video that FFmpeg can decode, found an unknown codec"):
        read_frames(clip, lambda total: [0], "clip")


def test_a_frame_may_not_grow_within_the_video(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    clip = avi([np.zeros((32, 32, 3), np.uint8), noise])
    large = avi([np.zeros((64, 64, 3), np.uint8)])
    picture = large[large.index(b"\xff\xd8\xff") : large.index(b"\xff\xd9") + 2]
    second = clip.rindex(b"\xff\xd8\xff")
    grown = clip[:second] + picture + clip[second + len(picture) :]
    sizes = [frame.pixels.shape[0] for frame in read_frames(grown, lambda total: [0, 1], "clip")]
    assert sizes == [32, 64]
    monkeypatch.setattr(videos, "_BOUNDS", {"max_pixels": "3000"})
    with pytest.raises(FerError, match="clip: expected a whole AVI video"):
        read_frames(grown, lambda total: [0, 1], "clip")
    assert len(read_frames(clip, lambda total: [0, 1], "clip")) == 2


def test_pictures_that_are_too_large_are_not_even_probed(monkeypatch):
    monkeypatch.setattr(videos, "_BOUNDS", {"max_pixels": "500"})
    with pytest.raises(FerError, match="clip: expected frames of 1 to 40,000,000 pixels, found 0x0"):
        read_frames(avi(FACES), lambda total: [0], "clip")


def test_a_video_without_pictures_is_refused():
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(FerError, match="clip: expected a video stream, found none"):
        read_frames(buffer.getvalue(), lambda total: [0], "clip")


def test_damaged_videos_decode_or_are_one_sentence():
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    clip = avi(FACES, "mpeg4")
    refused = 0
    for _ in range(60):
        data = bytearray(clip[: rng.randrange(len(clip)) if rng.random() < 0.3 else len(clip)])
        for _ in range(rng.randrange(1, 12)):
            if data:
                data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            frames = read_frames(bytes(data), lambda total: evenly(total, 3), "clip")
        except FerError as error:
            refused += 1
            assert str(error).startswith("clip: expected ")
        else:
            assert all(frame.pixels.dtype == np.uint8 for frame in frames)
    assert refused


def test_only_avi_counts_as_a_clip():
    assert is_video("a/B.AVI") and not is_video("a.mp4") and not is_video("avi")


def test_xml_is_a_tree_of_elements():
    root = parse_xml(b"<a x='1'><b><c n='2'/></b><c n='3'>text</c></a>", "here")
    assert root.get("x") == "1" and [node.get("n") for node in root.iter("c")] == ["2", "3"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"<!DOCTYPE a><a/>", "without document type and entities"),
        (b"<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>", "without document type and entities"),
        (b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "without document type and entities"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".encode("utf-16"), "without document type and entities"),
        (b"<a>&b;</a>", "expected XML, found something else"),
        (b"<a><b></a>", "expected XML, found something else"),
        (b"<a/><b/>", "expected XML, found something else"),
        (b"", "expected XML, found something else"),
        (b"\xff\xff", "expected XML, found something else"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "expected XML, found something else"),
        (b" " * (MAX_BYTES + 1), "bytes of XML, found"),
    ],
)
def test_hostile_xml_is_refused(data, sentence):
    with pytest.raises(FerError, match=f"here: .*{sentence}"):
        parse_xml(data, "here")
