"""``claude.*`` and ``codex.*``: setting a client up, and back."""

from __future__ import annotations

from urllib.parse import urlsplit

from attrs import field, frozen

from codexd.api.rules import Rule


def _is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:  # a bad port, or unbalanced brackets around an IPv6 address
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and _is_printable_ascii(value)


def _is_printable_ascii(value: str) -> bool:
    return all("!" <= letter <= "~" for letter in value)


_absolute = Rule(
    lambda value: value.startswith("/") and "\0" not in value, "must be an absolute path", {"pattern": r"^/[^\0]*$"}
)
_key = Rule(
    lambda value: bool(value) and _is_printable_ascii(value),
    "must be printable ASCII without spaces, and not empty",
    {"pattern": "^[!-~]+$"},
)
_url = Rule(_is_url, "must be an http:// or https:// URL", {"pattern": "^https?://"})


@frozen(kw_only=True)
class ClientPlace:
    """Where the caller uses the client.

    ``config_dir``: the folder of the client's settings; by default that of the daemon's environment. ``working_dir``:
    the folder whose project settings may win over them. ``environment``: variables of the caller's shell that may, too.
    """

    config_dir: str | None = field(default=None, validator=_absolute)
    working_dir: str | None = field(default=None, validator=_absolute)
    environment: dict[str, str] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class ClientChange(ClientPlace):
    """``dry_run``: only say what would change."""

    dry_run: bool = False


@frozen(kw_only=True)
class ClaudeProxy(ClientChange):
    """``ask``: Claude Code is to ask its user before each action; by default that stays as it is."""

    ask: bool = False


@frozen(kw_only=True)
class ClaudeDirect(ClientChange):
    """``api_key``: of Anthropic; without one Claude Code uses the login that it has."""

    api_key: str | None = field(default=None, validator=_key, repr=False)


@frozen(kw_only=True)
class ClaudeSet(ClientChange):
    """``api_url``: another server with Anthropic's API; ``api_key``: the bearer token that it wants."""

    api_url: str = field(validator=_url)
    api_key: str | None = field(default=None, validator=_key, repr=False)


@frozen
class ClientValue:
    """A variable in ``env`` or a setting of Claude Code, or a key of the Codex CLI's; a secret is not shown."""

    name: str
    value: str


@frozen
class ClaudeStatus:
    """How Claude Code is set up.

    ``mode``: ``codexd`` (this daemon), ``anthropic``, ``other``; None when the file can't be read, and ``problem`` says
    why. ``address``: where codexd listens. ``values``: of the names that codexd may write. ``can_reset``: codexd has
    changed the file and remembers what was there. ``takes_effect``: whether Claude Code does what the file says;
    ``overridden_by`` has a sentence for each thing that wins over it. ``permission_mode``: what it does before an
    action; None, without such a setting, means ``auto``.
    """

    path: str
    exists: bool
    mode: str | None
    base_url: str | None
    address: str
    values: tuple[ClientValue, ...]
    can_reset: bool
    notes: tuple[str, ...]
    problem: str | None
    takes_effect: bool = True
    overridden_by: tuple[str, ...] = ()
    permission_mode: str | None = None


@frozen
class CodexStatus:
    """How the Codex CLI is set up.

    ``mode``: ``codexd`` (this daemon), ``openai``, ``other``; None when the file can't be read, and ``problem`` says
    why. ``address``: where codexd listens. ``values``: of the keys that codexd may write. ``signed_in``: the CLI has a
    login with ChatGPT of its own. ``can_reset``: codexd has changed the file and remembers what was there.
    ``takes_effect``: whether the CLI does what the file says; ``overridden_by`` says what wins over it.
    """

    path: str
    exists: bool
    mode: str | None
    base_url: str | None
    address: str
    values: tuple[ClientValue, ...]
    signed_in: bool
    can_reset: bool
    notes: tuple[str, ...]
    problem: str | None
    takes_effect: bool = True
    overridden_by: tuple[str, ...] = ()


@frozen
class ClientEdit:
    """``before``, ``after``: None where the name is not in the file; a secret is not shown."""

    name: str
    before: str | None
    after: str | None


@frozen
class ClientProof:
    """What a small real request gave. ``message``: the result, or why it failed, as a sentence."""

    ok: bool
    message: str
    model: str
    model_used: str | None
    account: str | None
    status: int | None
    duration_ms: int
    request: str | None


@frozen
class ClientSetUp:
    """What was changed, or with ``dry_run`` would be.

    ``left``: names that codexd wrote once and the user has changed since. ``backup``: the path of the copy of the
    file as it was. ``proof``: of ``claude.proxy`` and ``codex.proxy`` only, and not with ``dry_run``.
    ``takes_effect``: whether the client does what the file now says; ``overridden_by`` says what wins over it.
    """

    path: str
    mode: str
    dry_run: bool
    changes: tuple[ClientEdit, ...]
    left: tuple[str, ...]
    backup: str | None
    notes: tuple[str, ...]
    proof: ClientProof | None
    takes_effect: bool = True
    overridden_by: tuple[str, ...] = ()


@frozen
class ClaudeEnvironment:
    """What Claude Code needs to run through codexd with no file edited.

    ``settings_path``: a settings file that says the same, for ``--settings``: the user's own would win over the
    environment. ``remove``: variables that would lead elsewhere. ``overridden_by`` has a sentence for each thing that
    wins even over that file.
    """

    variables: dict[str, str] = field(repr=False)
    remove: tuple[str, ...]
    settings_path: str
    overridden_by: tuple[str, ...]
