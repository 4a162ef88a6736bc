"""usage.db on disks that are full or fail, and when it is damaged (FAULTS.md section 2): calls are served all the same, what
cannot be written waits and is counted, and the configuration is never touched by it."""
import contextlib
import json
import resource
import sqlite3
import time

import pytest
from harness.daemon import figure

SECONDS = 5  # FAULTS.md: recovery


@pytest.fixture
def calling(daemon, provider):
    daemon.add_provider(provider, key="sk-usage-faults-0123456789abcdef")
    return daemon


def usage_of(rpc):
    return rpc.call("sys.info")["usage"]


def calls(rpc, count):
    for _ in range(count):
        assert rpc.prompt("hello", ref="scripted:m1").ok


def wait_for(rpc, **wanted):
    """How long it took until sys.info says so."""
    began = time.monotonic()
    while True:
        usage = usage_of(rpc)
        if {k: usage[k] for k in wanted} == wanted:
            return time.monotonic() - began
        assert time.monotonic() - began < SECONDS, usage
        time.sleep(0.05)


def rows(daemon):
    """Rows, and what the days come to. The daemon is stopped."""
    with contextlib.closing(sqlite3.connect(daemon.data / "usage.db")) as db:
        return (db.execute("SELECT count(*) FROM attempts").fetchone()[0],
                db.execute("SELECT coalesce(sum(requests), 0) FROM usage_days").fetchone()[0])


def doctor_line(daemon, name):
    lines = [json.loads(line) for line in daemon.mpc("doctor", "--json").out.splitlines()]
    checks = [c for line in lines for c in (line if isinstance(line, list) else line.get("checks", [line]))]
    return next((c for c in checks if c["check"] == name), None)


def set_file_limit(daemon, limit):
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_F14_calls_are_served_and_their_rows_wait(calling):
    slowest = 0.0
    with calling.rpc() as rpc:
        calls(rpc, 3)
        assert usage_of(rpc) == {"failing": False, "waiting": 0, "lost": 0}
        for _ in range(2):
            set_file_limit(calling, 1)
            calls(rpc, 10)
            assert usage_of(rpc) == {"failing": True, "waiting": 10, "lost": 0}
            line = doctor_line(calling, "usage")
            assert line["level"] == "FAIL" and "10 records wait" in line["text"] and "make room" in line["fix"]
            time.sleep(1.2)  # it was tried in vain
            assert usage_of(rpc)["waiting"] == 10
            set_file_limit(calling, resource.RLIM_INFINITY)
            slowest = max(slowest, wait_for(rpc, failing=False, waiting=0, lost=0))
            assert doctor_line(calling, "usage") is None
        calls(rpc, 2)
    print(f"slowest recovery {slowest:.2f} s")
    calling.stop()
    assert rows(calling) == (25, 25)


def many_rows(daemon, count):
    """As if so many calls had been made, a minute apart; the daemon is stopped."""
    names = "'scripted', 'm1', 'm1', 'default', 'mpc', '', '', 0, 'done', 'reported', 100, 20, NULL, NULL, NULL, 'list', 1500, 900, 300, NULL, NULL"
    hour, now = 3_600_000, int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(daemon.data / "usage.db")) as db:
        db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) "
                   f"INSERT INTO attempts SELECT ({now} - i * 60000) * 1000, i, 1, {names} FROM n")
        for table, span in (("usage_hours", hour), ("usage_days", 24 * hour)):
            db.execute(f"INSERT INTO {table} SELECT id / 1000 / {span} * {span}, 'scripted', 'm1', 'mpc', '', '', count(*), 0, 0, "
                       "100, 20, 0, 0, 0, 1500, 0, 0, 0, 0, 900 FROM attempts GROUP BY 1")
        db.commit()


def test_F14_a_usage_that_cannot_be_written_leaves_the_state_alone(calling):
    """Only usage.db is over the limit: choices are stored as ever, its rows wait."""
    calling.stop()
    many_rows(calling, 20000)
    size = (calling.data / "usage.db").stat().st_size
    before = rows(calling)
    assert size > 2 << 20
    calling.start()
    with calling.rpc() as rpc:
        set_file_limit(calling, 2 << 20)
        deadline = time.monotonic() + 10
        done = 0
        while not usage_of(rpc)["failing"]:
            assert time.monotonic() < deadline
            calls(rpc, 1)
            done += 1
        for i in range(20):
            rpc.call("route.set", ref=f"echo:m{i}")
            calls(rpc, 1)
        info = rpc.call("sys.info")
        assert info["read_only"] is False
        assert info["usage"]["failing"] and info["usage"]["lost"] == 0 and info["usage"]["waiting"] >= 20
        assert doctor_line(calling, "database")["level"] == "ok"
        assert doctor_line(calling, "usage")["level"] == "FAIL"
        set_file_limit(calling, resource.RLIM_INFINITY)
        took = wait_for(rpc, failing=False, waiting=0, lost=0)
    print(f"recovered in {took:.2f} s")
    calling.restart()
    with calling.rpc() as rpc:
        assert rpc.call("route.get")["active"]["ref"] == "echo:m19"
    calling.stop()
    assert rows(calling) == (before[0] + done + 20, before[1] + done + 20)


