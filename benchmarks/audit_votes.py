"""With one, two or three of the ten FER+ raters to be seen: does the audit find the labels that the others reject?

    python benchmarks/audit_votes.py --manifest manifests/fer2013 --predictions predictions/fer2013.parquet
        [--split train] [--quick] [--out docs/results/audit_votes.jsonl]

The manifest has FER-2013's labels and the FER+ votes; the predictions are what `fer predict` made for it. Per face, k
raters are drawn; what they said is all that a method may read, of any face. A label is wrong where the other raters
have a clear majority among the expressions (FER+'s rule, applied to their votes) that is another one; faces without
clear majority are not judged. Five seeds draw other raters. Intervals are paired: every method is judged on the same
resampled groups of faces and seeds.

    consensus              ours: `fer_data.auditing.crowd`
    consensus_no_repeats   the same from the averaged probabilities alone, as the other methods have them
    crowdlab               cleanlab's, the given label as one more rater, the votes dealt to k raters in random order
    votes                  the share of the votes that say the given label
    model                  the model's probability of the given label, no votes
    naive_bayes…           peers/raters.py: the model's probabilities times those of the votes
    dawid_skene            the same, with a confusion matrix of the raters found by expectation maximisation
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measuring import figure, keep, tell
from numpy.typing import NDArray
from peers import raters as peers

from experiments.audit_benchmark import paired, ranking
from experiments.audit_benchmark.paired import Draws, Judged, Values
from experiments.audit_benchmark.truth import Truth
from fer_data import manifest as manifests
from fer_data.auditing.crowd import Votes, arranged, consensus, read_votes, vote_scores
from fer_data.auditing.evidence import Evidence, read_evidence
from fer_data.auditing.raters import counted, dealt
from fer_data.votes import majority

TARGETS = {1: 0.85, 2: 0.90, 3: 0.92}  # AUPRC by how many raters are seen
OURS, ABLATED = "consensus", "consensus_no_repeats"
PEERS = ("crowdlab", "votes", "model", "naive_bayes", "naive_bayes_of_model", "dawid_skene")

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--predictions", type=Path, required=True)
    parser.add_argument("--split", default="train", help="whose faces are taken: train, val, test or all")
    parser.add_argument("--quick", action="store_true", help="4,000 faces, two seeds, 100 resamples: under a minute")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    arguments = parser.parse_args()
    evidence, votes = read_faces(arguments.manifest, arguments.predictions, arguments.split)
    if arguments.quick:
        some = np.sort(np.random.default_rng(0).permutation(len(evidence))[:4000])
        evidence, votes = evidence.take(some), votes.take(some)
    seeds, resamples = ((0, 1), 100) if arguments.quick else (tuple(range(5)), 1000)
    lines: list[str] = []
    for seen in TARGETS:
        for line in compare(evidence, votes, seen, seeds, resamples):
            tell(lines, {**line, "split": arguments.split})
    keep(lines, arguments.out)


def read_faces(manifest_path: Path, predictions: Path, split: str) -> tuple[Evidence, Votes]:
    """The faces of a split that have votes."""
    manifest = manifests.read(manifest_path)
    evidence, _ = read_evidence(manifest, predictions)
    votes = read_votes(manifest, evidence.sample_ids)
    splits = pd.Series(manifest.frame["split"].to_numpy(), index=manifest.frame["sample_id"])
    rows = votes.counts.any(axis=1)
    if split != "all":
        rows &= (splits.loc[evidence.sample_ids] == split).to_numpy()
    return evidence.take(rows), votes.take(rows)


def compare(evidence: Evidence, votes: Votes, seen: int, seeds: Sequence[int], resamples: int) -> list[dict[str, Any]]:
    """The figures for so many visible raters."""
    started = time.perf_counter()
    draws = paired.draw(evidence.groups, len(seeds), resamples, seed=0)
    runs, judged_faces, wrong = [], [], []
    for seed in seeds:
        shown, hidden = deal(votes, seen, seed)
        truth = Truth(evidence.names, evidence.labels, majority(hidden.counts), np.ones(len(evidence), dtype=bool))
        runs.append(values(scores(evidence, shown, seed), truth, draws))
        judged_faces.append(int(truth.clear.sum()))
        wrong.append(float(truth.wrong.sum() / truth.clear.sum()))
    judged, faces = joined(runs, draws), int(np.mean(judged_faces))
    told = {"seeds": list(seeds), "raters_seen": seen, "wrong_share": round(float(np.mean(wrong)), 4)}
    lines = [
        line(judged.level(name, metric), f"{metric}_{name}_{seen}_seen", faces, told, target(name, metric, seen))
        for name in (OURS, ABLATED, *PEERS)
        for metric in ("auprc", "auroc")
    ]
    for ours in (OURS, ABLATED):
        for peer in PEERS:
            difference = judged.difference(ours, peer, "auprc")
            name = f"auprc_{ours}_over_{peer}_{seen}_seen"
            compared = {**told, "peer": peer, "peer_values": judged.level(peer, "auprc")["seeds"]}
            lines.append(line(difference, name, faces, compared, ("interval above 0", 0.0) if ours == OURS else None))
    return [{**told_line, "seconds": round(time.perf_counter() - started, 1)} for told_line in lines]


def deal(votes: Votes, seen: int, seed: int) -> tuple[Votes, Votes]:
    """What so many raters of each face said, drawn at random, and what the others said."""
    ratings = dealt(votes.counts, np.random.default_rng(seed))
    shown = counted(ratings[:, :seen], len(votes.names))
    return Votes(votes.names, shown), Votes(votes.names, votes.counts - shown)


def scores(evidence: Evidence, shown: Votes, seed: int) -> dict[str, Array]:
    """Every method's score of the given labels, float64 [N], low = bad."""
    rows, labels = np.arange(len(evidence)), evidence.labels
    ours = vote_scores(evidence, shown, consensus(evidence, shown, seed=seed), seed=seed)
    ablated = consensus(replace(evidence, repeats=()), shown, seed=seed)
    counts = arranged(evidence, shown).counts
    others = counts.shape[1] - len(evidence.names)  # what is no label: the model gives it nothing
    probabilities = np.pad(evidence.probabilities, ((0, 0), (0, others)))
    return {
        OURS: ours["consensus"],
        ABLATED: ablated.posterior[rows, labels],
        "crowdlab": ours["crowdlab"],
        "votes": counts[rows, labels] / np.maximum(counts.sum(axis=1), 1),
        "model": evidence.probabilities[rows, labels],
        "naive_bayes": peers.naive_bayes(probabilities, counts)[rows, labels],
        "naive_bayes_of_model": peers.naive_bayes_of_model(probabilities, counts)[rows, labels],
        "dawid_skene": peers.dawid_skene(probabilities, counts)[rows, labels],
    }


