"""Translating between the APIs, without I/O: no clock, no socket, no randomness.

Every client API is translated to and from the Responses API of the backend, so a new client API is one folder here and
one route. README.md states the rules and what happens to each field of a request. This package imports the standard
library (not ``time``, ``os``, ``random``, ``socket``), attrs, cattrs, the JSON codec, and ``errors``.

- ``messages``, ``chat`` and ``responses`` are the client APIs; ``client_api`` says what each of them provides.
- ``reading`` and ``answering`` hold what their requests and their answers share; ``models`` maps and lists model names.
- ``backend`` reads the Codex backend's events, ``backend_errors`` its errors; ``sse`` decodes its stream, ``tokens``
  counts.
- ``wire_errors`` words every error for the clients.
- ``kilo`` translates to and from another provider.
"""
