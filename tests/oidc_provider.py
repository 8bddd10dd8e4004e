"""A small OpenID provider on loopback for tests: authorization code with PKCE (S256), tokens signed with RS256.

It asks who you are by a button for each person it knows, and believes the answer; everything else is checked.
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from contextlib import contextmanager
from html import escape
from typing import Any
from urllib.parse import urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT_ID, CLIENT_SECRET = "fer-curator", "not-a-real-secret-4711"


class Provider:
    """The provider's state: its key, the people it knows, and the codes that nobody has used yet."""

    def __init__(self, issuer: str, redirect_uri: str, people: Mapping[str, Mapping[str, Any]]) -> None:
        """Serve `people` (button → claims) to one client that may be sent back to `redirect_uri` only."""
        self.issuer, self.redirect_uri, self.people = issuer, redirect_uri, people
        self.codes: dict[str, dict[str, str]] = {}
        self.redeemed = 0
        self._key = RSAKey.generate_key(2048, parameters={"kid": "test", "use": "sig", "alg": "RS256"})
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self.metadata),
                Route("/jwks", self.keys),
                Route("/authorize", self.authorize, methods=["GET", "POST"]),
                Route("/token", self.token, methods=["POST"]),
            ]
        )

    async def metadata(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [self._key.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """Ask who it is, then send the browser back with a code."""
        asked = dict(request.query_params)
        expected = {"client_id": CLIENT_ID, "redirect_uri": self.redirect_uri, "response_type": "code"}
        wrong = [name for name, value in expected.items() if asked.get(name) != value]
        wrong += ["PKCE"] * (asked.get("code_challenge_method") != "S256" or not asked.get("code_challenge"))
        if wrong or "state" not in asked or "nonce" not in asked:
            return Response(f"refused: {', '.join(wrong) or 'state, nonce'}", status_code=400)
        if request.method == "GET":
            buttons = [f'<button name="person" value="{escape(name)}">{escape(name)}</button>' for name in self.people]
            return HTMLResponse(f'<h1>Who are you?</h1><form method="post">{"".join(buttons)}</form>')
        person = str((await request.form())["person"])
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"person": person, "nonce": asked["nonce"], "challenge": asked["code_challenge"]}
        back = urlencode({"code": code, "state": asked["state"]})
        return RedirectResponse(f"{self.redirect_uri}?{back}", status_code=303)

    async def token(self, request: Request) -> Response:
        """Change a code for tokens, once, for the client that asked for it."""
        form = dict(await request.form())
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if not hmac.compare_digest(request.headers.get("authorization", ""), f"Basic {basic}"):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        grant = self.codes.pop(str(form.get("code")), None)
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if grant is None or challenge != grant["challenge"] or form.get("redirect_uri") != self.redirect_uri:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        self.redeemed += 1
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": grant["nonce"]}
        claims |= {"sub": grant["person"], **self.people[grant["person"]]}
        id_token = jwt.encode({"alg": "RS256", "kid": "test"}, claims, self._key)
        answer = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "id_token": id_token}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})


@contextmanager
def running_provider(port: int, redirect_uri: str, people: Mapping[str, Mapping[str, Any]]):
    """A provider that answers on loopback while the block runs."""
    provider = Provider(f"http://127.0.0.1:{port}", redirect_uri, people)
    server = uvicorn.Server(uvicorn.Config(provider.app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join()
