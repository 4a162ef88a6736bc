"""The slot that a command opens: at start, by unlock, never by itself after a lock; failing, hanging, edited."""
import os
import sqlite3
import time

import pytest

from harness.rpc import RpcError

SECRET = "q7Yt0c2XrL5vNw8sKe3HbUj6ZpDa1MfG9iQo4TxE"
OTHER = "another-random-line-of-forty-characters0"
WORDS = "correct horse battery staple"


class Helper:
    """A program of the user's, whose text changes; each run leaves a line."""

    def __init__(self, d):
        self.d, self.path, self.ran = d, d.root / "bin" / "helper", d.root / "ran"
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        self.says(f"echo {SECRET}; echo login: me")

    def says(self, text):
        self.path.write_text(f"#!/bin/sh\necho run >> {self.ran}\n{text}\n")
        self.path.chmod(0o755)

    @property
    def runs(self):
        return len(self.ran.read_text().split()) if self.ran.exists() else 0


def refused(c, method, **params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def slots(c):
    return {s["type"]: s for s in c.call("vault.status")["slots"]}


def until(ask, seconds=15):
    deadline = time.monotonic() + seconds
    while not ask():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def opened(d):
    def ask():
        with d.rpc() as c:
            return c.call("vault.status").get("opened_by") == "command"
    until(ask)


def failed(d, words):
    def ask():
        with d.rpc() as c:
            status = c.call("vault.status")
            return status["locked"] and words in status["why"]
    until(ask)


def edit(d, statement):
    db = sqlite3.connect(d.data / "state.db")
    assert db.execute(statement).rowcount == 1
    db.commit()
    db.close()


@pytest.fixture
def helped(daemon, provider):
    """A vault that the command alone opens."""
    h = daemon.helper = Helper(daemon)
    daemon.ref = daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    r = daemon.mpc("vault", "add", "command", f"{h.path} show 'my key'", check=0)
    assert "opens the keys: command" in r.out and h.runs == 2
    daemon.mpc("vault", "remove", "1", "--yes", check=0)
    assert not (daemon.data / "key" / "master.key").exists()
    return daemon


def test_it_opens_at_start_and_by_unlock_and_not_after_a_lock(helped):
    h = helped.helper
    with helped.rpc() as c:
        assert slots(c)["command"]["where"] == f"{h.path} show 'my key'"
        assert refused(c, "vault.remove_slot", id=slots(c)["command"]["id"]).code == "invalid_state"
    helped.restart()
    opened(helped)
    assert h.runs == 3
    with helped.rpc() as c:
        assert c.prompt("x", ref=helped.ref).ok
        assert "locks_in_ms" not in c.call("vault.status")
        c.call("vault.lock")
        assert c.prompt("x", ref=helped.ref).last["code"] == "locked"
        time.sleep(0.3)
        assert c.call("vault.status")["locked"] and h.runs == 3
        assert c.call("vault.unlock") == {"locked": False, "opened_by": "command"}
        assert c.prompt("x", ref=helped.ref).ok and h.runs == 4
    helped.mpc("lock", check=0)
    assert "open (command)" in helped.mpc("unlock", check=0).out
    assert f"{h.path} show" in helped.mpc("vault", check=0).out
    assert SECRET not in helped.log() + helped.mpc("vault", "--json", check=0).out
    helped.stop()
    assert not [p for p in helped.data.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]


def test_nobody_waits_for_a_slow_one_and_all_share_its_run(helped):
    h = helped.helper
    h.says(f"while ! [ -e {helped.root}/go ]; do sleep 0.05; done; echo {SECRET}")
    helped.restart()
    with helped.rpc() as c, helped.rpc() as other:
        status = c.call("vault.status")
        assert status["locked"] and "is being asked" in status["why"]
        ids = [c.send("vault.unlock", {}) for _ in range(2)]
        assert other.prompt("x", ref="echo:echo").ok
        assert other.prompt("x", ref=helped.ref).last["code"] == "locked"
        (helped.root / "go").touch()
        assert all(c.wait(i)["opened_by"] == "command" for i in ids)
        assert other.prompt("x", ref=helped.ref).ok
    assert h.runs == 3


def test_a_lock_while_it_runs_wins_and_ends_it(helped):
    helped.helper.says(f"echo $$ > {helped.root}/pid; exec sleep 600")
    helped.restart()
    pid = helped.root / "pid"
    until(lambda: pid.exists() and pid.read_text().strip())
    with helped.rpc() as c, helped.rpc() as other:
        i = c.send("vault.unlock", {})
        other.call("sys.ping")
        c.call("sys.ping")
        other.call("vault.lock")
        with pytest.raises(RpcError) as e:
            c.wait(i)
        assert e.value.code == "locked" and "meanwhile" in e.value.message
        until(lambda: not os.path.exists(f"/proc/{pid.read_text().strip()}"))
        helped.helper.says(f"echo {SECRET}")
        assert other.call("vault.status")["locked"] is True
        assert other.call("vault.unlock")["opened_by"] == "command"


FAILURES = {
    "exit": ("echo gpg: decryption failed >&2; exit 2", "ended with code 2: gpg: decryption failed", "locked"),
    "nothing": ("true", "the first line it wrote is no key", "locked"),
    "two words": ("echo this is no key", "the first line it wrote is no key", "locked"),
    "flood": ("head -c 200000 /dev/zero | tr '\\0' x", "more than 64 KiB", "locked"),
    "killed": ("kill -9 $$", "ended by signal 9", "locked"),
    "short": ("echo 0123456789", "gives 10 bytes", "not_permitted"),
    "another": (f"echo {OTHER}", "gives another key", "not_permitted"),
}


def test_commands_that_fail(helped):
    h = helped.helper
    for why, (text, words, code) in FAILURES.items():
        h.says(text)
        with helped.rpc() as c:
            c.call("vault.lock")
            e = refused(c, "vault.unlock")
            assert e.code == code and words in e.message and str(h.path) in e.message, (why, e.error)
            assert words in c.call("vault.status")["why"]
            assert c.prompt("x", ref="echo:echo").ok
    r = helped.mpc("unlock")
    assert r.returncode == 4 and "gives another key" in r.err
    h.says(FAILURES["exit"][0])
    helped.restart()
    failed(helped, "gpg: decryption failed")
    assert "a command does not open the keys" in helped.log()
    h.says(f"echo {SECRET}")
    helped.mpc("unlock", check=0)


def test_one_that_hangs_is_ended(make_daemon):
    d = make_daemon("--test-timeouts", "700")
    h = Helper(d)
    d.mpc("vault", "add", "command", str(h.path), check=0)
    d.mpc("vault", "remove", "1", "--yes", check=0)
    h.says(f"echo $$ > {d.root}/pid; exec sleep 600")
    d.restart()
    failed(d, "nothing within")
    pid = (d.root / "pid").read_text().strip()
    until(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_daemon_that_stops_ends_it(helped):
    helped.helper.says(f"echo $$ > {helped.root}/pid; exec sleep 600")
    helped.restart()
    pid = helped.root / "pid"
    until(lambda: pid.exists() and pid.read_text().strip())
    helped.stop()
    until(lambda: not os.path.exists(f"/proc/{pid.read_text().strip()}"))


def test_a_passphrase_opens_beside_it(helped):
    with helped.rpc() as c:
        c.call("vault.passwd", new=WORDS)
    helped.helper.says(f"echo $$ > {helped.root}/pid; exec sleep 600")
    helped.restart()
    with helped.rpc() as c:
        assert c.call("vault.unlock", passphrase=WORDS)["opened_by"] == "passphrase"
        assert c.prompt("x", ref=helped.ref).ok
        c.call("vault.lock")
    helped.helper.says("exit 3")
    t = helped.mpc_tty("unlock")
    t.expect("ended with code 3")
    t.expect("Passphrase: ")
    t.type(WORDS + "\n")
    t.expect("The keys are open (passphrase).")
    assert t.wait() == 0


@pytest.mark.parametrize("what", ["the command", "its salt", "its program"])
def test_F107_an_edited_row(helped, what):
    h = helped.helper
    helped.stop()
    if what == "the command":
        edit(helped, f"UPDATE key_slots SET source = '/bin/echo {SECRET}' WHERE type = 'command'")
    elif what == "its salt":
        edit(helped, "UPDATE key_slots SET salt = randomblob(16) WHERE type = 'command'")
    else:
        edit(helped, "UPDATE key_slots SET source = 'helper' WHERE type = 'command'")
    helped.start()
    failed(helped, {"the command": "was changed", "its salt": "another key", "its program": "helper"}[what])
    with helped.rpc() as c:
        e = refused(c, "vault.unlock")
        assert e.code == {"the command": "tampered", "its salt": "not_permitted", "its program": "locked"}[what]
        assert c.prompt("x", ref=helped.ref).last["code"] == "locked"
    assert h.runs == (2 if what != "its salt" else 4)


def test_adding_one_that_is_none(daemon):
    h = Helper(daemon)
    with daemon.rpc() as c:
        def add(command=str(h.path), kind="command"):
            e = refused(c, "vault.add_slot", type=kind, **({} if command is None else {"command": command}))
            assert len(c.call("vault.status")["slots"]) == 1
            return e.code, e.field, e.message
        for text in ("", "cat x | head", "echo $HOME", "no-such-program-here", "bin/relative"):
            assert add(text)[:2] == ("invalid_params", "command"), text
        assert add(None)[:2] == ("invalid_params", "command")
        assert add("/bin/true", "keyring")[:2] == ("invalid_params", "command")
        for text, words in (("/bin/echo 0123456789", "it gives 10 bytes"), ("/bin/false", "ended with code 1")):
            code, field, message = add(text)
            assert (code, field) == ("invalid_params", "command") and text in message and words in message
        h.says("cat /proc/sys/kernel/random/uuid")
        assert "something else" in add()[2]
        h.says(f"echo {SECRET}")
        c.call("vault.lock")
        assert add()[0] == "locked"
        c.call("vault.unlock")
        c.call("vault.add_slot", type="command", command=str(h.path))
        assert refused(c, "vault.add_slot", type="command", command=str(h.path)).code == "conflict"
        # removed: it is not asked any more
        c.call("vault.remove_slot", id=slots(c)["command"]["id"])
        before = h.runs
    daemon.restart()
    with daemon.rpc() as c:
        assert c.call("vault.status")["opened_by"] == "key-file" and h.runs == before
    assert daemon.mpc("vault", "add", "command").returncode == 2


def test_F117_it_follows_a_rekey(helped):
    h = helped.helper
    with helped.rpc() as c:
        h.says("exit 4")
        e = refused(c, "vault.rekey")
        assert e.code == "invalid_state" and "ended with code 4" in e.message
        h.says(f"echo {OTHER}")
        e = refused(c, "vault.rekey")
        assert e.code == "invalid_state" and "command" in e.message
        h.says(f"echo {SECRET}")
        assert c.call("vault.rekey")["generation"] == 2
        assert slots(c)["command"]["where"] == f"{h.path} show 'my key'"
    helped.restart()
    opened(helped)
    with helped.rpc() as c:
        assert c.prompt("x", ref=helped.ref).ok
