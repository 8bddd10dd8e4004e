"""Plans: what they ask for, that they survive a file, and what a manifest got of them."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fer_data import balance
from fer_data.balance import BalanceConfig, Cell, Plan, fulfilment, make_plan, read_plan, write_plan
from fer_data.configuration import resolve
from fer_data.errors import FerError
from fer_data.expressions import BASIC7

COUNTS = {"anger": 8, "disgust": 2, "fear": 4, "happiness": 20, "sadness": 6, "surprise": 6, "neutral": 10}


def labels_of(counts: dict[str, int]) -> list[str]:
    return [label for label, count in counts.items() for _ in range(count)]


@pytest.fixture
def unconditioned(noise_manifest):
    """Training faces of COUNTS whose conditions nobody knows, and test faces that must not count."""
    labels = labels_of(COUNTS)
    return noise_manifest([*labels, *["disgust"] * 9, None], ["train"] * len(labels) + ["test"] * 9 + ["train"])


def asked(plan: Plan) -> dict[tuple, int]:
    return {cell.key: cell.count for cell in plan.cells if cell.count}


def test_every_label_is_filled_up_to_the_largest(unconditioned):
    plan = make_plan(unconditioned, BalanceConfig())
    assert asked(plan) == {(label, None, None): 20 - n for label, n in COUNTS.items() if n < 20}
    assert [cell.label for cell in plan.cells] == list(BASIC7)
    assert all(cell.have == COUNTS[cell.label] and cell.target == 20 for cell in plan.cells)
    assert plan.asked == sum(20 - n for n in COUNTS.values())
    assert (plan.label_set, plan.manifest) == ("basic7", "manifests/noise.parquet")
    assert plan.manifest_sha256 == unconditioned.sha256


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("median", {"disgust": 4, "fear": 2}),
        (7, {"disgust": 5, "fear": 3, "sadness": 1, "surprise": 1}),
        ({"fear": 9, "happiness": 1}, {"fear": 5}),
        (0, {}),
    ],
)
def test_targets(unconditioned, target, expected):
    plan = make_plan(unconditioned, BalanceConfig(target=target))
    assert {label: count for (label, _, _), count in asked(plan).items()} == expected


def test_only_the_labels_named_are_filled(unconditioned):
    plan = make_plan(unconditioned, BalanceConfig(labels=("fear", "disgust")))
    assert {cell.label for cell in plan.cells} == {"fear", "disgust"}


def test_faces_are_spread_over_the_conditions_asked_for(unconditioned):
    config = BalanceConfig(labels=("disgust",), occlusions=("mask", "sunglasses"), lights=("normal", "low"))
    plan = make_plan(unconditioned, config)
    assert asked(plan) == {
        ("disgust", "mask", "normal"): 5,
        ("disgust", "mask", "low"): 5,
        ("disgust", "sunglasses", "normal"): 4,
        ("disgust", "sunglasses", "low"): 4,
    }
    unknown = plan.cells[-1]
    assert unknown == Cell("disgust", None, None, have=2, target=2, count=0)


def test_shares_weigh_the_conditions(unconditioned):
    config = BalanceConfig(
        labels=("disgust",), occlusions=("mask", "unknown"), lights=("normal", "low"), shares={"low": 2, "mask": 2}
    )
    assert asked(make_plan(unconditioned, config)) == {
        ("disgust", "mask", "normal"): 4,
        ("disgust", "mask", "low"): 8,
        ("disgust", None, "normal"): 2,
        ("disgust", None, "low"): 4,
    }


@pytest.fixture
def conditioned(noise_manifest):
    """12 happy faces; fear: 6 none/normal, 1 mask/normal, 1 mask/low; no other label."""
    facts = [{"occlusion": "none", "light": "normal"}] * 18 + [
        {"occlusion": "mask", "light": "normal"},
        {"occlusion": "mask", "light": "low"},
    ]
    return noise_manifest(["happiness"] * 12 + ["fear"] * 8, ["train"] * 20, facts=facts)


def test_conditions_left_open_are_shared_as_the_label_shows_them(conditioned):
    config = BalanceConfig(labels=("fear",), target=16)
    assert asked(make_plan(conditioned, config)) == {
        ("fear", "none", "normal"): 6,
        ("fear", "mask", "normal"): 1,
        ("fear", "mask", "low"): 1,
    }
    half_open = BalanceConfig(labels=("fear",), target=16, occlusions=("sunglasses",))
    assert asked(make_plan(conditioned, half_open)) == {
        ("fear", "sunglasses", "normal"): 7,
        ("fear", "sunglasses", "low"): 1,
    }


def test_what_a_label_has_already_is_taken_into_account(conditioned):
    config = BalanceConfig(labels=("fear",), occlusions=("none", "mask"), lights=("normal", "low"))
    cells = {cell.key[1:]: cell for cell in make_plan(conditioned, config).cells}
    assert {key: cell.have for key, cell in cells.items()} == {
        ("none", "normal"): 6, ("none", "low"): 0, ("mask", "normal"): 1, ("mask", "low"): 1,
    }  # fmt: skip
    assert {key: cell.count for key, cell in cells.items()} == {
        ("none", "normal"): 0, ("none", "low"): 2, ("mask", "normal"): 1, ("mask", "low"): 1,
    }  # fmt: skip


def test_a_label_without_faces_takes_the_conditions_of_all(conditioned):
    plan = make_plan(conditioned, BalanceConfig(labels=("disgust",), target=20))
    assert asked(plan) == {
        ("disgust", "none", "normal"): 18,
        ("disgust", "mask", "normal"): 1,
        ("disgust", "mask", "low"): 1,
    }


@given(
    st.integers(0, 500),
    st.lists(st.tuples(st.integers(0, 60), st.floats(0.01, 10)), min_size=1, max_size=12),
)
def test_filling_raises_the_lowest_cells_to_one_level(missing, cells):
    have = np.array([count for count, _ in cells], dtype=np.float64)
    shares = np.array([share for _, share in cells])
    counts = balance.fill(missing, have, shares)
    assert counts.sum() == missing
    assert (counts >= 0).all()
    # No face could move to a cell that is lower by more than the one face that rounding costs.
    for giver in np.flatnonzero(counts):
        assert ((have + counts + 1) / shares >= (have + counts - 1)[giver] / shares[giver] - 1e-6).all()


def test_a_manifest_without_training_faces_has_no_plan(noise_manifest):
    with pytest.raises(FerError, match="labelled faces in the training split"):
        make_plan(noise_manifest(["fear"], ["test"]), BalanceConfig())


def test_labels_outside_the_set_are_refused(unconditioned):
    for config in (BalanceConfig(labels=("contempt",)), BalanceConfig(target={"contempt": 5})):
        with pytest.raises(FerError, match="expected labels of basic7 .* found contempt"):
            make_plan(unconditioned, config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["occlusions=[hat]"], "out of none, mask"),
        (["occlusions=[]"], "out of none, mask"),
        (["lights=[low, low]"], "out of normal, low"),
        (["lights=[mask]"], "out of normal, low"),
        (["shares={hat: 1}"], "shares of none, mask"),
        (["shares={mask: 0}"], "greater than 0"),
        (["target=-1"], "expected largest, median, a number of faces, or a number per label, found -1"),
        (["target=smallest"], "expected largest, median"),
        (["target={fear: x}"], "expected largest, median"),
        (["label=[fear]"], "did you mean 'labels'"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(FerError, match=message):
        resolve(BalanceConfig, settings=settings)


def test_a_plan_survives_its_file(unconditioned, tmp_path):
    plan = make_plan(unconditioned, BalanceConfig(occlusions=("mask", "unknown"), lights=("low",)))
    path = write_plan(plan, tmp_path / "plans" / "rare.yaml")
    assert read_plan(path) == plan
    with pytest.raises(FerError, match="--replace"):
        write_plan(plan, path)
    write_plan(plan, path, replace=True)
    assert sum(line.startswith("- {label:") for line in path.read_text().splitlines()) == len(plan.cells)


CELL = {"label": "fear", "occlusion": None, "light": "low", "have": 1, "target": 3, "count": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "table"}, "'plan'"),
        ({"label_set": "basic9"}, "label set 'basic9' is unknown"),
        ({"cells": [{**CELL, "label": "contempt"}]}, r"cell 0: expected a label of basic7 \(anger"),
        (
            {"cells": [CELL, {**CELL, "occlusion": "hat"}]},
            r"cell 1: expected an occlusion \(none, .* null\), found 'hat'",
        ),
        ({"cells": [{**CELL, "light": "dim"}]}, "cell 0: expected a light"),
        ({"cells": [{**CELL, "count": -1}]}, "cells.0.count: .*greater than or equal to 0"),
        ({"cells": [{**CELL, "count": 1.5}]}, "cells.0.count"),
        ({"cells": [{**CELL, "counts": 1}]}, "unknown key"),
        ({"cells": [CELL, CELL]}, "cell 1: expected every cell once"),
        ({"cells": None}, "cells"),
    ],
)
def test_a_plan_that_was_edited_wrongly_is_refused(tmp_path, change, message):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({"kind": "plan", "label_set": "basic7", "cells": [CELL], **change}))
    with pytest.raises(FerError, match=message):
        read_plan(path)


def test_a_plan_that_is_not_there_or_is_no_yaml_is_refused(tmp_path: Path):
    with pytest.raises(FerError, match="make one with fer balance"):
        read_plan(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_text("just words")
    with pytest.raises(FerError, match="expected keys and values"):
        read_plan(tmp_path / "a.yaml")


def test_fulfilment_counts_what_a_manifest_got(noise_manifest):
    facts = [{}] * 5 + [{"occlusion": "mask", "light": "low"}] * 3
    made = noise_manifest(["fear"] * 8, ["train"] * 8, facts=facts, origin=["real"] * 6 + ["synthetic"] * 2)
    plan = Plan(
        "basic7",
        (
            Cell("fear", None, None, have=5, target=5, count=0),
            Cell("fear", "mask", "low", have=1, target=5, count=4),
            Cell("disgust", "mask", "low", have=0, target=5, count=5),
        ),
    )
    table = fulfilment(plan, made)
    assert table.columns.tolist() == [
        "label", "occlusion", "light", "have", "target", "asked", "got", "total",
    ]  # fmt: skip
    assert table[["asked", "got", "total"]].to_numpy().tolist() == [[0, 0, 5], [4, 2, 3], [5, 0, 0]]
    assert table["occlusion"].tolist() == [None, "mask", "mask"]
    with pytest.raises(FerError, match="expected the plan's label set basic8, found basic7"):
        fulfilment(Plan("basic8", ()), made)
    assert len(fulfilment(Plan("basic7", ()), made)) == 0


def test_repeats_count_as_faces(noise_manifest):
    made = noise_manifest(["fear", "anger"], ["train"] * 2, repeat=np.array([3, 5], dtype=np.int32))
    assert Counter(asked(make_plan(made, BalanceConfig()))) == {
        ("fear", None, None): 2,
        **{(label, None, None): 5 for label in BASIC7 if label not in ("fear", "anger")},
    }
