"""Backups and restores: whole while everybody writes, all or nothing, and the way back when no daemon starts."""
import contextlib
import io
import json
import sqlite3
import stat
import tarfile
import threading
import time

import pytest

from harness.daemon import figure
from harness.provider import Wait
from harness.provider import stream as scripted_stream
from harness.rpc import RpcError

KEY = "sk-backup-4d1c0ffee5a17ed0123456789abcdef"


@pytest.fixture
def outside(daemon):
    """A folder that backups go to."""
    folder = daemon.root / "outside"
    folder.mkdir(mode=0o700)
    return folder


def database_of(backup, folder, name="state.db"):
    """The database in a backup, as anybody gets at it: by tar."""
    with tarfile.open(backup) as tar:
        (folder / name).write_bytes(tar.extractfile(name).read())
    return contextlib.closing(sqlite3.connect(folder / name))


def own_provider(daemon, name):
    daemon.mpc("provider", "add", name, "--url", "http://127.0.0.1:9/v1", "--type", "local", "--auth", "optional-key",
               "--dialect", "openai-chat", check=0)


def set_key(daemon, provider, key):
    daemon.mpc("key", "set", provider, "--stdin", "--no-check", input=(key + "\n").encode(), check=0)


def active(daemon):
    return json.loads(daemon.mpc("which", "--json", check=0).out)["active"]["ref"]


def nothing_left(daemon):
    left = [p.name for p in daemon.data.iterdir() if p.name.startswith(("backup.tmp", "restore"))]
    assert left == []


def kept_folders(daemon):
    return sorted(p for p in daemon.data.iterdir() if p.name.startswith("replaced-"))


def test_a_backup_is_a_tar_archive_without_the_key_file(daemon, outside):
    own_provider(daemon, "lab")
    set_key(daemon, "lab", KEY)
    r = daemon.mpc("backup", outside / "b.tar", check=0)
    assert "checked" in r.out and str(daemon.data / "key" / "master.key") in r.out
    assert stat.S_IMODE((outside / "b.tar").stat().st_mode) == 0o600
    key_file = (daemon.data / "key" / "master.key").read_bytes().strip()
    whole = (outside / "b.tar").read_bytes()
    assert key_file not in whole and KEY.encode() not in whole
    with tarfile.open(outside / "b.tar") as tar:
        assert tar.getnames()[:2] == ["modelpd-backup.json", "state.db"]
    with database_of(outside / "b.tar", outside) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT name FROM providers").fetchall() == [("lab",)]
        assert db.execute("SELECT count(*) FROM credentials").fetchall() == [(1,)]
    assert [p.name for p in outside.iterdir() if ".part" in p.name] == []
    nothing_left(daemon)


def test_a_backup_replaces_nothing_without_being_told(daemon, outside):
    (outside / "b.tar").write_text("mine")
    r = daemon.mpc("backup", outside / "b.tar")
    assert r.returncode != 0 and "exists already" in r.err and "--force" in r.err
    assert (outside / "b.tar").read_text() == "mine"
    daemon.mpc("backup", outside / "b.tar", "--force", check=0)
    assert tarfile.is_tarfile(outside / "b.tar")


@pytest.mark.parametrize("where, says", [("inside", "data folder itself"), ("missing", "No such file"),
                                         ("folder", "no regular file"), ("link", "no regular file")])
def test_a_backup_goes_to_a_plain_file_elsewhere(daemon, outside, where, says):
    (outside / "folder").mkdir()
    (outside / "link").symlink_to(daemon.data / "state.db")
    path = {"inside": daemon.data / "state.db", "missing": outside / "nowhere" / "b.tar", "folder": outside / "folder",
            "link": outside / "link"}[where]
    r = daemon.mpc("backup", path, "--force")
    assert r.returncode != 0 and says in r.err, r.err
    nothing_left(daemon)


def test_a_relative_path_is_where_mpc_stands(daemon):
    daemon.mpc("backup", "b.tar", check=0)  # mpc runs in the home folder, the daemon in another
    assert tarfile.is_tarfile(daemon.home / "b.tar")


