"""Databases as earlier versions of this program left them (FAULTS.md F20, F22)."""
import contextlib
import pathlib
import re
import sqlite3
import stat
import subprocess
import time

import pytest
from harness import schema
from harness.daemon import BIN, figure
from harness.rpc import RpcError

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "databases"
VERSIONS = sorted(int(p.stem[1:]) for p in FIXTURES.glob("v*.sql"))
NOW = len(schema.MIGRATIONS)


def put(daemon, version):
    """The data folder as that version left it."""
    text = (FIXTURES / f"v{version}.sql").read_text()
    daemon.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (daemon.data / "key").mkdir(mode=0o700)
    key = daemon.data / "key" / "master.key"
    key.write_text(re.search("^-- key/master.key: (.*)$", text, re.M)[1] + "\n")
    key.chmod(0o600)
    db = daemon.data / "state.db"
    db.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(db)) as c:
        c.executescript(text)
        c.execute("PRAGMA journal_mode = WAL")
    return db


def test_F22_there_is_a_database_of_every_version_up_to_the_last_that_was_kept():
    assert VERSIONS == list(range(1, VERSIONS[-1] + 1)) and VERSIONS[-1] >= 7
    assert VERSIONS[-1] <= NOW


@pytest.mark.parametrize("version", VERSIONS)
def test_F22_an_older_schema_is_brought_up_after_a_copy(make_daemon, version):
    d = make_daemon(start=False)
    db = put(d, version)
    with contextlib.closing(sqlite3.connect(db)) as c:
        before = list(c.iterdump())
    d.start()
    with d.rpc() as rpc:
        assert rpc.call("route.get")["active"]["ref"] == "lab:m1"
        assert rpc.call("route.get", scope="here")["active"]["provider"] == "echo"
        assert rpc.call("provider.get", name="openrouter")["enabled"] is False
        assert [m["nick"] for m in rpc.call("model.list", provider="lab")["models"]] == ["fast"]
        assert [(k["provider"], k["last4"]) for k in rpc.call("key.status")["keys"]] == [("lab", "6789")]
        # the key opens: it is nobody's listening at port 9 that stops it, not the vault
        with pytest.raises(RpcError) as e:
            rpc.call("prompt.run", text="hello")
        assert e.value.code == "provider_unavailable", e.value
        setting = rpc.call("settings.get", name="session_duration")["settings"][0]
        assert setting["value"] == ("45m" if version >= 5 else "30m")
        rpc.call("route.set", ref="echo:new")  # and it can be written
    d.stop()
    with contextlib.closing(sqlite3.connect(db)) as c:
        assert c.execute("PRAGMA user_version").fetchone() == (NOW,)
        assert c.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    copy = d.data / f"state.db.v{version}.bak"
    if version == NOW:
        assert not copy.exists()
        return
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as c:
        assert c.execute("PRAGMA user_version").fetchone() == (version,)
        assert list(c.iterdump()) == before


def test_F20_another_program_in_a_long_write_transaction(make_daemon):
    """The start fails clearly and soon, and changes nothing; afterwards it works."""
    d = make_daemon()
    d.stop()
    with contextlib.closing(sqlite3.connect(d.data / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO meta VALUES ('of another program', '1')")
        began = time.monotonic()
        r = subprocess.run([str(BIN / "modelpd")], env=d.env, capture_output=True, text=True, timeout=30)
        took = time.monotonic() - began
        assert r.returncode == 75 and "another process has the database" in r.stderr and "fix:" in r.stderr, r.stderr
        assert took <= figure(3, 6), took
        other.execute("ROLLBACK")
    d.start()
    with d.rpc() as rpc:
        assert rpc.call("sys.info")["read_only"] is False


def test_F22_an_older_usage_is_brought_up_after_a_copy(make_daemon):
    d = make_daemon(start=False)
    d.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    db = d.data / "usage.db"
    db.touch(mode=0o600)
    with contextlib.closing(sqlite3.connect(db)) as c:
        c.executescript((FIXTURES / "usage_v1.sql").read_text())
        c.execute("PRAGMA journal_mode = WAL")
        before = list(c.iterdump())
    d.start()
    with d.rpc() as rpc:
        rpc.call("usage.record", ref="echo:m1", usage={"input_tokens": 1, "output_tokens": 1}, request_key="k")
        rows = rpc.call("usage.export")["rows"]
        assert [r["model"] for r in rows] == ["m1", "m2", "m1"] and "reported" not in rows[0]
        assert rpc.call("usage.query")["total"]["requests"] == 3
    d.stop()
    with contextlib.closing(sqlite3.connect(d.data / "usage.db.v1.bak")) as c:
        assert list(c.iterdump()) == before


def test_F20_the_daemon_s_own_lock_keeps_others_out(daemon):
    """While it runs nobody else writes: sqlite3 is told, and the daemon answers as always."""
    with daemon.rpc() as rpc:
        with contextlib.closing(sqlite3.connect(daemon.data / "state.db", timeout=0.2)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
                other.execute("DELETE FROM meta")
        began = time.monotonic()
        rpc.call("route.set", ref="echo:still")
        assert time.monotonic() - began < figure(0.1, 1)
