"""Who is at the page and what they may do there."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from curation_app.settings import Settings
from curation_app.team import Team, TeamFile, is_member, name_of

Role = Literal["reviewer", "lead"]

_come_back = st.components.v2.component("fer_come_back", js=Path(__file__).with_name("come_back.js").read_text())


@dataclass(frozen=True)
class Person:
    """Who reviews.

    Attributes:
        name: what decisions are signed with; "" where nobody has said yet.
        role: a reviewer decides; a lead also applies decisions and sees those of others.
        signed_in: the provider vouches for the name, and it cannot be typed.
    """

    name: str
    role: Role
    signed_in: bool


def person(settings: Settings) -> Person | None:
    """Who is at the page of this session, or None: nobody is signed in, or somebody who is not of the team."""
    team = _present_team(settings)
    if team is not None:
        return member(team, st.user.to_dict())
    # On this machine whoever sees the page could as well change the files; on a network that is not so.
    return Person(settings.reviewer, "reviewer" if settings.public else "lead", signed_in=False)


def role(settings: Settings) -> Role | None:
    """What whoever is at the page may do, or None: nothing, not even look."""
    found = person(settings)
    return None if found is None else found.role


def is_lead(settings: Settings) -> bool:
    """Whether whoever is at the page may apply decisions and see those of others."""
    return role(settings) == "lead"


def member(team: Team, claims: Mapping[str, Any]) -> Person | None:
    """A person of the team, by what the provider says; None where they are signed out or not of the team."""
    name = name_of(team, claims)
    if not claims.get("is_logged_in") or name is None:
        return None
    if is_member(team, team.leads, claims):
        return Person(name, "lead", signed_in=True)
    return Person(name, "reviewer", signed_in=True) if is_member(team, team.reviewers, claims) else None


def _present_team(settings: Settings) -> Team | None:
    if settings.team is None or settings.team_file is None:
        return settings.team
    return _followed(settings.team_file, settings.team).read()


@st.cache_resource(show_spinner=False, max_entries=1)
def _followed(file: str, _team: Team) -> TeamFile:
    return TeamFile(file, _team)


def enter(settings: Settings) -> Person | None:
    """Let a person in, or show where to sign in. A page draws nothing else where this gives None.

    Returns:
        Who is at the page; None where nobody may see more of it.
    """
    found = person(settings)
    if settings.team is not None:
        _come_back(key="come_back", data={"signed_in": found is not None})
    if found is not None:
        return found
    st.title("fer curate")
    if not st.user.to_dict().get("is_logged_in"):
        st.write("Sign in to review: decisions are signed with your name.")
        st.button("Sign in", type="primary", icon=":material/login:", on_click=st.login)
        return None
    claims = st.user.to_dict()
    st.error("You are signed in, but you are not of this team, or your address is not verified.")
    st.text(f"Signed in as {claims.get(settings.team.identity) or claims.get('sub') or 'nobody'}.")  # type: ignore[union-attr]
    st.write("Ask whoever runs this page to name you in its sign-in file.")
    sign_out_button()
    return None


def signature(someone: Person) -> str:
    """The name that decisions are signed with: the provider's word, or what is typed here; "" before it is typed."""
    if not someone.signed_in:
        return str(st.text_input("Reviewer", someone.name, max_chars=80)).strip()
    st.text(someone.name)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(someone.role)
        sign_out_button()
    return someone.name


def sign_out_button() -> None:
    """A button that ends the session at this page, and at the provider if it can."""
    st.button("Sign out", type="tertiary", icon=":material/logout:", on_click=st.logout)
