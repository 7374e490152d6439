"""Translating between the APIs, without I/O: no clock, no socket, no randomness.

Every client API is translated to and from the Responses vocabulary (the pivot), so a
new client API is one folder here and one route. Import law: the standard library
(not ``time``, ``os``, ``random``, ``socket``), attrs, cattrs, the JSON codec, and ``errors``.

- The client APIs: ``messages``, ``chat`` and ``passthrough`` (Responses), each with what ``client_api`` asks of it.
  ``kilo`` is the other way round: the pivot to another provider's Chat Completions.
- A request is read with ``fields``, judged by ``fates``, which write ``losses``, and fitted with ``fitting``,
  ``schema`` and ``tool_names``; its history goes through ``parts``, ``reasoning`` and ``pairing``; ``conversation``
  names it.
- An answer is decoded with ``sse``, read with ``responses`` and ``output_items``, and ends early by ``text_cut``
  (``stop_sequences``, ``token_limit``).
- The models: ``models``, ``model_entries`` (as the backend lists them), ``model_lists`` (as clients are shown them).
"""
