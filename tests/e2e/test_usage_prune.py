"""Old usage goes (FAULTS.md F27): what goes is said before, sums stay right at every moment, nobody waits for it."""
import contextlib
import sqlite3
import threading
import time

import pytest
from harness.daemon import figure

DAY = 86_400_000
ROWS = 60_000
MANY = 1_000_000


def with_rows(d, rows):
    """100 days of calls, as the daemon would have kept them; in UTC."""
    d.stop()
    now = int(time.time() * 1000)
    with contextlib.closing(sqlite3.connect(d.data / "usage.db")) as db:
        db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
                   f"INSERT INTO attempts SELECT ({now} - i * {100 * DAY // rows}) * 1000, i, 1, 'scripted', 'm' || (i % 7), 'm', 'default', "
                   "'mpc', '', '', 0, 'done', 'reported', 100, 20, NULL, NULL, NULL, 'list', 1500, 900, 300, NULL, NULL FROM n")
        for table, span in (("usage_hours", 3_600_000), ("usage_days", DAY)):
            db.execute(f"INSERT INTO {table} SELECT id / 1000 / {span} * {span}, provider, model, client, '', '', count(*), 0, 0, "
                       "100 * count(*), 20 * count(*), 0, 0, 0, 1500 * count(*), 0, 0, 0, 0, 900 * count(*) FROM attempts GROUP BY 1, 2, 3, 4")
        db.commit()
    d.start()
    return d


@pytest.fixture
def full(make_daemon):
    return with_rows(make_daemon(env={"TZ": "UTC"}), ROWS)


class Pings:
    """Another client, that asks again and again meanwhile: how long it waits."""

    def __init__(self, daemon):
        self.daemon, self.trips, self.stop = daemon, [], threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        with self.daemon.rpc() as c:
            while not self.stop.is_set():
                began = time.monotonic()
                c.call("sys.ping")
                self.trips.append(time.monotonic() - began)
                time.sleep(0.001)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join()
        self.p99 = sorted(self.trips)[len(self.trips) * 99 // 100]


def total(c, **kw):
    return c.call("usage.query", **kw)["total"]


def first_row(c):
    return c.call("usage.export", limit=1)["rows"][0]["at_ms"]


def test_F27_a_million_rows_beside_everything_else(make_daemon):
    """Asked for in every way, and pruned."""
    d = with_rows(make_daemon(env={"TZ": "UTC"}), MANY)
    month = {"since_ms": int(time.time() * 1000) - 30 * DAY}
    with d.rpc() as c:
        began = time.monotonic()
        by_model = c.call("usage.query", by="model", **month)
        took = time.monotonic() - began
        assert len(by_model["rows"]) == 7 and by_model["total"]["requests"] == pytest.approx(MANY * 30 // 100, rel=0.04)
        assert took <= figure(0.05, 0.25), took
        with Pings(d) as asking:
            for _ in range(10):
                for by in ("provider", "model", "client", "day", "hour"):
                    c.call("usage.query", by=by, **month)
        before = total(c)
        assert before["requests"] == MANY
        size = (d.data / "usage.db").stat().st_size
        with Pings(d) as pruning:
            gone = c.call("usage.prune", timeout=300, keep_ms=10 * DAY)
        assert gone["before_ms"] % DAY == 0 and gone["rows"] >= MANY * 88 // 100 and gone["days"] == 0
        assert total(c) == before and first_row(c) >= gone["before_ms"]
        assert len(c.call("usage.query", by="day")["rows"]) >= 100
        assert gone["bytes"] > size // 2
    print(f"by model {took * 1000:.1f} ms; p99 of a ping beside queries {asking.p99 * 1000:.1f} ms, beside the prune "
          f"{pruning.p99 * 1000:.1f} ms of {len(pruning.trips)}; {d.rss_kib() >> 10} MiB")
    assert asking.p99 <= figure(0.05, 0.25) and pruning.p99 <= figure(0.05, 0.25)
    assert d.rss_kib() <= figure(64, 640) << 10
    d.stop()
    assert (d.data / "usage.db").stat().st_size < size // 2


def test_F27_kill_9_in_the_middle(full):
    with full.rpc() as c:
        before = total(c)
        c.send("usage.prune", {"keep_ms": 10 * DAY})
        time.sleep(0.05)
    full.kill()
    full.start()
    with full.rpc() as c:
        deadline = time.monotonic() + 30
        while first_row(c) < time.time() * 1000 - 12 * DAY:
            assert total(c) == before
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert total(c) == before


def test_what_goes_is_said_and_asked(full):
    r = full.mpc("usage", "prune", "--keep", "30d")
    assert r.returncode == 2 and "--yes" in r.err and "Delete that?" in r.err
    assert "records of" in r.out and "What each day came to stays" in r.out
    with full.rpc() as c:
        assert first_row(c) < time.time() * 1000 - 90 * DAY
    tty = full.mpc_tty("usage", "prune", "--keep", "30d")
    tty.expect("Delete that? [y/N]")
    tty.type("y\n")
    tty.expect("Deleted.")
    assert tty.wait() == 0
    assert "Nothing is older than" in full.mpc("usage", "prune", "--keep", "30d", check=0).out
    out = full.mpc("usage", "prune", "--keep", "30d", "--days", "--yes", check=0).out
    assert "nothing of that time is left" in out
    with full.rpc() as c:
        assert 31 <= len(c.call("usage.query", by="day")["rows"]) <= 32


def test_a_date_and_what_is_none(full):
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 50 * 86400))
    assert f"Before {day}" in full.mpc("usage", "prune", "--before", day, "--yes", check=0).out
    with full.rpc() as c:
        assert time.strftime("%Y-%m-%d", time.gmtime(first_row(c) / 1000)) == day
        with pytest.raises(Exception, match="before what the ledger keeps"):
            c.call("usage.record", ref="echo:m", usage={"input_tokens": 1, "output_tokens": 1}, request_key="k",
                   at_ms=int(time.time() * 1000) - 60 * DAY)
        for wrong in ({}, {"keep_ms": 1, "before_ms": 1}, {"before_ms": 1 << 50}):
            with pytest.raises(Exception, match="before_ms"):
                c.call("usage.prune", **wrong)
    for wrong in (["--before", "2026-02-31"], ["--before", "soon"], ["--keep", "soon"], ["--keep", "30"], []):
        assert full.mpc("usage", "prune", "--yes", *wrong).returncode == 2


def test_a_restored_backup_knows_what_it_holds(full, tmp_path):
    """From before the pruning its hours are there again, without a restart; from after it the days answer for them."""
    then = int(time.time() * 1000) - 50 * DAY
    hours = lambda c: len(c.call("usage.query", by="hour", since_ms=then // DAY * DAY, until_ms=then // DAY * DAY + 2 * DAY)["rows"])
    full.mpc("backup", tmp_path / "before.tar", check=0)
    with full.rpc() as c:
        before = total(c)
        assert hours(c) == 48
        c.call("usage.prune", keep_ms=10 * DAY)
        assert hours(c) == 2
        full.mpc("backup", tmp_path / "after.tar", check=0)
        for name, count in (("before", 48), ("after", 2), ("before", 48)):
            full.mpc("restore", tmp_path / f"{name}.tar", "--yes", check=0)
            assert hours(c) == count and total(c) == before


def test_the_setting_does_it_by_itself(full):
    full.mpc("config", "set", "usage_keep", "20d", check=0)
    with full.rpc() as c:
        deadline = time.monotonic() + 30
        while first_row(c) < time.time() * 1000 - 22 * DAY:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert total(c)["requests"] == ROWS