def test_F116_a_backup_holds_no_test_session_and_no_temporary_key(daemon, outside):
    own_provider(daemon, "lab")
    daemon.mpc("test", "lab", "m1", "30", "--key", "--stdin", "--no-check", input=(KEY + "\n").encode(), check=0)
    daemon.mpc("backup", outside / "b.tar", check=0)
    with database_of(outside / "b.tar", outside) as db:
        assert db.execute("SELECT count(*) FROM sessions").fetchall() == [(0,)]
        assert db.execute("SELECT count(*) FROM credentials").fetchall() == [(0,)]
    with daemon.rpc() as rpc:
        assert len(rpc.call("session.list")["sessions"]) == 1


def test_a_restore_brings_everything_back_and_tells_every_client(daemon, outside, provider):
    daemon.add_provider(provider, "scripted", KEY)
    daemon.mpc("config", "set", "session_duration", "45m", check=0)
    daemon.mpc("backup", outside / "b.tar", check=0)
    own_provider(daemon, "later")
    daemon.mpc("switch", "echo", check=0)
    daemon.mpc("key", "delete", "scripted", "--yes", check=0)
    daemon.mpc("config", "set", "session_duration", "5m", check=0)
    with daemon.rpc() as watcher, daemon.rpc() as rpc:
        before = watcher.call("state.subscribe", snapshot=False)
        r = rpc.call("store.restore", path=str(outside / "b.tar"))
        assert r["keys"] == 1 and r["locked"] is False and r["rev"] > before["rev"]
        topics = {"route", "overrides", "sessions", "providers", "models", "keys", "settings", "daemon"}
        while topics:
            e = watcher.event("state.event", op="resync")
            assert e["instance"] != before["instance"] and e["rev"] > before["rev"]
            topics.discard(e["topic"])
        assert rpc.call("route.get")["active"]["ref"] == "scripted:m1"
        assert "later" not in [p["name"] for p in rpc.call("provider.list")["providers"]]
        assert rpc.call("settings.get", name="session_duration")["settings"][0]["value"] == "45m"
        answer = rpc.prompt("hello")
        assert answer.ok
    assert provider.chats[-1].header("authorization") == f"Bearer {KEY}"
    (kept,) = kept_folders(daemon)
    assert r["kept"] == str(kept)
    with contextlib.closing(sqlite3.connect(kept / "state.db")) as db:
        assert db.execute("SELECT name FROM providers WHERE name = 'later'").fetchall() == [("later",)]
    nothing_left(daemon)
    daemon.restart()
    assert active(daemon) == "scripted:m1"
    daemon.mpc("switch", "echo", check=0)  # and it can be written


def test_a_running_answer_goes_on_while_the_databases_are_swapped(daemon, outside, provider):
    daemon.mpc("backup", outside / "b.tar", check=0)
    daemon.add_provider(provider, key=KEY)
    gate = threading.Event()
    steps = scripted_stream("one ", "two ", "three")
    provider.script(steps[:3] + [Wait(gate)] + steps[3:])
    with daemon.rpc() as rpc, daemon.rpc() as other:
        stream = rpc.call("prompt.start", text="hello")["stream"]
        rpc.event("prompt.event", type="delta", stream=stream)
        other.call("store.restore", path=str(outside / "b.tar"))  # even its provider is gone
        gate.set()
        answer = rpc.collect(stream)
    assert answer.ok and answer.text.endswith("two three")


def test_a_backup_from_another_vault_says_that_its_keys_stay_closed(daemon, outside, make_daemon):
    own_provider(daemon, "lab")
    set_key(daemon, "lab", KEY)
    daemon.mpc("backup", outside / "b.tar", check=0)
    other = make_daemon()
    r = other.mpc("restore", outside / "b.tar", "--check", check=0)
    assert "do not open here" in r.out and str(other.data / "key" / "master.key") in r.out
    r = other.mpc("restore", outside / "b.tar", "--yes", check=0)
    assert "keys stay closed" in r.err
    with other.rpc() as rpc:
        assert rpc.call("vault.status")["locked"] is True
    # the key file is what was missing
    other.stop()
    (other.data / "key" / "master.key").write_bytes((daemon.data / "key" / "master.key").read_bytes())
    other.start()
    with other.rpc() as rpc:
        assert rpc.call("vault.status")["locked"] is False


