import io

import pytest
from rich.console import Console

from experiments.stages import Stages


class Work:
    """Counts its calls and writes a file."""

    def __init__(self, path):
        self.path, self.calls = path, 0

    def __call__(self):
        self.calls += 1
        self.path.write_text("x")
        return f"call {self.calls}"


def run(folder, first, second, *, settings=1, second_settings=1):
    screen = io.StringIO()
    stages = Stages(folder, 2, Console(file=screen))
    stages.run("one", settings, [first.path], first)
    stages.run("two", second_settings, [second.path], second)
    return stages, screen.getvalue()


@pytest.fixture
def works(tmp_path):
    return Work(tmp_path / "a"), Work(tmp_path / "b")


def test_what_is_done_is_not_done_again(tmp_path, works):
    run(tmp_path, *works)
    stages, screen = run(tmp_path, *works)
    assert [work.calls for work in works] == [1, 1]
    assert set(stages.seconds) == {"one", "two"}
    assert "[1/2] one  done before" in screen and "call 1" in screen


def test_a_change_is_done_again_with_all_that_follows(tmp_path, works):
    run(tmp_path, *works)
    run(tmp_path, *works, second_settings=2)
    assert [work.calls for work in works] == [1, 2]
    run(tmp_path, *works, settings=2, second_settings=2)
    assert [work.calls for work in works] == [2, 3]


def test_a_lost_output_is_made_again_and_what_follows_looks_again(tmp_path, works):
    run(tmp_path, *works)
    works[1].path.unlink()
    run(tmp_path, *works)
    assert [work.calls for work in works] == [1, 2]
    works[0].path.unlink()
    run(tmp_path, *works)
    assert [work.calls for work in works] == [2, 3]


def test_an_interrupted_stage_keeps_its_files_and_its_seconds(tmp_path, works):
    def fails():
        (tmp_path / "a").write_text("half")
        raise RuntimeError

    stages = Stages(tmp_path, 1, Console(file=io.StringIO()))
    with pytest.raises(RuntimeError):
        stages.run("one", 1, [tmp_path / "a"], fails)
    seen = []
    again = Stages(tmp_path, 1, Console(file=io.StringIO()))
    again.run("one", 1, [tmp_path / "a"], lambda: seen.append((tmp_path / "a").read_text()) or "went on")
    assert seen == ["half"]
