"""The database of the usage history."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from attrs import evolve

from codexd.record.usage_file import UsageEntry, UsageFile

NOW = 1_800_000_000.0


def entry(at=NOW, account="id-1", model="opus", used="gpt-5.5", input_tokens=100, failed=False, ttft_ms=100):
    return UsageEntry(at, account, model, used, "some/1.0", input_tokens, 40, 10, 5, 200, failed, 900, ttft_ms, 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "usage.sqlite3"


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


def test_a_purpose_has_a_row_of_its_own(path):
    file = UsageFile(path)
    file.add([entry(), evolve(entry(), purpose="auto mode check")])
    assert {row.name: row.requests for row in file.sum_up("model", 0)} == {
        "gpt-5.5": 1,
        "gpt-5.5 (auto mode check)": 1,
    }
    file.close()


def test_a_file_of_the_first_version_is_brought_up_to_date(path):
    file = UsageFile(path)
    file.add([entry()])
    file.close()
    with sqlite3.connect(path) as database:
        database.executescript("ALTER TABLE requests DROP COLUMN purpose; PRAGMA user_version = 1;")
    database.close()
    file = UsageFile(path)
    assert file.kept_aside is None
    file.add([entry()])
    assert [(row.name, row.requests) for row in file.sum_up("model", 0)] == [("gpt-5.5", 2)]
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
