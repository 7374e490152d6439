"""Translating between the APIs, without I/O: no clock, no socket, no randomness.

Every client API is translated to and from the Responses vocabulary (the pivot), so a
new client API is one folder here and one route. Import law: the standard library
(not ``time``, ``os``, ``random``, ``socket``), attrs, cattrs, the JSON codec, and ``errors``.
"""
