"""The page at the end of a sign-in. Pure: values in, HTML out; it loads nothing from elsewhere."""

from __future__ import annotations

import re
from html import escape
from string import Template

from attrs import frozen

from codexd.accounts.login import UNKNOWN_PLAN
from codexd.accounts.model import Account
from codexd.errors import CodexdError

CLOSE = "You can close this page."


@frozen
class Page:
    """``good``: whether the sign-in worked. Text in backquotes in the ``sentences`` is code."""

    title: str
    sentences: tuple[str, ...]
    good: bool
    simulated: bool


def show_account(account: Account, *, added: bool) -> Page:
    plan = "" if account.plan == UNKNOWN_PLAN else f" ({account.plan} plan)"
    what = "codexd can now use this account" if added else "The login of this account was renewed"
    return Page(f"Signed in as {account.name}", (f"{what}{plan}.", CLOSE), good=True, simulated=account.simulated)


def show_cancelled(*, simulated: bool) -> Page:
    return Page("Cancelled", ("The sign-in was cancelled.", CLOSE), good=False, simulated=simulated)


def show_problem(error: CodexdError, *, simulated: bool) -> Page:
    return Page("Not signed in", (str(error), CLOSE), good=False, simulated=simulated)


def render(page: Page, nonce: str) -> str:
    """The whole document; the Content-Security-Policy allows its style and script by ``nonce``."""
    return _DOCUMENT.substitute(
        nonce=nonce,
        title=escape(page.title),
        kind="good" if page.good else "bad",
        mark=_CHECK if page.good else _CROSS,
        sentences="\n    ".join(f"<p>{_mark_code(escape(sentence))}</p>" for sentence in page.sentences),
        simulated=_SIMULATED if page.simulated else "",
    )


def _mark_code(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


_CHECK = '<path d="M7 12.5l3.4 3.4L17.2 9"/>'
_CROSS = '<path d="M8.5 8.5l7 7m0-7l-7 7"/>'
_SIMULATED = '<p class="simulated">Simulated: not a real account.</p>'

_DOCUMENT = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title - codexd</title>
<link rel="icon" href="data:,">
<style nonce="$nonce">
:root { color-scheme: light dark; --back: #f4f4f2; --card: #fff; --text: #1d1d1b; --soft: #63635e; --line: #e2e2dd;
  --good: #16794c; --bad: #b3372b; }
@media (prefers-color-scheme: dark) {
  :root { --back: #171716; --card: #222220; --text: #ededea; --soft: #a3a39c; --line: #383834;
    --good: #4cc38a; --bad: #f0796c; }
}
* { box-sizing: border-box; margin: 0; }
body { min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--back);
  color: var(--text); font: 1rem/1.55 system-ui, sans-serif; }
main { width: 100%; max-width: 28rem; padding: 2rem 2rem 1.5rem; text-align: center; background: var(--card);
  border: 1px solid var(--line); border-radius: 14px; }
svg { width: 3.25rem; height: 3.25rem; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round;
  stroke-linejoin: round; }
.good svg { color: var(--good); }
.bad svg { color: var(--bad); }
h1, p { overflow-wrap: anywhere; text-wrap: balance; }
h1 { margin: .75rem 0 .5rem; font-size: 1.25rem; line-height: 1.35; }
p { color: var(--soft); }
p + p { margin-top: .5rem; }
code { padding: .1em .35em; font: .9em ui-monospace, monospace; color: var(--text); background: var(--back);
  border-radius: 5px; }
p.simulated { margin-top: 1.25rem; padding: .4rem .8rem; font-size: .875rem; border: 1px dashed var(--line);
  border-radius: 8px; }
footer { margin-top: 1.25rem; font-size: .8125rem; color: var(--soft); }
</style>
</head>
<body>
<main class="$kind">
  <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/>$mark</svg>
  <h1>$title</h1>
    $sentences
  $simulated
  <footer>codexd</footer>
</main>
<script nonce="$nonce">history.replaceState(null, "", location.pathname)</script>
</body>
</html>
""")
