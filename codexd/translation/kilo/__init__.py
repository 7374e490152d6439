"""The third-party route of the model name ``kilo``.

Our pivot, a Responses body and its events, into the Chat Completions of Kilo's gateway and back.
"""
