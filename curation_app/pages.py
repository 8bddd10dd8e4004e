"""The two ways to review, drawn with Streamlit: one face at a time, and a page of them."""

import html

import streamlit as st

from curation_app import cards
from curation_app.collection import Face
from curation_app.keys import ACTION_KEYS, HELP_KEY, label_keys
from curation_app.session import Review
from curation_app.sheet import face_sheet
from fer_data.errors import FerError

_WORDS = {"keep": "Keep label", "drop": "Drop face", "unsure": "Unsure", "accept": "Accept", "reject": "Reject"}
_ICONS = {
    "keep": ":material/check:", "drop": ":material/delete:", "unsure": ":material/question_mark:",
    "accept": ":material/check:", "reject": ":material/close:",
}  # fmt: skip


def show_top(review: Review) -> None:
    """Queue, progress, time left, and what was saved last."""
    progress = review.progress()
    left = f"{progress.decided:,} of {progress.total:,} decided · {progress.left:,} left"
    if progress.seconds_left is not None and progress.left:
        left += f" · {cards.spell_time(progress.seconds_left)}"
    kind, message = (
        ("failed", st.session_state.failed) if st.session_state.failed else ("saved", st.session_state.saved)
    )
    share = 100 * progress.decided / max(progress.total, 1)
    st.html(
        f'<div class="fer-top"><h1>{html.escape(review.queue.kind.title)}</h1><span class="count">{left}</span>'
        f'<span class="{kind}" role="status">{html.escape(message)}</span></div>'
        f'<div class="fer-track"><span style="width:{share:.2f}%"></span></div>'
    )


def show_single(review: Review) -> None:
    """The face large, what is known of it, and a button with a key for everything that can be decided."""
    face = review.face
    if face is None:
        st.success("Every face of this queue is decided. Choose another queue on the left, or take a step back.")
        with st.container(horizontal=True):
            _button("undo", "Undo", _undo, review, icon=":material/undo:")
            _button("back", "Back", _step, review, -1, icon=":material/arrow_back:")
        return
    left, right = st.columns([10, 11], gap="medium")
    with left:
        _show_picture(review, face)
        st.text_input(
            "Note",
            key=f"note-{face.sample_id}",
            placeholder="Note, saved with the decision",
            label_visibility="collapsed",
        )
    with right:
        earlier = review.earlier(face)
        outcome = None if earlier is None else cards.outcome_text(earlier.action, earlier.label)
        if review.blind:
            st.html(cards.blind_card(outcome))
        else:
            bars = ""
            if face.probabilities is not None:
                bars = cards.opinion_bars(review.collection.labels, face.probabilities, face.label, face.suggestion)
            st.html(cards.label_card(face, outcome) + bars)
        _show_buttons(review, face)
    if st.session_state.get("help"):
        show_help(review)


def show_page(review: Review) -> None:
    """Faces in a grid; a key decides those that are selected, or all that are left."""
    faces = review.page
    if not faces:
        st.success("Every face of this queue is decided. Choose another queue on the left, or take a step back.")
        _button("undo", "Undo", _undo, review, icon=":material/undo:")
        return
    face_sheet(review, faces, on_decide=_decide_page)
    with st.container(horizontal=True):
        _button("undo", "Undo", _undo, review, icon=":material/undo:")
        st.caption("Arrows move, the space bar selects, shift extends, Esc clears. A key decides a page in one step.")


def show_help(review: Review) -> None:
    """Every key and what it does."""
    labels = {key: f"the face shows {label}" for label, key in label_keys(review.collection.labels).items()}
    actions = {ACTION_KEYS[action]: _WORDS[action].lower() for action in review.queue.kind.actions if action in _WORDS}
    rest = {"Z": "undo the last step", "← →": "previous, next face", HELP_KEY: "show or hide this help"}
    keys = {**(labels if "relabel" in review.queue.kind.actions else {}), **actions, **rest}
    items = " ".join(f"<dt>{html.escape(key)}</dt><dd>{html.escape(what)}</dd>" for key, what in keys.items())
    st.html(f'<dl class="fer-help">{items}</dl>')


def _show_picture(review: Review, face: Face) -> None:
    try:
        picture = review.collection.picture(face.row)
    except FerError as error:
        st.error("This picture cannot be read.")
        st.text(str(error))
        return
    place = f"{(review.place or 0) + 1:,} of {len(review.queue):,}"
    name = "" if review.blind else f" · {face.sample_id}"  # in class folders an id tells the label
    st.html(
        cards.face_card(picture, f"face {place}")
        + f'<div class="fer-facts">{html.escape(place + name)} · {picture.shape[1]}×{picture.shape[0]} px</div>'
    )


def _show_buttons(review: Review, face: Face) -> None:
    actions = review.queue.kind.actions
    if "relabel" in actions:
        keys = label_keys(review.collection.labels)
        with st.container(horizontal=True, gap="small"):
            for label in review.collection.labels:
                kind = "primary" if label == face.suggestion and not review.blind else "secondary"
                _decision(review, face, "relabel", label, label, keys.get(label), kind=kind, width=142)
    with st.container(horizontal=True, gap="small"):
        for action in actions:
            if action in _WORDS and not (action == "keep" and (review.blind or face.label is None)):
                _decision(review, face, action, None, _WORDS[action], ACTION_KEYS[action], icon=_ICONS[action])
    with st.container(horizontal=True, gap="small"):
        _button("back", "Back", _step, review, -1, icon=":material/arrow_back:")
        _button("next", "Next", _step, review, 1, icon=":material/arrow_forward:")
        _button("undo", "Undo", _undo, review, icon=":material/undo:")
        st.button("Keys", key="help-button", on_click=_toggle_help, shortcut=HELP_KEY, icon=":material/keyboard:")


def _decision(
    review: Review, face: Face, action: str, label: str | None, text: str, key: str | None, *,
    icon: str | None = None, kind: str = "secondary", width: int | str = "content",
) -> None:  # fmt: skip
    # The face is part of the button's identity: a key pressed twice is about a face that has left, and is ignored.
    st.button(
        text,
        key=f"{action}-{label}-{face.sample_id}",
        on_click=_decide,
        args=(review, face.sample_id, action, label),
        shortcut=key,
        icon=icon,
        type=kind,
        width=width,
    )


def _button(name: str, text: str, act: object, *args: object, icon: str) -> None:
    st.button(text, key=f"{name}-button", on_click=act, args=args, shortcut=ACTION_KEYS[name], icon=icon)


def _decide(review: Review, sample_id: str, action: str, label: str | None) -> None:
    note = (st.session_state.get(f"note-{sample_id}") or "").strip()
    with _telling():
        if review.decide(sample_id, action, label, note):
            st.session_state.saved = f"saved: {cards.outcome_text(action, label)}"


def _decide_page(review: Review, sample_ids: list[str], action: str, label: str | None) -> None:
    with _telling():
        count = review.decide_page(sample_ids, action, label)
        st.session_state.saved = f"saved: {count} {cards.outcome_text(action, label)}"


def _undo(review: Review) -> None:
    with _telling():
        count = review.undo()
        st.session_state.saved = f"saved: {count} taken back" if count else "nothing left to take back"


def _step(review: Review, places: int) -> None:
    review.step(places)


def _toggle_help() -> None:
    st.session_state.help = not st.session_state.get("help", False)


class _telling:  # noqa: N801 (reads as a verb)
    """What could not be saved is said on the page, and nothing is said to be saved."""

    def __enter__(self) -> None:
        st.session_state.failed = ""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, FerError):
            st.session_state.saved, st.session_state.failed = "", str(error)
            return True
        return False
