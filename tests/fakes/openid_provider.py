"""An OpenID Connect provider over HTTP: discovery, RS256 keys, authorization code with PKCE (S256).

It keeps to the standard and signs its one user in without asking; `spoil` makes it break the standard on purpose.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlencode

import uvicorn
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from fastapi import FastAPI, Form, Header, Query
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "drls", "the client's secret"


@cache
def _new_key(name: str) -> RSAKey:
    """Generating one takes a while; each is made once in a test run."""
    return RSAKey.generate_key(2048, parameters={"kid": name, "use": "sig", "alg": "RS256"})


class FakeProvider:
    """`user` is who signs in. `claims` overrides what the ID token says (None takes a claim away), `alg` how it is
    signed: RS256, none, HS256 (with the client's secret), or foreign (RS256 with another's key)."""

    def __init__(self, issuer: str, redirect_uri: str, now: Callable[[], datetime]) -> None:
        self.issuer = issuer
        self.user: dict[str, Any] = {"sub": "248289", "email": "ada@example.org", "email_verified": True, "name": "Ada"}
        self.claims: dict[str, Any] = {}
        self.alg = "RS256"
        self.metadata: dict[str, Any] = {}
        self.denies = False
        self._redirect_uri = redirect_uri
        self._now = now
        self._codes: dict[str, dict[str, str]] = {}
        self._key = _new_key("first")

    def rotate(self) -> None:
        """A new signing key; the one before is gone."""
        self._key = _new_key("second")

    def app(self) -> FastAPI:
        app = FastAPI()
        app.get("/.well-known/openid-configuration")(self._discovery)
        app.get("/keys")(self._keys)
        app.get("/authorize")(self._authorize)
        app.post("/token")(self._token)
        return app

    def _discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "code_challenge_methods_supported": ["S256"],
            **self.metadata,
        }

    def _keys(self) -> dict[str, Any]:
        return KeySet([self._key]).as_dict(private=False)  # pyright: ignore[reportReturnType]

    def _authorize(
        self,
        client_id: str,
        redirect_uri: str,
        response_type: str,
        scope: str,
        state: str,
        nonce: str,
        code_challenge: str,
        code_challenge_method: Annotated[str, Query()],
    ) -> Response:
        if (client_id, redirect_uri) != (CLIENT_ID, self._redirect_uri):
            return JSONResponse({"error": "unauthorized_client"}, 400)
        known = (response_type, code_challenge_method) == ("code", "S256") and "openid" in scope.split()
        if self.denies or not known:
            error = "access_denied" if known else "invalid_request"
            return RedirectResponse(f"{redirect_uri}?{urlencode({'error': error, 'state': state})}", 302)
        code = secrets.token_urlsafe(24)
        self._codes[code] = {"nonce": nonce, "challenge": code_challenge, "redirect_uri": redirect_uri}
        return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}", 302)

    def _token(
        self,
        grant_type: Annotated[str, Form()],
        code: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_verifier: Annotated[str, Form()],
        authorization: Annotated[str, Header()] = "",
    ) -> Response:
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization != f"Basic {expected}":
            return JSONResponse({"error": "invalid_client"}, 401)
        begun = self._codes.pop(code, None)
        if (
            grant_type != "authorization_code"
            or begun is None
            or begun["redirect_uri"] != redirect_uri
            or begun["challenge"] != create_s256_code_challenge(code_verifier)
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        access = secrets.token_urlsafe(16)
        return JSONResponse(
            {"access_token": access, "token_type": "Bearer", "id_token": self._id_token(begun["nonce"], access)},
            headers={"Cache-Control": "no-store"},
        )

    def _id_token(self, nonce: str, access: str) -> str:
        now = int(self._now().timestamp())
        half = hashlib.sha256(access.encode()).digest()[:16]
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(half).decode().rstrip("="), **self.user, **self.claims,
        }  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.alg == "none":
            parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)]
            return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."
        header = {"alg": "RS256", "kid": self._key.kid}
        if self.alg == "HS256":
            return jwt.encode(
                {**header, "alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET * 2), algorithms=["HS256"]
            )
        key = _new_key("foreign") if self.alg == "foreign" else self._key
        return jwt.encode(header, claims, key)


@contextmanager
def running_provider(redirect_uri: str, now: Callable[[], datetime]) -> Iterator[FakeProvider]:
    """Serves a provider on loopback until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        provider = FakeProvider(f"http://127.0.0.1:{listening.getsockname()[1]}", redirect_uri, now)
        server = uvicorn.Server(uvicorn.Config(provider.app(), log_level="critical", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(timeout=30)
