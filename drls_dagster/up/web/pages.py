"""The few pages of the door itself. They load nothing from elsewhere."""

from __future__ import annotations

import secrets

from starlette.responses import HTMLResponse

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 12vh auto; padding: 0 1rem; }
label, input, button { display: block; font: inherit; } input { width: 100%; box-sizing: border-box; padding: .4rem; }
button { margin-top: 1rem; padding: .4rem 1rem; } #told { color: #a00; min-height: 1.5em; }
@media (prefers-color-scheme: dark) { body { background: #15181c; color: #ddd; } a { color: #8bf; }
  #told { color: #f88; } }
"""

_SIGN_IN = """
<h1>Sign in to DRLS</h1>
<p id="told" role="alert"></p>
<form id="password">
  <label for="account">Account</label><input id="account" autocomplete="username" required>
  <label for="secret">Password</label><input id="secret" type="password" autocomplete="current-password" required>
  <button>Sign in</button>
</form>
<p>Without a password: <code>drls up</code> prints a link that signs in once, and an Admin can give you one.</p>
"""

_SCRIPT = """
const told = document.getElementById("told");
async function enter(path, body) {
  const answer = await fetch(path, {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  });
  if (answer.ok) { location.replace("/"); return; }
  told.textContent = (await answer.json()).detail;
}
document.getElementById("password").addEventListener("submit", (event) => {
  event.preventDefault();
  enter("/api/session", {account: account.value, password: secret.value});
});
const link = location.hash.slice(1);
if (link) { history.replaceState(null, "", location.pathname); enter("/api/session/link", {secret: link}); }
"""

_HOME = """
<h1>DRLS</h1>
<ul>
  <li><a href="/dagster">Dagster</a>: assets, runs, schedules</li>
  <li><a href="/api/openapi.json">The lifecycle's API</a></li>
</ul>
<p>You are {name}. <code>drls approvals list</code> shows what waits for a decision.</p>
"""


def sign_in_page() -> HTMLResponse:
    """Signs in with a password, or with the one-time secret behind the # of its own address.

    What stands behind the # never reaches a server, a log or a proxy.
    """
    return _page("Sign in · DRLS", _SIGN_IN, _SCRIPT)


def home_page(name: str) -> HTMLResponse:
    from html import escape

    return _page("DRLS", _HOME.format(name=escape(name)))


def starting() -> str:
    """A page that looks again by itself."""
    text = "<h1>Dagster is starting</h1><p>This page looks again by itself.</p>"
    return _html("DRLS is starting", text, head='<meta http-equiv="refresh" content="2">')


def _page(title: str, text: str, script: str = "") -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }
    body = text + (f'<script nonce="{nonce}">{script}</script>' if script else "")
    return HTMLResponse(_html(title, body, nonce=nonce), headers=headers)


def _html(title: str, body: str, head: str = "", nonce: str = "") -> str:
    style = f'<style nonce="{nonce}">{_STYLE}</style>' if nonce else f"<style>{_STYLE}</style>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{title}</title>{head}{style}</head>'
        f"<body>{body}</body></html>"
    )
