import pytest

from fer_data.configuration import PRESETS, Configuration, build, find_preset, read_yaml, resolve
from fer_data.errors import FerError


class Inner(Configuration):
    depth: int = 3


class Outer(Configuration):
    seed: int = 0
    name: str = "a"
    inner: Inner = Inner()


def test_later_sources_win(tmp_path):
    (tmp_path / "c.yaml").write_text("seed: 1\nname: file\ninner: {depth: 4}\n")
    found = resolve(Outer, tmp_path / "c.yaml", ["name=set", "inner.depth=5"], seed=7, name=None)
    assert found == Outer(seed=7, name="set", inner=Inner(depth=5))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["sed=1"], "unknown key 'sed'; did you mean 'seed'"),
        (["inner.deep=1"], "unknown key 'inner.deep'; did you mean 'depth'"),
        (["seed=x"], "seed: .*found 'x'"),
        (["seed"], "expected key=value"),
        (["seed=[1"], "not valid YAML"),
        (["seed=1", "seed.deep=1"], "seed holds a value"),
    ],
)
def test_a_wrong_setting_gets_its_sentence(settings, sentence):
    with pytest.raises(FerError, match=sentence):
        resolve(Outer, None, settings)


def test_presets_are_found_by_name_and_nothing_outside_them():
    name = next(iter(sorted(PRESETS.glob("*.yaml")))).stem
    assert find_preset(name).resolve() == find_preset(f"configs/{name}.yaml").resolve()
    with pytest.raises(FerError, match="no such file or preset; presets are"):
        find_preset("../pyproject")


def test_broken_yaml_is_told(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1")
    with pytest.raises(FerError, match="expected YAML"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("- 1")
    with pytest.raises(FerError, match="found list"):
        read_yaml(tmp_path / "b.yaml")


def test_build_names_the_place():
    with pytest.raises(FerError, match="arm 2: seed"):
        build(Outer, {"seed": "x"}, "arm 2")
