"""The simulated sign-in server's pages; each says that it is simulated and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from codexd.simulator.grants import REDIRECT_URIS
from codexd.simulator.identity import PERSONAL

DEFAULT_EMAIL = "simulated@example.com"

_ORIGINS = " ".join(uri.removesuffix("/auth/callback") for uri in REDIRECT_URIS)
HEADERS: Mapping[str, str] = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    # A browser holds form-action against the redirect that follows the form, too.
    "content-security-policy": f"default-src 'none'; style-src 'unsafe-inline'; form-action 'self' {_ORIGINS}",
}

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f4f4f2;color:#222}
main{max-width:26rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #ddd;border-radius:.6rem}
h1{font-size:1.3rem;margin:0 0 .5rem}
label{display:block;margin:1rem 0 .2rem}
input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit}
button{margin:1.2rem .5rem 0 0;padding:.5rem 1.2rem;font:inherit}
.simulated{color:#8a4b00}.fault{color:#a00000}
"""
_NOTICE = "This is a simulated sign-in page: no password is asked for, and nothing leaves this computer."


def make_login_page(email: str = DEFAULT_EMAIL, workspace: str = PERSONAL, fault: str = "") -> str:
    """The page that asks whether the program may sign in. Its form goes to the page's own URL, query included."""
    return _make_page("Sign in to the simulated ChatGPT", _make_form(_make_identity_fields(email, workspace), fault))


def make_device_page(
    user_code: str = "", email: str = DEFAULT_EMAIL, workspace: str = PERSONAL, fault: str = ""
) -> str:
    """The page that takes a device's code."""
    code_field = _make_field("user_code", "Code shown by the program", user_code)
    return _make_page("Sign in a device", _make_form(code_field + _make_identity_fields(email, workspace), fault))


def make_done_page(text: str) -> str:
    return _make_page("Done", f'<p id="done">{escape(text)} You can close this page.</p>')


def make_fault_page(fault: str) -> str:
    """What a request that is not in order is shown."""
    return _make_page("Authentication error", f'<p class="fault" id="fault">{escape(fault)}</p>')


def _make_page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (simulated)</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f'<body><main><h1>{escape(title)}</h1><p class="simulated">{_NOTICE}</p>{content}</main></body></html>'
    )


def _make_form(fields: str, fault: str) -> str:
    note = f'<p class="fault" id="fault">{escape(fault)}</p>' if fault else ""
    return (
        f'<form method="post">{note}{fields}'
        '<button id="allow" name="decision" value="allow">Allow</button>'
        '<button id="deny" name="decision" value="deny" formnovalidate>Deny</button></form>'
    )


def _make_identity_fields(email: str, workspace: str) -> str:
    return _make_field("email", "E-mail", email, kind="email") + _make_field("workspace", "Workspace", workspace)


def _make_field(name: str, label: str, value: str, *, kind: str = "text") -> str:
    return (
        f'<label for="{name}">{label}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" value="{escape(value)}" autocomplete="off" required>'
    )
