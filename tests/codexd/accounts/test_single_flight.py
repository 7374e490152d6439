import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from codexd.accounts.single_flight import SingleFlight
from codexd.errors import UpstreamFailed


async def answer(gate, outcome):
    await gate.wait()
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@pytest.fixture
def flights():
    return SingleFlight()


async def test_whoever_joins_shares_the_result(flights):
    gate, got = trio.Event(), []

    async def ask(wait):
        got.append(await wait)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, flights.run("ann", answer(gate, "yes")))
        await wait_all_tasks_blocked()
        assert flights.is_under_way("ann")
        assert not flights.is_under_way("bob")
        nursery.start_soon(ask, flights.join("ann"))
        await wait_all_tasks_blocked()
        gate.set()
    assert got == ["yes", "yes"]
    assert not flights.is_under_way("ann")


async def test_everyone_gets_an_exception_of_their_own(flights):
    gate, caught = trio.Event(), []

    async def ask(wait):
        with pytest.raises(UpstreamFailed) as info:
            await wait
        caught.append(info.value)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, flights.run("ann", answer(gate, UpstreamFailed("it broke", status=503))))
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, flights.join("ann"))
        nursery.start_soon(ask, flights.join("ann"))
        await wait_all_tasks_blocked()
        gate.set()
    assert len({id(error) for error in caught}) == 3
    assert {(str(error), error.status) for error in caught} == {("it broke", 503)}


async def test_a_call_whose_caller_leaves_has_no_result(flights, nursery):
    scope, got = trio.CancelScope(), []

    async def leave():
        with scope:
            await flights.run("ann", answer(trio.Event(), None))

    async def join():
        got.append(await flights.join("ann"))

    nursery.start_soon(leave)
    await wait_all_tasks_blocked()
    nursery.start_soon(join)
    await wait_all_tasks_blocked()
    scope.cancel()
    await wait_all_tasks_blocked()
    assert got == [None]
    assert not flights.is_under_way("ann")


async def test_a_bug_in_the_call_does_not_strand_who_waits(flights, nursery):
    gate, got = trio.Event(), []

    async def run():
        with pytest.raises(ZeroDivisionError):
            await flights.run("ann", answer(gate, ZeroDivisionError()))

    async def join():
        got.append(await flights.join("ann"))

    nursery.start_soon(run)
    await wait_all_tasks_blocked()
    nursery.start_soon(join)
    await wait_all_tasks_blocked()
    gate.set()
    await wait_all_tasks_blocked()
    assert got == [None]
