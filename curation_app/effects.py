"""The page that shows what the decisions so far would change, applies them, and measures what they are worth."""

import re
from pathlib import Path

import pandas as pd
import streamlit as st

from curation_app.access import Person
from curation_app.changes import MAJORITY, Changes, Consensus, Noise, foresee
from curation_app.collection import Collection
from curation_app.figures import show_figures
from curation_app.history import read_history
from curation_app.opened import open_collection, open_log
from curation_app.retraining import Recipe, Retraining, find_retraining, start_retraining, stop_retraining
from curation_app.settings import Settings
from fer_data import decisions
from fer_data.decision_log import Decision, DecisionLog, standing
from fer_data.errors import FerError
from fer_data.project import relative

MOST_MOVES = 8
POLL_SECONDS = 2
_METRICS = {"balanced_accuracy": "Balanced accuracy", "accuracy": "Accuracy", "macro_f1": "Macro-F1"}
_RULES = {
    "majority": "Majority",
    "seniority": "Seniority",
    "crowdlab": "CROWDLAB",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+_.-]*")


def show(settings: Settings, someone: Person) -> None:
    """Draw the page.

    Raises:
        FerError: the manifest, a table or the log cannot be opened.
    """
    collection, log = open_collection(settings), open_log(settings)
    lead = someone.role == "lead"
    events = read_history(settings, None if lead else someone.name)
    st.header("Effects")
    st.caption("What the decisions so far would change, if they were applied now.")
    if not lead:
        st.info("These are the effects of your own decisions. A lead sees those of everybody, and applies them.")
    consensus = _choose_consensus(collection, events)
    try:
        changes = _changes(collection, log, someone, events, consensus)
    except FerError as error:
        st.error("These decisions cannot be applied.")
        st.text(str(error))
        return
    if not changes.outcomes:
        st.info("Nothing is decided yet.")
        return
    _show_outcomes(changes)
    _show_classes(changes)
    _show_noise(changes)
    if lead:
        _offer_apply(collection, log, consensus)
        _retraining(collection, log, consensus)


def _choose_consensus(collection: Collection, events: tuple[Decision, ...]) -> Consensus:
    """How reviewers who differ are brought together; a choice only where there are several."""
    reviewers = list(dict.fromkeys(name for _, name in standing(events)))
    if len(reviewers) < 2:
        return MAJORITY
    audit = collection.paths.audit
    rules = [name for name in _RULES if name != "crowdlab" or audit is not None]
    left, right = st.columns(2, vertical_alignment="bottom")
    rule = left.selectbox("Where reviewers differ", rules, format_func=_RULES.get)
    if rule == "seniority":
        order = right.multiselect("The most senior first", reviewers, reviewers[:1])
        right.caption("The word of the most senior stands. Faces that none of them decided go by majority.")
        return Consensus(rule, tuple(order)) if order else MAJORITY
    if rule == "crowdlab":
        right.caption(
            "Labels are weighed by the reviewers' records and the audit's model; drops and doubts go by majority."
        )
        return Consensus(rule, audit=audit)
    right.caption("More than half of them decide. A face without such a majority is unsure, and gets a soft label.")
    return MAJORITY


def _changes(
    collection: Collection, log: DecisionLog, someone: Person, events: tuple[Decision, ...], consensus: Consensus
) -> Changes:
    """Worked out once for what the log holds, and kept: `collection.keep` keeps the last answer."""
    name = "changes" if someone.role == "lead" else f"changes of {someone.name}"
    version = (log.name, len(events), consensus)
    changes: Changes = collection.keep(name, version, lambda: foresee(collection, events, consensus))
    return changes


def _show_outcomes(changes: Changes) -> None:
    words = {"relabelled": "Relabelled", "dropped": "Dropped", "unsure": "Unsure, soft label", "kept": "Confirmed"}
    show_figures({title: f"{changes.outcomes.get(name, 0):,}" for name, title in words.items()})


def _show_classes(changes: Changes) -> None:
    st.subheader("In each class")
    rows = {
        entry.label: {
            "now": entry.before,
            "relabelled from it": _signed(-entry.gone),
            "relabelled to it": _signed(entry.come),
            "dropped": _signed(-entry.dropped),
            "unsure": entry.unsure,
            "after": entry.after,
            "change": _signed(entry.after - entry.before),
        }
        for entry in changes.classes
    }
    signed = st.column_config.TextColumn(alignment="right")
    formats = dict.fromkeys(["relabelled from it", "relabelled to it", "dropped", "change"], signed)
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index"), row_height=32, column_config=formats)
    moves = list(changes.moves.items())
    if moves:
        told = " · ".join(f"{before} → {after} {count:,}" for (before, after), count in moves[:MOST_MOVES])
        rest = sum(count for _, count in moves[MOST_MOVES:])
        st.text(told + (f" · others {rest:,}" if rest else ""))


