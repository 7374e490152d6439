"""The lists of models and when they are asked for, on trio's clock."""

import logging

import pytest
import trio
from attrs import frozen
from trio.testing import wait_all_tasks_blocked

from codexd.accounts import catalogues as module
from codexd.accounts.catalogues import (
    CHANGE_PAUSE_S,
    CHECK_INTERVAL_S,
    MAX_AGE_S,
    MAX_RETRY_S,
    RETRY_S,
    SAVE_RETRY_S,
    Catalogues,
    retry_after_s,
)
from codexd.accounts.refresh import Refresher
from codexd.errors import AccountNotFound, TokenRejected, UpstreamFailed
from codexd.settings.schema import DEFAULTS, replace_values
from codexd.translation.models.catalogue import BUILT_IN

DAY = 86400.0
OTHER = "99999999-2222-3333-4444-555555555555"


@frozen
class Answer:
    models: list
    etag: str | None


class Backend:
    """The models endpoint in memory. ``script`` holds errors to give first."""

    def __init__(self):
        self.slugs = ["gpt-5.5"]
        self.etag = 'W/"1"'
        self.script = []
        self.asked = []
        self.gate = None

    def change(self, *slugs, etag):
        self.slugs, self.etag = list(slugs), etag

    async def fetch_models(self, account, token, etag=None):
        self.asked.append((account.email, etag, trio.current_time()))
        await trio.lowlevel.checkpoint()
        if self.gate is not None:
            await self.gate.wait()
        if self.script and (step := self.script.pop(0)) is not None:
            raise step
        if etag is not None and etag == self.etag:
            return None
        return Answer(
            [{"slug": slug, "visibility": "list", "base_instructions": "Be good."} for slug in self.slugs], self.etag
        )

    @property
    def times(self):
        return [round(at) for _, _, at in self.asked]


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture
def account(store, login, clock):
    return store.add(login(exp=clock.now + 30 * DAY), now=clock.now)[0]


@pytest.fixture
def other(store, login, clock, account):
    return store.add(login(exp=clock.now + 30 * DAY, workspace=OTHER, email="bob@example.com"), now=clock.now)[0]


@pytest.fixture
def settings():
    """What holds now: a list of one, so that a test can change it."""
    return [DEFAULTS]


@pytest.fixture
def make_in(store, server, backend, settings, clock):
    refresher = Refresher(store, server, clock)
    return lambda folder: Catalogues(store, refresher, backend, lambda: settings[0], clock, folder)


@pytest.fixture
def make(make_in, tmp_path):
    return lambda: make_in(tmp_path / "models")


@pytest.fixture
def catalogues(make, account):
    return make()


def slugs(catalogues, account):
    return [model.slug for model in catalogues.of(account).models]


@pytest.fixture
async def running(account, make_in, nursery, clock):
    """Without a disk, which trio's clock would not wait for."""
    clock.follow_trio()
    catalogues = make_in(None)
    nursery.start_soon(catalogues.run)
    await wait_all_tasks_blocked()
    return catalogues


# -- what is known --------------------------------------------------------------------------------


async def test_until_it_is_known_the_built_in_one_has_to_do(catalogues, account, backend):
    assert catalogues.of(None) is catalogues.of(account) is BUILT_IN
    assert catalogues.raw(None) is catalogues.raw(account) is None
    assert catalogues.fetched_at(account.id) is None
    assert backend.asked == []


async def test_fetch(catalogues, account, clock):
    await catalogues.fetch(account.id)
    assert slugs(catalogues, account) == ["gpt-5.5"]
    assert not catalogues.of(account).is_built_in
    raw, etag = catalogues.raw(account)
    assert raw == b'[{"slug":"gpt-5.5","visibility":"list","base_instructions":"Be good."}]'
    assert (etag, catalogues.fetched_at(account.id)) == ('W/"1"', clock())


async def test_an_unchanged_list_is_not_sent_again(catalogues, account, backend, clock):
    await catalogues.fetch(account.id)
    clock.now += 60
    await catalogues.fetch(account.id)
    assert [etag for _, etag, _ in backend.asked] == [None, 'W/"1"']
    assert (slugs(catalogues, account), catalogues.fetched_at(account.id)) == (["gpt-5.5"], clock())


async def test_another_client_version_asks_anew(catalogues, account, backend, settings):
    await catalogues.fetch(account.id)
    settings[0] = replace_values(DEFAULTS, {"upstream.client_version": "0.200.0"})
    await catalogues.fetch(account.id)
    assert [etag for _, etag, _ in backend.asked] == [None, None]


async def test_trouble_never_loses_what_was_known(catalogues, account, backend):
    await catalogues.fetch(account.id)
    backend.script = [UpstreamFailed("boom", status=502)]
    with pytest.raises(UpstreamFailed):
        await catalogues.fetch(account.id)
    assert slugs(catalogues, account) == ["gpt-5.5"]


