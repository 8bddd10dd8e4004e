"""What is chosen on validation faces without twins, and written down before a test face is judged.

`<records>/choice.json` holds the candidates with their validation scores and the hashes of their runs. It belongs into
version control before the rest of the experiment is run: whoever reads the results can see that it came first.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.arms import ChooseConfig, Mixing, candidate_arms, is_open, with_mixing
from experiments.design import Design
from experiments.provenance import machine, versions
from experiments.runs import is_judged
from experiments.schedule import Record
from experiments.settings import ExperimentConfig
from fer_data.decision_log import utc_now
from fer_data.errors import FerError
from fer_data.files import read_json, sha256_json, write_json
from fer_data.locks import name_lock

SCHEMA_VERSION = 1


def choice_path(records: Path) -> Path:
    """Where the choice lies."""
    return records / "choice.json"


def read_choice(records: Path, config: ExperimentConfig) -> dict[str, Any]:
    """The choice as far as it was made, empty where it was not begun.

    Raises:
        FerError: it was made for another question.
    """
    path = choice_path(records)
    if not path.is_file():
        return {}
    choice: dict[str, Any] = read_json(path)
    if choice.get("asked_sha256") != asked_sha256(config):
        raise FerError(
            f"{path}: the choice was made among other candidates, or from other training, than the configuration has; "
            "give the experiment another name, or undo the change"
        )
    return choice


def asked_sha256(config: ExperimentConfig) -> str:
    """Identity of what is chosen: candidates, how they are trained, what scores them, and the primary question."""
    choose = config.choose or ChooseConfig()
    named = {*choose.control, *choose.primary, *([choose.mixing_in] if choose.mixing_in else [])}
    arms = [arm.model_dump(mode="json", exclude={"title", "note"}) for arm in config.arms if arm.name in named]
    keys = {"choose", "train", "seeds", "curve_seeds", "evaluate_on", "links", "leaks", "audit", "baseline"}
    keys |= {"primary_metric", "primary_labels"}
    return sha256_json([config.model_dump(mode="json", include=keys), arms])


def write_mixing(
    records: Path, config: ExperimentConfig, design: Design, found: Mapping[tuple[str, int], Record]
) -> None:
    """Choose ratio and weight of generated faces, and write the choice down."""
    choose = config.choose or ChooseConfig()
    candidates = []
    for mixing, arm in candidate_arms(config.arm(choose.mixing_in or ""), choose):
        scored = _scored(arm.name, config.seeds_of(arm), choose, found)
        candidates.append({"ratio": mixing.ratio, "weight": mixing.weight, **scored})
    best = _best(candidates)
    told = {"mixing": {"ratio": best["ratio"], "weight": best["weight"], "candidates": candidates}}
    _write(records, config, design, told, unless="mixing")


def write_arms(
    records: Path, config: ExperimentConfig, design: Design, found: Mapping[tuple[str, int], Record]
) -> None:
    """Choose the control and the primary arm, and write the choice down; what was chosen before stays."""
    choose = config.choose or ChooseConfig()
    chosen: dict[str, Any] = {}
    for key, names in (("control", choose.control), ("primary", choose.primary)):
        if names:
            candidates = [_scored(name, config.seeds, choose, found) for name in names]
            chosen[key] = {"arm": _best(candidates)["arm"], "candidates": candidates}
    _write(records, config, design, {**chosen, "complete": True}, unless="complete")


def refuse_seen_test(records: Path) -> None:
    """Refuse to choose where test faces were judged already.

    Raises:
        FerError: a record holds answers to test faces.
    """
    for path in sorted(records.glob("**/*-seed*.json")):
        if is_judged(read_json(path)):
            raise FerError(
                f"{path} holds answers to test faces, and {choice_path(records).name} is not there: what is chosen now "
                "would not be chosen before the test; bring the choice back, or begin under another name"
            )


def chosen_mixing(choice: Mapping[str, Any]) -> Mixing | None:
    """Ratio and weight, where they were chosen."""
    told = choice.get("mixing")
    return None if told is None else Mixing(ratio=told["ratio"], weight=told["weight"])


def with_choice(config: ExperimentConfig, choice: Mapping[str, Any]) -> ExperimentConfig:
    """The configuration with the choice filled in: mixing, control and primary; candidates are points of a curve.

    Raises:
        FerError: an arm leaves ratio or weight open, and nothing was chosen for it.
    """
    choose, mixing = config.choose or ChooseConfig(), chosen_mixing(choice)
    if mixing is None:
        for arm in config.arms:
            if is_open(arm):
                raise FerError(
                    f"arm {arm.name}: expected ratio and weight of its generated faces, found them open; set them, or "
                    "have `choose.mixing` find them"
                )
        arms = list(config.arms)
    else:
        arms = [with_mixing(arm, mixing) for arm in config.arms]
        arms += [arm for _, arm in candidate_arms(config.arm(choose.mixing_in or ""), choose)]
    told = {key: choice[key]["arm"] for key in ("control", "primary") if key in choice}
    return config.model_copy(update={"arms": arms, **told})


def while_choosing_mixing(config: ExperimentConfig) -> ExperimentConfig:
    """The configuration before anything was chosen: candidates are arms, open arms stand with the largest mixing.

    With these every manifest can be made and checked before the first run.
    """
    choose = config.choose or ChooseConfig()
    if not choose.mixing:
        return with_choice(config, {})
    largest = max(choose.mixing, key=lambda mixing: mixing.ratio)
    arms = [with_mixing(arm, largest) for arm in config.arms]
    arms += [arm for _, arm in candidate_arms(config.arm(choose.mixing_in or ""), choose)]
    return config.model_copy(update={"arms": arms})


def _scored(
    arm: str, seeds: Sequence[int], choose: ChooseConfig, found: Mapping[tuple[str, int], Record]
) -> dict[str, Any]:
    """A candidate with its validation scores, seed by seed."""
    runs = [found[arm, seed] for seed in seeds]
    per_seed = [_validation_score(record, choose) for record in runs]
    return {
        "arm": arm,
        "seeds": list(seeds),
        "per_seed": per_seed,
        "score": sum(per_seed) / len(per_seed),
        "validation": [record["validation"] for record in runs],
        "runs_sha256": [record["run_sha256"] for record in runs],
    }


def _validation_score(record: Record, choose: ChooseConfig) -> float:
    scores = record["validation"]
    kinds = [kind for kind in ("given", "reference") if choose.labels in (kind, "both") and kind in scores]
    if not kinds:
        raise FerError(f"choose.labels {choose.labels}: the validation faces have no such labels; choose another kind")
    return float(sum(scores[kind][choose.metric] for kind in kinds) / len(kinds))


def _best(candidates: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The highest score, the first of equals."""
    return max(candidates, key=lambda candidate: candidate["score"])


def _write(records: Path, config: ExperimentConfig, design: Design, chosen: Mapping[str, Any], *, unless: str) -> None:
    """Add to the choice, unless another process has; it may judge test faces since, so the time of writing stays."""
    choose = config.choose or ChooseConfig()
    head = {
        "kind": "choice",
        "schema_version": SCHEMA_VERSION,
        "experiment": config.name,
        "written": utc_now(),
        "metric": choose.metric,
        "labels": choose.labels,
        "validation_faces": int(design.val_rows.sum()),
        "asked_sha256": asked_sha256(config),
        "versions": versions(),
        "machine": machine(),
        "complete": False,
    }
    with name_lock(choice_path(records), wait=True):
        before = read_choice(records, config)
        if not before.get(unless):
            write_json(choice_path(records), {**before, **head, **chosen})
