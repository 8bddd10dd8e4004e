"""The page, driven without a browser."""

import sqlite3
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import curation_app
from fer_data.decision_log import standing

APP = Path(curation_app.__file__).with_name("app.py")


@pytest.fixture
def open_app(settings, monkeypatch):
    import streamlit as st

    def run(**changes):
        st.cache_resource.clear()
        for name, value in settings.model_copy(update=changes).environment().items():
            monkeypatch.setenv(name, value)
        app = AppTest.from_file(str(APP), default_timeout=30).run()
        assert not app.exception
        return app

    return run


def press(app, name):
    button = next(button for button in app.button if name in (button.label, button.key))
    app = button.click().run()
    assert not app.exception
    return app


def page_text(app):
    return "".join(element.proto.body for element in app.main if element.type == "html") + "".join(
        element.proto.body for element in app.get("html")
    )


def test_decide_undo_and_the_end_of_the_queue(open_app, log):
    app = open_app()
    assert "0 of 4 decided" in page_text(app) and "surprise" in page_text(app)
    app = press(app, "surprise")
    assert [(event.sample_id, event.label) for event in log.events()] == [("real/3", "surprise")]
    assert "1 of 4 decided" in page_text(app) and "saved: → surprise" in page_text(app)
    app = press(app, "Undo")
    assert standing(log.events()) == {} and "0 of 4 decided" in page_text(app)
    for name in ("Keep label", "Drop face", "Unsure", "anger"):
        app = press(app, name)
    assert [event.action for event in standing(log.events()).values()] == ["keep", "drop", "unsure", "relabel"]
    assert "Every face of this queue is decided" in app.success[0].value
    app = press(app, "Back")
    assert "you decided" in page_text(app)


def test_a_restart_goes_on_where_it_was(open_app):
    press(press(open_app(), "Keep label"), "Keep label")
    assert "2 of 4 decided" in page_text(open_app())


def test_synthetic_faces_are_accepted_or_rejected(open_app, log):
    app = open_app(queue="synthetic")
    assert not [button for button in app.button if button.label in ("Keep label", "anger")]
    press(press(app, "Accept"), "Reject")
    assert [(event.sample_id, event.action) for event in log.events()] == [("made/0", "accept"), ("made/1", "reject")]


def test_a_note_is_saved_with_its_decision(open_app, log):
    app = open_app()
    next(field for field in app.text_input if field.placeholder.startswith("Note")).set_value(" <b>odd</b> ").run()
    press(app, "Drop face")
    assert log.events()[0].note == "<b>odd</b>"


def test_blind_shows_neither_label_nor_opinion_nor_name(open_app):
    app = open_app(blind=True)
    assert "fear" not in page_text(app) and "surprise" not in page_text(app) and "real/" not in page_text(app)
    assert not [button for button in app.button if button.label == "Keep label"]


def test_a_hostile_id_is_text(open_app):
    app = press(press(open_app(), "Next"), "Next")
    assert "real/&lt;img src=x onerror=alert(1)&gt;" in page_text(app) and "<img src=x" not in page_text(app)


def test_the_help_names_every_key(open_app):
    app = press(open_app(), "Keys")
    assert "the face shows anger" in page_text(app) and "undo the last step" in page_text(app)


def test_what_is_not_saved_is_said(open_app, log, tmp_path):
    app = open_app()
    with sqlite3.connect(tmp_path / "decisions.sqlite") as other:
        other.execute("ALTER TABLE decisions RENAME TO away")
    app = press(app, "Keep label")
    assert "NOT saved" in page_text(app) and "0 of 4 decided" in page_text(app)


def test_a_manifest_that_is_gone_and_a_nameless_reviewer_are_told(open_app, settings):
    app = open_app(manifest="nowhere.parquet")
    assert "cannot start" in app.error[0].value and "nowhere.parquet" in app.text[0].value
    app = open_app(reviewer="")
    assert "Write your name" in app.info[0].value and not app.button
