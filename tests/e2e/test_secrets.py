"""Keys are write-only and stay where they belong: F105, F106, F109 to F112, F115."""
import base64
import ctypes
import json
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from harness.daemon import BIN
from harness.provider import reply, stream
from harness.rpc import RpcError

CANARY = "sk-canary-9f8e7d6c5b4a39281706f5e4d3c2b1a0"


def forms(secret):
    """A secret as it could turn up somewhere."""
    b = secret.encode()
    return [b, base64.b64encode(b)[:-4], b.hex().encode(), secret.encode("utf-16-le")]


def scan(data, secret=CANARY):
    return [f for f in forms(secret) if f in data]


def with_key(d, provider=None, key=CANARY):
    if provider is not None:
        return d.add_provider(provider, key=key)
    with d.rpc() as c:
        c.call("key.set", provider="openai", secret=key)


def edit(d, sql, *args):
    """Changes state.db behind the daemon's back, while it is stopped."""
    d.stop()
    db = sqlite3.connect(d.data / "state.db")
    n = db.execute(sql, args).rowcount
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    d.start()
    return n


def column(d, sql):
    d.stop()
    db = sqlite3.connect(d.data / "state.db")
    rows = db.execute(sql).fetchall()
    db.close()
    d.start()
    return rows


def test_no_method_hands_a_key_back(daemon):
    with daemon.rpc() as c:
        r = c.call("key.set", provider="openai", secret=CANARY)
        assert len(r["fingerprint"]) == 8 and r["source"]
        seen = [r, c.call("key.status"), c.call("provider.get", name="openai"), c.call("provider.list"), c.call("state.get"), c.call("sys.info"),
                c.call("sys.clients"), c.call("sys.log", level="debug"), c.call("vault.status"), c.call("route.get"), c.call("prompt.list")]
        assert not scan(json.dumps(seen).encode())
        k = c.call("key.status")["keys"][0]
        assert k["last4"] == CANARY[-4:] and k["provider"] == "openai"
        c.call("key.set", provider="openai", secret="sk-short")
        assert "last4" not in c.call("key.status")["keys"][0]


def test_the_same_key_has_the_same_fingerprint(daemon):
    with daemon.rpc() as c:
        a = c.call("key.set", provider="openai", secret=CANARY)["fingerprint"]
        b = c.call("key.set", provider="openai", label="second", secret=CANARY)["fingerprint"]
        assert a == b != c.call("key.set", provider="openai", secret="sk-another-0000000000000000")["fingerprint"]


@pytest.mark.parametrize("bad", [b"sk-\r\nX-Evil: 1", b"sk-\n", b"sk-\x00x", b"sk key", b"sk-\xc3\xa9", b"x" * 8192, b""],
                         ids=["CR and LF", "LF", "NUL", "blank", "not ASCII", "8 KiB", "empty"])
def test_F115_keys_that_are_none(daemon, bad):
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("key.set", provider="openai", secret=bad)
        assert e.value.code in ("invalid_params",)
        assert c.call("key.status")["keys"] == []
    # --stdin drops one newline at the end, so give it another
    r = daemon.mpc("key", "set", "openai", "--stdin", "--no-check", input=bad + b"\n" if bad.endswith(b"\n") else bad)
    assert r.returncode == 2, r.err
    with daemon.rpc() as c:
        assert c.call("key.status")["keys"] == []


@pytest.mark.parametrize("argv", [["key", "set", "openai", CANARY], ["key", "set", "openai", "--stdin", CANARY], ["add", "openai", "gpt-5", CANARY]])
def test_F115_a_key_in_argv_is_refused(daemon, argv):
    r = daemon.mpc(*argv, input=b"")
    assert r.returncode == 2
    assert not scan(r.stdout + r.stderr)
    assert "never taken from the command line" in r.err or argv[0] == "add"
    with daemon.rpc() as c:
        assert c.call("key.status")["keys"] == []


def sealed_row(d):
    tables = column(d, "SELECT name FROM sqlite_master WHERE type='table'")
    assert ("credentials",) in tables
    return column(d, "SELECT sealed FROM credentials")[0][0]


