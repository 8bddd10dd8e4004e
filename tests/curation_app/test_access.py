"""Sign-in and roles: the team's file, who is let in, and the whole way through a provider in a real Chromium."""

import json
from pathlib import Path

import pytest
from chromium import chromium, free_port, new_page, until, wait_for_face
from streamlit.testing.v1 import AppTest

from curation_app import access, launch
from curation_app.settings import Settings
from curation_app.team import Team, TeamFile, is_member, name_of, read_client_secret, read_team, sign_in_secrets
from fer_data.errors import FerError

APP = Path(access.__file__).with_name("app.py")
ADA = {"is_logged_in": True, "email": "Ada@Example.org", "email_verified": True, "groups": ["annotators"]}


def team(**changes):
    given = {"metadata_url": "https://id.example.org/x", "client_id": "c", "leads": ("lead@example.org",), **changes}
    return Team.model_validate(given)


def write(path, text, **changes):
    values = {"metadata_url": "https://id.example.org/x", "client_id": "c", "leads": ["a@b"], **changes}
    path.write_text(text + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return path


# -- the team's file -------------------------------------------------------------------------------------------------


def test_a_team_file_is_read_and_a_secret_file_lies_beside_it(tmp_path):
    (tmp_path / "secret").write_text(" s3cret\n")
    read = read_team(write(tmp_path / "oidc.toml", "", client_secret_file="secret", reviewers=["*@b"]))
    assert read.reviewers == ("*@b",) and read_client_secret(read) == "s3cret"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"client_secret": "s"}, "the secret itself must not stand here"),
        ({"leads": []}, "leads"),
        ({"lead": ["a"]}, "unknown key 'lead'; did you mean 'leads'"),
        ({"metadata_url": "http://id.example.org/x"}, "metadata_url: expected an address that begins with https"),
        ({"url": "http://curator.example.org"}, "url: expected an address that begins with https"),
        ({"url": "curator"}, "url: expected an address"),
    ],
)
def test_a_wrong_team_file_is_refused_in_one_sentence(tmp_path, changes, message):
    with pytest.raises(FerError, match=message):
        read_team(write(tmp_path / "oidc.toml", "", **changes))


def test_a_team_file_that_is_missing_or_no_toml_is_refused(tmp_path):
    with pytest.raises(FerError, match="cannot be read"):
        read_team(tmp_path / "none.toml")
    with pytest.raises(FerError, match="expected TOML"):
        read_team(write(tmp_path / "oidc.toml", "= nonsense\n"))


def test_a_team_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing(tmp_path, capsys):
    file = write(tmp_path / "oidc.toml", "", reviewers=["ada@b"])
    followed = TeamFile(file, team(client_id="first"))
    assert (followed.read().reviewers, followed.read().client_id) == (("ada@b",), "first")
    write(file, "", reviewers=["ada@b", "ben@b"], leads=["eve@b"])
    assert (followed.read().reviewers, followed.read().leads) == (("ada@b", "ben@b"), ("eve@b",))
    write(file, "= half a file")
    assert followed.read().reviewers == followed.read().reviewers == ("ada@b", "ben@b")
    assert capsys.readouterr().err.count("expected TOML") == 1
    file.unlink()
    assert followed.read().leads == ("eve@b",) and "cannot be read" in capsys.readouterr().err


def test_a_secret_has_exactly_one_place_and_is_not_empty(monkeypatch, tmp_path):
    with pytest.raises(FerError, match="one of the two"):
        read_client_secret(team())
    with pytest.raises(FerError, match="one of the two"):
        read_client_secret(team(client_secret_env="A", client_secret_file="b"))
    with pytest.raises(FerError, match="environment variable FER_NO_SECRET, found none"):
        read_client_secret(team(client_secret_env="FER_NO_SECRET"))
    with pytest.raises(FerError, match="file .*none, found none"):
        read_client_secret(team(client_secret_file=str(tmp_path / "none")))
    monkeypatch.setenv("FER_NO_SECRET", "found")
    assert read_client_secret(team(client_secret_env="FER_NO_SECRET")) == "found"