async def test_a_refused_token_is_refreshed_once(catalogues, account, backend, server):
    backend.script = [TokenRejected("It has expired.", status=401)]
    await catalogues.fetch(account.id)
    assert len(server.asked) == 1


async def test_an_account_that_is_not_there(catalogues):
    with pytest.raises(AccountNotFound):
        await catalogues.fetch("0123456789ab")


async def test_an_account_that_is_removed_meanwhile(catalogues, account, backend, store, nursery, tmp_path):
    backend.gate = trio.Event()
    failed = []

    async def ask():
        try:
            await catalogues.fetch(account.id)
        except AccountNotFound as error:
            failed.append(error)

    nursery.start_soon(ask)
    await wait_all_tasks_blocked()
    store.remove(account.id)
    backend.gate.set()
    await wait_all_tasks_blocked()
    assert failed
    assert not (tmp_path / "models").exists()


async def test_refusals_hold_until_the_list_changes(catalogues, account, backend):
    catalogues.note_refused(account.id, "gpt-7")
    assert catalogues.of(account).refused == {"gpt-7"}
    await catalogues.fetch(account.id)
    catalogues.note_refused(account.id, "gpt-5.5")
    backend.etag = 'W/"same models"'
    await catalogues.fetch(account.id)
    assert catalogues.of(account).refused == {"gpt-5.5"}
    backend.change("gpt-5.5", "gpt-6", etag='W/"2"')
    await catalogues.fetch(account.id)
    assert catalogues.of(account).refused == frozenset()


# -- over a restart -------------------------------------------------------------------------------


async def test_it_outlives_the_daemon(catalogues, account, make, tmp_path, clock):
    await catalogues.fetch(account.id)
    file = tmp_path / "models" / f"{account.id}.json"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = make()
    assert again.of(account) == catalogues.of(account)
    assert again.raw(account) == catalogues.raw(account)
    assert again.fetched_at(account.id) == clock()


BAD_ETAG = b'{"version":1,"listed":{"models":[],"etag":"a\\r\\nx: y","fetched_at":1,"client_version":"1"}}'


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"version": 9}', b'{"version":1,"listed":{"models":[],"etag":5}}', BAD_ETAG, b"\xff"]
)
async def test_what_can_not_be_read_is_said_and_asked_for_again(account, make, tmp_path, data, caplog):
    file = tmp_path / "models" / f"{account.id}.json"
    file.parent.mkdir()
    file.write_bytes(data)
    catalogues = make()
    assert catalogues.of(account) is BUILT_IN
    assert "can't be read" in caplog.text
    await catalogues.fetch(account.id)
    assert slugs(make(), account) == ["gpt-5.5"]
    assert file.with_name(f"{file.name}.unreadable").read_bytes() == data


async def test_a_list_that_cannot_be_saved_is_used_and_saved_later(make, account, tmp_path, caplog, clock, nursery):
    (tmp_path / "models").write_text("in the way")
    catalogues = make()
    await catalogues.fetch(account.id)
    assert slugs(catalogues, account) == ["gpt-5.5"]
    assert "The models are kept in memory only" in catalogues.problem
    assert caplog.text.count("are not saved") == 1
    (tmp_path / "models").unlink()
    clock.now += SAVE_RETRY_S
    nursery.start_soon(catalogues.run)
    with trio.fail_after(10):
        while catalogues.problem is not None:
            await trio.sleep(0.01)
    assert slugs(make(), account) == ["gpt-5.5"]


# -- when it is asked for -------------------------------------------------------------------------


async def test_at_the_start_and_now_and_then(autojump_clock, running, backend):
    await trio.sleep(2 * MAX_AGE_S + 60)
    assert backend.times == [0, round(MAX_AGE_S), round(2 * MAX_AGE_S)]


async def test_the_start_asks_whether_the_kept_one_still_holds(
    catalogues, account, make, nursery, autojump_clock, clock, backend
):
    clock.follow_trio()
    await catalogues.fetch(account.id)
    nursery.start_soon(make().run)
    await trio.sleep(1)
    assert [etag for _, etag, _ in backend.asked] == [None, 'W/"1"']


async def test_after_a_switch(autojump_clock, running, other, store, backend):
    await trio.sleep(60)
    assert [email for email, _, _ in backend.asked] == ["ann@example.com"]
    store.switch(other.id)
    await trio.sleep(CHECK_INTERVAL_S + 1)
    assert [email for email, _, _ in backend.asked] == ["ann@example.com", "bob@example.com"]


async def test_rotation_asks_for_each_that_it_may_choose(autojump_clock, running, other, store, backend, settings):
    settings[0] = replace_values(DEFAULTS, {"rotation.enabled": True})
    await trio.sleep(CHECK_INTERVAL_S + 1)
    assert [email for email, _, _ in backend.asked] == ["ann@example.com", "bob@example.com"]