def code_of_next_prompt(d, ref):
    with d.rpc() as c:
        return c.prompt("x", ref=ref).last


def test_F105_every_byte_of_a_sealed_key_matters(daemon, provider, rng):
    ref = with_key(daemon, provider)
    good = sealed_row(daemon)
    places = sorted({0, 1, len(good) - 1, *rng.sample(range(len(good)), 6)})
    for at in places:
        bad = bytearray(good)
        bad[at] ^= 0x40
        assert edit(daemon, "UPDATE credentials SET sealed=?", bytes(bad)) == 1
        last = code_of_next_prompt(daemon, ref)
        assert last.get("code") == "tampered", (at, last)
    for bad in (good[:-1], good + b"\0", b"", good[:24]):
        edit(daemon, "UPDATE credentials SET sealed=?", bad)
        assert code_of_next_prompt(daemon, ref).get("code") == "tampered"
    edit(daemon, "UPDATE credentials SET sealed=?", good)
    assert code_of_next_prompt(daemon, ref)["type"] == "done"
    assert all(r.header("authorization") == "Bearer " + CANARY for r in provider.chats)


def test_F106_swapped_keys_do_not_open(daemon, make_provider):
    one, two = make_provider(), make_provider()
    daemon.add_provider(one, "one", key=CANARY)
    daemon.add_provider(two, "two", key="sk-other-00000000000000000000")
    rows = column(daemon, "SELECT rowid, sealed FROM credentials ORDER BY rowid")
    edit(daemon, "UPDATE credentials SET sealed=? WHERE rowid=?", rows[1][1], rows[0][0])
    edit(daemon, "UPDATE credentials SET sealed=? WHERE rowid=?", rows[0][1], rows[1][0])
    for name in ("one", "two"):
        assert code_of_next_prompt(daemon, f"{name}:m1")["code"] == "tampered"
    assert one.chats == two.chats == []


def test_F106_a_url_edited_in_the_database_gets_no_key(daemon, provider, make_provider):
    thief = make_provider()
    ref = with_key(daemon, provider)
    n = edit(daemon, "UPDATE providers SET base_url=? WHERE name='scripted'", thief.url)
    assert n == 1
    assert code_of_next_prompt(daemon, ref)["code"] == "tampered"
    assert thief.requests == []


def test_F108_a_provider_that_moves_needs_a_new_key(daemon, provider, make_provider):
    thief = make_provider()
    ref = with_key(daemon, provider)
    with daemon.rpc() as c:
        c.call("provider.update", name="scripted", set={"base_url": thief.url})
        a = c.prompt("x", ref=ref)
        assert a.code == "origin" and "mpc key set scripted" in a.last["hint"]
        assert thief.requests == []
        c.call("provider.update", name="scripted", set={"base_url": provider.url})
        assert c.prompt("x", ref=ref).ok


def test_F108_every_way_to_point_a_key_elsewhere(daemon, provider, make_provider):
    """Another address, another port, http for https, by a document, and the key set for another origin."""
    thief = make_provider()
    ref = with_key(daemon, provider)
    with daemon.rpc() as c:
        c.call("key.set", provider="scripted", label="second", secret="sk-second-0000000000000000000")
        for url in (thief.url, provider.url.replace("127.0.0.1", "localhost"), provider.url.replace("127.0.0.1", "127.0.0.2"),
                    provider.url.replace("http:", "https:")):
            c.call("provider.update", name="scripted", set={"base_url": url})
            a = c.prompt("x", ref=ref)
            assert a.code == "origin", (url, a.last)
            assert c.call("provider.check", name="scripted")["code"] == "origin"
        # a path is no other origin
        c.call("provider.update", name="scripted", set={"base_url": provider.url + "/"})
        assert c.prompt("x", ref=ref).ok
        with pytest.raises(RpcError) as e:
            c.call("key.set", provider="scripted", secret=CANARY, origin=thief.url)
        assert e.value.code == "origin"
    document = daemon.home / "all.yaml"
    document.write_text(daemon.mpc("config", "export", check=0).out.replace(provider.url, thief.url))
    daemon.mpc("config", "apply", document, "--cascade", check=0)
    with daemon.rpc() as c:
        assert c.prompt("x", ref=ref).code == "origin"
        # the same name again is another provider: the key went with the one it belonged to
        c.call("provider.remove", name="scripted", cascade=True)
        c.call("provider.add", name="scripted", base_url=thief.url, type="local", dialect="openai-chat", auth_type="api-key")
        assert c.prompt("x", ref=ref).code == "no_credential"
    assert thief.requests == []


