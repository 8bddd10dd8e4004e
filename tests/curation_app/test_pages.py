"""The pages beside reviewing, driven without a browser."""

import csv
import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from decisions_made import decide
from streamlit.testing.v1 import AppTest

import curation_app
from curation_app import effects, reviewers
from fer_data import manifest as manifests

APP = Path(curation_app.__file__).with_name("app.py")
PAGE = """
from dataclasses import replace
import streamlit as st
from curation_app import access, {page}
from curation_app.settings import from_environment
st.session_state["review_page"] = st.Page(lambda: None, title="Review")
settings = from_environment()
{page}.show(settings, access.Person("ada", {role!r}, signed_in=True))
"""


@pytest.fixture
def open_page(settings, monkeypatch):
    import streamlit as st

    def run(page, role="lead"):
        st.cache_resource.clear()
        for name, value in settings.environment().items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_string(PAGE.format(page=page, role=role), default_timeout=60).run()
        assert not app.exception
        return app

    return run


@pytest.fixture
def decided(project, log):
    log.append(
        [
            decide(project, 1, "relabel", "surprise", elapsed_ms=500),
            decide(project, 2, "drop", reviewer="ada"),
            decide(project, 1, "keep", reviewer="ben"),
            decide(project, 3, "keep", reviewer="ben", note="=1+1"),
        ]
    )
    return log


def metrics(app):
    return {entry.label: entry.value for entry in app.metric}


def texts(app):
    return " ".join(entry.value for kind in (app.text, app.caption, app.info, app.error) for entry in kind)


def test_without_decisions_pages_say_so(open_page):
    for page in ("effects", "reviewers"):
        assert "Nothing is decided yet." in texts(open_page(page))


def test_effects_show_what_changes_and_only_a_lead_applies(open_page, decided, project):
    app = open_page("effects")
    assert metrics(app) == {"Relabelled": "0", "Dropped": "1", "Unsure, soft label": "1", "Confirmed": "1"}
    assert app.dataframe[0].value.loc["fear", "after"] == 9
    app.text_input[0].set_value("better")
    app.button[0].click()
    app.run()
    assert "Applied" in app.success[0].value and "manifests/better" in app.code[0].value
    assert len(manifests.read(project.root / "manifests/better")) == len(project) - 1
    mine = open_page("effects", "reviewer")
    assert metrics(mine)["Relabelled"] == "1" and not mine.text_input and not mine.button


def test_a_lead_chooses_who_decides_where_reviewers_differ(open_page, decided, project):
    app = open_page("effects")
    assert app.selectbox[0].options == list(effects._RULES.values())
    app.selectbox[0].select("seniority").run()
    app.multiselect[0].set_value(["ben", "ada"]).run()
    assert metrics(app) == {"Relabelled": "0", "Dropped": "1", "Unsure, soft label": "0", "Confirmed": "2"}
    app.button[0].click().run()
    facts = manifests.read(project.root / "manifests/faces-clean").metadata["decisions"]
    assert (facts["consensus"], facts["seniority"], facts["kept"]) == ("seniority", ["ben", "ada"], 2)
    app.multiselect[0].set_value([]).run()
    assert metrics(app)["Unsure, soft label"] == "1"
    app.selectbox[0].select("crowdlab").run()
    assert "Labels are weighed by the reviewers' records" in texts(app) and not app.error
    assert not open_page("effects", "reviewer").selectbox


@pytest.mark.parametrize(("name", "words"), [("../x", "expected a name"), ("faces", "exists"), ("", "expected a name")])
def test_a_name_that_cannot_be_is_told(open_page, decided, name, words):
    app = open_page("effects")
    app.text_input[0].set_value(name)
    app.button[0].click()
    app.run()
    assert app.error[0].value == "Nothing was applied." and words in texts(app)


def test_decisions_that_cannot_be_applied_are_told(open_page, decided, project):
    decided.append([decide(project, 4, "drop", reviewer="ada", pixel_sha256="0" * 64)])
    assert "were made on other pictures" in texts(open_page("effects"))


def test_only_a_lead_sees_other_reviewers(open_page, decided):
    app = open_page("reviewers")
    assert list(app.dataframe[0].value["reviewer"]) == ["ada", "ben"]
    assert metrics(app)["The same word"] == "0 %" and app.dataframe[1].value["reviewers"][0] == "ada and ben"
    mine = open_page("reviewers", "reviewer")
    assert list(mine.dataframe[0].value["reviewer"]) == ["ada"] and len(mine.dataframe) == 1


def test_without_a_shared_face_there_is_no_agreement(open_page, project, log):
    log.append([decide(project, 1, "keep", reviewer="ada")])
    assert "No face was decided by two reviewers yet" in texts(open_page("reviewers"))


def test_exports_hold_every_event(decided):
    events = decided.events()
    rows = list(csv.DictReader(io.StringIO(reviewers.as_csv(events).decode())))
    table = pq.read_table(io.BytesIO(reviewers.as_parquet(events))).to_pylist()
    for told in (rows, table):
        assert [row["event_id"] for row in told] == [event.event_id for event in events]
        assert json.loads(told[0]["shown"])["label"] == "fear"
    assert table[0]["elapsed_ms"] == 500 and table[1]["note"] is None


def test_navigation_leads_to_every_page(settings, monkeypatch):
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception and app.get("bidi_component")
