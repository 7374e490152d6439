"""The model name ``kilo``, which leads to a third party.

A Responses body becomes a Chat Completions request for Kilo's gateway, and its answer becomes Responses events.
"""
