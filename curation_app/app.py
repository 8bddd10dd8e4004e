"""The page. Streamlit runs this file again at every click; what it shows and does lies in the other modules."""

from pathlib import Path

import streamlit as st

from curation_app import access, navigation
from curation_app.settings import from_environment
from fer_data.errors import FerError

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text()}</style>"


def main() -> None:
    st.set_page_config("fer curate", layout="wide")  # an emoji as icon costs a quarter of a second
    st.html(STYLE)
    try:
        settings = from_environment()
        someone = access.enter(settings)
        if someone is not None:
            navigation.show(settings, someone)
    except FerError as error:
        st.error("The curator cannot start.")
        st.text(str(error))


main()