def test_sign_in_survives_a_restart_but_not_another_secret():
    one, again, other = (sign_in_secrets(team(), secret, 8501)["cookie_secret"] for secret in ("a", "a", "b"))
    assert one == again != other and "a" * 8 not in one
    assert sign_in_secrets(team(), "a", 8501)["redirect_uri"] == "http://127.0.0.1:8501/oauth2callback"
    public = team(url="https://curator.example.org/")
    assert sign_in_secrets(public, "a", 8501)["redirect_uri"] == "https://curator.example.org/oauth2callback"


# -- who is let in ---------------------------------------------------------------------------------------------------


def test_a_name_is_what_the_provider_vouches_for():
    assert name_of(team(), ADA) == "ada@example.org"
    assert name_of(team(), {**ADA, "email_verified": False}) is None
    assert name_of(team(), {key: ADA[key] for key in ("email", "is_logged_in")}) is None
    assert name_of(team(unverified_emails=True), {"email": "Ada@x"}) == "ada@x"
    assert name_of(team(identity="sub"), {"sub": "00X"}) == "00X"
    assert name_of(team(), {"email_verified": True}) is None


@pytest.mark.parametrize(
    ("members", "found"),
    [
        (("ada@example.org",), True),
        (("ADA@EXAMPLE.ORG",), True),
        (("*@example.org",), True),
        (("*@ample.org",), False),
        (("group:annotators",), True),
        (("annotators",), False),
        (("group:annot",), False),
        (("*",), True),
        (("bo@example.org",), False),
        ((), False),
    ],
)
def test_members_are_named_by_address_domain_or_group(members, found):
    assert is_member(team(), members, ADA) is found
    assert not is_member(team(), members, {**ADA, "email_verified": False})


def test_roles():
    both = team(reviewers=("group:annotators",), leads=("lead@example.org",))
    assert access.member(both, ADA) == access.Person("ada@example.org", "reviewer", signed_in=True)
    assert access.member(both, {**ADA, "email": "lead@example.org"}).role == "lead"
    assert access.member(both, {**ADA, "groups": "annotators"}).role == "reviewer"
    assert access.member(both, {**ADA, "groups": []}) is None
    assert access.member(both, {**ADA, "is_logged_in": False}) is None
    assert access.member(both, {}) is None


def test_without_sign_in_only_this_machine_has_a_lead():
    alone = Settings(manifest="m", reviewer="ada")
    assert access.person(alone) == access.Person("ada", "lead", signed_in=False) and access.is_lead(alone)
    assert access.role(alone.model_copy(update={"public": True})) == "reviewer"


def test_nobody_enters_a_team_page_without_signing_in(settings, monkeypatch):
    signed = settings.model_copy(update={"team": team()})
    for name, value in signed.environment().items():
        monkeypatch.setenv(name, value)
    app = AppTest.from_file(str(APP), default_timeout=60).run()
    assert not app.exception and [button.label for button in app.button] == ["Sign in"]
    assert {element.type for element in app.main} <= {"main", "html", "bidi_component", "title", "markdown", "button"}
    assert {element.type for element in app.sidebar} <= {"sidebar"}


# -- the whole way ---------------------------------------------------------------------------------------------------


@pytest.fixture
def signed_in_server(settings, tmp_path):
    """A curator and a provider on loopback; gives the page's URL and the provider."""
    provider_module = pytest.importorskip("oidc_provider", reason="install the extra `team` to test the sign-in")
    port, provider_port = free_port(), free_port()
    url = f"http://{launch.HOST}:{port}"
    people = {
        "Ada": {"email": "ada@example.org", "email_verified": True},
        "Lea": {"email": "lea@example.org", "email_verified": True},
        "Eve": {"email": "eve@elsewhere.org", "email_verified": True},
        "Mallory": {"email": "lea@example.org", "email_verified": False},
    }
    (tmp_path / "client.secret").write_text(provider_module.CLIENT_SECRET)
    with provider_module.running_provider(provider_port, f"{url}/oauth2callback", people) as provider:
        signed = team(
            metadata_url=f"{provider.issuer}/.well-known/openid-configuration",
            client_id=provider_module.CLIENT_ID,
            client_secret_file=str(tmp_path / "client.secret"),
            reviewers=("*@example.org",),
            leads=("lea@example.org",),
        )
        file = write(tmp_path / "oidc.toml", "", reviewers=signed.reviewers, leads=signed.leads)
        changes = {"team": signed, "team_file": str(file), "reviewer": "typed"}
        process = launch.start(settings.model_copy(update=changes), port)
        yield url, provider
        launch.stop(process)


