"""The history of usage, in a real file."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time

import pytest
import trio

from codexd.errors import UpstreamFailed
from codexd.record.requests import RequestLog
from codexd.record.usage import MAX_COUNT, MAX_WAITING, UsageHistory
from codexd.record.usage_file import UsageEntry, UsageFile
from codexd.translation.backend import Usage
from codexd.translation.reading.losses import LossKind

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
        record.status, record.model, record.model_used = 200, "opus", "gpt-5.5"
        record.account_id, record.account = account_id, "work@example.com"
        record.usage = Usage(input_tokens=tokens, cached_tokens=40, output_tokens=10, reasoning_tokens=5)
        record.note_first_token(5.25)
        record.losses.add(LossKind.DROPPED, "top_k", "the prompt")


async def test_a_request_becomes_a_row_without_words_or_addresses(history, path):
    end_one(history)
    await history.summarize("model", 0.0, {})
    (row,) = rows_of(path)
    assert row == (NOW, "id-1", "opus", "gpt-5.5", "some/1.0", 100, 40, 10, 5, 200, 0, 0, 250, 1)


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


def test_the_sums(path):
    file = UsageFile(path)
    file.add([entry(ttft_ms=100), entry(ttft_ms=300), entry(used=None, failed=True, ttft_ms=None, account=None)])
    file.add([entry(used=None, model=None), entry(at=NOW - 10, used="old")])
    models = file.sum_up("model", NOW)
    assert [(row.name, row.requests, row.failed, row.ttft_ms) for row in models] == [
        ("gpt-5.5", 2, 0, 200),
        ("none", 1, 0, 100),
        ("opus", 1, 1, None),
    ]
    (total,) = file.sum_up("total", NOW)
    assert (total.requests, total.input_tokens, total.output_tokens, total.reasoning_tokens) == (4, 400, 40, 20)
    assert (total.losses, total.ttft_ms) == (4, 167)
    assert {row.name for row in file.sum_up("account", 0)} == {"id-1", "none"}
    assert file.find_oldest(0) == NOW - 10
    assert file.sum_up("total", NOW + 1) == []
    file.close()


def test_days_are_those_of_the_local_time_zone(path, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    file = UsageFile(path)
    file.add([entry(at=1_800_025_199.0), entry(at=1_800_025_200.0)])  # 2027-01-15 23:59:59 and a second later
    days = [row.name for row in file.sum_up("day", 0)]
    file.close()
    monkeypatch.undo()
    time.tzset()
    assert days == ["2027-01-15", "2027-01-16"]


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
async def test_a_file_that_cant_be_read_is_kept_aside_and_said(path, damage, caplog):
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
        file._database.execute("PRAGMA user_version = 2")
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


async def test_the_oldest_are_given_up_when_too_many_wait(path):
    path.mkdir()
    history = UsageHistory(path, lambda: 90, lambda: NOW)
    history._waiting.extend(entry(at=float(number)) for number in range(MAX_WAITING))
    end_one(history)
    await history.summarize("model", 0.0, {})
    assert len(history._waiting) == MAX_WAITING
    assert (history._waiting[0].at, history._waiting[-1].at) == (1.0, NOW)


async def test_a_cancelled_write_loses_nothing(history, path):
    end_one(history)
    with trio.CancelScope() as scope:
        scope.cancel()
        await history.summarize("model", 0.0, {})
    assert scope.cancelled_caught
    assert (await history.summarize("model", 0.0, {})).total.requests == 1


async def test_numbers_that_no_one_can_add_up_are_no_reason_to_fail(history):
    for _ in range(2):
        end_one(history, tokens=2**63)
    report = await history.summarize("model", 0.0, {})
    assert (report.total.requests, report.total.input_tokens, report.problem) == (2, 2 * MAX_COUNT, None)


WRITER = """
import sys
from pathlib import Path
from codexd.record.usage_file import UsageEntry, UsageFile
file = UsageFile(Path(sys.argv[1]))
number = 0
while True:
    file.add([UsageEntry(float(number + n), "id", "opus", "gpt", "some", 1, 0, 1, 0, 200, False, 1, 1, 0) for n in range(7)])
    number += 7
    print(number, flush=True)
"""


def test_kill_9_leaves_whole_batches(path):
    for round_ in range(1, 6):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        for _ in range(20 * round_):
            said = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        file = UsageFile(path)
        assert file.kept_aside is None
        (total,) = file.sum_up("total", 0.0)
        assert said <= total.requests <= said + 7
        assert total.requests % 7 == 0
        file.prune(1e12)
        file.close()


async def test_a_failure_counts(history):
    log = RequestLog(lambda: 5.0, lambda: NOW, on_end=history.add)
    with log.record("req_1", "POST", "/v1/messages", "some/1.0") as record:
        record.status = 502
        record.fail(UpstreamFailed("it broke"))
    (row,) = (await history.summarize("model", 0.0, {})).rows
    assert (row.name, row.requests, row.failed) == ("none", 1, 1)
