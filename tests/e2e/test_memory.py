"""What stays in the daemon's memory when a key is not needed any more: F113.

Runs on programs without sanitizers (the test plain.programs builds them), since those bring an allocator of their own.
`unwiped` is the same daemon without server/wiping.c: there the search must find something, or it proves nothing."""
import os
import pathlib
import secrets
import time

import pytest

from harness.daemon import Daemon
from harness.memory import copies, pieces
from harness.provider import Provider, certificate, reply, stream
from harness.rpc import RpcError

PLAIN = pathlib.Path(os.environ.get("MPD_PLAIN_DIR", "build/dev/plain"))
BUILDS = {"wiped": PLAIN / "bin" / "modelpd", "unwiped": PLAIN / "unwiped" / "modelpd"}


@pytest.fixture
def start():
    made = []

    def one(build):
        made.append(Daemon(start=False))
        made[-1].program = BUILDS[build]
        return made[-1].start()

    yield one
    for d in made:
        d.close()


@pytest.fixture(params=["http", "https"])
def server(request, tmp_path):
    p = Provider(tls=certificate(tmp_path) if request.param == "https" else None)
    p.ca_file = str(tmp_path / "cert.pem") if p.tls else None
    yield p
    p.close()


def new_key():
    return "sk-" + secrets.token_urlsafe(48)


def add(c, server, name, key, label=None):
    more = {"ca_file": server.ca_file} if server.ca_file else {}
    c.call("provider.add", name=name, base_url=server.url, type="local", auth_type="optional-key", dialect="openai-chat", **more)
    c.call("key.set", provider=name, secret=key, **({"label": label} if label else {}))


def use(c, server, name):
    """Answers, a refusal that quotes the key, a check and a list: all that sends a key."""
    for _ in range(3):
        assert c.prompt("x", ref=f"{name}:m1").ok
    sent = server.chats[-1].header("authorization").split()[1]
    server.script(reply(401, {"error": {"message": f"wrong key {sent}"}}), stream("a", "b", pause=0.05))
    assert c.prompt("x", ref=f"{name}:m1").code == "auth_rejected"
    assert c.prompt("x", ref=f"{name}:m1").ok
    c.call("provider.check", name=name)
    with pytest.raises(RpcError):
        c.call("prompt.start", text="x", ref="nobody:m1")
    return sent


def settle(d, keys, seconds=3):
    """What is left of the keys once the loop has let go of what it lets go of at the end of a tick."""
    deadline = time.monotonic() + seconds
    while True:
        left = [x for k in keys for x in copies(d.pid, k)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def test_F113_no_copy_of_a_key_is_left(start, server):
    d, keys = start("wiped"), [new_key() for _ in range(3)]
    with d.rpc() as c:
        for i, k in enumerate(keys):
            add(c, server, f"p{i}", k)
            assert use(c, server, f"p{i}") == k
        # streams have ended: each key lies once, in memory that is kept for keys
        time.sleep(0.3)
        for k in keys:
            lies = copies(d.pid, k)
            assert len(lies) == len(pieces(k)) and not [x for x in lies if x[2]], lies
        # replaced, deleted, and gone with its provider
        other = new_key()
        c.call("key.set", provider="p0", secret=other)
        assert c.prompt("x", ref="p0:m1").ok
        c.call("key.delete", provider="p1")
        c.call("provider.remove", name="p2", cascade=True)
        assert settle(d, keys) == []
        c.call("key.delete", provider="p0")
        assert settle(d, [other]) == []


def test_F113_after_lock_there_is_none(start, server):
    """Stored ones, one that a command printed, one of a file, one of the environment."""
    d, keys = start("wiped"), {n: new_key() for n in ("stored", "command", "file", "env")}
    held = d.root / "held"
    held.write_text(keys["command"] + "\n")
    of_file = d.root / "of-file"
    of_file.write_text(keys["file"])
    of_file.chmod(0o600)
    d.stop()
    d.env["LAB_API_KEY"] = keys["env"]
    d.start()
    sources = {"command": {"command": f"cat {held}"}, "file": {"file": str(of_file)}, "env": {"env": "LAB_API_KEY"}}
    with d.rpc() as c:
        for name, key in keys.items():
            add(c, server, name, new_key() if name in sources else key)
            if name in sources:
                c.call("key.set", provider=name, source=sources[name])
    d.restart()
    with d.rpc() as c:
        for name, key in keys.items():
            assert use(c, server, name) == key
        assert all(copies(d.pid, k) for k in keys.values())
        c.call("vault.lock")
        # whoever reads memory right after the answer finds nothing
        assert [x for k in keys.values() for x in copies(d.pid, k)] == []
        assert c.prompt("x", ref="stored:m1").code == "locked"
        c.call("vault.unlock")
        for name, key in keys.items():
            assert c.prompt("x", ref=f"{name}:m1").ok
            assert server.chats[-1].header("authorization") == f"Bearer {key}"
        c.call("vault.lock")
        assert settle(d, keys.values()) == []


def test_F113_without_wiping_the_search_finds_some(start, server):
    d, keys = start("unwiped"), [new_key() for _ in range(6)]
    with d.rpc() as c:
        for i, k in enumerate(keys):
            add(c, server, f"p{i}", k)
            # of different lengths, so that one does not by chance lie where the next is put
            assert c.prompt("x" * (3000 * i + 1), ref=f"p{i}:m1").ok
        for i in range(len(keys)):
            c.call("key.delete", provider=f"p{i}")
        assert len(settle(d, keys, 0.5)) >= 1


def test_F113_a_key_that_came_by_mpc(start, server):
    d, key = start("wiped"), new_key()
    d.mpc("provider", "add", "p", "--url", server.url, "--type", "local", "--auth", "optional-key", "--dialect", "openai-chat", check=0)
    d.mpc("key", "set", "p", "--stdin", "--no-check", input=key.encode() + b"\n", check=0)
    d.mpc("key", "delete", "p", "--yes", check=0)
    assert settle(d, [key]) == []
