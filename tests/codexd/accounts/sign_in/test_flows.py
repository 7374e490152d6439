"""Sign-ins in memory: the sign-in server, the browser's port and the store are small fakes behind their protocols."""

import logging
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.sign_in.device_codes import DeviceCode, Grant
from codexd.accounts.sign_in.flows import FLOW_S, REMEMBER_S, LoginFlows, LoginMethod
from codexd.accounts.sign_in.keeper import LoginKeeper
from codexd.accounts.sign_in.server import challenge_of
from codexd.errors import (
    HomeMismatch,
    LoginCancelled,
    LoginExpired,
    LoginFailed,
    LoginFlowNotFound,
    RequestInvalid,
)

ISSUER = "https://auth.example.com"


class SignInServer:
    """Gives a login for each code it knows: PKCE and the redirect must fit. A code works once."""

    def __init__(self, login, clock):
        self.login, self.clock = login, clock
        self.grants = {}
        self.exchanged, self.revoked, self.polled = [], [], []
        self.gate = None
        self.approved = None
        self.device = DeviceCode("da_secret", "ABCD-12345", 5.0, None, f"{ISSUER}/codex/device")
        self.poll_error = None

    def visit(self, url, code="ac_secret"):
        """Sign in on the page at ``url``; gives the callback's query."""
        query = {name: value for name, [value] in parse_qs(urlsplit(url).query).items()}
        self.grants[code] = (query["redirect_uri"], query["code_challenge"])
        return {"code": code, "state": query["state"]}

    async def exchange(self, code, *, redirect_uri, verifier, now):
        self.exchanged.append(code)
        if self.gate is not None:
            await self.gate.wait()
        await trio.lowlevel.checkpoint()
        assert now == self.clock()
        if self.grants.pop(code, None) != (redirect_uri, challenge_of(verifier)):
            raise LoginFailed("The sign-in server refused the code.")
        return self.login(refresh_token=f"rt_of_{code}")

    async def revoke(self, refresh_token):
        await trio.lowlevel.checkpoint()
        self.revoked.append(refresh_token)
        return True

    async def request_code(self):
        await trio.lowlevel.checkpoint()
        return self.device

    async def poll(self, code):
        assert code == self.device
        await trio.lowlevel.checkpoint()
        self.polled.append(trio.current_time())
        if self.poll_error is not None:
            raise self.poll_error
        return self.approved


class Machine:
    """The ports of this machine, and what listens on them."""

    def __init__(self):
        self.busy = set()
        self.gate = None
        self.receivers = {}
        self.opened = 0
        self.asked, self.polite = [], set()

    async def ask_to_cancel(self, port):
        """What listens at the port gives it up if it is one of the ``polite``."""
        await trio.lowlevel.checkpoint()
        self.asked.append(port)
        if port in self.polite:
            self.busy.discard(port)

    async def serve_callback(self, port, receive, *, cancel, stop, task_status):
        if port in self.busy:
            raise OSError(98, "Address already in use", f"[::1]:{port}")
        assert port not in self.receivers, "two listeners on one port"
        self.opened += 1
        self.receivers[port] = receive
        self.cancel = cancel
        try:
            if self.gate is not None:
                await self.gate.wait()
            task_status.started()
            await stop.wait()
            with trio.CancelScope(shield=True):
                await trio.lowlevel.checkpoint()  # the last answer goes out
        finally:
            del self.receivers[port]


class World:
    def __init__(self, store, clock, login):
        self.store, self.clock = store, clock
        self.server, self.machine = SignInServer(login, clock), Machine()
        self.keep_error = self.reserve_error = None
        self.logins = LoginFlows(
            self.server,
            self.server,
            f"{ISSUER}/",
            LoginKeeper(self.keep, self.reserve),
            self.machine.serve_callback,
            clock,
            (1455, 1457),
            self.machine.ask_to_cancel,
        )

    def reserve(self):
        if self.reserve_error is not None:
            raise self.reserve_error
        return self.store.reserve(None)

    def keep(self, auth_json):
        if self.keep_error is not None:
            raise self.keep_error
        account, added = self.store.add(auth_json, now=self.clock())
        return account, added.value == "added"

    def come_back(self, query, port=1455):
        """What the browser does when the sign-in page sends it to our port."""
        return self.machine.receivers[port](query)


