"""What stands beside the panel, driven without a browser."""

import json
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import curation_app
from curation_app import reviewing
from curation_app.opened import open_collection, open_log

APP = Path(curation_app.__file__).with_name("app.py")


@pytest.fixture
def open_app(settings, monkeypatch):
    def run(query=None, rehearsed=False, **changes):
        if not rehearsed:
            st.cache_resource.clear()
        for name, value in settings.model_copy(update=changes).environment().items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(APP), default_timeout=60)
        for name, value in (query or {}).items():
            app.query_params[name] = value
        return checked(app.run())

    return run


def checked(app):
    assert not app.exception
    return app


def open_drawer(app):
    app.session_state.drawer = True
    return checked(app.run())


def told(app):
    """What the panel was sent."""
    (panel,) = app.get("bidi_component")
    return json.loads(panel.proto.json)


def test_the_first_queue_with_faces_is_open_and_another_can_be_chosen(open_app):
    app = open_app()
    queue = app.sidebar.radio[0]
    assert queue.options[0] == "Suspected labels (4)" and told(app)["queue"]["name"] == "suspected"
    app = checked(queue.set_value("synthetic").run())
    assert told(app)["queue"]["name"] == "synthetic" and told(app)["total"] == 4


def test_settings_and_links_say_where_to_begin(open_app):
    assert told(open_app(queue="synthetic"))["queue"]["name"] == "synthetic"
    assert told(open_app(mode="page", page_faces=2))["layout"] == "page"
    linked = told(open_app(query={"queue": "suspected", "sample": "real/2"}))
    assert (linked["queue"]["name"], linked["at"], linked["linked"]) == ("suspected", 3, True)
    assert told(open_app(keys={"keep": "b"}))["keys"]["keep"] == "b"


@pytest.mark.parametrize("changes", [{}, {"queue": "synthetic"}, {"mode": "page", "blind": True}])
def test_after_a_rehearsal_the_first_page_reads_nothing_anew_and_nothing_was_decided(open_app, settings, changes):
    st.cache_resource.clear()
    settings = settings.model_copy(update=changes)
    reviewing.rehearse(settings)
    collection = open_collection(settings)
    read = {**collection._kept}, {**vars(collection)}
    told(open_app(rehearsed=True, **changes))
    assert open_collection(settings) is collection and read == ({**collection._kept}, {**vars(collection)})
    assert open_log(settings).events() == []


def test_a_queue_is_narrowed_and_blind_offers_no_filter_that_tells(open_app):
    app = open_app()
    assert not app.selectbox  # the drawer is closed
    app = open_drawer(app)
    app = checked(next(box for box in app.selectbox if box.label == "Model suggests").set_value("anger").run())
    assert told(app)["total"] == 1
    app.session_state.drawer = False
    assert told(checked(app.run()))["total"] == 1  # a closed drawer forgets nothing
    app = checked(app.toggle[0].set_value(True).run())
    assert told(app)["blind"] and told(app)["total"] == 4
    assert [box.label for box in app.selectbox] == ["Split", "Source"]


def test_a_change_at_the_side_begins_anew_and_a_rerun_does_not(open_app):
    app = open_app()
    review = app.session_state.desk.review
    assert checked(app.run()).session_state.desk.review is review
    app = checked(app.sidebar.text_input[0].set_value("ben").run())
    assert app.session_state.desk.review is not review and told(app)["reviewer"] == "ben"


@pytest.mark.parametrize(
    ("changes", "query", "words"),
    [
        ({"keys": {"keep": "d"}}, None, "D is set for keep and for drop"),
        ({}, {"sample": "real/x"}, "no face of this manifest has the id 'real/x'"),
        ({"manifest": "nowhere.parquet"}, None, "nowhere.parquet"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(open_app, changes, query, words):
    app = open_app(query, **changes)
    assert len(app.error) == 1 and words in "".join(text.value for text in app.text)
    assert not app.get("bidi_component")


def test_a_condition_that_is_none_is_told(open_app):
    app = open_drawer(open_app())
    where = next(field for field in app.text_input if field.label == "Where")
    app = checked(where.set_value("weight <").run())
    assert app.error[0].value == "This cannot be reviewed."


def test_a_nameless_reviewer_is_asked_for_a_name(open_app):
    app = open_app(reviewer="")
    assert "Write your name" in app.info[0].value and not app.get("bidi_component")


def test_faces_chosen_on_another_page_are_a_queue(open_app):
    app = open_app()
    app.session_state["chosen_faces"] = ("Around fear", ("real/5", "real/1"))
    app = checked(app.run())
    assert app.sidebar.radio[0].options[0] == "Around fear (2)"
    assert (told(app)["queue"]["title"], told(app)["total"]) == ("Around fear", 2)
