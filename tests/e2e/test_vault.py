"""Locking, unlocking and what opens the keys: F104, F107, F114, F117, F118."""
import os
import signal
import sqlite3
import termios
import threading
import time

import pytest

from harness.daemon import BIN, Terminal, figure
from harness.provider import Wait, chunk, head, piece, stream
from harness.rpc import RpcError

WORDS = "correct horse battery staple"
OTHER = "an entirely other passphrase"


def slot(c, kind):
    found = [s["id"] for s in c.call("vault.status")["slots"] if s["type"] == kind]
    return found[0] if found else None


def only_passphrase(d, words=WORDS):
    with d.rpc() as c:
        c.call("vault.passwd", new=words)
        c.call("vault.remove_slot", id=slot(c, "key-file"))


def refused(c, method, **params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def test_lock_wipes_and_unlock_brings_back(daemon, provider):
    daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    with daemon.rpc() as c:
        assert c.prompt("x", ref="scripted:m1").ok
        assert c.call("vault.lock") == {"locked": True, "was_open": True, "streams": 0, "cancelled": 0}
        assert c.call("vault.lock")["was_open"] is False
        status = c.call("vault.status")
        assert status["locked"] and "mpc lock" in status["why"] and "opened_by" not in status
        assert c.prompt("x", ref="scripted:m1").last["code"] == "locked"
        assert c.prompt("x", ref="echo:echo").ok  # what needs no key goes on
        assert refused(c, "key.set", provider="openai", secret="sk-0123456789abcdefghij").code == "locked"
        assert c.call("provider.get", name="scripted")["status"] == "locked"
        # a key file needs no passphrase
        assert c.call("vault.unlock") == {"locked": False, "opened_by": "key-file"}
        assert c.prompt("x", ref="scripted:m1").ok
    assert len(provider.chats) == 2


def test_a_passphrase_alone_and_another_one(daemon, provider):
    daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    key_file = daemon.data / "key" / "master.key"
    with daemon.rpc() as c:
        assert c.call("vault.status")["kdf"] == "none"
        assert "not a copied home directory" in c.call("vault.status")["notes"][0]
        r = c.call("vault.passwd", new=WORDS)
        assert [s["type"] for s in r["slots"]] == ["key-file", "passphrase"]
        assert "without the passphrase" in r["notes"][0]
        assert refused(c, "vault.passwd", new=OTHER).field == "old"
        r = c.call("vault.remove_slot", id=slot(c, "key-file"))
        assert [s["type"] for s in r["slots"]] == ["passphrase"] and "notes" not in r
        assert not key_file.exists()
        assert refused(c, "vault.remove_slot", id=slot(c, "passphrase")).code == "invalid_state"
        assert refused(c, "vault.remove_slot", id=77).code == "not_found"
        assert c.prompt("x", ref="scripted:m1").ok  # nothing was locked by that
    daemon.restart()
    with daemon.rpc() as c:
        status = c.call("vault.status")
        assert status["locked"] and status["kdf"] == "argon2id" and "passphrase" in status["why"]
        assert "vault.locked" in c.call("sys.hello", protocol=1)["caps"]
        assert c.prompt("x", ref="echo:echo").ok
        assert refused(c, "vault.unlock").code == "locked"
        assert refused(c, "vault.unlock", passphrase=OTHER).code == "not_permitted"
        assert c.call("vault.unlock", passphrase=WORDS) == {"locked": False, "opened_by": "passphrase"}
        assert c.prompt("x", ref="scripted:m1").ok
        assert "vault.locked" not in c.call("sys.hello", protocol=1)["caps"]
        c.call("vault.passwd", old=WORDS, new=OTHER)
        c.call("vault.lock")
        assert refused(c, "vault.unlock", passphrase=WORDS).code == "not_permitted"
        assert c.call("vault.unlock", passphrase=OTHER)["locked"] is False
        assert c.prompt("x", ref="scripted:m1").ok


def test_news_of_the_lock(daemon):
    with daemon.rpc() as c:
        c.call("key.set", provider="openai", secret="sk-0123456789abcdefghij")
        c.call("state.subscribe", topics=["daemon", "providers"])
        c.call("vault.lock")
        e = c.event("state.event")
        assert (e["topic"], e["value"]["locked"], e["cause"]["reason"]) == ("daemon", True, "locked")
        e = c.event("state.event")
        assert (e["topic"], e["key"], e["value"]["status"]) == ("providers", "openai", "locked")
        c.call("vault.unlock")
        assert c.event("state.event")["value"]["locked"] is False
        assert c.event("state.event")["value"]["status"] == "available"


def test_mpc_words_of_the_vault(daemon):
    assert "Locked: no key is in memory" in daemon.mpc("lock", check=0).out
    assert "already" in daemon.mpc("lock", check=0).out
    assert "keys locked (mpc unlock)" in daemon.mpc(check=0).out
    assert "locked:" in daemon.mpc("doctor").out
    assert "not a copied home directory" in daemon.mpc("doctor").out
    assert "open (key-file)" in daemon.mpc("unlock", check=0).out
    assert "keys locked" not in daemon.mpc(check=0).out
    r = daemon.mpc("passwd", "--stdin", input=WORDS.encode() + b"\n", check=0)
    assert "is set" in r.out and "without the passphrase" in r.err
    assert "opens the keys without the passphrase" in daemon.mpc("doctor").out
    assert daemon.mpc("passwd", WORDS).returncode == 2
    assert WORDS not in daemon.mpc("unlock", WORDS).err
    r = daemon.mpc("passwd", "--stdin", input=b"just one line\n")
    assert r.returncode == 2 and "two lines" in r.err
    r = daemon.mpc("passwd", "--stdin", input=b"short\nx\n")
    assert r.returncode == 2 and "8 to 1024" in r.err
    assert daemon.mpc("vault", "--plain", check=0).out.split("\n")[1].split("\t")[1] == "passphrase"
    daemon.mpc("vault", "remove", "1", "--yes", check=0)
    daemon.mpc("lock", "--now", check=0)
    r = daemon.mpc("unlock", "--stdin", input=b"wrong words\n")
    assert r.returncode == 4 and "passphrase is wrong" in r.err
    daemon.mpc("unlock", "--stdin", input=WORDS.encode() + b"\n", check=0)
    assert "open (passphrase), locks by itself in " in daemon.mpc("vault", check=0).out


def test_passwd_on_a_terminal_offers_to_delete_the_key_file(daemon):
    t = daemon.mpc_tty("passwd")
    t.expect("New passphrase: ")
    t.type(WORDS + "\n")
    t.expect("New passphrase again: ")
    t.type(WORDS + "\n")
    t.expect("Delete the key file")
    t.type("y\n")
    t.expect("The key file is deleted.")
    assert t.wait() == 0
    assert WORDS.encode() not in t.output
    daemon.restart()
    t = daemon.mpc_tty("unlock")
    t.expect("Passphrase: ")
    t.type("not these words\n")
    t.expect("the passphrase is wrong; the next try waits 1 s")
    t.expect("Passphrase: ")
    t.type(WORDS + "\n")
    t.expect("The keys are open (passphrase).")
    assert t.wait() == 0


# ---- F104 ----

def test_F104_the_loop_turns_during_the_derivation(daemon):
    only_passphrase(daemon)
    with daemon.rpc() as c, daemon.rpc() as other:
        c.call("vault.lock")
        done = threading.Event()
        worker = threading.Thread(target=lambda: (c.call("vault.unlock", passphrase=WORDS), done.set()))
        times = []
        worker.start()
        while not done.is_set():
            start = time.monotonic()
            other.call("sys.ping")
            times.append(time.monotonic() - start)
            time.sleep(0.002)
        worker.join()
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    print(f"{len(times)} pings during the derivation, p99 {p99 * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
    assert len(times) > 50
    assert p99 <= figure(0.020, 0.060)


def test_F104_wrong_passphrases_wait_and_nobody_else_does(daemon):
    only_passphrase(daemon)
    with daemon.rpc() as c, daemon.rpc() as other:
        c.call("vault.lock")
        waits = []
        for i in range(2):
            start = time.monotonic()
            e = refused(c, "vault.unlock", passphrase=f"wrong words {i}")
            waits.append(time.monotonic() - start)
            assert e.code == "not_permitted"
            assert e.error["retry_after_ms"] > 900 * 2 ** i
            start = time.monotonic()
            assert other.prompt("x", ref="echo:echo").ok
            assert time.monotonic() - start < 1
        assert waits[1] >= 1
        # the right one waits, too: the delay is the daemon's, not a connection's
        start = time.monotonic()
        assert other.call("vault.unlock", passphrase=WORDS)["locked"] is False
        assert time.monotonic() - start >= 1.9
        assert "wait_ms" not in c.call("vault.status")


def test_F104_more_than_five_at_once_are_busy(daemon):
    only_passphrase(daemon)
    with daemon.rpc() as c:
        c.call("vault.lock")
        ids = [c.send("vault.unlock", {"passphrase": WORDS}) for _ in range(6)]
        codes = []
        for i in ids[5:]:
            with pytest.raises(RpcError) as e:
                c.wait(i)
            codes.append(e.value.code)
        assert codes == ["busy"]
        c.call("vault.lock")  # overtakes those that wait
        for i in ids[:5]:
            with pytest.raises(RpcError) as e:
                c.wait(i)
            assert e.value.code == "locked"
        assert c.call("vault.status")["locked"] is True


# ---- F107 ----

@pytest.mark.parametrize("edit", ["ops = 0", "ops = 2147483648", "mem_bytes = 0", "mem_bytes = 4398046511104", "ops = 11",
                                  "salt = x''"])
def test_F107_an_edited_slot_is_refused_before_anything_is_derived(daemon, edit):
    only_passphrase(daemon)
    daemon.stop()
    db = sqlite3.connect(daemon.data / "state.db")
    assert db.execute(f"UPDATE key_slots SET {edit} WHERE type = 'passphrase'").rowcount == 1
    db.commit()
    db.close()
    daemon.start()
    with daemon.rpc() as c:
        c.call("sys.ping")
        start = time.monotonic()
        e = refused(c, "vault.unlock", passphrase=WORDS)
        assert time.monotonic() - start <= figure(0.010, 0.030)
        assert e.code == "tampered"
        assert c.call("vault.status")["locked"] is True


# ---- F114 ----

def test_F114_streams_run_on_and_now_ends_them(daemon, provider):
    daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    with daemon.rpc() as c, daemon.rpc() as other:
        for now in (False, True):
            hold = threading.Event()
            provider.script([head(chunked=True), chunk(piece({"content": "half "})), Wait(hold)] + stream("done")[1:])
            n = c.call("prompt.start", text="x", ref="scripted:m1")["stream"]
            c.event("prompt.event", stream=n, type="delta")
            start = time.monotonic()
            r = other.call("vault.lock", **({"now": True} if now else {}))
            took = time.monotonic() - start
            assert (r["streams"], r["cancelled"]) == ((0, 1) if now else (1, 0))
            assert took <= figure(0.100, 0.200)
            assert other.prompt("y", ref="scripted:m1").last["code"] == "locked"
            hold.set()
            last = c.collect(n).last
            if now:
                assert (last["type"], last["code"], last["partial"]) == ("error", "locked", True)
            else:
                assert last["type"] == "done"
            other.call("vault.unlock")


def test_F114_a_lock_during_the_derivation_wins(daemon):
    only_passphrase(daemon)
    with daemon.rpc() as c, daemon.rpc() as other:
        c.call("vault.lock")
        i = c.send("vault.unlock", {"passphrase": WORDS})
        time.sleep(0.2)
        assert other.call("vault.lock")["was_open"] is False
        with pytest.raises(RpcError) as e:
            c.wait(i)
        assert e.value.code == "locked" and "meanwhile" in e.value.message
        assert other.call("vault.status")["locked"] is True


def test_F114_the_automatic_lock(make_daemon):
    d = make_daemon(start=False)
    d.clock
    d.start()
    with d.rpc() as c:
        c.call("key.set", provider="openai", secret="sk-0123456789abcdefghij")
        # what opens by itself never locks by itself
        d.clock.sleep(20 * 3600)
        assert c.call("vault.status")["locked"] is False
        c.call("vault.passwd", new=WORDS)
        c.call("vault.remove_slot", id=slot(c, "key-file"))
        c.call("vault.lock")
        c.call("vault.unlock", passphrase=WORDS)
        c.call("state.subscribe", topics=["daemon"])
        left = c.call("vault.status")["locks_in_ms"]
        assert 4 * 3600_000 - 60_000 < left <= 4 * 3600_000
        d.clock.sleep(24 * 3600)  # suspend counts: due at once
        assert c.call("vault.status")["locked"] is True
        e = c.event("state.event")
        assert e["value"]["locked"] is True and e["cause"]["reason"] == "idle"
        c.call("settings.set", name="lock_idle", value="never")
        c.call("vault.unlock", passphrase=WORDS)
        assert 11 * 3600_000 < c.call("vault.status")["locks_in_ms"] <= 12 * 3600_000
        d.clock.sleep(24 * 3600 + 12 * 3600 + 60)
        status = c.call("vault.status")
        assert status["locked"] is True and "open for long" in status["why"]


# ---- F117 ----

def test_F117_rekey_and_passwd_under_load(daemon, provider):
    ref = daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    with daemon.rpc() as c:
        for i in range(100):
            c.call("key.set", provider="openai", label=f"k{i % 50}", secret=f"sk-{i:040}")
        c.call("vault.passwd", new=WORDS)
        token = c.call("session.start", provider="scripted", model="m2", check=False, activate=False,
                       secret="sk-temporary-0123456789")["token"]
    stop = threading.Event()
    failures, counts, pauses = [], [0, 0, 0], []

    def ask(n, **params):
        with daemon.rpc() as c:
            while not stop.is_set():
                last = c.prompt("x", **params).last
                counts[n] += 1
                if last["type"] != "done":
                    failures.append(last)

    def ping():
        with daemon.rpc() as c:
            while not stop.is_set():
                start = time.monotonic()
                c.call("sys.ping")
                pauses.append(time.monotonic() - start)
                counts[2] += 1
                time.sleep(0.002)

    threads = [threading.Thread(target=ask, args=(0,), kwargs={"ref": ref}),
               threading.Thread(target=ask, args=(1,), kwargs={"session": token}), threading.Thread(target=ping)]
    for t in threads:
        t.start()
    with daemon.rpc() as c:
        assert c.call("vault.rekey", passphrase=WORDS)["generation"] == 2
        c.call("vault.passwd", old=WORDS, new=OTHER)
        r = c.call("vault.rekey", passphrase=OTHER)
        assert (r["generation"], r["unreadable"]) == (3, 0)
    stop.set()
    for t in threads:
        t.join()
    pauses.sort()
    print(f"{counts[0]} prompts, {counts[1]} by token; pings: p99 {pauses[int(len(pauses) * .99)] * 1000:.1f} ms, worst {pauses[-1] * 1000:.1f} ms")
    assert failures == [] and min(counts) > 10
    with daemon.rpc() as c:
        c.call("vault.remove_slot", id=slot(c, "key-file"))
        c.call("vault.lock")
        assert refused(c, "vault.unlock", passphrase=WORDS).code == "not_permitted"
        c.call("vault.unlock", passphrase=OTHER)
        assert c.prompt("x", ref=ref).ok and c.prompt("x", session=token).ok


def test_F117_old_copies_open_nothing(daemon, provider):
    ref = daemon.add_provider(provider, key="sk-first-0123456789abcdef")
    key_file = daemon.data / "key" / "master.key"
    daemon.stop()
    old_key, old_db = key_file.read_bytes(), (daemon.data / "state.db").read_bytes()
    daemon.start()
    r = daemon.mpc("vault", "rekey", check=0)
    assert "generation 2" in r.out
    assert key_file.read_bytes() != old_key
    with daemon.rpc() as c:
        assert c.prompt("x", ref=ref).ok
    daemon.stop()
    # an old key file does not open the new database
    new_key, new_db = key_file.read_bytes(), (daemon.data / "state.db").read_bytes()
    key_file.write_bytes(old_key)
    daemon.start()
    with daemon.rpc() as c:
        assert c.call("vault.status")["locked"] is True
        assert c.prompt("x", ref=ref).last["code"] == "locked"
    daemon.stop()
    # nor does the new one open the old database; and nothing was lost
    key_file.write_bytes(new_key)
    (daemon.data / "state.db").write_bytes(old_db)
    daemon.start()
    with daemon.rpc() as c:
        assert c.call("vault.status")["locked"] is True
    daemon.stop()
    (daemon.data / "state.db").write_bytes(new_db)
    daemon.start()
    with daemon.rpc() as c:
        assert c.prompt("x", ref=ref).ok


def test_F117_keys_that_are_read_from_a_source_follow_a_rekey(make_daemon, provider):
    d = make_daemon(env={"LAB_API_KEY": "sk-of-the-environment-0123456789"})
    ref = d.add_provider(provider, key="sk-first-0123456789abcdef")
    d.mpc("key", "set", "scripted", "--env", "LAB_API_KEY", "--no-check", "--yes", check=0)
    d.restart()  # what no key names is dropped soon
    with d.rpc() as c:
        for _ in range(2):
            answer = c.prompt("x", ref=ref)
            assert answer.ok, answer.last
            assert provider.chats[-1].header("authorization") == "Bearer sk-of-the-environment-0123456789"
            c.call("vault.rekey")
        assert c.call("key.status")["keys"][0]["source"] == "env"
        assert c.prompt("x", ref=ref).ok


# ---- other slots ----

def test_a_systemd_credential_opens_by_itself(make_daemon, provider):
    d = make_daemon(start=False)
    folder = d.root / "credentials"
    folder.mkdir(mode=0o700)
    (folder / "modelpd-master").write_bytes(os.urandom(32).hex().encode())
    (folder / "modelpd-master").chmod(0o400)
    d.env["CREDENTIALS_DIRECTORY"] = str(folder)
    d.start()
    ref = d.add_provider(provider, key="sk-first-0123456789abcdef")
    d.mpc("vault", "add", "systemd-credential", check=0)
    d.mpc("vault", "remove", "1", "--yes", check=0)
    d.restart()
    with d.rpc() as c:
        assert c.call("vault.status")["opened_by"] == "systemd-credential"
        assert c.prompt("x", ref=ref).ok
    d.stop()
    (folder / "modelpd-master").unlink()
    d.start()
    with d.rpc() as c:
        status = c.call("vault.status")
        assert status["locked"] and "credential" in status["why"]
    assert d.mpc("vault", "add", "abacus").returncode == 2
    assert "LoadCredential" in d.mpc("unlock").err


# ---- F118 ----

def echo(t):
    return bool(termios.tcgetattr(t.fd)[3] & termios.ECHO)


def locked_with_a_passphrase(d):
    only_passphrase(d)
    with d.rpc() as c:
        c.call("vault.lock")


@pytest.mark.parametrize("how", [b"\x03", signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_F118_the_echo_comes_back(daemon, how):
    locked_with_a_passphrase(daemon)
    t = daemon.mpc_tty("unlock")
    t.expect("Passphrase: ")
    assert not echo(t)
    t.type("half of a")
    if isinstance(how, bytes):
        t.type(how)
    else:
        os.kill(t.pid, how)
    deadline = time.monotonic() + 10
    while not echo(t):
        assert time.monotonic() < deadline
        t.read(0.02)
    assert t.wait() == (130 if isinstance(how, bytes) else 143)
    assert b"half" not in t.output


def test_F118_the_echo_is_on_while_it_is_stopped(daemon):
    locked_with_a_passphrase(daemon)
    script = f"set -m; {BIN.resolve()}/modelpc unlock; echo it sleeps; read line; fg >/dev/null; echo code $?"
    t = Terminal(["/bin/bash", "-c", script], dict(daemon.env, MODELPD_NO_SPAWN="1"), str(daemon.home))
    t.expect("Passphrase: ")
    assert not echo(t)
    t.type("half of a\x1a")
    t.expect("it sleeps")
    assert echo(t)
    t.type("\n")
    t.expect("Passphrase: ")
    assert not echo(t)
    t.type(WORDS + "\n")
    t.expect("The keys are open")
    t.expect("code 0")
    assert t.wait() == 0 and WORDS.encode() not in t.output