@pytest.fixture
async def world(store, clock, login, nursery):
    world = World(store, clock, login)
    nursery.start_soon(world.logins.run)
    await wait_all_tasks_blocked()
    return world


@pytest.fixture(autouse=True)
def nothing_secret_is_logged(caplog):
    caplog.set_level(logging.DEBUG)
    yield
    assert "secret" not in caplog.text
    assert "state" not in caplog.text


async def test_a_browser_sign_in(world, nursery):
    flow = await world.logins.start(LoginMethod.BROWSER)
    assert world.logins.flows == (flow,)
    assert (flow.method, flow.user_code, flow.expires_at) == (LoginMethod.BROWSER, None, world.clock() + FLOW_S)
    assert flow.url.startswith(f"{ISSUER}/oauth/authorize?")
    assert "state" not in repr(flow)

    account, added = await world.come_back(world.server.visit(flow.url))
    assert (account.email, added) == ("ann@example.com", True)
    assert await world.logins.wait(flow.id) == (account, True)
    assert world.logins.flows == ()
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}


async def test_a_second_sign_in_renews_the_account(world):
    for expected in (True, False):
        flow = await world.logins.start(LoginMethod.BROWSER)
        account, added = await world.come_back(world.server.visit(flow.url))
        assert (account, added) == (world.store.accounts[0], expected)


async def test_a_waiter_gets_the_outcome(world, nursery, autojump_clock):
    flow = await world.logins.start(LoginMethod.BROWSER)
    seen = []

    async def wait():
        seen.append(await world.logins.wait(flow.id))

    nursery.start_soon(wait)
    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    assert seen == []
    signed_in = await world.come_back(world.server.visit(flow.url))
    await wait_all_tasks_blocked()
    assert seen == [signed_in, signed_in]


async def test_the_page_that_is_opened_twice_trades_the_code_in_once(world, nursery):
    flow = await world.logins.start(LoginMethod.BROWSER)
    world.server.gate = trio.Event()
    query = world.server.visit(flow.url)
    seen = []

    async def come_back(receive):
        seen.append(await receive(query))

    for _ in range(3):
        nursery.start_soon(come_back, world.machine.receivers[1455])
    await wait_all_tasks_blocked()
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert len(seen) == 3
    assert world.server.exchanged == ["ac_secret"]


async def test_a_browser_that_leaves_does_not_lose_the_login(world, nursery):
    flow = await world.logins.start(LoginMethod.BROWSER)
    world.server.gate = trio.Event()
    with trio.CancelScope() as connection:

        async def let_go():
            await wait_all_tasks_blocked()
            connection.cancel()
            world.server.gate.set()

        nursery.start_soon(let_go)
        await world.come_back(world.server.visit(flow.url))
    with trio.fail_after(5):
        account, _ = await world.logins.wait(flow.id)
    assert world.store.active == account


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"error": "access_denied"}, "was denied"),
        ({"error": "access_denied", "error_description": "missing_codex_entitlement"}, "no access to Codex"),
        ({}, "ended with an error"),
        ({"code": "ac_unknown"}, "refused the code"),
    ],
)
async def test_a_browser_that_comes_back_without_a_login(world, answer, words):
    flow = await world.logins.start(LoginMethod.BROWSER)
    state = world.server.visit(flow.url)["state"]
    with pytest.raises(LoginFailed, match=words):
        await world.come_back({**answer, "state": state})
    with pytest.raises(LoginFailed, match=words):
        await world.logins.wait(flow.id)
    assert world.store.accounts == ()
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}


@pytest.mark.parametrize("state", [None, "", "forged"])
async def test_a_foreign_state_is_refused_and_ends_nothing(world, state):
    flow = await world.logins.start(LoginMethod.BROWSER)
    await world.logins.start(LoginMethod.DEVICE)
    query = world.server.visit(flow.url)
    forged = {"code": query["code"]} | ({} if state is None else {"state": state})
    with pytest.raises(LoginFailed, match="not waiting for this sign-in"):
        await world.come_back(forged)
    assert world.server.exchanged == []
    assert len(world.logins.flows) == 2
    await world.come_back(query)


