"""What the daemon may use: every body, connection, queue, history and cache has its number here.

``codexctl status --verbose`` shows how much is in use of those that all requests share (:class:`Gauge`). Two more are
settings: ``log.history`` and ``usage.retention_days``. Limits that a protocol sets, such as the length of a tool's
name, stand beside the code that keeps to them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

KIB = 1024
MIB = 1024 * KIB


class Gauge(NamedTuple):
    """How much of a bound is in use. ``unit`` is ``bytes``, or empty for a number of things."""

    name: str
    read: Callable[[], int]
    limit: Callable[[], int]
    unit: str = ""


# -- bodies ---------------------------------------------------------------------------------------

HEAD_BYTES = 64 * KIB
"""The head of a request."""

BODY_BYTES = 32 * MIB
"""The body of a request, before and after decompression: the limit of Anthropic's own API."""

BODIES_BYTES = 256 * MIB
"""The bodies of all running requests together. What is read from them takes up to five times as much."""

GARBAGE_BYTES = 64 * MIB
"""The bodies of requests that have ended and may still be in memory, in as many copies."""

BODY_ENCODINGS = 4
BODY_FRAMES = 64
"""gzip members or zstd frames in a body. Some writers split large data into a few of them."""

JSON_DEPTH = 200
"""Levels of nesting. orjson writes 254, and Python's recursion limit is 1000 frames."""

JSON_VALUES = 500_000
"""Values in a request: more than any context window holds. Translating this many takes a few seconds."""

JSON_SEPARATORS = 8 * JSON_VALUES
"""Commas and brackets, those inside strings included. A body with more of them is not even parsed."""

MESSAGES = 100_000
"""Messages of a request."""

EVENT_BYTES = 64 * MIB
"""One event of a stream. Generated images arrive as one line of tens of megabytes."""

STREAM_BYTES = 256 * MIB
"""All of one streamed answer. The longest has about a megabyte of text; images come on top."""

COMPARED_BYTES = 8 * MIB
"""The texts of one item of an answer that are kept to be compared with their repetition; beyond, only the lengths."""

ANSWER_BYTES = 32 * MIB
"""A whole answer of the backend or Kilo: limits, lists of models."""

SIGN_IN_BYTES = MIB
"""An answer of the sign-in server: three tokens of a few kilobytes."""

ERROR_BYTES = 256 * KIB
"""The body of a refusal."""

LOSSES_OF_REQUEST = 1000
"""Paths in the ledger of one request; losses beyond are only counted."""

# -- files ----------------------------------------------------------------------------------------

OWN_FILE_BYTES = 64 * MIB
"""A file of codexd's own."""

FOREIGN_FILE_BYTES = 16 * MIB
"""A file that another program writes."""

CLIENT_FILE_BYTES = 4 * MIB
"""A settings file of Claude Code or the Codex CLI."""

LOGIN_BYTES = MIB
"""A login of the Codex CLI."""

SAVED_LOGIN_BYTES = 64 * KIB
"""Disk space that must be free, beyond the size of the login's file, before its tokens are refreshed."""

# -- connections ----------------------------------------------------------------------------------

BACKLOG = 1024
"""Connections that wait to be accepted, on either socket.

A burst of sub-agents opens many at once. On the control socket, a non-blocking connect beyond it fails with EAGAIN,
which asyncio mistakes for a connection in progress.
"""

PASSED_SOCKETS = 64
"""Listening sockets that a service manager may pass. Each costs a task; a typing error must not open thousands."""

DESCRIPTORS = 16 * KIB
"""The soft limit of open files that the daemon asks for, if the hard limit allows it. It needs far fewer."""

CLIENTS = 1000
"""Connections of HTTP clients, if the limit of open files allows it. Beyond it, clients wait in the backlog."""

KEPT_CONNECTIONS = 20
"""Idle connections to the backend that are kept for the next request."""

AHEAD_BYTES = 64 * KIB
"""Pipelined requests that are read while another one is being answered. The rest waits in the socket."""

UNREAD_BODY_BYTES = 256 * KIB
"""How much of a body is read before the app asks for it."""

CONTROL_CLIENTS = 256
"""Control connections, if the limit of open files allows it. Beyond it, a client is told so."""

CONTROL_CALLS = 64
"""Concurrent calls of one control connection; the next one waits in the socket."""

CONTROL_FOLLOWS = 100
"""Follows of one control connection: each log entry is offered to all of them."""

CONTROL_BATCH = 100
"""Messages in one batch: its replies are held in memory until the last one is ready."""

CONTROL_LINE_BYTES = MIB
"""A message on the control socket."""

# -- queues ---------------------------------------------------------------------------------------

OUTBOX_BYTES = 256 * KIB
"""Of one stream: if a client reads more slowly than upstream writes, this much is buffered; then upstream waits."""

USAGE_ROWS = 20_000
"""Ended requests that wait to be written to the usage history."""

OBSERVATIONS = 256
"""Reports about limits that wait to be processed; beyond this, they are dropped."""

OUTPUT_BYTES = MIB
"""Log lines that wait to be written to stderr. If nobody reads it, further ones are dropped and counted."""

SUCCESSOR_OUTPUT_BYTES = 64 * KIB
"""The end of what the new process of a restart writes before it is ready: it explains a failure."""

FOLLOWED_ENTRIES = 1000
"""Log entries that one follower has not read; it is told how many more it missed."""

FOLLOWED_REQUESTS = 2000
"""Requests of which one follower has unread news: twice what is kept."""

# -- histories and caches -------------------------------------------------------------------------

REQUESTS = 1000
"""Ended requests that ``codexctl requests`` and ``why`` can show."""

REFUSALS = 100
"""The same of requests that reached no model: apart, so that a client with a wrong URL does not push out the others."""

LOGGED_LOSSES = 1000
"""Losses of which it is remembered that they have been logged."""

LOG_TEXT_CHARS = 32_000
"""The text of one log entry."""

SESSIONS = 10_000
"""Sessions of clients; beyond this, the least recently used one is forgotten."""

STREAKS = 1000
"""Sessions or accounts that fail time after time; the one that failed longest ago is forgotten first."""

REASONING = 20_000
"""Pieces of reasoning whose account is remembered, about two megabytes. A long session has a few hundred."""

REMEMBERED_BYTES = 64 * MIB
"""Answers that are remembered for clients that refer to them."""

REMEMBERED_SESSION_BYTES = 16 * MIB
"""What one session may take of that. Its last conversation stays, whatever its size."""

SCHEMAS = 512
SCHEMA_BYTES = 8 * KIB
"""Tool schemas that are remembered as they were sent, and the longest of them: a few megabytes in all."""

PATTERNS = 1024
"""Regular expressions in schemas that have been checked."""

MEDIA = 4096
MEDIA_CHARS = 64_000_000
"""Images and PDFs whose contents have been checked, and what is kept of animations among them."""

IMAGE_READERS = 2
"""Threads that decode images: a large one takes a hundred megabytes while it is decoded."""
