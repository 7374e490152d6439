"""The user's ChatGPT logins: keeping them, keeping them fresh, choosing one, and knowing how much of its plan is left.

``store`` owns the accounts, with their files in ``files``; ``sign_in`` brings new ones, ``imports`` those of other
programs; ``refresh`` decides when tokens are renewed, ``followed`` reads those that are not ours to renew; ``limits``
tracks what is left of each plan, and ``choosing`` says which account serves a request. ``model``, ``login``,
``describe``, and most of ``choosing`` and ``limits`` are pure.
"""
