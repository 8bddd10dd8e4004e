"""Which pages there are. What everybody at them has in common, the name, is asked for here once."""

from dataclasses import replace

import streamlit as st

from curation_app import access, effects, overview, reviewers, reviewing
from curation_app.settings import Settings

_PAGES = {
    "Review": reviewing.show,
    "Overview": overview.show,
    "Reviewers": reviewers.show,
    "Effects": effects.show,
}
_OPEN = "open_page"  # session state: the page that was shown last


def show(settings: Settings, someone: access.Person) -> None:
    """Draw the page that the address names.

    Raises:
        FerError: the manifest, a table or the log cannot be opened.
    """

    def draw() -> None:
        _PAGES[page.title](settings, signed)

    # No icons: the browser would ask a server elsewhere for the one that it shows in its tab.
    pages = [st.Page(draw, title=title, url_path=title.lower(), default=title == "Review") for title in _PAGES]
    st.session_state[reviewing.PAGE] = pages[0]
    page = st.navigation(pages)
    if st.session_state.get(_OPEN) != page.title:  # Streamlit forgets what was chosen on a page that is left
        st.session_state[reviewing.BEFORE] = st.session_state.get("choice")
        st.session_state[_OPEN] = page.title
    with st.sidebar:
        signed = replace(someone, name=access.signature(someone))
    page.run()
