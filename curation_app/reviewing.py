"""The page where faces are reviewed: what a reviewer chooses at the side, and the panel that shows the faces."""

from dataclasses import dataclass

import streamlit as st

from curation_app import access
from curation_app.collection import Collection
from curation_app.opened import open_collection, open_log
from curation_app.queues import KINDS, Queue, build_queue, chosen_queue, missing_queues, queue_sizes
from curation_app.review.panel import Desk, show_panel
from curation_app.review.session import Review
from curation_app.settings import Settings
from fer_data.decision_log import DecisionLog
from fer_data.errors import FerError

EVERY = "every"
CHOSEN = "chosen_faces"  # session state: (title, sample ids) of faces that were chosen on another page
PAGE = "review_page"  # session state: this page, for others to lead to
BEFORE = "before"  # session state: what was asked for here when the page was left for another
_NARROWING = ("label", "suggestion", "split", "source")  # columns of which a reviewer may choose one word
_MODES = {"single": "One at a time", "page": "A page at a time"}


@dataclass(frozen=True)
class Choice:
    """What a reviewer asked for; as long as it stays the same, reviewing goes on where it was."""

    reviewer: str
    queue: str
    mode: str
    blind: bool
    given: str | None = None
    suggested: str | None = None
    source: str | None = None
    split: str | None = None
    where: str | None = None
    chosen: tuple[str, tuple[str, ...]] | None = None
    role: access.Role = "reviewer"

    @property
    def narrowed(self) -> bool:
        """Whether only some faces of the queue are asked for."""
        return any((self.given, self.suggested, self.source, self.split, self.where))


def show(settings: Settings, someone: access.Person) -> None:
    """Draw the page.

    Raises:
        FerError: the manifest, a table or the log cannot be opened.
    """
    collection, log = open_collection(settings), open_log(settings)
    with st.sidebar:
        choice = _choose(settings, someone, collection, log)
    if choice is None:
        return
    if not choice.reviewer:
        st.info("Write your name in the sidebar: decisions are signed.")
        return
    if st.session_state.get("choice") != choice:
        try:
            desk = _sit_down(settings, someone, collection, log, choice)
        except FerError as error:
            st.error("This cannot be reviewed.")
            st.text(str(error))
            return
        st.session_state.desk, st.session_state.choice = desk, choice
    _panel(settings, someone)


def rehearse(settings: Settings) -> None:
    """Make up the first answer and give it to nobody: the first reviewer finds all that it needs read already.

    Raises:
        FerError: as `show`.
    """
    collection, log = open_collection(settings), open_log(settings)
    sizes = queue_sizes(collection, log)
    for column in _NARROWING:
        collection.codes(column)
    if sizes:
        name = settings.queue if settings.queue in sizes else next(iter(sizes))
        review = Review(collection, log, settings.reviewer, build_queue(collection, log, name), blind=settings.blind)
        page_faces = settings.page_faces if settings.mode == "page" else None
        Desk.open(review, page_faces=page_faces, changed_keys=settings.keys).answer(None)


@st.fragment
def _panel(settings: Settings, someone: access.Person) -> None:
    """The part that is run again at every decision; the rest of the page is not."""
    if someone.signed_in and access.person(settings) != someone:  # was taken off the team's list, or made a lead
        st.rerun()
    show_panel(st.session_state.desk)


def _sit_down(
    settings: Settings, someone: access.Person, collection: Collection, log: DecisionLog, choice: Choice
) -> Desk:
    review = Review(
        collection,
        log,
        choice.reviewer,
        _queue(collection, log, choice),
        blind=choice.blind,
        lead=someone.role == "lead",
    )
    sample_id = st.query_params.get("sample") if "choice" not in st.session_state else None  # a link counts once
    page_faces = settings.page_faces if choice.mode == "page" else None
    return Desk.open(review, page_faces=page_faces, changed_keys=settings.keys, sample_id=sample_id)


def _queue(collection: Collection, log: DecisionLog, choice: Choice) -> Queue:
    if choice.chosen is not None:
        return chosen_queue(collection, choice.chosen[1], choice.chosen[0])
    return build_queue(
        collection,
        log,
        choice.queue,
        given=choice.given,
        suggested=choice.suggested,
        source=choice.source,
        split=choice.split,
        where=choice.where,
    )


def _choose(settings: Settings, someone: access.Person, collection: Collection, log: DecisionLog) -> Choice | None:
    """Who reviews what, and how; None, with a word why, where there is nothing to review."""
    sizes = queue_sizes(collection, log)
    chosen = st.session_state.get(CHOSEN)
    titles = {name: f"{KINDS[name].title} ({size:,})" for name, size in sizes.items()}
    if chosen:
        titles = {"chosen": f"{chosen[0]} ({len(chosen[1]):,})", **titles}
    if not titles:
        st.info("This manifest has no faces to review.")
        return None
    before = st.session_state.get(BEFORE) or Choice("", settings.queue or "", settings.mode, settings.blind)
    names = list(titles)
    wanted = st.query_params.get("queue") or ("chosen" if chosen != before.chosen else before.queue)
    name = st.radio("Queue", names, names.index(wanted) if wanted in names else 0, format_func=titles.get)
    mode = st.radio("Review", list(_MODES), list(_MODES).index(before.mode), format_func=_MODES.get, horizontal=True)
    blind = st.toggle("Blind", before.blind, help="Hides the given label and the model's opinion.")
    narrowed = {} if name == "chosen" else _narrow(collection, blind, before)
    st.caption("Every decision is on the disk before the page says “saved”.")
    missing = missing_queues(collection, log)
    if missing:
        with st.expander("Queues that are not there yet"):
            for sentence in missing.values():
                st.text(sentence)
    for note in collection.notes:
        st.caption(note)
    return Choice(
        someone.name, name, mode, blind, **narrowed, chosen=chosen if name == "chosen" else None, role=someone.role
    )


def _narrow(collection: Collection, blind: bool, before: Choice) -> dict[str, str | None]:
    """Filters of a queue. Those by label or opinion would tell what blind mode hides.

    Nothing is drawn in the drawer before it is opened: the first face is there sooner. Once something is chosen in it
    it is drawn, since Streamlit forgets what is not.
    """
    drawer = st.expander("Only some of them", key="drawer", on_change="rerun")
    if not (drawer.open or before.narrowed or ("choice" in st.session_state and st.session_state.choice.narrowed)):
        return {}
    with drawer:
        asked = {} if blind else {"given": _one_of("Label", collection, "label", before.given)}
        if not blind and collection.opinions is not None:
            asked["suggested"] = _one_of("Model suggests", collection, "suggestion", before.suggested)
        asked["split"] = _one_of("Split", collection, "split", before.split)
        asked["source"] = _one_of("Source", collection, "source", before.source)
        if not blind:
            help_ = "As `fer filter --where` takes it."
            words = st.text_input("Where", before.where or "", placeholder="weight < 1", help=help_)
            asked["where"] = words.strip() or None
    return asked


def _one_of(title: str, collection: Collection, column: str, before: str | None) -> str | None:
    words = [EVERY, *collection.codes(column)[1]]
    choice = st.selectbox(title, words, words.index(before) if before in words else 0)
    return None if choice == EVERY else choice
