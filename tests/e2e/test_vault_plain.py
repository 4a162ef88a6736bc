"""What a sanitizer hides of the vault: F30 (its mlock does nothing, successfully) and the figure of F104.

Runs on programs without sanitizers (the test plain.programs builds them)."""
import ctypes
import os
import pathlib
import resource
import threading
import time

import pytest

from harness.daemon import Daemon
from harness.rpc import RpcError

PLAIN = pathlib.Path(os.environ.get("MPD_PLAIN_DIR", "build/dev/plain")) / "bin" / "modelpd"
WORDS = "correct horse battery staple"


@pytest.fixture
def plain():
    d = Daemon(start=False)
    d.program = PLAIN
    yield d
    d.close()


def without_locked_memory():
    """Not even root's: the limit is 0 and the capability to pass it is dropped for what is started."""
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
    if os.geteuid() == 0:
        assert ctypes.CDLL(None, use_errno=True).prctl(24, 14, 0, 0, 0) == 0  # PR_CAPBSET_DROP, CAP_IPC_LOCK


def locked_kb(d):
    """What the kernel says: a daemon hides its own maps, its status it does not."""
    with open(f"/proc/{d.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmLck:"))


def says_locked(d):
    with d.rpc() as c:
        said = {c.call("sys.info")["memory"]["memory_locked"], c.call("vault.status")["memory_locked"]}
    assert len(said) == 1
    return said.pop()


def test_F30_without_locked_memory_it_works_and_says_so_once(plain, provider):
    plain.start(preexec=without_locked_memory)
    ref = plain.add_provider(provider, key="sk-first-0123456789abcdef")
    assert says_locked(plain) is False and locked_kb(plain) == 0
    with plain.rpc() as c:
        assert c.prompt("x", ref=ref).ok
        c.call("vault.lock")
        c.call("vault.unlock")
        assert c.prompt("x", ref=ref).ok
    assert says_locked(plain) is False
    assert "may be swapped out" in plain.mpc("doctor").out
    assert plain.log().count("memory cannot be locked") == 1


def test_F30_with_locked_memory_nothing_is_said(plain, provider):
    plain.start()
    ref = plain.add_provider(provider, key="sk-first-0123456789abcdef")
    assert says_locked(plain) is True and locked_kb(plain) > 0
    with plain.rpc() as c:
        assert c.prompt("x", ref=ref).ok
    assert "may be swapped out" not in plain.mpc("doctor").out
    assert "memory cannot be locked" not in plain.log()


def test_F104_the_loop_turns_during_the_derivation(plain):
    plain.start()
    times, wrong, stop = [], [], threading.Event()
    with plain.rpc() as c, plain.rpc() as other:
        c.call("vault.passwd", new=WORDS)

        def derive():
            try:
                for words in (WORDS, "not these words", WORDS):
                    c.call("vault.lock")
                    try:
                        c.call("vault.unlock", passphrase=words)
                    except RpcError as e:
                        wrong.append(e.code)
            finally:
                stop.set()

        worker = threading.Thread(target=derive)
        worker.start()
        while not stop.is_set():
            start = time.monotonic()
            other.call("sys.ping")
            times.append(time.monotonic() - start)
            time.sleep(0.002)
        worker.join()
        assert wrong == ["not_permitted"] and c.call("vault.status")["locked"] is False
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    print(f"{len(times)} pings during three derivations: p99 {p99 * 1000:.1f} ms, worst {times[-1] * 1000:.1f} ms")
    assert len(times) > 100 and p99 <= 0.020