def _show_noise(changes: Changes) -> None:
    st.subheader("Expected wrong labels")
    if not changes.noise:
        st.caption("No audit of this manifest tells how many labels are wrong; make one with: fer audit")
        return
    rows = {
        entry.label: {"before": _share(entry.before), "after": _share(entry.after), "difference": _difference(entry)}
        for entry in changes.noise
    }
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index"), row_height=32)
    st.caption(
        "The audit's estimate and its interval, less the wrong labels that reviewers found among the audited faces. "
        "What reviewers say is taken for the truth."
    )


def _offer_apply(collection: Collection, log: DecisionLog, consensus: Consensus) -> None:
    st.subheader("Apply")
    manifest = collection.manifest
    with st.form("apply", border=False):
        left, right = st.columns([2, 1], vertical_alignment="bottom")
        name = left.text_input("New manifest", f"{manifest.name}-clean", max_chars=80).strip()
        asked = right.form_submit_button("Apply", type="primary")
    if asked:
        try:
            written = _apply(collection, log, name, consensus)
        except FerError as error:
            st.error("Nothing was applied.")
            st.text(str(error))
        else:
            st.success("Applied. The manifest under review and the log are as they were.")
            st.code(f"fer describe {written}", language=None)


def _apply(collection: Collection, log: DecisionLog, name: str, consensus: Consensus) -> str:
    """Apply to a new manifest beside the one under review; returns its path as the project names it."""
    if not _NAME.fullmatch(name):
        raise FerError(f"{name!r}: expected a name of letters, digits and + _ . -, for a manifest beside this one")
    with st.spinner("Applying…"):
        out = collection.manifest.path.with_name(name)
        clean = decisions.apply(collection.manifest, log, out, **consensus.arguments())
    return str(Path(relative(clean.path, clean.root)).with_suffix(""))


def _retraining(collection: Collection, log: DecisionLog, consensus: Consensus) -> None:
    st.subheader("Retrain with these decisions")
    st.caption(
        "The decisions are applied to a new manifest, and the same small classifier learns from the labels before and "
        "after, with the same steps and seeds; the test faces and their labels are the same for both. "
        "It is short: it tells the direction, not the last word. For that: fer experiment."
    )
    found = find_retraining(collection.manifest)
    if found is not None and found.running:
        _follow(collection)
        return
    if found is not None:
        _show_result(collection, found)
    with st.form("retrain", border=False):
        steps, seeds, go = st.columns(3, vertical_alignment="bottom")
        recipe = Recipe(
            steps=int(steps.number_input("Steps of each run", 10, 100_000, Recipe.steps)),
            seeds=int(seeds.number_input("Seeds", 1, 20, Recipe.seeds)),
        )
        asked = go.form_submit_button("Retrain", type="primary")
    if asked:
        try:
            with st.spinner("Applying…"):
                start_retraining(collection.manifest, log, recipe, consensus)
        except FerError as error:
            st.error("It did not begin.")
            st.text(str(error))
        else:
            st.rerun()


@st.fragment(run_every=POLL_SECONDS)
def _follow(collection: Collection) -> None:
    """The part that looks again and again, while a retraining runs."""
    found = find_retraining(collection.manifest)
    if found is None or not found.running:
        st.rerun()
    st.progress(found.share, text="Retraining. It goes on if you leave or reload this page.")
    st.text(found.told or "It begins…")
    if st.button("Stop"):
        stop_retraining(collection.manifest)


def _show_result(collection: Collection, found: Retraining) -> None:
    if found.results is None:
        st.warning("The last retraining was stopped." if found.stopped else "The last retraining failed.")
        if not found.stopped:
            st.text(found.told)
        return
    results = found.results
    contrast = next(entry for entry in results["contrasts"] if entry["family"] == "primary")
    st.text(found.answer)
    scores = results["scores"][contrast["view"]]
    rows = {title: _before_after(scores, "metrics", name) for name, title in _METRICS.items()}
    rows |= {f"Recall of {label}": _before_after(scores, "recall", label) for label in results["labels"]}
    st.dataframe(pd.DataFrame.from_dict(rows, orient="index"), row_height=32)
    report = relative(found.folder / "experiment/report.html", collection.manifest.root)
    st.caption("The means over seeds, with intervals.")
    st.text(f"The whole report: {report}")


def _before_after(scores: dict[str, dict[str, dict[str, dict[str, float]]]], kind: str, name: str) -> dict[str, str]:
    told = {}
    for arm in ("before", "after"):
        entry = scores[arm][kind][name]
        known = entry["value"] is not None
        told[arm] = _share((entry["value"], entry["low"], entry["high"])) if known else "–"
    return told


def _share(entry: tuple[float, float, float]) -> str:
    value, low, high = (100 * share for share in entry)
    return f"{value:.1f} %  [{low:.1f}, {high:.1f}]"


def _difference(entry: Noise) -> str:
    points = round(100 * (entry.after[0] - entry.before[0]), 1)
    return f"{points:+.1f} points".replace("-", "−") if points else "0.0 points"


def _signed(count: int) -> str:
    """A difference with a true minus sign."""
    return f"{count:+,}".replace("-", "−") if count else "0"
