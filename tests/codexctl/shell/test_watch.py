import asyncio

from codexctl.shell.watch import Facts, LogTail, Watch

STATUS = {"version": "0.1.0", "pid": 7}


def run_until(task, done):
    """Run ``task`` until the event ``done``."""

    async def run():
        running = asyncio.create_task(task)
        await asyncio.wait_for(done.wait(), 20)
        running.cancel()

    asyncio.run(run())


def test_what_is_known_is_what_the_daemon_last_said(daemon):
    daemon.answers = {
        "daemon.status": STATUS,
        "accounts.list": {"accounts": [{"id": "1", "active": False}, {"id": "2", "active": True}]},
        "settings.list": {"settings": [{"name": "log.level"}]},
        "requests.list": {"requests": []},
    }
    changed, said = asyncio.Event(), []
    watch = Watch(daemon.path, said.append, changed.set)
    run_until(watch.keep_facts(), changed)
    assert watch.facts.status == STATUS
    assert watch.facts.active == {"id": "2", "active": True}
    assert (watch.facts.problem, said) == (None, [])


def test_a_daemon_that_is_away_is_reported_once(tmp_path, monkeypatch):
    monkeypatch.setattr("codexctl.shell.watch.RETRY_S", 0.0)
    changes, twice, said = [], asyncio.Event(), []
    watch = Watch(tmp_path / "none.sock", said.append, lambda: changes.append(1) or (len(changes) > 1 and twice.set()))
    run_until(watch.keep_facts(), twice)
    assert "is not running" in watch.facts.problem
    assert len(said) == 1
    assert said[0].endswith("Waiting for it to come back.")
    assert watch.facts.active is Facts().active is None


def test_the_log_goes_on_where_it_ended(daemon):
    daemon.answers["logs.follow"] = {"subscription": 1}
    tail = LogTail(daemon.path, "warning", lambda entry: None, lambda text: None)
    tail._pass_on({"entry": {"at": 5_000_000_000.0}})

    async def run():
        running = asyncio.create_task(tail.run())
        params = await asyncio.to_thread(daemon.next_call, "logs.follow")
        running.cancel()
        return params

    assert asyncio.run(run())["since"] > 5_000_000_000.0
