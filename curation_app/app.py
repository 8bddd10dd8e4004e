"""The page. Streamlit runs this file again at every key; what it shows and does lies in the other modules."""

from pathlib import Path

import streamlit as st

from curation_app import cards, pages
from curation_app.collection import Collection
from curation_app.queues import KINDS, build_queue, waiting
from curation_app.session import Review
from curation_app.settings import Settings, from_environment
from fer_data import manifest as manifests
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError

EVERY = "every expression"

release_focus = st.components.v2.component("fer_focus", js=Path(__file__).with_name("focus.js").read_text())


@st.cache_resource(show_spinner="Opening the manifest …", max_entries=1)
def open_collection(manifest: str, audit: str | None) -> Collection:
    return Collection(manifests.read(manifest), Path(audit) if audit else None)


@st.cache_resource(show_spinner=False, max_entries=1)
def open_log(db: str) -> DecisionLog:
    return DecisionLog(db)


def choose_review(settings: Settings, collection: Collection, log: DecisionLog) -> Review | None:
    """The sidebar: who reviews what, and how. None, with a word why, where there is nothing to review yet."""
    sizes = waiting(collection)
    with st.sidebar:
        reviewer = st.text_input("Reviewer", settings.reviewer, max_chars=80).strip()
        if not sizes:
            st.info("This manifest has no faces to review.")
            return None
        names = list(sizes)
        first = names.index(settings.queue) if settings.queue in names else 0
        name = st.radio("Queue", names, first, format_func=lambda name: f"{KINDS[name].title} ({sizes[name]:,})")
        modes = {"single": "One at a time", "page": "A page at a time"}
        mode = st.radio("Review", list(modes), list(modes).index(settings.mode), format_func=modes.get, horizontal=True)
        blind = st.toggle("Blind", settings.blind, help="Hides the given label and the model's opinion.")
        given = suggested = None
        if not blind:  # a filter by label would tell what blind mode hides
            given = _choose_label("Given label", collection)
            suggested = _choose_label("Model suggests", collection) if collection.probabilities is not None else None
        st.caption("Every decision is on the disk before the page says “saved”.")
        if collection.opinions_elsewhere:
            st.caption(f"{collection.opinions_elsewhere:,} audited faces are not in this manifest.")
    if not reviewer:
        st.info("Write your name in the sidebar: decisions are signed.")
        return None
    choice = (reviewer, name, blind, given, suggested)
    if st.session_state.get("choice") != choice:
        queue = build_queue(collection, name, given=given, suggested=suggested)
        st.session_state.review = Review(collection, log, reviewer, queue, blind=blind, page_faces=settings.page_faces)
        st.session_state.choice = choice
        st.session_state.saved, st.session_state.failed = "", ""
    st.session_state.mode = mode
    return st.session_state.review


def _choose_label(title: str, collection: Collection) -> str | None:
    choice = st.selectbox(title, [EVERY, *collection.labels])
    return None if choice == EVERY else choice


@st.fragment
def show_review() -> None:
    """The part that is drawn again at every decision; the sidebar is not."""
    review: Review = st.session_state.review
    top = st.container()
    if st.session_state.mode == "page":
        pages.show_page(review)
    else:
        pages.show_single(review)
    with top:  # drawn last: once it says what was saved, the next face is there and its keys work
        pages.show_top(review)


def main() -> None:
    st.set_page_config("fer curate", "🙂", layout="wide")
    st.html(cards.STYLE)
    with st.sidebar:
        release_focus(key="focus")
    try:
        settings = from_environment()
        review = choose_review(settings, open_collection(settings.manifest, settings.audit), open_log(settings.db))
    except FerError as error:
        st.error("The curator cannot start.")
        st.text(str(error))
        return
    if review is not None:
        show_review()


main()