@pytest.mark.parametrize("how", ["disabled", "needs login"])
async def test_not_for_an_account_out_of_use(catalogues, account, store, nursery, autojump_clock, backend, how):
    if how == "disabled":
        store.set_disabled(account.id, disabled=True)
    else:
        store.mark_needs_login(account.id, "It was revoked.")
    nursery.start_soon(catalogues.run)
    await trio.sleep(MAX_AGE_S)
    assert backend.asked == []


async def test_after_a_failure_less_and_less_often(autojump_clock, running, backend, account, caplog):
    caplog.set_level(logging.INFO)
    backend.change("gpt-6", etag='W/"2"')
    backend.script = [UpstreamFailed("offline", status=502) for _ in range(9)]
    await trio.sleep(MAX_AGE_S + 3 * MAX_RETRY_S)
    gaps = [later - earlier for earlier, later in zip(backend.times[1:], backend.times[2:], strict=False)]
    assert gaps[:4] == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S]
    assert max(gaps) == MAX_RETRY_S
    assert slugs(running, account) == ["gpt-5.5"]
    assert caplog.text.count("offline") == 1
    await trio.sleep(MAX_RETRY_S * 3)
    assert slugs(running, account) == ["gpt-6"]


async def test_when_a_reply_names_another_etag(autojump_clock, running, backend, account, caplog):
    caplog.set_level(logging.INFO)
    await trio.sleep(2 * CHANGE_PAUSE_S)
    running.note_etag(account.id, 'W/"1"')
    running.note_etag(account.id, None)
    await trio.sleep(2 * CHANGE_PAUSE_S)
    assert len(backend.asked) == 1
    backend.change("gpt-6", etag='W/"2"')
    running.note_etag(account.id, 'W/"2"')
    await trio.sleep(CHECK_INTERVAL_S + 1)
    assert slugs(running, account) == ["gpt-6"]
    record = next(record for record in caplog.records if "has changed" in record.message)
    assert (record.fields["new"], record.fields["gone"]) == (["gpt-6"], ["gpt-5.5"])
    await trio.sleep(CHANGE_PAUSE_S * 3)
    assert len(backend.asked) == 2


async def test_an_etag_that_never_comes_is_asked_about_once(autojump_clock, running, backend, account):
    for _ in range(100):
        running.note_etag(account.id, '"spelled otherwise"')
        await trio.sleep(CHANGE_PAUSE_S / 2)
    assert len(backend.asked) == 2


async def test_servers_that_contradict_each_other_are_asked_once_a_minute(autojump_clock, running, backend, account):
    for number in range(100):
        backend.change("gpt-5.5", etag=f'W/"{number}"')
        running.note_etag(account.id, f'W/"other {number}"')
        await trio.sleep(1)
    assert len(backend.asked) == 2


async def test_at_once_with_another_client_version(autojump_clock, running, backend, settings):
    settings[0] = replace_values(DEFAULTS, {"upstream.client_version": "0.200.0"})
    await trio.sleep(CHECK_INTERVAL_S + 1)
    assert len(backend.asked) == 2


async def test_a_wall_clock_that_is_set_back(autojump_clock, running, backend, clock):
    clock.now -= 10 * DAY
    await trio.sleep(CHECK_INTERVAL_S + 1)
    assert len(backend.asked) == 2


async def test_what_a_removed_account_leaves_is_deleted(catalogues, account, store, nursery, tmp_path):
    await catalogues.fetch(account.id)
    store.remove(account.id)
    nursery.start_soon(catalogues.run)
    await wait_all_tasks_blocked()
    assert not list((tmp_path / "models").iterdir())
    assert catalogues.of(account) is BUILT_IN


async def test_what_an_earlier_daemon_left_is_deleted(catalogues, nursery, tmp_path, autojump_clock):
    (tmp_path / "models").mkdir()
    strays = [tmp_path / "models" / name for name in ("ffffffffffff.json", ".ffffffffffff.json.abcdefgh")]
    for stray in strays:
        stray.write_text("{}")
    nursery.start_soon(catalogues.run)
    await wait_all_tasks_blocked()
    assert not any(stray.exists() for stray in strays)


def test_the_module_waits_no_longer_than_it_says():
    assert module.CHECK_INTERVAL_S < module.RETRY_S < module.CHANGE_PAUSE_S < module.MAX_RETRY_S < module.MAX_AGE_S


def test_the_wait_doubles_up_to_its_longest_however_often_it_failed():
    assert [retry_after_s(failures) for failures in (1, 2, 3, 4)] == [RETRY_S, 2 * RETRY_S, 4 * RETRY_S, 8 * RETRY_S]
    assert {retry_after_s(failures) for failures in (11, 1025, 10**6)} == {MAX_RETRY_S}
