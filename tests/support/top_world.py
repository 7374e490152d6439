"""What a daemon tells ``codexctl top``."""

from support.control_answers import SERVING

from codexctl.top.layout import Size
from codexctl.top.model import Model
from codexctl.top.view import screen

NOW = 1_800_000_000.0


def account(email="work@example.com", **changes):
    return {
        "id": f"id-{email}",
        "email": email,
        "label": email,
        "plan": "plus",
        "simulated": False,
        "active": False,
        "state": "ok",
        "reason": None,
        "quota": [window("5h", 34.4, NOW + 7800), window("weekly", 85.0, NOW + 200_000)],
        "quota_stale": False,
        "limited_until": None,
        "workspace": "3f9c2a1b-77aa",
    } | changes


def window(name, used_percent, resets_at, limit=None):
    return {"name": name, "used_percent": used_percent, "resets_at": resets_at, "limit": limit}


def request(id_="req_4f1c2a9900aa", **changes):
    return {
        "id": id_,
        "client": "claude-cli/2.1.3",
        "model": "claude-opus-5",
        "model_used": "gpt-5.5",
        "account": "work@example.com",
        "account_reason": "active account",
        "state": "running",
        "started_at": NOW - 20,
        "ttft_ms": 1500,
        "duration_ms": None,
        "tokens": None,
        "status": None,
        "error": None,
        "losses": [],
        "retries": 0,
        "purpose": "turn",
        "silent_since": None,
    } | changes


def tokens(output, *, estimated=True, input_=0, cached=0):
    return {"input": input_, "cached": cached, "output": output, "reasoning": 0, "estimated": estimated}


def done(id_, **changes):
    ended = {"state": "done", "status": 200, "duration_ms": 4000, "tokens": tokens(200, estimated=False, input_=1000)}
    return request(id_, **(ended | changes))


def failed(id_, error="the backend is overloaded", **changes):
    return done(id_, **({"state": "failed", "status": 529, "error": error, "tokens": None} | changes))


def status(**changes):
    return {
        "version": "0.1.0",
        "pid": 7,
        "started_at": NOW - 7800,
        "addresses": ["http://127.0.0.1:8081"],
        "simulated": False,
        "tasks": [task("HTTP proxy"), task("control socket")],
        "active_account": "work@example.com",
        "streams_in_flight": 0,
        "settings_path": "/home/u/settings.toml",
        "problems": [],
        "serving": SERVING,
        "limited_models": [],
        "last_failure": None,
        "service": {"manager": "systemd", "unit": "codexd.service", "activated": True},
    } | changes


def task(name, **changes):
    return {"name": name, "state": "running", "restarts": 0, "last_error": None} | changes


def entry(message, **changes):
    return {
        "id": 1,
        "at": NOW,
        "level": "warning",
        "logger": "x",
        "message": message,
        "request": None,
        "fields": {},
    } | changes


def model(*requests, accounts=(), **changes):
    made = Model(status=status(**changes), accounts=list(accounts))
    tell(made, *requests)
    return made


def busy():
    """A request that runs, one that failed and one that is done, and two accounts."""
    made = model(
        request("req_4f1c2a9900aa", tokens=tokens(370)),
        failed("req_bbbbbbbb1111"),
        done("req_cccccccc2222", started_at=NOW - 90, model_used="gpt-5.4-mini"),
        accounts=[
            account(active=True),
            account("home@example.com", state="limited", limited_until=NOW + 7800, quota=[]),
        ],
    )
    made.take_log_event(
        {"entry": entry("POST /v1/messages", request="req_bbbbbbbb1111", fields={"error": "overloaded"})}
    )
    return made


def tell(to, *requests, now=NOW):
    for each in requests:
        to.take_request_event({"request": each}, now)


def text_of(shown, columns=80, rows=24, now=NOW):
    """The screen as text, without the space at line ends."""
    lines = screen(shown, Size(columns, rows), now)
    return ["".join(text for _, text in line).rstrip() for line in lines]


def styles_of(shown, text, columns=80, rows=24, now=NOW):
    """The styles of the pieces of the screen that have ``text``."""
    lines = screen(shown, Size(columns, rows), now)
    return {style for line in lines for style, piece in line if text in piece}
