"""A refresher on a sign-in server in memory, and another program that writes to the same folder."""

import json

from codexd.accounts.outages import BackOff
from codexd.accounts.refresh import Refresher
from codexd.errors import AccountNeedsLogin, RefreshUnavailable

REUSED = AccountNeedsLogin("It was used (refresh_token_reused). Run `codex login`, then `codexctl accounts import`.")
DOWN = RefreshUnavailable("The sign-in server can't be reached.")


class World:
    """A store with its refresher, a sign-in server, and another program that writes to the same folder."""

    def __init__(self, store, server, clock, login):
        self.store, self.server, self.clock, self.login = store, server, clock, login
        self.jitters = []
        self.refresher = Refresher(
            store,
            server,
            clock,
            jitter=lambda: self.jitters.pop(0) if self.jitters else 0.0,
            make_back_off=lambda: BackOff(lambda: 0.0),
        )

    def add(self, left_s, **more):
        return self.store.add(self.login(exp=self.clock() + left_s, **more), now=self.clock())[0].id

    def path(self, account_id):
        return self.store._accounts_dir / account_id / "auth.json"

    def saved(self, account_id):
        """The tokens on disk."""
        return json.loads(self.path(account_id).read_bytes())["tokens"]

    def put(self, account_id, left_s, refresh_token):
        """Another program rotates the tokens; gives its access token."""
        auth_json = self.login(exp=self.clock() + left_s, refresh_token=refresh_token)
        self.path(account_id).write_text(json.dumps(auth_json))
        return auth_json["tokens"]["access_token"]
