"""A row of figures with their titles, which goes on in the next line where the screen is narrow."""

from collections.abc import Mapping

import streamlit as st


def show_figures(figures: Mapping[str, str]) -> None:
    """Draw figures side by side.

    Args:
        figures: title → figure, as it is read.
    """
    with st.container(horizontal=True, gap="medium"):
        for title, value in figures.items():
            st.metric(title, value, width="content")