async def test_sign_ins_share_a_port_until_the_last_ends(world):
    first = await world.logins.start(LoginMethod.BROWSER)
    second = await world.logins.start(LoginMethod.BROWSER)
    assert (world.machine.opened, len(world.logins.flows)) == (1, 2)
    await world.come_back(world.server.visit(second.url, "ac_2"))
    await wait_all_tasks_blocked()
    assert set(world.machine.receivers) == {1455}
    await world.come_back(world.server.visit(first.url, "ac_1"))
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}
    assert world.server.exchanged == ["ac_2", "ac_1"]


async def test_a_port_that_is_being_given_up_is_waited_for(world):
    flow = await world.logins.start(LoginMethod.BROWSER)
    world.logins.cancel(flow.id)
    assert 1455 in world.machine.receivers  # its last answer is not yet out
    again = await world.logins.start(LoginMethod.BROWSER)
    assert "%3A1455" in again.url
    assert world.machine.opened == 2


async def test_a_sign_in_that_its_user_cancelled_is_no_warning(world, caplog):
    flow = await world.logins.start(LoginMethod.BROWSER)
    world.logins.cancel(flow.id)
    [record] = [each for each in caplog.records if "ended without a login" in each.getMessage()]
    assert record.levelno == logging.INFO


async def test_two_started_at_once_share_the_port(world, nursery):
    for _ in range(2):
        nursery.start_soon(world.logins.start, LoginMethod.BROWSER)
    await wait_all_tasks_blocked()
    assert set(world.machine.receivers) == {1455}
    assert len(world.logins.flows) == 2


@pytest.mark.parametrize("opened", [False, True])
async def test_a_client_that_hangs_up_while_the_port_is_opened_leaves_no_listener(world, nursery, opened):
    world.machine.gate = trio.Event()
    scope = trio.CancelScope()

    async def start():
        with scope:
            await world.logins.start(LoginMethod.BROWSER)

    nursery.start_soon(start)
    await wait_all_tasks_blocked()
    if opened:
        world.machine.gate.set()
    scope.cancel()
    await wait_all_tasks_blocked()
    world.machine.gate.set()
    assert len(world.machine.receivers) == len(world.logins.flows)
    world.logins.cancel()
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}
    assert "localhost%3A1455" in (await world.logins.start(LoginMethod.BROWSER)).url


async def test_a_busy_port(world):
    world.machine.busy = {1455}
    flow = await world.logins.start(LoginMethod.BROWSER)
    query = world.server.visit(flow.url)
    assert "localhost%3A1457" in flow.url
    await world.come_back(query, port=1457)
    assert world.machine.asked == []
    with pytest.raises(LoginFailed, match=r"another program is using \[::1\]:1455, "):
        await world.logins.start(LoginMethod.BROWSER, 1455)


async def test_no_port_at_all(world, autojump_clock):
    world.machine.busy = {1455, 1457}
    words = r"is using \[::1\]:1455 and \[::1\]:1457, .* ports 1455 and 1457.*--no-browser.*--device"
    with pytest.raises(LoginFailed, match=words):
        await world.logins.start(LoginMethod.BROWSER)
    assert world.logins.flows == ()
    assert sorted(world.machine.asked) == [1455, 1457]


async def test_the_port_of_an_abandoned_sign_in_of_another_program(world, autojump_clock):
    world.machine.busy, world.machine.polite = {1455, 1457}, {1457}
    flow = await world.logins.start(LoginMethod.BROWSER)
    assert "localhost%3A1457" in flow.url