def test_a_restore_asks_first_and_only_checks_when_told(daemon, outside):
    own_provider(daemon, "lab")
    daemon.mpc("backup", outside / "b.tar", check=0)
    daemon.mpc("provider", "remove", "lab", "--yes", check=0)
    assert "whole" in daemon.mpc("restore", outside / "b.tar", "--check", check=0).out
    assert json.loads(daemon.mpc("restore", outside / "b.tar", "--check", "--json", check=0).out)["restored"] is False
    r = daemon.mpc("restore", outside / "b.tar")
    assert r.returncode == 2 and "--yes" in r.err
    t = daemon.mpc_tty("restore", str(outside / "b.tar"))
    t.expect("Replace everything")
    t.type("n\n")
    assert t.wait() != 0
    with daemon.rpc() as rpc:
        assert "lab" not in [p["name"] for p in rpc.call("provider.list")["providers"]]
    assert kept_folders(daemon) == []
    t = daemon.mpc_tty("restore", str(outside / "b.tar"))
    t.expect("Replace everything")
    t.type("y\n")
    assert t.wait() == 0
    with daemon.rpc() as rpc:
        assert "lab" in [p["name"] for p in rpc.call("provider.list")["providers"]]


def damaged_ones(whole):
    """Backups that must be refused, and how."""
    yield "cut short", whole[:-4096]
    yield "empty", b""
    yield "text", b"# not a backup\n" * 100
    changed = bytearray(whole)
    changed[len(whole) // 2] ^= 0x40
    yield "a bit", bytes(changed)

    def repacked(edit):
        old, out = tarfile.open(fileobj=io.BytesIO(whole)), io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for m in old.getmembers():
                data = edit(m.name, old.extractfile(m).read())
                m.size = len(data)
                tar.addfile(m, io.BytesIO(data))
        return out.getvalue()

    yield "a newer form", repacked(lambda n, d: d.replace(b'"format":1', b'"format":2').replace(
        b'"format": 1', b'"format": 2') if n.endswith(".json") else d)


def test_what_is_no_whole_backup_changes_nothing(daemon, outside):
    own_provider(daemon, "lab")
    daemon.mpc("backup", outside / "b.tar", check=0)
    own_provider(daemon, "later")
    whole = (outside / "b.tar").read_bytes()
    for name, data in damaged_ones(whole):
        (outside / "bad.tar").write_bytes(data)
        for call in (lambda rpc: rpc.call("store.restore", path=str(outside / "bad.tar")),
                     lambda rpc: rpc.call("store.restore", path=str(outside / "bad.tar"), check=True)):
            with daemon.rpc() as rpc, pytest.raises(RpcError) as e:
                call(rpc)
            assert e.value.code in ("invalid_state", "version_mismatch"), (name, e.value)
    for path, code in ((outside / "none.tar", "not_found"), (outside, "invalid_state"), ("b.tar", "invalid_params")):
        with daemon.rpc() as rpc, pytest.raises(RpcError) as e:
            rpc.call("store.restore", path=str(path))
        assert e.value.code == code
    with daemon.rpc() as rpc:
        assert "later" in [p["name"] for p in rpc.call("provider.list")["providers"]]
    assert kept_folders(daemon) == []
    nothing_left(daemon)


def test_restore_is_the_way_back_from_a_damaged_database(daemon, outside):
    own_provider(daemon, "lab")
    set_key(daemon, "lab", KEY)
    daemon.mpc("switch", "lab:m1", check=0)
    daemon.mpc("backup", outside / "b.tar", check=0)
    daemon.stop()
    db = daemon.data / "state.db"
    junk = b"#" * 8192
    db.write_bytes(junk)
    (daemon.data / "state.db-wal").write_bytes(b"of another life")
    # the start says the way back, through mpc as well
    r = daemon.mpc("which", env={"MODELPD_NO_SPAWN": None})
    assert r.returncode == 5 and "damaged" in r.err and "mpc restore" in r.err, r.err
    r = daemon.mpc("restore", outside / "b.tar", "--check", check=0)
    assert "Its keys open" in r.out
    assert db.read_bytes() == junk
    r = daemon.mpc("restore", outside / "b.tar", "--yes", check=0)
    (kept,) = kept_folders(daemon)
    assert str(kept) in r.out
    assert (kept / "state.db").read_bytes() == junk and (kept / "state.db-wal").read_bytes() == b"of another life"
    daemon.start()
    assert active(daemon) == "lab:m1"
    with daemon.rpc() as rpc:
        assert rpc.call("vault.status")["locked"] is False
        assert rpc.call("key.status")["keys"][0]["provider"] == "lab"
    nothing_left(daemon)


def test_an_offline_restore_of_a_bad_backup_leaves_the_damage_as_it_was(daemon, outside):
    daemon.mpc("backup", outside / "b.tar", check=0)
    daemon.stop()
    (daemon.data / "state.db").write_bytes(b"#" * 8192)
    for name, data in damaged_ones((outside / "b.tar").read_bytes()):
        (outside / "bad.tar").write_bytes(data)
        r = daemon.mpc("restore", outside / "bad.tar", "--yes")
        assert r.returncode == 1 and "not restored" in r.err and "fix:" in r.err, (name, r.err)
        assert (daemon.data / "state.db").read_bytes() == b"#" * 8192
    assert kept_folders(daemon) == []
    daemon.mpc("restore", outside / "b.tar", "--yes", check=0)
    daemon.start()


def test_restoring_for_a_new_machine_needs_no_database(make_daemon, daemon, outside):
    own_provider(daemon, "lab")
    daemon.mpc("backup", outside / "b.tar", check=0)
    other = make_daemon(start=False)
    r = other.mpc("restore", outside / "b.tar", "--yes", check=0)
    assert "before lies" not in r.out
    other.start()
    assert "lab" in other.mpc("providers", check=0).out


def test_a_restore_that_was_decided_is_finished_by_the_next_start(daemon, outside):
    """As if it had been killed right after the decision, or in the middle."""
    own_provider(daemon, "lab")
    daemon.mpc("backup", outside / "b.tar", check=0)
    daemon.mpc("provider", "remove", "lab", "--yes", check=0)
    daemon.stop()
    decided = daemon.data / "restore"
    for at in ("decided", "old one aside", "new one in"):
        old = (daemon.data / "state.db").read_bytes()
        decided.mkdir(mode=0o700)
        database_of(outside / "b.tar", decided)
        (decided / "state.db").chmod(0o600)
        if at != "decided":
            (decided / "old").mkdir(mode=0o700)
            (daemon.data / "state.db").rename(decided / "old" / "state.db")
        if at == "new one in":
            (decided / "state.db").rename(daemon.data / "state.db")
        daemon.start()
        assert "lab" in daemon.mpc("providers", check=0).out
        assert not decided.exists()
        assert old in [(k / "state.db").read_bytes() for k in kept_folders(daemon)]
        daemon.mpc("provider", "remove", "lab", "--yes", check=0)
        daemon.stop()
    daemon.start()


def test_one_backup_or_restore_at_a_time_and_it_can_be_cancelled(daemon, outside):
    with daemon.rpc() as rpc:
        ids = [rpc.send("store.backup", {"path": str(outside / f"{i}.tar")}) for i in range(4)]
        results = []
        for i in ids:
            try:
                results.append(rpc.wait(i)["checked"])
            except RpcError as e:
                results.append(e.code)
        assert results[0] is True and set(results[1:]) == {"busy"}
        victim = rpc.send("store.backup", {"path": str(outside / "c.tar")})
        rpc.call("sys.cancel", msgid=victim)
        with contextlib.suppress(RpcError):
            rpc.wait(victim)
        deadline = time.monotonic() + 5
        while True:
            try:
                rpc.call("store.backup", path=str(outside / "d.tar"))
                break
            except RpcError as e:
                assert e.code == "busy" and time.monotonic() < deadline
                time.sleep(0.01)
    assert [p.name for p in outside.iterdir() if ".part" in p.name] == []
    nothing_left(daemon)


def torn(path, folder):
    """What of a writer's steps a backup holds: a list of problems."""
    with database_of(path, folder, "state.db") as db:
        if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return ["integrity"]
        names = sorted(n for (n,) in db.execute("SELECT name FROM providers"))
        models = sorted(m for (m,) in db.execute("SELECT model FROM models"))
        # each step is one transaction that moves a pair along
        if len(names) != 1 or len(models) != 1 or names[0].split("-")[1] != models[0].split("-")[1]:
            return [f"{names} {models}"]
    return []


def test_F24_backups_while_everybody_writes_are_whole(daemon, outside):
    """100 of them, each consistent, 0600; pings stay quick meanwhile."""
    stop, steps, pings, failures = threading.Event(), [0], [], []

    def document(i):
        return json.dumps({"version": 1, "providers": {f"own-{i}": {
            "dialect": "openai-chat", "base_url": "http://127.0.0.1:9/v1", "type": "local", "auth_type": "none"}},
            "models": [f"own-{i}:model-{i}"]})

    def write():
        with daemon.rpc() as rpc:
            while not stop.is_set():
                steps[0] += 1
                try:
                    rpc.call("config.apply", text=document(steps[0]), cascade=True)
                except RpcError as e:
                    failures.append(e.error)
                    return

    def ping():
        with daemon.rpc() as rpc:
            while not stop.is_set():
                began = time.monotonic()
                rpc.call("sys.ping")
                pings.append(time.monotonic() - began)
                time.sleep(0.002)

    threads = [threading.Thread(target=write), threading.Thread(target=ping)]
    for t in threads:
        t.start()
    deadline = time.monotonic() + 10
    while steps[0] < 3 and not failures and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        with daemon.rpc() as rpc:
            for i in range(100):
                path = outside / f"{i}.tar"
                assert rpc.call("store.backup", path=str(path))["checked"] is True
                assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failures == [] and steps[0] > 20, (failures, steps)
    problems = [p for i in range(100) for p in torn(outside / f"{i}.tar", outside)]
    assert problems == []
    pings.sort()
    p99 = pings[int(len(pings) * 0.99)]
    print(f"{steps[0]} steps, ping p99 {p99 * 1000:.1f} ms over {len(pings)}")
    assert p99 <= figure(0.050, 0.250)


def test_M1_a_plain_copy_of_the_file_is_caught(daemon, outside):
    """The check above sees what cp makes of a database that is being written."""
    own_provider(daemon, "own-1")
    caught = 0
    for i in range(3):
        own_provider(daemon, f"more-{i}")
        copy = outside / "state.db"
        copy.write_bytes((daemon.data / "state.db").read_bytes())
        with contextlib.closing(sqlite3.connect(copy)) as db:
            rows = db.execute("SELECT name FROM providers").fetchall()
        caught += (f"more-{i}",) not in rows
        copy.unlink()
    assert caught > 0


# ---- an older copy that was put back ----

def said_backwards(daemon):
    return daemon.log().count("the state went backwards")


def test_F25_an_older_copy_put_back_is_told_once_and_works(daemon, outside):
    own_provider(daemon, "lab")
    daemon.mpc("switch", "lab:m1", check=0)
    daemon.stop()
    old = (daemon.data / "state.db").read_bytes()
    daemon.start()
    daemon.mpc("switch", "echo", check=0)
    daemon.restart()
    assert said_backwards(daemon) == 0  # the control: an ordinary restart
    daemon.mpc("switch", "echo:again", check=0)
    daemon.kill()
    daemon.start()
    assert said_backwards(daemon) == 0  # nor kill -9
    daemon.stop()
    (daemon.data / "state.db").write_bytes(old)
    daemon.start()
    assert said_backwards(daemon) == 1
    assert active(daemon) == "lab:m1"
    daemon.mpc("switch", "echo:new", check=0)
    assert "went backwards" in daemon.mpc("doctor").out
    daemon.restart()
    assert said_backwards(daemon) == 1  # once
    assert active(daemon) == "echo:new"
    assert "went backwards" in daemon.mpc("doctor").out
    daemon.mpc("backup", outside / "b.tar", check=0)
    out = daemon.mpc("doctor").out
    assert "went backwards" not in out and "the last one was made just now" in out


def test_F25_an_older_copy_beneath_the_log_of_a_crash_is_told(daemon):
    """The log is newer than the copy and says so; what it does not hold is as old as the copy."""
    own_provider(daemon, "lab")
    daemon.stop()
    old = (daemon.data / "state.db").read_bytes()
    daemon.start()
    own_provider(daemon, "newer")
    for how in (daemon.restart, lambda: (daemon.kill(), daemon.start())):  # the controls
        how()
        daemon.mpc("switch", "echo:again", check=0)
        assert said_backwards(daemon) == 0
    time.sleep(0.5)
    daemon.kill()
    assert (daemon.data / "state.db-wal").stat().st_size > 0
    (daemon.data / "state.db").write_bytes(old)
    daemon.start()
    assert said_backwards(daemon) == 1 and "went backwards" in daemon.mpc("doctor").out
    daemon.mpc("switch", "echo:new", check=0)
    for how in (lambda: (daemon.kill(), daemon.start()), daemon.restart):
        how()
        assert said_backwards(daemon) == 1 and active(daemon) == "echo:new"


def test_F25_an_edited_count_is_told(daemon):
    own_provider(daemon, "lab")
    daemon.stop()
    old = (daemon.data / "state.db").read_bytes()
    daemon.start()
    daemon.mpc("switch", "echo:again", check=0)
    daemon.stop()
    (daemon.data / "state.db").write_bytes(old)
    with contextlib.closing(sqlite3.connect(daemon.data / "state.db")) as db, db:
        db.execute("UPDATE meta SET value = '1000' || substr(value, instr(value, ' ')) WHERE key = 'generation'")
    daemon.start()
    assert said_backwards(daemon) == 1
    daemon.restart()
    assert said_backwards(daemon) == 1


@pytest.mark.parametrize("slots", [True, False], ids=["with its slots", "changes alone"])
def test_F21_the_log_of_another_database_is_told(make_daemon, slots):
    """SQLite cannot tell whose log it is. The vault can: its key opens no slot and seals no count of another one."""
    lab, other = make_daemon(), make_daemon()
    own_provider(lab, "lab")
    lab.stop()
    if not slots:
        other.restart()  # with an empty log
    other.mpc("switch", "echo:other", check=0)
    other.kill()
    log = (other.data / "state.db-wal").read_bytes()
    assert log
    (lab.data / "state.db-wal").write_bytes(log)
    (lab.data / "state.db-wal").chmod(0o600)
    lab.start()
    told = "does not belong to this database" if slots else "went backwards"
    assert lab.log().count(told) == 1 and told in lab.mpc("doctor").out
    with lab.rpc() as c:
        assert c.call("vault.status")["locked"] is slots
        assert c.prompt("hello", ref="echo:echo").text == "hello"


def test_F25_a_restore_is_no_step_backwards(daemon, outside):
    daemon.mpc("backup", outside / "b.tar", check=0)
    for i in range(3):
        daemon.mpc("switch", f"echo:m{i}", check=0)
    daemon.mpc("restore", outside / "b.tar", "--yes", check=0)
    daemon.restart()
    for i in range(3):
        daemon.mpc("switch", f"echo:m{i}", check=0)
    daemon.stop()
    daemon.mpc("restore", outside / "b.tar", "--yes", check=0)  # without a daemon
    daemon.start()
    assert said_backwards(daemon) == 0
    assert "went backwards" not in daemon.mpc("doctor").out
