"""The provider as the app talks to it: authorization code with PKCE, discovery and signing keys over HTTP.

Authlib makes the requests and checks the claims of the ID token (OpenID Connect Core 1.0, 3.1.3.7), joserfc
its signature; only asymmetric algorithms count, so that neither `none` nor a guessed secret signs anything.
"""

# Authlib has no types.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import secrets
import threading
from datetime import datetime
from typing import Any

import httpx
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import get_well_known_url
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from lifecycle.addresses import is_protected
from lifecycle.app.account.openid.settings import OpenIdSettings
from lifecycle.app.kit.parts import IdentityProvider
from lifecycle.domain.model import Frozen
from lifecycle.errors import Unauthorized, Unavailable
from lifecycle.usecases.openid_accounts import OpenIdUser

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
CLOCK_SKEW_SECONDS = 60
TIMEOUT_SECONDS = 10
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class Attempt(Frozen):
    """What one browser began: sealed in its cookie, compared when it comes back. `back` is a path of ours."""

    state: str
    nonce: str
    verifier: str
    back: str


class OpenIdProvider(IdentityProvider):
    """One provider. What it says about itself and its keys is asked once and kept."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self.settings = settings
        self._line = threading.Lock()
        self._metadata: dict[str, Any] | None = None
        self._keys: KeySet | None = None

    def begin(self, back: str) -> tuple[str, Attempt]:
        """Where to send the browser, and what to compare when it comes back."""
        attempt = Attempt(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(64),
            back=back,
        )
        address: str = prepare_grant_uri(
            self._described()["authorization_endpoint"],
            client_id=self.settings.client_id,
            response_type="code",
            redirect_uri=self.settings.redirect_uri,
            scope=" ".join(self.settings.scopes),
            state=attempt.state,
            nonce=attempt.nonce,
            code_challenge=create_s256_code_challenge(attempt.verifier),
            code_challenge_method="S256",
        )
        return address, attempt

    def finish(self, attempt: Attempt, code: str, now: datetime) -> OpenIdUser:
        """Who signed in at the provider. Raises Unauthorized for whatever is not as it was begun."""
        token = self._exchange(attempt, code)
        claims = self._claims(token, attempt.nonce, now)
        email, verified = claims.get("email"), claims.get("email_verified")
        return OpenIdUser(
            issuer=self.settings.issuer,
            subject=str(claims["sub"]),
            email=email if isinstance(email, str) else None,
            # Not merely true-ish: some providers send the text "false".
            email_verified=verified is True,
            name=str(claims.get("name") or claims.get("preferred_username") or ""),
        )

    def _exchange(self, attempt: Attempt, code: str) -> dict[str, Any]:
        metadata = self._described()
        secret = self.settings.client_secret
        supported = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = "client_secret_basic" if "client_secret_basic" in supported else "client_secret_post"
        auth = ClientAuth(
            client_id=self.settings.client_id,
            client_secret=secret.get_secret_value() if secret else None,
            auth_method=basic if secret else "none",
        )
        body: str = prepare_token_request(
            "authorization_code",
            code=code,
            redirect_uri=self.settings.redirect_uri,
            code_verifier=attempt.verifier,
        )
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        address, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, body)
        answer = self._ask("POST", address, content=body, headers=headers)
        if answer.is_client_error:
            raise Unauthorized("the provider no longer accepts this sign-in; start again")
        token = self._json(answer)
        if not isinstance(token.get("id_token"), str):
            raise Unauthorized("the provider sent no ID token; it must support OpenID Connect")
        return token

    def _claims(self, token: dict[str, Any], nonce: str, now: datetime) -> dict[str, Any]:
        options = {
            "iss": {"essential": True, "value": self.settings.issuer},
            "aud": {"essential": True, "value": self.settings.client_id},
            "sub": {"essential": True},
        }
        given = {"nonce": nonce, "client_id": self.settings.client_id, "access_token": token.get("access_token")}
        try:
            signed = self._decode(token["id_token"])
            claims = CodeIDToken(signed.claims, signed.header, options, given)
            claims.validate(now=int(now.timestamp()), leeway=CLOCK_SKEW_SECONDS)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise Unauthorized(f"the provider's ID token is not valid ({type(error).__name__}); start again") from None
        return dict(claims)

    def _decode(self, text: str) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(text, self._key_set(), registry=registry)
        except InvalidKeyIdError:
            # The provider rotated its keys since they were asked for.
            return jwt.decode(text, self._key_set(anew=True), registry=registry)

    def _described(self) -> dict[str, Any]:
        """The discovery document, checked to be of this issuer."""
        with self._line:
            if self._metadata is None:
                address: str = get_well_known_url(self.settings.issuer, external=True)
                found = self._json(self._ask("GET", address))
                if found.get("issuer") != self.settings.issuer:
                    raise Unavailable(f"{address} belongs to another issuer; write oidc.issuer exactly as it does")
                wrong = [name for name in _ENDPOINTS if not is_protected(str(found.get(name, "")))]
                if wrong:
                    raise Unavailable(f"{address}: {', '.join(wrong)} must be present, with https")
                self._metadata = found
            return self._metadata

    def _key_set(self, *, anew: bool = False) -> KeySet:
        address = self._described()["jwks_uri"]
        with self._line:
            if self._keys is None or anew:
                try:
                    self._keys = KeySet.import_key_set(self._json(self._ask("GET", address)))  # pyright: ignore[reportArgumentType]
                except (JoseError, ValueError, KeyError):
                    raise Unavailable(f"{address} contains no key set; ask the provider's operator") from None
            return self._keys

    def _ask(
        self, method: str, address: str, content: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        wanted = {"Accept": "application/json", **(headers or {})}
        try:
            answer = httpx.request(method, address, content=content, headers=wanted, timeout=TIMEOUT_SECONDS)
        except httpx.HTTPError as error:
            raise Unavailable(f"the sign-in provider does not answer ({type(error).__name__}); try again") from None
        if answer.is_success or (method == "POST" and answer.is_client_error):
            return answer
        raise Unavailable(f"the sign-in provider answered {answer.status_code}; try again later")

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable("the sign-in provider did not answer in JSON; check that oidc.issuer is its address")
        return found