def test_F109_no_method_that_only_reads_tells_it(daemon, provider):
    """Every method of the table that changes nothing and needs nothing, and every file that they leave."""
    with_key(daemon, provider)
    with daemon.rpc() as c:
        assert c.prompt("x", ref="scripted:m1").ok
        rows = [m for m in c.call("sys.methods")["methods"] if not [p for p in m["params"] if not p["optional"]]]
        names = [m["name"] for m in rows if not m.get("mutates") and m["name"].split(".")[1] in
                 ("status", "list", "get", "info", "methods", "clients", "log", "export", "ping", "usage", "report", "show")]
        assert len(names) > 10, rows
        for name in names:
            assert not scan(json.dumps(c.call(name), default=repr).encode()), name
    daemon.mpc("config", "export", check=0)
    kept = daemon.home / "kept"
    daemon.mpc("backup", kept, check=0)
    for cmd in (["config", "export"], ["config", "export", "--json"], ["config"], ["vault"], ["list", "-a"], ["test", "list"], ["rpc", "state.get"]):
        r = daemon.mpc(*cmd)
        assert not scan(r.stdout + r.stderr), cmd
    assert kept.exists() and not scan(kept.read_bytes())


def test_F109_what_a_source_says_is_no_leak(daemon, provider):
    """A command that complains with the key, fails after printing it, prints it twice."""
    daemon.env["MODELPD_LOG"] = "debug"
    daemon.restart()
    with_key(daemon, provider, "sk-to-be-replaced-000000000000")
    held = daemon.root / "held"
    for text in (f"cat {held}; cat {held} >&2; exit 1", f"cat {held} >&2", f"cat {held}; cat {held}; cat {held} >&2"):
        held.write_text(CANARY + "\n")
        with daemon.rpc() as c:
            c.call("state.subscribe")
            c.call("key.set", provider="scripted", source={"command": f"sh -c '{text}'"})
            a = c.prompt("x", ref="scripted:m1")
            check = c.call("provider.check", name="scripted")
            seen = json.dumps([a.events, c.events, check, c.call("key.status"), c.call("provider.get", name="scripted"), c.call("sys.log", level="debug")])
        assert not scan(seen.encode()), seen
    assert not scan(daemon.log().encode())
    held.unlink()
    daemon.stop()
    assert not [p for p in daemon.root.rglob("*") if p.is_file() and scan(p.read_bytes())]


def test_F109_the_key_is_nowhere(daemon, provider):
    daemon.env["MODELPD_LOG"] = "debug"
    daemon.restart()
    ref = with_key(daemon, provider)
    provider.script(None or [b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (len(CANARY) + 40)
                             + json.dumps({"error": {"message": "bad key " + CANARY}}).encode().ljust(len(CANARY) + 40)])
    with daemon.rpc() as c:
        c.call("state.subscribe")
        outcome = c.prompt("x", ref=ref)
        assert outcome.code == "auth_rejected"
        c.prompt("x", ref=ref)
        c.call("provider.check", name="scripted")
        seen = json.dumps([outcome.events, c.events, c.call("sys.log", level="debug"), c.call("state.get"), c.call("key.status")]).encode()
    assert not scan(seen)
    for cmd in (["status"], ["providers"], ["key"], ["key", "list", "--json"], ["provider", "show", "scripted"], ["doctor"], ["check", "scripted", "-v"], ["which"],
                ["daemon", "log"]):
        r = daemon.mpc(*cmd)
        assert not scan(r.stdout + r.stderr), cmd
    assert not scan(daemon.log().encode())
    for path in daemon.root.rglob("*"):
        if path.is_file():
            assert not scan(path.read_bytes()), path
    daemon.stop()
    for path in daemon.root.rglob("*"):
        if path.is_file():
            assert not scan(path.read_bytes()), path