def test_F04_a_start_after_kill_9_with_100_000_rows(calling):
    calling.stop()
    many_rows(calling, 100_000)
    calling.start()
    with calling.rpc() as rpc:
        calls(rpc, 5)
        wait_for(rpc, waiting=0)  # the turn in which the last one ended is over
    calling.kill()
    began = time.monotonic()
    calling.start()
    with calling.rpc() as rpc:
        calls(rpc, 1)
    took = time.monotonic() - began
    print(f"serves again after {took:.2f} s")
    assert took <= figure(1, 5), took
    calling.stop()
    assert rows(calling) == (100_006, 100_006)


def test_F21_a_damaged_usage_is_refused_and_its_two_ways_back(calling, tmp_path):
    """Moved away: an empty one begins. Restored: its rows are those of the backup. The configuration was never at stake."""
    with calling.rpc() as rpc:
        calls(rpc, 3)
        rpc.call("route.set", ref="echo:kept")
    calling.mpc("backup", tmp_path / "b.tar", check=0)
    calling.stop()
    state = (calling.data / "state.db").read_bytes()
    whole = (calling.data / "usage.db").read_bytes()
    damaged = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    (calling.data / "usage.db").write_bytes(damaged)
    r = calling.mpc("which", env={"MODELPD_NO_SPAWN": None})
    assert r.returncode == 5 and "usage.db is damaged" in r.err and "mpc restore" in r.err and "move it away" in r.err, r.err
    assert (calling.data / "usage.db").read_bytes() == damaged
    assert (calling.data / "state.db").read_bytes() == state

    (calling.data / "usage.db").rename(tmp_path / "usage.db")
    (calling.data / "usage.db-wal").write_bytes(b"of another life")
    calling.start()
    with calling.rpc() as rpc:
        assert rpc.call("route.get")["active"]["ref"] == "echo:kept"
        calls(rpc, 1)
    calling.stop()
    assert rows(calling) == (1, 1)

    (calling.data / "usage.db").write_bytes(damaged)
    calling.mpc("restore", tmp_path / "b.tar", "--yes", check=0)
    calling.start()
    with calling.rpc() as rpc:
        assert rpc.call("route.get")["active"]["ref"] == "echo:kept"
        calls(rpc, 1)
    calling.stop()
    assert rows(calling) == (4, 4)


def test_F21_a_large_damaged_usage_is_found_right_after_the_start(calling, tmp_path):
    """It is looked at while calls are served: from then on nothing is written to it, and a backup brings back a good one."""
    with calling.rpc() as rpc:
        calls(rpc, 3)
    calling.mpc("backup", tmp_path / "b.tar", check=0)
    calling.stop()
    many_rows(calling, 60_000)
    whole = bytearray((calling.data / "usage.db").read_bytes())
    assert len(whole) > 4 << 20
    middle = len(whole) // 2 // 4096 * 4096
    whole[middle:middle + 4 * 4096] = b"\xa5" * (4 * 4096)
    (calling.data / "usage.db").write_bytes(whole)
    calling.start()
    with calling.rpc() as rpc:
        wait_for(rpc, failing=True)
        assert "usage.db is damaged" in usage_of(rpc)["damage"]
        before = usage_of(rpc)["waiting"]
        calls(rpc, 2)
        assert usage_of(rpc)["waiting"] == before + 2
        line = doctor_line(calling, "usage")
        assert line["level"] == "FAIL" and "is damaged" in line["text"] and "mpc restore" in line["fix"], line
        rpc.call("route.set", ref="echo:kept")  # the configuration is not touched by it
        r = calling.mpc("backup", tmp_path / "again.tar")
        assert r.returncode != 0 and "damaged" in r.err and not (tmp_path / "again.tar").exists()
        assert (calling.data / "usage.db").read_bytes() == whole
        calling.mpc("restore", tmp_path / "b.tar", "--yes", check=0)
        wait_for(rpc, failing=False, waiting=0)
        assert "damage" not in usage_of(rpc)
    calling.stop()
    assert rows(calling) == (5, 5)