async def test_another_program_takes_a_port_over(world, nursery, autojump_clock):
    first = await world.logins.start(LoginMethod.BROWSER, 1455)
    second = await world.logins.start(LoginMethod.BROWSER, 1457)
    manual = await world.logins.start(LoginMethod.MANUAL)
    world.machine.cancel(1455)
    with pytest.raises(LoginCancelled, match="another one needs its port"):
        await world.logins.wait(first.id)
    await wait_all_tasks_blocked()
    assert world.logins.flows == (second, manual)
    assert set(world.machine.receivers) == {1457}


@pytest.mark.parametrize("method", [LoginMethod.BROWSER, LoginMethod.MANUAL, LoginMethod.DEVICE])
async def test_a_sign_in_ends_when_the_last_one_who_waits_has_gone(world, method, autojump_clock):
    flow = await world.logins.start(method)
    async with trio.open_nursery() as terminals:
        scopes = [trio.CancelScope(), trio.CancelScope()]

        async def wait(scope):
            with scope:
                await world.logins.wait(flow.id)

        for scope in scopes:
            terminals.start_soon(wait, scope)
        await wait_all_tasks_blocked()
        scopes[0].cancel()
        await wait_all_tasks_blocked()
        assert world.logins.flows == (flow,)
        scopes[1].cancel()
    assert world.logins.flows == ()
    with pytest.raises(LoginCancelled, match="nobody waits for it"):
        await world.logins.wait(flow.id)


async def test_a_login_that_came_as_its_terminal_closed_is_kept(world, autojump_clock):
    flow = await world.logins.start(LoginMethod.BROWSER)
    signed_in = await world.come_back(world.server.visit(flow.url))
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.logins.wait(flow.id)
    assert world.store.accounts == (signed_in[0],)


async def test_a_chosen_port(world):
    flow = await world.logins.start(LoginMethod.BROWSER, 1457)
    assert set(world.machine.receivers) == {1457}
    assert "localhost%3A1457" in flow.url
    assert "localhost%3A1457" in (await world.logins.start(LoginMethod.MANUAL, 1457)).url
    with pytest.raises(RequestInvalid, match="port: must be 1455 or 1457"):
        await world.logins.start(LoginMethod.BROWSER, 1456)


@pytest.mark.parametrize("form", ["{url}", "{code}", "{code}#{state}", "code={code}&state={state}"])
@pytest.mark.parametrize("method", [LoginMethod.MANUAL, LoginMethod.BROWSER])
async def test_a_pasted_code(world, method, form):
    flow = await world.logins.start(method)
    assert bool(world.machine.receivers) == (method is LoginMethod.BROWSER)
    query = world.server.visit(flow.url)
    url = f"http://localhost:1455/auth/callback?code={query['code']}&state={query['state']}"
    account, added = await world.logins.complete(flow.id, form.format(url=url, **query))
    assert (account.email, added) == ("ann@example.com", True)
    assert await world.logins.wait(flow.id) == (account, True)
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}
    assert await world.logins.complete(flow.id, "ac_secret") == (account, True)


@pytest.mark.parametrize(
    ("pasted", "kind", "words"),
    [
        ("ac_secret#forged", LoginFailed, "belongs to another sign-in"),
        ("code=ac_secret&state=forged", LoginFailed, "belongs to another sign-in"),
        ("error=access_denied&state=forged", LoginFailed, "belongs to another sign-in"),
        ("ac_cut", LoginFailed, "refused the code"),
        ("", RequestInvalid, "input"),
        ("http://localhost:1455/", RequestInvalid, "input"),
    ],
)
async def test_a_bad_paste_leaves_the_flow_open(world, pasted, kind, words):
    flow = await world.logins.start(LoginMethod.MANUAL)
    query = world.server.visit(flow.url)
    with pytest.raises(kind, match=words):
        await world.logins.complete(flow.id, pasted)
    assert world.logins.flows == (flow,)
    await world.logins.complete(flow.id, query["code"])


async def test_a_pasted_refusal_ends_the_flow(world):
    flow = await world.logins.start(LoginMethod.MANUAL)
    with pytest.raises(LoginFailed, match="was denied"):
        await world.logins.complete(flow.id, "http://localhost:1455/auth/callback?error=access_denied")
    assert world.logins.flows == ()


