"""A simulated Codex backend and sign-in server: strict, scriptable, and in the same process as its user.

It serves ``codexd --simulate`` and most tests. It refuses what the real backend refuses, in the same words.

::

    simulator = Simulator()
    auth_json = simulator.sign_in("ann@example.com")
    simulator.load({"replies": [{"output": [{"text": "Hello"}]}]})
    base = await nursery.start(serve_simulator, simulator)     # "http://127.0.0.1:40619"
    # backend_url = f"{base}/backend-api", auth_url = base
    ...
    assert simulator.requests[0].outcome is Outcome.COMPLETED

You sign in as with the real server: a browser opens ``<base>/oauth/authorize?...`` or ``<base>/codex/device``.
Without a browser, call ``simulator.oauth.allow_url(url, email)`` or
``simulator.oauth.approve_device(user_code, email)``.

``scripts.py`` lists what a script may contain, ``options.py`` the backend's own switches.
"""
