"""The history of usage, in a real file."""

from __future__ import annotations

import os
import sqlite3
import stat

import pytest
import trio
from support.small_disk import mounted

from codexd import bounds
from codexd.errors import RequestCancelled, UpstreamFailed
from codexd.record.requests import RequestLog
from codexd.record.usage import MAX_COUNT, UsageHistory
from codexd.record.usage_file import UsageEntry, UsageFile
from codexd.translation.backend import Usage
from codexd.translation.reading.losses import Losses, LossKind

NOW = 1_800_000_000.0
DAY_S = 86_400


def entry(at=NOW, account="id-1", model="opus", used="gpt-5.5", input_tokens=100, failed=False, ttft_ms=100):
    return UsageEntry(at, account, model, used, "some/1.0", input_tokens, 40, 10, 5, 200, failed, 900, ttft_ms, 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.sqlite3"


@pytest.fixture
async def history(path):
    made = UsageHistory(path, lambda: 90, lambda: NOW)
    yield made
    made.close()


def rows_of(path):
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT * FROM requests ORDER BY at").fetchall()
    finally:
        database.close()


def end_one(history, account_id="id-1", tokens=100):
    """A request that ended, as the log of requests hands it on."""
    log = RequestLog(lambda: 5.0, lambda: NOW, on_end=history.add)
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        losses = Losses()
        losses.add(LossKind.DROPPED, "top_k", "the prompt")
        record.note_model("opus")
        record.note_losses(losses)
        record.note_account(account_id, "work@example.com", "active account")
        record.note_model_used("gpt-5.5")
        record.note_first_token(5.25)
        record.note_answer(Usage(input_tokens=tokens, cached_tokens=40, output_tokens=10, reasoning_tokens=5), None)
        record.note_status(200)


async def test_a_request_becomes_a_row_without_words_or_addresses(history, path):
    end_one(history)
    await history.summarize("model", 0.0, {})
    (row,) = rows_of(path)
    assert row == (NOW, "id-1", "opus", "gpt-5.5", "some/1.0", 100, 40, 10, 5, 200, 0, 0, 250, 1, "turn")


async def test_the_sums_by_account_have_the_names_of_now(history):
    end_one(history, "id-1")
    end_one(history, "id-1")
    end_one(history, "gone", tokens=1000)
    report = await history.summarize("account", 0.0, {"id-1": "work@example.com"})
    assert [(row.name, row.requests, row.input_tokens) for row in report.rows] == [
        ("gone", 1, 1000),
        ("work@example.com", 2, 200),
    ]
    assert (report.total.name, report.total.requests, report.total.cached_tokens) == ("total", 3, 120)
    assert (report.by, report.since, report.problem) == ("account", NOW, None)


async def test_without_a_request_there_is_nothing(history):
    report = await history.summarize("day", 0.0, {})
    assert (report.rows, report.total.requests, report.since) == ((), 0, None)


async def test_the_task_writes_batches_and_forgets_the_old(history, path, nursery):
    file = UsageFile(path)
    file.add([entry(at=NOW - 91 * DAY_S), entry(at=NOW - 89 * DAY_S)])
    file.close()
    nursery.start_soon(history.run)
    end_one(history)
    end_one(history)
    with trio.fail_after(10):
        while len(rows_of(path)) != 3:
            await trio.sleep(0.02)
    assert [row[0] for row in rows_of(path)] == [NOW - 89 * DAY_S, NOW, NOW]


def test_what_waits_is_written_at_the_end(path):
    history = UsageHistory(path, lambda: 90, lambda: NOW)
    end_one(history)
    history.close()
    assert len(rows_of(path)) == 1


async def test_only_its_owner_reads_the_file(history, path):
    old_mask = os.umask(0)
    try:
        end_one(history)
        await history.summarize("model", 0.0, {})
    finally:
        os.umask(old_mask)
    files = sorted(found.name for found in path.parent.iterdir())
    assert files == ["usage.sqlite3", "usage.sqlite3-shm", "usage.sqlite3-wal"]
    assert {stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()} == {0o600}


# -- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["garbage", "later version", "other table", "another program's", "broken page"])
async def test_a_file_that_cant_be_read_is_kept_aside_and_reported(path, damage, caplog):
    damage_file(path, damage)
    before = path.read_bytes()
    history = UsageHistory(path, lambda: 90, lambda: NOW)
    end_one(history)
    report = await history.summarize("model", 0.0, {})
    assert report.total.requests == 1
    aside = path.with_name("usage.sqlite3.unreadable")
    assert aside.read_bytes() == before
    assert str(aside) in report.problem
    assert history.problems == (report.problem,)
    assert "could not be read" in caplog.text
    history.close()
    assert len(rows_of(path)) == 1


def damage_file(path, damage):
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 100)
        return
    if damage == "another program's":
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE history (url TEXT)")
        database.close()
        return
    file = UsageFile(path)
    file.add([entry(at=NOW + number) for number in range(2000)])
    if damage == "later version":
        file._database.execute("PRAGMA user_version = 3")
    elif damage == "other table":
        file._database.execute("ALTER TABLE requests ADD COLUMN price REAL")
        file._database.commit()
    file.close()
    if damage == "broken page":
        data = bytearray(path.read_bytes())
        data[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
        path.write_bytes(data)


async def test_what_cant_be_written_waits(path, caplog):
    path.mkdir()
    history = UsageHistory(path, lambda: 90, lambda: NOW)
    end_one(history)
    for _ in range(2):
        report = await history.summarize("model", 0.0, {})
        assert report.rows == ()
        assert "can't be used" in report.problem
    assert caplog.text.count("can't be used") == 1
    path.rmdir()
    report = await history.summarize("model", 0.0, {})
    assert (report.total.requests, report.problem) == (1, None)
    history.close()


@pytest.mark.parametrize("fault", ["full", "read-only"])
async def test_a_problem_stays_until_writing_works_again(tmp_path, fault):
    with mounted(tmp_path / "disk") as disk:
        history = UsageHistory(disk.path / "usage.sqlite3", lambda: 90, lambda: NOW)
        end_one(history)
        await history.summarize("model", 0.0, {})
        disk.fill() if fault == "full" else disk.make_read_only()
        if fault == "read-only":  # the database is open, but is opened anew
            history._file.close()
            history._file = None
        for _ in range(200):  # more than what SQLite has room for already
            end_one(history)
        for _ in range(3):
            report = await history.summarize("model", 0.0, {})
            assert "New requests are kept in memory" in report.problem
            assert history.problems == (report.problem,)
        disk.free() if fault == "full" else disk.make_writable()
        report = await history.summarize("model", 0.0, {})
        assert (report.total.requests, report.problem, history.problems) == (201, None, ())
        history.close()


async def test_damage_found_while_running_is_kept_aside_too(history, path):
    end_one(history)
    await history.summarize("model", 0.0, {})
    history._file._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    history._file._database.execute("PRAGMA cache_size = 0")
    path.write_bytes(b"overwritten by somebody" * 1000)
    assert "can't be used" in (await history.summarize("model", 0.0, {})).problem
    end_one(history)
    report = await history.summarize("model", 0.0, {})
    assert report.total.requests == 1
    assert "kept as" in report.problem


async def test_a_file_that_was_deleted_or_replaced_while_running_is_opened_anew(history, path):
    end_one(history)
    assert (await history.summarize("model", 0.0, {})).total.requests == 1
    for file in path.parent.glob("usage.sqlite3*"):
        file.unlink()
    end_one(history)
    report = await history.summarize("model", 0.0, {})
    assert (report.total.requests, report.problem) == (1, None)
    history.close()
    assert path.exists()


async def test_the_oldest_are_dropped_when_too_many_wait(path):
    path.mkdir()
    history = UsageHistory(path, lambda: 90, lambda: NOW)
    history._waiting.extend(entry(at=float(number)) for number in range(bounds.USAGE_ROWS))
    end_one(history)
    await history.summarize("model", 0.0, {})
    assert len(history._waiting) == bounds.USAGE_ROWS
    assert (history._waiting[0].at, history._waiting[-1].at) == (1.0, NOW)


async def test_a_cancelled_write_loses_nothing(history, path):
    end_one(history)
    with trio.CancelScope() as scope:
        scope.cancel()
        await history.summarize("model", 0.0, {})
    assert scope.cancelled_caught
    assert (await history.summarize("model", 0.0, {})).total.requests == 1


async def test_numbers_too_large_to_add_up_do_no_harm(history):
    for _ in range(2):
        end_one(history, tokens=2**63)
    report = await history.summarize("model", 0.0, {})
    assert (report.total.requests, report.total.input_tokens, report.problem) == (2, 2 * MAX_COUNT, None)


@pytest.mark.parametrize(("error", "failed"), [(UpstreamFailed("it broke"), 1), (RequestCancelled("by its user"), 0)])
async def test_a_failure_counts_and_a_cancelled_request_is_none(history, error, failed):
    log = RequestLog(lambda: 5.0, lambda: NOW, on_end=history.add)
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.note_status(502)
        record.note_failure(error)
    (row,) = (await history.summarize("model", 0.0, {})).rows
    assert (row.name, row.requests, row.failed) == ("none", 1, failed)