async def test_a_manual_sign_in_is_known_to_a_listener_that_is_open(world):
    await world.logins.start(LoginMethod.BROWSER)
    manual = await world.logins.start(LoginMethod.MANUAL)
    await world.come_back(world.server.visit(manual.url))
    assert (await world.logins.wait(manual.id))[1] is True


async def test_a_device_sign_in(world, autojump_clock):
    began_at = trio.current_time()
    flow = await world.logins.start(LoginMethod.DEVICE)
    assert (flow.method, flow.url, flow.user_code) == (LoginMethod.DEVICE, f"{ISSUER}/codex/device", "ABCD-12345")
    await trio.sleep(12)
    assert [at - began_at for at in world.server.polled] == [5, 10]
    world.server.grants["ac_secret"] = (f"{ISSUER}/deviceauth/callback", challenge_of("v_secret"))
    world.server.approved = Grant("ac_secret", "v_secret")
    account, added = await world.logins.wait(flow.id)
    assert (account.email, added) == ("ann@example.com", True)
    asked = len(world.server.polled)
    await trio.sleep(60)
    assert len(world.server.polled) == asked


@pytest.mark.parametrize("grant", [None, Grant("ac_unknown", "v")])
async def test_a_device_that_is_refused(world, autojump_clock, grant):
    world.server.poll_error = None if grant else LoginFailed("The sign-in server ended the sign-in.")
    world.server.approved = grant
    flow = await world.logins.start(LoginMethod.DEVICE)
    with pytest.raises(LoginFailed, match=r"ended the sign-in|refused the code"):
        await world.logins.wait(flow.id)
    assert len(world.server.polled) == 1


async def test_a_device_flow_takes_no_paste(world):
    flow = await world.logins.start(LoginMethod.DEVICE)
    with pytest.raises(RequestInvalid, match="flow: "):
        await world.logins.complete(flow.id, "ac_secret")


@pytest.mark.parametrize(("said", "kept"), [(60, 60), (5000, FLOW_S), (-60, FLOW_S), (None, FLOW_S)])
async def test_a_device_code_may_end_sooner(world, said, kept):
    now = world.clock()
    device = world.server.device
    world.server.device = DeviceCode(
        device.device_auth_id, device.user_code, 5.0, None if said is None else now + said, device.url
    )
    assert (await world.logins.start(LoginMethod.DEVICE)).expires_at == now + kept


@pytest.mark.parametrize("method", list(LoginMethod))
async def test_nobody_signs_in(world, autojump_clock, method):
    flow = await world.logins.start(method)
    began_at = trio.current_time()
    with pytest.raises(LoginExpired, match="not completed in time"):
        await world.logins.wait(flow.id)
    assert trio.current_time() - began_at == FLOW_S
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}


async def test_after_a_sign_in_from_which_nothing_came_back_the_next_returns_to_the_other_host(world):
    hosts = []
    for _ in range(3):
        flow = await world.logins.start(LoginMethod.BROWSER)
        hosts.append("localhost" if "localhost%3A1455" in flow.url else "127.0.0.1")
        assert f"{hosts[-1]}%3A1455" in flow.url
        world.logins.cancel(flow.id)
        await wait_all_tasks_blocked()
    assert hosts == ["localhost", "127.0.0.1", "localhost"]


async def test_a_device_code_that_nobody_approves_names_the_switch(world, autojump_clock):
    flow = await world.logins.start(LoginMethod.DEVICE)
    with pytest.raises(LoginExpired, match=r"security settings.*`codexctl accounts add`"):
        await world.logins.wait(flow.id)


async def test_cancelling(world):
    flows = [await world.logins.start(method) for method in LoginMethod]
    assert world.logins.cancel(flows[0].id) == 1
    assert world.logins.cancel(flows[0].id) == 0
    assert world.logins.cancel() == 2
    assert world.logins.cancel() == 0
    for flow in flows:
        with pytest.raises(LoginCancelled):
            await world.logins.wait(flow.id)
        with pytest.raises(LoginCancelled):
            await world.logins.complete(flow.id, "ac_secret")
    await wait_all_tasks_blocked()
    assert world.machine.receivers == {}
    with pytest.raises(LoginFlowNotFound, match="'nosuch'"):
        world.logins.cancel("nosuch")


