"""Disks that are full or fail under a running daemon (FAULTS.md section 2): refused clearly, nothing acknowledged is lost,
reads and answers go on, and all is well again without a restart."""
import contextlib
import os
import resource
import shutil
import sqlite3
import subprocess
import threading
import time

import pytest
from harness.provider import Wait
from harness.provider import stream as scripted_stream
from harness.rpc import RpcError

SECONDS = 5  # FAULTS.md: recovery


class Scenario:
    """Every kind of write, one after the other; what was acknowledged is checked at the end."""

    def __init__(self, rpc):
        self.rpc = rpc
        self.count = 0
        self.held = {}
        self.refused = 0

    def step(self):
        self.count += 1
        n = self.count
        text = f"value-{n}-" + "x" * 600  # so that pages fill
        for key, value, method, params in (
                ("nick", f"n{n}", "model.nick", {"ref": f"echo:n{n}", "nick": f"n{n}"}),
                ("route", f"echo:r{n}", "route.set", {"ref": f"echo:r{n}"}),
                ("name", text[:120], "provider.update", {"name": "openai", "set": {"display_name": text[:120]}}),
                (self.scope(n), f"echo:s{n}", "route.set", {"ref": f"echo:s{n}", "scope": self.scope(n)})):
            try:
                self.rpc.call(method, **params)
                self.held[key] = value
            except RpcError as e:
                assert e.code == "storage", e.error
                assert e.error["message"] and e.error.get("hint"), e.error
                self.refused += 1

    @staticmethod
    def scope(n):
        return f"scope-{n % 5}-" + "y" * 50

    def check(self):
        """What was acknowledged last is what is in force, and what was refused is not."""
        for scope in (self.scope(n) for n in range(5)):
            if scope in self.held:
                assert self.rpc.call("route.get", scope=scope)["active"]["ref"] == self.held[scope]
        assert self.rpc.call("route.get")["active"]["ref"] == self.held["route"]
        assert self.rpc.call("provider.get", name="openai")["display_name"] == self.held["name"]
        nicks = {m.get("nick") for m in self.rpc.call("model.list")["models"]}
        assert self.held["nick"] in nicks

    def recovered_within(self, seconds):
        began = time.monotonic()
        while True:
            try:
                self.rpc.call("route.set", ref="echo:after")
                self.held["route"] = "echo:after"
                return time.monotonic() - began
            except RpcError as e:
                assert e.code == "storage"
                assert time.monotonic() - began < seconds, "it did not recover"
                time.sleep(0.05)


@contextlib.contextmanager
def running_answer(daemon, provider):
    """An answer that has begun before the fault, and ends well after it."""
    gate = threading.Event()
    steps = scripted_stream("one ", "two ", "three")
    provider.script(steps[:3] + [Wait(gate)] + steps[3:])
    with daemon.rpc() as rpc:
        stream = rpc.call("prompt.start", text="hello", ref="scripted:m1")["stream"]
        rpc.event("prompt.event", type="delta", stream=stream)
        yield
        gate.set()
        answer = rpc.collect(stream)
        assert answer.ok and answer.text.endswith("two three")


def reads_go_on(daemon, provider):
    with daemon.rpc() as rpc:
        assert rpc.call("provider.list")["providers"] and rpc.call("route.get")["active"]
        assert rpc.call("key.status")["keys"]
        assert rpc.prompt("hello", ref="scripted:m1").ok  # with its key, too


def configured(daemon, provider):
    daemon.add_provider(provider, key="sk-storage-faults-0123456789abcdef")


def needs_mount():
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")


@pytest.fixture
def small_disk(make_daemon):
    """A daemon whose data folder is a disk of a megabyte."""
    needs_mount()
    d = make_daemon(start=False)
    d.data.mkdir(mode=0o700, parents=True)
    r = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", d.data], capture_output=True)
    if r.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {r.stderr.decode().strip()}")
    try:
        yield d.start()
    finally:
        d.stop()
        subprocess.run(["umount", d.data], check=True)


def fill(disk, leave):
    """Takes all room but so many bytes."""
    free = shutil.disk_usage(disk).free
    path = disk / "filler"
    with open(path, "ab") as f, contextlib.suppress(OSError):
        f.write(b"#" * max(0, free - leave))
        f.flush()
    return path