def test_F109_a_deleted_key_leaves_nothing_sealed_behind(daemon):
    with_key(daemon)
    sealed = sealed_row(daemon)
    with daemon.rpc() as c:
        c.call("key.delete", provider="openai")
        for path in daemon.data.rglob("*"):
            if path.is_file():
                assert sealed not in path.read_bytes(), path


def test_F110_arguments_and_environment_of_every_process(daemon, provider):
    """A watcher reads /proc of the daemon and of each mpc while commands run."""
    ref = daemon.add_provider(provider, key="sk-the-first-one-0123456789")
    found, seen = [], set()
    p = subprocess.Popen([str(BIN / "modelpc"), "key", "set", "scripted", "--stdin"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"),
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    p.stdin.write(CANARY.encode())
    p.stdin.flush()
    for _ in range(50):
        for pid in (daemon.pid, p.pid):
            for name in ("cmdline", "environ"):
                try:
                    data = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                    seen.add((pid, name))
                    found += scan(data)
                except OSError:
                    pass
        time.sleep(0.005)
    p.stdin.close()
    assert p.wait(15) == 0
    assert found == [] and len(seen) == 4
    with daemon.rpc() as c:
        assert c.prompt("x", ref=ref).ok
    assert not scan(pathlib.Path(f"/proc/{daemon.pid}/environ").read_bytes())


class Watcher:
    """Reads the arguments and the environment of every process that is ours, as often as it can."""

    def __init__(self, daemon):
        self.daemon, self.seen, self.found, self.over = daemon, set(), [], False
        self.thread = threading.Thread(target=self.watch)

    def ours(self, pid):
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            parent = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
        return pid == self.daemon.pid or parent == self.daemon.pid or b"modelp" in line or str(self.daemon.root).encode() in line

    def watch(self):
        while not self.over:
            for pid in [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) >= self.daemon.pid]:
                if not self.ours(pid):
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        data = pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
                    except OSError:
                        continue
                    self.seen.add((pid, name))
                    self.found += [(name, data)] if scan(data) else []
            time.sleep(0.002)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over = True
        self.thread.join()


def test_F110_nothing_in_proc_during_any_command(daemon, provider):
    """Every command that has to do with a key, slow enough to be looked at; a key that a program of the user's prints."""
    daemon.add_provider(provider, key="sk-the-first-one-0123456789")
    held = daemon.root / "held"
    held.write_text(CANARY)
    held.chmod(0o600)
    slow = daemon.root / "slow"
    slow.write_text(f"#!/bin/sh\ncat {held}\nsleep 0.3\n")
    slow.chmod(0o755)
    provider.default = stream("a", "b", pause=0.1)
    with Watcher(daemon) as w:
        for argv, typed in ((["key", "set", "scripted", "--stdin"], CANARY), (["key", "list"], None), (["check", "scripted", "--deep"], None),
                            (["prompt", "-m", "scripted:m1", "x"], None), (["test", "scripted", "m1", "5", "--stdin"], CANARY), (["test", "stop"], None),
                            (["key", "set", "scripted", "--file", held, "--yes"], None), (["key", "set", "scripted", "--command", slow, "--yes"], None),
                            (["prompt", "-m", "scripted:m1", "x"], None), (["config", "export"], None), (["doctor"], None),
                            (["key", "delete", "scripted", "--yes"], None)):
            r = daemon.mpc(*argv, input=typed.encode() if typed else None)
            assert r.returncode in (0, 1), (argv, r.err)
            assert not scan(r.stdout + r.stderr), argv
    processes = {pid for pid, _ in w.seen}
    assert w.found == [] and daemon.pid in processes
    # most commands were seen, and so was the program that the daemon ran
    assert len(processes) >= 8, w.seen
    assert {r.header("authorization") for r in provider.chats} >= {"Bearer " + CANARY}


SPY = r"""
import ctypes, os, sys
pid = int(sys.argv[1])
refused = []
for name in ("mem", "maps", "environ", "auxv"):
    try:
        with open(f"/proc/{pid}/{name}", "rb") as f:
            f.read(1)
    except OSError:
        refused.append(name)
try:
    os.listdir(f"/proc/{pid}/fd")
except OSError:
    refused.append("fd")
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, pid, 0, 0) != 0:
    refused.append("ptrace")
class Iov(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
buf = ctypes.create_string_buffer(8)
here, there = Iov(ctypes.addressof(buf), 8), Iov(0x400000, 8)
if libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) < 0 and ctypes.get_errno() == 1:
    refused.append("process_vm_readv")
print(" ".join(refused))
"""


def test_F111_the_same_user_cannot_look_inside(home):
    """The daemon runs as an ordinary user; another process of that user tries seven doors."""
    import shutil
    for p in (home.root, home.run, home.home):
        os.chown(p, 12345, 12345)
    program = home.root / "modelpd"
    shutil.copy(BIN / "modelpd", program)
    user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    # leak checking attaches to the process itself, which is what must fail here
    p = subprocess.Popen([*user, str(program)], env=dict(home.env, ASAN_OPTIONS="detect_leaks=0"), stderr=subprocess.PIPE, cwd="/")
    try:
        deadline = time.monotonic() + 20
        while not home.socket.exists():
            assert p.poll() is None, p.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        r = subprocess.run([*user, "/usr/bin/python3", "-c", SPY, str(p.pid)], capture_output=True, text=True, timeout=20)
        assert set(r.stdout.split()) == {"mem", "maps", "environ", "auxv", "fd", "ptrace", "process_vm_readv"}, r
    finally:
        p.terminate()
        p.wait(10)


@pytest.mark.parametrize("sig", [signal.SIGSEGV, signal.SIGQUIT, signal.SIGABRT])
def test_F112_no_core_file(make_daemon, sig):
    import resource
    d = make_daemon(start=False, env={"ASAN_OPTIONS": "disable_coredump=0:handle_segv=0:handle_abort=0:detect_leaks=0"})
    d.start(preexec=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
    limits = pathlib.Path(f"/proc/{d.pid}/limits").read_text()
    core = next(l for l in limits.split("\n") if l.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"], core
    d.signal(sig)
    deadline = time.monotonic() + 15
    pid, status = 0, None
    while pid == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        pid, status = os.waitpid(d.pid, os.WNOHANG)
    assert not os.WCOREDUMP(status)
    d.process.returncode, d.process = -sig, None
    assert not [p for p in d.root.rglob("*") if "core" in p.name]


def test_the_key_file_is_private_and_apart(daemon):
    with_key(daemon)
    key = daemon.data / "key" / "master.key"
    assert key.exists() and key.stat().st_mode & 0o777 == 0o600 and key.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("case", ["missing", "short", "readable by others", "symlinked", "another key"])
def test_F104_a_wrong_key_file_locks_and_loses_nothing(daemon, case):
    with_key(daemon)
    daemon.stop()
    key = daemon.data / "key" / "master.key"
    good = key.read_bytes()
    if case == "missing":
        key.unlink()
    elif case == "short":
        key.write_bytes(good[:20])
    elif case == "readable by others":
        key.chmod(0o644)
    elif case == "symlinked":
        key.rename(key.parent / "real")
        key.symlink_to(key.parent / "real")
    else:
        key.write_bytes(base64.b64encode(b"\x07" * 32))
    daemon.start()
    with daemon.rpc() as c:
        assert c.call("vault.status")["locked"] is True or case == "another key"
        last = c.prompt("x", ref="openai:gpt-5").last
        assert last["code"] in ("locked", "tampered"), last
        assert c.prompt("x", ref="echo:echo").ok
    daemon.stop()
    if key.is_symlink() or not key.exists():
        if key.is_symlink():
            key.unlink()
    key.write_bytes(good)
    key.chmod(0o600)
    daemon.start()
    with daemon.rpc() as c:
        assert c.call("vault.status")["locked"] is False
        assert len(c.call("key.status")["keys"]) == 1
