"""The whole of `croissant.json`: the data set, its files and fields, and the responsible-AI account of it."""

from collections import Counter
from typing import Any

from fer_data.export.croissant import CONTEXT, FACES, enumeration
from fer_data.export.documents import INTENDED_USE, LICENCE, LIMITS, LOCAL_USE, PERSONAL_DATA, Account
from fer_data.licenses import SPDX

CONFORMS_TO = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")


def describe(account: Account) -> dict[str, Any]:
    """The JSON-LD of an export whose files are all written."""
    manifest, options = account.rows.manifest, account.options
    warning = f"{LOCAL_USE} " if account.local_use else ""
    homepages = [source.HOMEPAGE for source in account.sources if source.HOMEPAGE]
    return {
        "@context": dict(CONTEXT),
        "@type": "sc:Dataset",
        "name": account.title,
        "description": f"{warning}{len(account.rows):,} faces with the expression shown, as {account.format.TITLE}.",
        "conformsTo": list(CONFORMS_TO),
        "license": _licence(account),
        "url": options.url or next(iter(homepages), "README.md"),
        "creator": {"@type": "sc:Organization", "name": options.creator or "fer-data-studio"},
        "citeAs": "; ".join(account.citations) or f"{account.title}, manifest {manifest.sha256}",
        "datePublished": str(manifest.metadata["created"])[:10],
        "version": f"1.0.0+{manifest.sha256[:12]}",
        "keywords": ["facial expression", *manifest.labels],
        **({"isBasedOn": homepages} if homepages else {}),
        "distribution": list(account.layout.distribution),
        "recordSet": [
            {"@type": "cr:RecordSet", "@id": FACES, "name": FACES, "field": list(account.layout.fields)},
            enumeration("labels", "the label set, in the order that numbers it", manifest.labels),
        ],
        **_responsible_ai(account),
    }


def _licence(account: Account) -> list[str]:
    """The address of a licence that has one, else its name, and where all of it stands."""
    licence = account.permission.licence
    if licence["name"] in SPDX:
        return [f"https://spdx.org/licenses/{licence['name']}.html"]
    return [f"{licence['name']}: {licence['summary']}", LICENCE]


def _responsible_ai(account: Account) -> dict[str, Any]:
    """The fields of the RAI extension that the rows and their lineage say something about."""
    table, manifest = account.rows.table, account.rows.manifest
    origins = Counter(table["label_origin"].to_pylist())
    synthetic = sum(origin == "synthetic" for origin in table["origin"].to_pylist())
    votes = _votes_per_face(account)
    commands = [str(entry["command"]) for entry in account.ancestors if entry.get("command")]
    views = [f"{name} is cut when read: {store.view}" for name, store in manifest.stores.items() if store.view]
    fields = {
        "dataLimitations": [*account.known_defects, *LIMITS],
        "dataBiases": _biases(account),
        "dataUseCases": [INTENDED_USE],
        "personalSensitiveInformation": [PERSONAL_DATA],
        "dataAnnotationProtocol": [f"{count:,} labels: {origin}" for origin, count in sorted(origins.items())],
        "annotationsPerItem": votes,
        "dataPreprocessingProtocol": [*reversed(commands), *views],
        "dataManipulationProtocol": f"{synthetic:,} faces are generated" if synthetic else "",
        "dataReleaseMaintenancePlan": f"{LOCAL_USE} There is no release." if account.local_use else "",
    }
    return {f"rai:{name}": value for name, value in fields.items() if value}


def _biases(account: Account) -> list[str]:
    totals: Counter[str] = Counter()
    for per_label in account.counts().values():
        totals.update(per_label)
    shares = [f"{label} {100 * count / len(account.rows):.1f} %" for label, count in totals.most_common()]
    return [f"Shares of the labels: {', '.join(shares)}."]


def _votes_per_face(account: Account) -> str:
    if "votes" not in account.rows.columns:
        return ""
    counts = [sum(votes) for votes in account.rows.table["votes"].to_pylist() if votes is not None]
    return f"{min(counts)} to {max(counts)} votes for each of {len(counts):,} faces" if counts else ""