def test_F13_a_full_disk_at_every_write(small_disk, provider):
    """The disk is full from the n-th page on, for each n of the scenario."""
    d = small_disk
    configured(d, provider)
    refused, slowest = 0, 0.0
    with d.rpc() as rpc:
        s = Scenario(rpc)
        s.step()
        for leave in range(0, 40 * 4096, 2 * 4096):
            filler = fill(d.data, leave)
            before = s.refused
            with running_answer(d, provider):
                for _ in range(12):
                    s.step()
                    if s.refused - before >= 4:
                        break
                reads_go_on(d, provider)
            s.check()
            refused += s.refused - before
            filler.unlink()
            slowest = max(slowest, s.recovered_within(SECONDS))
            s.check()
        s.step()
        last = dict(s.held)
        assert rpc.call("sys.info")["read_only"] is False
    assert refused >= 20
    print(f"{refused} writes refused, slowest recovery {slowest:.2f} s")
    d.restart()
    with d.rpc() as rpc:
        s = Scenario(rpc)
        s.held = last
        s.check()


def test_F13_usage_waits_for_room(small_disk, provider):
    """Calls are served on a full disk; their rows are there when it has room again."""
    d = small_disk
    configured(d, provider)
    made, slowest = 0, 0.0
    with d.rpc() as rpc:
        for _ in range(3):
            filler = fill(d.data, 0)
            for _ in range(200):
                assert rpc.prompt("hello", ref="scripted:m1").ok
                made += 1
                if rpc.call("sys.info")["usage"]["waiting"] >= 5:
                    break
            usage = rpc.call("sys.info")["usage"]
            assert usage["failing"] and usage["waiting"] >= 5 and usage["lost"] == 0, usage
            filler.unlink()
            began = time.monotonic()
            while rpc.call("sys.info")["usage"] != {"failing": False, "waiting": 0, "lost": 0}:
                assert time.monotonic() - began < SECONDS
                time.sleep(0.05)
            slowest = max(slowest, time.monotonic() - began)
            rpc.call("route.set", ref="echo:after")
    print(f"{made} calls, slowest recovery {slowest:.2f} s")
    d.stop()
    with contextlib.closing(sqlite3.connect(d.data / "usage.db")) as db:
        assert db.execute("SELECT count(*) FROM attempts").fetchone()[0] == made
        assert db.execute("SELECT sum(requests) FROM usage_days").fetchone()[0] == made


def set_file_limit(daemon, limit):
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_F14_a_limit_of_file_sizes(daemon, provider):
    """As a full disk, without one: writes fail with EFBIG, which SQLite takes for an error of the disk."""
    configured(daemon, provider)
    slowest = 0.0
    with daemon.rpc() as rpc, daemon.rpc() as watcher:
        watcher.call("state.subscribe", topics=["daemon"])
        s = Scenario(rpc)
        s.step()
        for _ in range(3):
            with running_answer(daemon, provider):
                set_file_limit(daemon, 1)
                s.step()
                assert s.refused >= 4
                assert watcher.event("state.event", topic="daemon")["value"]["read_only"] is True
                assert rpc.call("sys.info")["read_only"] is True
                r = daemon.mpc("doctor")
                assert "FAIL" in r.out and "cannot be written" in r.out
                reads_go_on(daemon, provider)
                s.check()
                time.sleep(1.2)  # it was tried in vain
                reads_go_on(daemon, provider)
                s.check()
                set_file_limit(daemon, resource.RLIM_INFINITY)
                slowest = max(slowest, s.recovered_within(SECONDS))
            e = watcher.event("state.event", topic="daemon")
            assert e["value"]["read_only"] is False and e["cause"]["reason"] == "storage recovered"
            s.check()
            s.refused = 0
            s.step()
            assert s.refused == 0
        last = dict(s.held)
    print(f"slowest recovery {slowest:.2f} s")
    daemon.restart()
    with daemon.rpc() as rpc:
        s = Scenario(rpc)
        s.held = last
        s.check()


def test_F14_what_ends_meanwhile_has_ended(daemon, provider):
    """A temporary choice ends on time although nothing can be stored, and stays ended."""
    configured(daemon, provider)
    daemon.mpc("switch", "echo", check=0)
    with daemon.rpc() as rpc:
        rpc.call("route.set", ref="scripted:m1", temporary=True, ttl_ms=1000)
        set_file_limit(daemon, 1)
        deadline = time.monotonic() + 5
        while rpc.call("route.get")["active"]["ref"] != "echo:echo":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        set_file_limit(daemon, resource.RLIM_INFINITY)
        Scenario(rpc).recovered_within(SECONDS)
    daemon.restart()
    with daemon.rpc() as rpc:
        assert rpc.call("route.get")["active"]["ref"] == "echo:after"
