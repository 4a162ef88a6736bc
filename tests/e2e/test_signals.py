"""Signals and orderly ends: F36 to F38, and what running streams see of them."""
import os
import signal
import socket
import subprocess
import time

import pytest

from harness.daemon import figure
from harness.provider import Hang, chunk, head, piece, stream
from harness.rpc import Closed


def running_stream(d, provider):
    provider.script([head(chunked=True), chunk(piece({"content": "a"})), Hang()])
    ref = d.add_provider(provider)
    c = d.rpc()
    s = c.call("prompt.start", text="x", ref=ref)["stream"]
    c.event("prompt.event", type="delta")
    return c, s


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_F36_a_running_stream_may_finish(daemon, provider, sig):
    provider.default = stream("a", "b", "c", pause=0.3)
    ref = daemon.add_provider(provider)
    c = daemon.rpc()
    s = c.call("prompt.start", text="x", ref=ref)["stream"]
    c.event("prompt.event", type="start")
    daemon.signal(sig)
    assert c.collect(s).ok
    assert daemon.wait_exit() == 0
    assert not daemon.socket.exists()


def test_F36_new_work_is_refused_while_draining(daemon, provider):
    c, s = running_stream(daemon, provider)
    daemon.signal(signal.SIGTERM)
    time.sleep(0.2)
    with pytest.raises(Exception) as e:
        c.call("prompt.start", text="y")
    assert isinstance(e.value, Closed) or e.value.code == "shutting_down"
    daemon.signal(signal.SIGTERM)
    daemon.wait_exit()


def test_F37_a_second_signal_ends_at_once(daemon, provider):
    c, s = running_stream(daemon, provider)
    daemon.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert daemon.process.poll() is None, "it did not wait for the stream"
    t = time.monotonic()
    daemon.signal(signal.SIGTERM)
    daemon.process.wait(5)
    assert time.monotonic() - t <= figure(0.5, 1.5)  # leak checking takes its time
    daemon.process = None
    import sqlite3
    assert sqlite3.connect(daemon.data / "state.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_F07_the_end_of_grace_tells_the_stream(daemon, provider):
    c, s = running_stream(daemon, provider)
    c.send("sys.shutdown", {"grace_ms": 300})
    a = c.collect(s)
    assert a.code == "shutting_down" and a.last["partial"] is True
    assert daemon.wait_exit() == 0


def test_F36_hangup_touches_no_stream(daemon, provider):
    import threading
    from harness.provider import Wait
    gate = threading.Event()
    provider.script([head(chunked=True), chunk(piece({"content": "a"})), Wait(gate)] + stream("b")[1:])
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        s = c.call("prompt.start", text="x", ref=ref)["stream"]
        c.event("prompt.event", type="delta")
        for _ in range(5):
            daemon.signal(signal.SIGHUP)
            time.sleep(0.05)
        gate.set()
        assert c.collect(s).ok


def test_F38_a_client_that_closes_during_a_write(daemon, provider):
    provider.default = stream(*["text " * 200] * 200)
    ref = daemon.add_provider(provider)
    for _ in range(20):
        c = daemon.rpc()
        c.send("prompt.start", {"text": "x", "ref": ref})
        time.sleep(0.01)
        c.close()
    with daemon.rpc() as c:
        c.call("sys.ping")
    assert int(next(l for l in open(f"/proc/{daemon.pid}/status") if l.startswith("SigIgn")).split()[1], 16) & (1 << (signal.SIGPIPE - 1))


def test_shutdown_if_idle(daemon, provider):
    c, s = running_stream(daemon, provider)
    with pytest.raises(Exception) as e:
        c.call("sys.shutdown", if_idle=True)
    assert e.value.code == "busy"
    c.call("prompt.cancel", stream=s)
    c.collect(s)
    c.call("sys.shutdown", if_idle=True)
    assert daemon.wait_exit() == 0


def test_idle_daemon_does_not_wake_up(daemon):
    """0 wake-ups per second when idle: no voluntary context switch in two seconds."""
    with daemon.rpc() as c:
        c.call("sys.ping")
        time.sleep(1.2)

        def switches():
            return sum(int(l.split()[1]) for l in open(f"/proc/{daemon.pid}/status") if "ctxt_switches" in l)

        before = switches()
        time.sleep(2)
        assert switches() - before == 0


def test_stop_and_restart_by_mpc(daemon):
    daemon.mpc("daemon", "stop", check=0)
    assert daemon.wait_exit() == 0
    daemon.mpc("daemon", "start", check=0)
    pid = int((daemon.socket.parent / "pid").read_text())
    daemon.mpc("daemon", "restart", check=0)
    assert int((daemon.socket.parent / "pid").read_text()) != pid
    daemon.mpc("daemon", "stop", "--now", check=0)
    deadline = time.monotonic() + 5
    while daemon.socket.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not daemon.socket.exists()
