"""Who may review: the `oidc.toml` of a team, and what Streamlit's sign-in is told about it."""

import hashlib
import hmac
import os
import sys
import threading
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from fer_data.configuration import Configuration, build
from fer_data.errors import FerError

GROUP = "group:"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Team(Configuration):
    """A team that signs in at an OpenID Connect provider.

    Members are named by what the provider says of them: `ada@example.org`, everyone of a domain (`*@example.org`),
    a group (`group:annotators`), or everyone who can sign in (`*`).

    Attributes:
        metadata_url: the provider's configuration, https://…/.well-known/openid-configuration.
        client_id: the curator's name at the provider.
        client_secret_env: environment variable that holds the client's secret; or
        client_secret_file: file that holds it.
        url: the page as the reviewers' browsers see it, https://…; the provider must allow `<url>/oauth2callback`.
            None means this machine only, http://127.0.0.1:<port>.
        reviewers: members who may review.
        leads: members who may also apply decisions and see those of others.
        identity: the claim that decisions are signed with.
        groups: the claim that lists a person's groups.
        scope: what the provider is asked to tell.
        unverified_emails: believe an e-mail address that the provider does not call verified; only for a provider
            that your organisation runs itself.
    """

    metadata_url: str
    client_id: str
    client_secret_env: str | None = None
    client_secret_file: str | None = None
    url: str | None = None
    reviewers: tuple[str, ...] = ()
    leads: tuple[str, ...] = Field(min_length=1)
    identity: str = "email"
    groups: str = "groups"
    scope: str = "openid email profile"
    unverified_emails: bool = False

    def page_url(self, port: int) -> str:
        """Where reviewers find the page, without a slash at the end."""
        return self.url.rstrip("/") if self.url else f"http://{LOOPBACK[0]}:{port}"


def read_team(file: str | Path) -> Team:
    """Read and check an `oidc.toml`.

    Raises:
        FerError: it is missing or no TOML, a key is unknown or wrong, or a secret would travel unencrypted.
    """
    path = Path(file)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FerError(f"{path}: cannot be read ({error.strerror}); docs/curator.md shows what belongs in it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FerError(f"{path}: expected TOML, {error}; docs/curator.md shows what belongs in it") from None
    if "client_secret" in values:
        raise FerError(
            f"{path}: the secret itself must not stand here; name a file (client_secret_file) or an environment "
            "variable (client_secret_env) that holds it"
        )
    team = build(Team, values, str(path))
    for name in ("metadata_url", "url"):
        address = getattr(team, name)
        if address is not None and not _is_private(address):
            raise FerError(
                f"{path}: {name}: expected an address that begins with https:// (http:// only on this machine), "
                f"found {address!r}"
            )
    if team.client_secret_file is not None:
        team = team.model_copy(update={"client_secret_file": str((path.parent / team.client_secret_file).resolve())})
    return team


class TeamFile:
    """The lists of members in an `oidc.toml`, read again when it changes. Safe to share between threads.

    What else stands in it counts from the next start on: the provider was told about it. A file that cannot be read
    (it is being written, say) changes nothing, and is named on standard error.
    """

    def __init__(self, file: str | Path, team: Team) -> None:
        """Follow a file.

        Args:
            file: path of the `oidc.toml`.
            team: what it held when the server was started.
        """
        self._file, self._team = Path(file), team
        self._seen: tuple[int, int] | None = None
        self._turn = threading.Lock()

    def read(self) -> Team:
        """The team as the file names it now."""
        with self._turn:
            stamp = self._stamp()
            if stamp != self._seen:
                self._seen = stamp
                try:
                    now = read_team(self._file)
                except FerError as error:
                    print(f"{error}; until then the team is the one that it named before", file=sys.stderr, flush=True)
                else:
                    self._team = self._team.model_copy(update={"reviewers": now.reviewers, "leads": now.leads})
            return self._team

    def _stamp(self) -> tuple[int, int] | None:
        try:
            facts = self._file.stat()
        except OSError:
            return None
        return facts.st_mtime_ns, facts.st_size


def read_client_secret(team: Team) -> str:
    """The secret, from the place that the team's file names.

    Raises:
        FerError: no place or two are named, or there is no secret.
    """
    if (team.client_secret_env is None) == (team.client_secret_file is None):
        raise FerError(
            "the team's file: expected client_secret_env or client_secret_file, one of the two; name where the "
            "client's secret lies"
        )
    if team.client_secret_env is not None:
        secret, place = os.environ.get(team.client_secret_env, ""), f"environment variable {team.client_secret_env}"
    else:
        place = f"file {team.client_secret_file}"
        try:
            secret = Path(str(team.client_secret_file)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            secret = ""
    if not secret.strip():
        raise FerError(f"the client's secret: expected it in {place}, found none; put there what the provider gave you")
    return secret.strip()


def sign_in_secrets(team: Team, client_secret: str, port: int) -> dict[str, Any]:
    """The `[auth]` section that `st.login` reads; it is handed over in memory and never written to a file."""
    # Reviewers stay signed in when the server is started again; another client secret signs everybody out.
    cookie_secret = hmac.new(client_secret.encode(), f"fer curate {team.client_id}".encode(), hashlib.sha256)
    return {
        "redirect_uri": f"{team.page_url(port)}/oauth2callback",
        "cookie_secret": cookie_secret.hexdigest(),
        "client_id": team.client_id,
        "client_secret": client_secret,
        "server_metadata_url": team.metadata_url,
        "client_kwargs": {"scope": team.scope},
    }


def name_of(team: Team, claims: Mapping[str, Any]) -> str | None:
    """The name that the provider vouches for, or None where it vouches for none."""
    name = str(claims.get(team.identity) or "").strip()
    if team.identity == "email":
        name = name.lower()
        if not (team.unverified_emails or claims.get("email_verified") is True):
            return None
    return name or None


def is_member(team: Team, members: tuple[str, ...], claims: Mapping[str, Any]) -> bool:
    """Whether a person, by what the provider says, is one of `members`."""
    name = (name_of(team, claims) or "").casefold()
    groups = claims.get(team.groups) or ()
    groups = {groups} if isinstance(groups, str) else set(map(str, groups))
    for member in members:
        if member.startswith(GROUP):
            found = member.removeprefix(GROUP) in groups
        elif member.startswith("*@"):
            found = name.endswith(member[1:].casefold())
        else:
            found = member == "*" or member.casefold() == name
        if name and found:
            return True
    return False


def _is_private(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
