"""The user's ChatGPT logins: keeping them, keeping them fresh, choosing one, and knowing how much of its plan is left.

``model``, ``login``, ``accounts_file``, ``choose``, ``describe`` and ``limits`` are pure. ``store`` owns the files,
``oauth`` speaks to the sign-in server, ``refresh`` decides when, ``tracker`` folds what the backend says of its limits.
"""
