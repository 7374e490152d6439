"""The model name ``kilo``, which leads to a third party.

A Responses body becomes a Chat Completions request for Kilo's gateway, and the answer becomes Responses events.
"""