async def test_a_login_that_arrives_after_the_cancel_is_given_back(world, nursery):
    flow = await world.logins.start(LoginMethod.MANUAL)
    world.server.gate = trio.Event()
    world.server.visit(flow.url)
    raised = []

    async def complete():
        try:
            await world.logins.complete(flow.id, "ac_secret")
        except LoginCancelled as error:
            raised.append(error)

    nursery.start_soon(complete)
    await wait_all_tasks_blocked()
    assert world.logins.cancel(flow.id) == 1
    world.server.gate.set()
    await wait_all_tasks_blocked()
    assert len(raised) == 1
    assert world.store.accounts == ()
    assert world.server.revoked == ["rt_of_ac_secret"]


@pytest.mark.parametrize(
    ("error", "words"),
    [(OSError(28, "No space left on device"), "No space left"), (HomeMismatch("use another --home"), "--home")],
)
async def test_a_login_that_cannot_be_kept(world, error, words):
    world.keep_error = error
    flow = await world.logins.start(LoginMethod.BROWSER)
    with pytest.raises(LoginFailed, match=words):
        await world.come_back(world.server.visit(flow.url))
    with pytest.raises(LoginFailed, match=words):
        await world.logins.wait(flow.id)
    assert world.server.revoked == ["rt_of_ac_secret"]


async def test_a_code_is_not_exchanged_for_a_login_that_cannot_be_kept(world):
    flow = await world.logins.start(LoginMethod.MANUAL)
    code = world.server.visit(flow.url)["code"]
    world.reserve_error = OSError(28, "No space left on device", "/state/accounts/auth.json")
    with pytest.raises(LoginFailed, match=r"auth\.json can't be used: No space left .* Free some disk space"):
        await world.logins.complete(flow.id, code)
    assert world.server.revoked == []
    world.reserve_error = None
    account, _ = await world.logins.complete(flow.id, code)  # the code is still good, and the sign-in open
    assert world.store.accounts == (account,)


async def test_ends_are_remembered_for_a_while(world):
    flow = await world.logins.start(LoginMethod.MANUAL)
    world.logins.cancel()
    world.clock.now += REMEMBER_S
    with pytest.raises(LoginCancelled):
        await world.logins.wait(flow.id)
    world.clock.now += 1
    with pytest.raises(LoginFlowNotFound, match=flow.id):
        await world.logins.wait(flow.id)
    with pytest.raises(LoginFlowNotFound):
        await world.logins.complete(flow.id, "ac_secret")


async def test_nothing_starts_while_the_task_is_not_running(store, clock, login):
    world = World(store, clock, login)
    for method in LoginMethod:
        with pytest.raises(LoginFailed, match="'sign-in flows'"):
            await world.logins.start(method)


async def test_the_end_of_the_task_ends_the_flows(store, clock, login):
    world = World(store, clock, login)
    flows = []
    for _ in range(2):  # and the supervisor may start it again
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.logins.run)
            await wait_all_tasks_blocked()
            flows.append(await world.logins.start(LoginMethod.BROWSER))
            nursery.cancel_scope.cancel()
        assert world.machine.receivers == {}
    assert world.logins.flows == ()
    for flow in flows:
        with pytest.raises(LoginCancelled, match="codexd stopped"):
            await world.logins.wait(flow.id)


async def test_a_task_that_ends_while_a_flow_begins(store, clock, login, nursery):
    world = World(store, clock, login)
    asked = trio.Event()

    async def request_code():
        stopping.cancel()
        await asked.wait()
        return world.server.device

    world.server.request_code = request_code
    with trio.CancelScope() as stopping:
        nursery.start_soon(_start_and_expect_cancel, world)
        await world.logins.run()
    asked.set()
    await wait_all_tasks_blocked()
    assert world.logins.flows == ()


async def _start_and_expect_cancel(world):
    with pytest.raises(LoginCancelled):
        await world.logins.start(LoginMethod.DEVICE)