def sign_in(browser, url, name):
    """A fresh browser context in which `name` has gone through the provider."""
    page = new_page(browser, url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=name).click()
    page.wait_for_url(f"{url.partition('?')[0].rstrip('/')}/**")
    return page


def faces(page):
    return page.get_by_text("of 4 decided")


@pytest.mark.browser
def test_who_is_taken_off_the_list_is_out_at_once_and_loses_nothing_by_it(signed_in_server, log, tmp_path):
    url, _ = signed_in_server
    with chromium() as browser:
        page = sign_in(browser, url, "Ada")
        wait_for_face(page)
        write(tmp_path / "oidc.toml", "", leads=["lea@example.org"])
        page.keyboard.press("k")
        page.get_by_text("you are not of this team").wait_for()
        assert faces(page).count() == 0 and log.events() == []
        write(tmp_path / "oidc.toml", "", leads=["lea@example.org"], reviewers=["ada@example.org"])
        page.on("dialog", lambda dialog: dialog.accept())  # a decision waits in the tab
        page.reload()
        page.get_by_text("1 of 4 decided").wait_for()
        until(lambda: [event.reviewer for event in log.events()] == ["ada@example.org"])
        assert log.events()[0].action == "keep"


@pytest.mark.browser
def test_the_provider_says_who_reviews_and_nobody_else_sees_a_face(signed_in_server, log):
    url, provider = signed_in_server
    with chromium() as browser:
        page = sign_in(browser, f"{url}/?queue=sample", "Ada")
        page.wait_for_url(f"{url}/?queue=sample")  # a link is followed after the sign-in
        page.goto(url)
        page.get_by_text("ada@example.org").first.wait_for()
        assert provider.redeemed == 1 and provider.codes == {}
        assert page.get_by_label("Reviewer").count() == 0  # the name cannot be typed
        wait_for_face(page)
        page.keyboard.press("k")
        page.get_by_text("1 of 4 decided").wait_for()
        until(lambda: [event.reviewer for event in log.events()] == ["ada@example.org"])

        (cookie,) = (cookie for cookie in page.context.cookies() if cookie["name"] == "_streamlit_user")
        assert cookie["httpOnly"] and cookie["sameSite"] == "Lax"
        forged = browser.new_context()
        forged.add_cookies([{**cookie, "value": cookie["value"][:-8] + "AAAAAAAA"}])
        other = forged.new_page()
        other.goto(url)
        other.get_by_role("button", name="Sign in").wait_for(timeout=60_000)
        assert faces(other).count() == 0
        said = page_without_token(url, {"_streamlit_user": cookie["value"]})
        assert b"Sign in" in said and b"ada@example.org" not in said  # the cookie alone, as another site could send it

        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="Sign in").wait_for()
        assert faces(page).count() == 0

        for name in ("Eve", "Mallory"):  # not of the team; of the team, but the address is not verified
            page = sign_in(browser, url, name)
            page.get_by_text("you are not of this team").wait_for()
            assert faces(page).count() == 0


def page_without_token(url, cookies):
    """What the server shows a program that has the cookie and says where it comes from, but knows no XSRF token."""
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
    from websockets.sync.client import connect

    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    shown, kind = b"", None
    stream = url.replace("http://", "ws://") + "/_stcore/stream"
    with connect(stream, origin=url, additional_headers={"Cookie": header}) as socket:
        message = BackMsg()
        message.rerun_script.query_string = ""
        socket.send(message.SerializeToString())
        while kind != "script_finished":
            shown += (said := socket.recv(timeout=30))
            kind = ForwardMsg.FromString(said).WhichOneof("type")
    return shown
