"""The user's ChatGPT logins: storing them, refreshing them, choosing one, and knowing how much of its plan is left.

``store`` keeps the accounts on disk; ``sign_in`` adds new ones, and ``imports`` reads the logins of other programs;
``refresh`` keeps access tokens fresh; ``limits`` tracks what is left of each plan, and ``catalogues`` the models it
offers; ``choosing`` decides which account serves a request. ``model``, ``login`` and most of ``choosing`` and
``limits`` are pure.
"""
