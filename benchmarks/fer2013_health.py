"""What the dataset layer finds in real FER-2013: duplicates, leaks, conflicting labels, bad pictures, what voters saw.

    python benchmarks/fer2013_health.py FER2013.CSV --votes FER2013NEW.CSV [--out PAGE.md] [--leaks FILE.csv]

Imports the csv into a temporary project, and writes a page with figures and sample ids, never a picture. With --leaks a
csv too: every val and test face whose very picture or photograph lies in another split, with the SHA-256 of both
pictures (`fer_data.images.pixel_sha256`), by which they are found in any copy, however its rows are numbered.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fer_data.adapters import fer2013
from fer_data.importing import import_dataset
from fer_data.manifest import Manifest
from fer_data.near_duplicates import NearDuplicateReport, find_near_duplicates
from fer_data.progress import Terminal
from fer_data.quality import ISSUES, QualityConfig, mark_quality, measure_quality
from fer_data.votes import FERPLUS_COLUMNS, majority

SHOWN = 12  # ids in a list


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--votes", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("docs/results/fer2013-health.md"))
    parser.add_argument("--leaks", type=Path, help="also write each leak to this csv")
    arguments = parser.parse_args()
    out, csv, votes = arguments.out.absolute(), arguments.csv.absolute(), arguments.votes.absolute()
    leaks_out = arguments.leaks.absolute() if arguments.leaks else None
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("fer.toml").touch()
        result = import_dataset(fer2013, csv, "manifests/fer2013", fer2013.Options(votes=votes), reporter=Terminal())
        manifest = result.manifest
        report = find_near_duplicates([manifest], reporter=Terminal())
        leaks = leak_table(manifest, report)
        if leaks_out is not None:
            leaks.to_csv(leaks_out, index=False, float_format="%.4f")
        sections = [
            composition(manifest, result.notes),
            duplicates(manifest, report, leaks),
            pictures(manifest),
            labels(manifest),
        ]
    out.write_text(f"{HEAD}\n" + "\n".join(sections))
    print(out.read_text())


HEAD = """# The health of FER-2013

What `fer_data` finds in real FER-2013 with the FER+ votes joined: printed by `python benchmarks/fer2013_health.py`, not
written by hand. Ids are `fer2013/<row of the csv>` of a copy with 35,706 of the 35,887 rows; in another copy a picture
is found by the SHA-256 of its pixels, which the table that `--leaks FILE` writes has for every leak.
"""


def composition(manifest: Manifest, notes: Sequence[str]) -> str:
    frame = manifest.frame
    counts = pd.crosstab(frame["label"], frame["split"]).reindex(index=list(manifest.labels))[["train", "val", "test"]]
    rows = [(label, *map(_count, row), f"{100 * row.sum() / len(frame):.1f} %") for label, row in counts.iterrows()]
    rows.append(("all", *map(_count, counts.sum()), "100 %"))
    told = "".join(f"- {note}\n" for note in notes)
    return f"## Faces\n\n{_table(('label', 'train', 'val', 'test', 'share'), rows)}\nThe import notes:\n\n{told}"


def duplicates(manifest: Manifest, report: NearDuplicateReport, leaks: pd.DataFrame) -> str:
    links = report.links
    near = links[links["kind"] == "near duplicate"]
    sizes = manifest.frame["split"].value_counts()
    rows = []
    for of, other in (("val", "train"), ("test", "train"), ("test", "val")):
        exact, together = report.exact.leaks.get((of, other), 0), report.together.leaks.get((of, other), 0)
        shares = (f"{count:,} ({100 * count / sizes[of]:.1f} %)" for count in (exact, together))
        rows.append((f"{of} faces that are also in {other}", *shares))
    rows.append(("groups", _count(report.exact.groups), _count(report.together.groups)))
    rows.append(("surplus faces", _count(report.exact.surplus_rows), _count(report.together.surplus_rows)))
    rows.append(("largest group", _count(report.exact.largest_group), _count(report.together.largest_group)))
    conflicts = (_count(report.exact.conflicting_groups), _count(report.together.conflicting_groups))
    rows.append(("groups with conflicting labels", *conflicts))
    mirrored = int(near["mirrored"].sum())
    return f"""## Duplicates and leaks

{_table(("", "the very same picture", "the same photograph, near duplicates included"), rows)}
Near duplicates are {len(near):,} pairs of different pictures that show one photograph (similarity of details at least
{report.config.threshold}; {mirrored:,} of them mirrored). How precise and complete the search is stands in
`near_duplicates.md`. A photograph counts as the same through others too: a is b's, b is c's. For the
{leaks["test_or_val_id"].nunique():,} faces of val and test that have a twin in another split directly,
`--leaks FILE` names it.

Identical pictures with conflicting labels, by group:

{_conflicts(report)}
Near duplicates across splits that are least alike, to look at: {_pairs(report)}
"""


def leak_table(manifest: Manifest, report: NearDuplicateReport) -> pd.DataFrame:
    """One row for each pair of a held-out face and its nearest twin in every other split."""
    frame = manifest.frame[["sample_id", "split"]].reset_index(drop=True)
    hashes = manifest.facts(["pixel_sha256"])["pixel_sha256"]
    about = frame.assign(pixel_sha256=hashes).set_index("sample_id")
    links = report.links[["a", "b", "kind", "score", "mirrored"]]
    # Links of identical pictures go to the first of their group: every member takes part in the others' links too.
    first = links[links["kind"] == "exact duplicate"].set_index("b")["a"]
    members = pd.concat(
        [first.rename_axis("member").rename("first"), pd.Series(about.index, about.index, name="first")]
    )
    members = members.rename_axis("member").reset_index().drop_duplicates()
    near = links[links["kind"] == "near duplicate"]
    same = members[members["first"].isin(first)].merge(members, on="first", suffixes=("_a", "_b"))
    same = same[same["member_a"] != same["member_b"]].assign(kind="exact duplicate", score=1.0, mirrored=False)
    alike = near.merge(members, left_on="a", right_on="first").merge(
        members, left_on="b", right_on="first", suffixes=("_a", "_b")
    )
    columns = ["member_a", "member_b", "kind", "score", "mirrored"]
    pairs = pd.concat([same[columns], alike[columns]])
    swapped = pairs.rename(columns={"member_a": "member_b", "member_b": "member_a"})
    pairs = pd.concat([pairs, swapped[columns]]).drop_duplicates(["member_a", "member_b"])
    split_a, split_b = (pairs[end].map(about["split"]) for end in ("member_a", "member_b"))
    rank = {"train": 0, "val": 1, "test": 2}
    pairs = pairs.assign(split=split_a, other=split_b)[split_a.map(rank) > split_b.map(rank)]
    pairs = pairs.sort_values(["member_a", "other", "score", "member_b"], ascending=[True, True, False, True])
    pairs = pairs.drop_duplicates(["member_a", "other"])
    return pd.DataFrame(
        {
            "test_or_val_id": pairs["member_a"],
            "split": pairs["split"],
            "twin_id": pairs["member_b"],
            "twin_split": pairs["other"],
            "kind": pairs["kind"],
            "score": pairs["score"],
            "mirrored": pairs["mirrored"],
            "pixel_sha256": pairs["member_a"].map(about["pixel_sha256"]),
            "twin_pixel_sha256": pairs["member_b"].map(about["pixel_sha256"]),
        }
    )


def pictures(manifest: Manifest) -> str:
    scores = measure_quality(manifest, Terminal())
    config = QualityConfig()
    marked = mark_quality(scores, config)
    rows = []
    for issue, score in ISSUES.items():
        bad = marked[marked[f"is_{issue}"]].sort_values(score, kind="stable")
        worst = ", ".join(f"`{name}`" for name in bad["sample_id"].head(SHOWN))
        rows.append((issue.replace("_", " "), getattr(config, issue), _count(len(bad)), worst or "–"))
    table = _table(("issue", "score below", "faces", f"worst (at most {SHOWN})"), rows)
    return f"## Pictures\n\nHow well these scores find what people call bad pictures stands in `quality.md`.\n\n{table}"


def labels(manifest: Manifest) -> str:
    """What the ten voters of FER+ say to the labels."""
    frame = manifest.frame.reset_index(drop=True)
    votes = np.stack(manifest.facts(["votes"])["votes"].to_list())
    total = votes.sum(axis=1)
    winner = pd.Series(majority(votes)).fillna("unclear")
    given = frame["label"]
    own = votes[np.arange(len(votes)), [FERPLUS_COLUMNS.index(label) for label in given]]
    shares = votes / total[:, None]
    entropy = -(shares * np.log2(np.where(shares > 0, shares, 1))).sum(axis=1)
    rows = []
    for label in (*manifest.labels, "all"):
        of = (given == label).to_numpy() if label != "all" else np.ones(len(given), bool)
        clear = of & winner.isin(manifest.labels).to_numpy()
        agrees = (winner == given).to_numpy()[clear]
        others = winner[clear & (winner != given).to_numpy()].value_counts()
        rows.append(
            (
                label,
                _count(int(of.sum())),
                _count(int(clear.sum())),
                f"{100 * agrees.mean():.1f} %",
                f"{100 * (own[of] == 0).mean():.1f} %",
                f"{entropy[of].mean():.2f}",
                ", ".join(f"{name} {count:,}" for name, count in others.head(3).items()),
            )
        )
    head = ("label", "faces", "with a clear majority", "that agrees", "no vote at all", "entropy of votes, bits")
    outvoted = frame.loc[(own == 0) & (votes.max(axis=1) == total), "sample_id"]
    unanimous = ", ".join(f"`{name}`" for name in outvoted.head(SHOWN))
    return f"""## Labels against ten voters

{_table((*head, "most voted instead"), rows)}
A clear majority is that of FER+: single votes aside, more than half of the rest, for one of the seven expressions.
For {len(outvoted):,} faces all voters gave one and the same label, and it is not the one they carry: {unanimous} …
"""


def _conflicts(report: NearDuplicateReport) -> str:
    table = report.exact.table
    groups = table[table["is_conflict"]].groupby("twin_group", sort=False)
    lines = []
    for _, rows in groups:
        ids = ", ".join(f"`{row.sample_id}` {row.label} ({row.split})" for row in rows.itertuples())
        lines.append(f"- {ids}\n")
    return "".join(sorted(lines))


def _pairs(report: NearDuplicateReport) -> str:
    return ", ".join(
        f"`{pair.a}` and `{pair.b}` ({pair.score:.3f})" for pair in report.pairs_to_look_at(5).itertuples()
    )


def _count(number: float) -> str:
    return f"{int(number):,}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


if __name__ == "__main__":
    main()