def values(methods: Mapping[str, Array], truth: Truth, draws: Draws) -> dict[str, dict[str, tuple[float, Array]]]:
    """Method → figure → its value on the clear faces as they are, and float64 [B] on the resampled ones."""
    whole = np.ones((int(truth.clear.sum()), 1))
    starts = range(0, draws.resamples, draws.chunk)
    found: dict[str, dict[str, list[Array]]] = {name: {"auprc": [], "auroc": []} for name in methods}
    for weights in [whole, *(draws.weights(start, truth.clear) for start in starts)]:
        for name, score in methods.items():
            curve = ranking.steps(score[truth.clear], truth.wrong[truth.clear], weights)
            found[name]["auprc"].append(ranking.average_precision(curve))
            found[name]["auroc"].append(ranking.roc_area(curve))
    return {
        name: {metric: (float(parts[0][0]), np.concatenate(parts[1:])) for metric, parts in of_method.items()}
        for name, of_method in found.items()
    }


def joined(runs: Sequence[Mapping[str, Mapping[str, tuple[float, Array]]]], draws: Draws) -> Judged:
    """The runs of all seeds as one."""
    return Judged(
        {
            name: {
                metric: Values(
                    np.array([run[name][metric][0] for run in runs]),
                    np.stack([run[name][metric][1] for run in runs], axis=1),
                )
                for metric in of_method
            }
            for name, of_method in runs[0].items()
        },
        draws,
    )


def target(name: str, metric: str, seen: int) -> tuple[str, float] | None:
    return (f">= {TARGETS[seen]:.2f}", TARGETS[seen]) if name == OURS and metric == "auprc" else None


def line(
    entry: Mapping[str, Any], name: str, faces: int, told: Mapping[str, Any], promise: tuple[str, float] | None
) -> dict[str, Any]:
    """One figure: its mean over seeds, with a 95 % interval over faces and seeds."""
    least = entry["low"] if "p_value" in entry else entry["value"]
    return figure(
        "audit_votes",
        name,
        [entry["value"]],
        "difference of AUPRC" if "p_value" in entry else "share",
        n=faces,
        target=promise[0] if promise else None,
        reached=None if promise is None else bool(least > promise[1] if "p_value" in entry else least >= promise[1]),
        digits=4,
        interval=[round(entry["low"], 4), round(entry["high"], 4)],
        by_seed=[round(value, 4) for value in entry["seeds"]],
        **told,
    )


if __name__ == "__main__":
    main()
