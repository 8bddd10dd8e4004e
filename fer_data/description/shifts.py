"""What a comparison shows of the whole: quality, conditions, duplicates, permissions, descent."""

import pandas as pd

from fer_data import pages
from fer_data.description import drawings
from fer_data.description.changes import Comparison
from fer_data.description.material import ATTRIBUTES, UNKNOWN, Material, sentence
from fer_data.licenses import PERMISSIONS
from fer_data.manifest import Manifest, lineage
from fer_data.pages import Html
from fer_data.quality import ISSUES


def quality(pair: Comparison) -> Html:
    """Share of faces with each quality issue before and after, and brightness."""
    rows = []
    for issue, score in ISSUES.items():
        shares = [
            float(material.quality[f"is_{issue}"].mean()) if material.quality[score].notna().any() else None
            for material in (pair.a, pair.b)
        ]
        if any(share is not None for share in shares):
            rows.append((issue.replace("_", " "), *map(_percent, shares), _points(*shares)))
    brightness = [255 * material.quality["brightness"] for material in (pair.a, pair.b)]
    which = pd.Series([name for name, values in zip(pair.names, brightness, strict=True) for _ in range(len(values))])
    both = pd.concat(brightness, ignore_index=True).to_numpy(dtype=float)
    return Html(
        pages.table(("faces that are", *pair.names, "points"), rows)
        + pages.figure(drawings.ranges(which, both, pair.names, "mean brightness"), "Mean brightness of the pictures.")
    )


def conditions(pair: Comparison) -> Html:
    """Shares of the values of each attribute before and after."""
    parts = []
    for name in ATTRIBUTES:
        columns = [material.facts[name] for material in (pair.a, pair.b)]
        if not any(column.notna().any() for column in columns):
            continue
        shares = pd.DataFrame(
            {
                side: column.fillna(UNKNOWN).value_counts(normalize=True)
                for side, column in zip(("a", "b"), columns, strict=True)
            }
        ).fillna(0.0)
        rows = [(value, _percent(a), _percent(b), _points(a, b)) for value, a, b in shares.itertuples(name=None)]
        parts.append(pages.heading(name) + pages.table((name, *pair.names, "points"), rows))
    return Html("".join(parts))


def duplicates(pair: Comparison) -> Html:
    """What each says of identical pictures and leaks."""
    return pages.pairs(
        [
            (name, sentence(material.duplicates.sentence()))
            for name, material in zip(pair.names, (pair.a, pair.b), strict=True)
        ]
    )


def licence(pair: Comparison) -> Html:
    """Permissions before and after."""
    terms = [material.manifest.metadata["licence"] for material in (pair.a, pair.b)]
    rows: list[tuple[object, ...]] = [("terms", *(f"{one['name']}: {one['summary']}" for one in terms), "")]
    for flag in PERMISSIONS:
        before, after = (bool(one.get(flag)) for one in terms)
        change = "" if before == after else "now allowed" if after else "no longer allowed"
        rows.append((flag.replace("_", " "), "yes" if before else "no", "yes" if after else "no", change))
    return pages.table(("may one …", *pair.names, "change"), rows, "lwwl")


def descent(pair: Comparison) -> Html:
    """Whether one was made from the other, and how."""
    a, b = pair.a.manifest, pair.b.manifest
    return Html(pages.paragraph(f"{relation(a, b)}.") + _path(pair.a, pair.names[0]) + _path(pair.b, pair.names[1]))


def relation(a: Manifest, b: Manifest) -> str:
    """One clause: is one of two manifests an ancestor of the other, or do they share one."""
    if a.sha256 == b.sha256:
        return "The two are the same file"
    above_a, above_b = _ancestors(a), _ancestors(b)
    if a.sha256 in above_b:
        return f"{b.name} was made from {a.name}"
    if b.sha256 in above_a:
        return f"{a.name} was made from {b.name}"
    shared = [path for digest, path in above_a.items() if digest in above_b]
    return f"Both were made from {shared[0]}" if shared else "Neither was made from the other"


def _ancestors(manifest: Manifest) -> dict[str, str]:
    """SHA-256 and path of everything that a manifest was made from, nearest first."""
    found: dict[str, str] = {}
    for entry in lineage(manifest):
        found |= {str(digest): str(path) for path, digest in entry.get("parents", {}).items()}
    return found


def _path(material: Material, name: str) -> Html:
    rows = [
        (pages.code(entry["path"].rpartition("/")[2]), pages.code(entry.get("command", "")), entry.get("created", ""))
        for entry in lineage(material.manifest)
    ]
    return Html(pages.heading(name) + pages.table(("file", "made by", "when"), rows, "llw"))


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"


def _points(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return ""
    points = round(100 * (after - before), 2)
    return f"{points:+.2f}".replace("-", "−") if points else "0.00"
