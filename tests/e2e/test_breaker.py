"""The circuit breaker of a target: who tries when it is half open, what never trips it, what it is judged by and how much
of a provider it closes (limits-and-errors.md section 1). What is left alone, and for how long, is in test_cooldowns.py."""
import threading
import time

import msgpack
import pytest

from harness.daemon import Clock
from harness.lab import RULES, refusal
from harness.provider import Close, Reset, Wait, chunk, head, piece, reply, stream

KEY = "sk-a-0123456789abcdef"
OVERLOADED = refusal("overloaded")
CUT = [head(chunked=True), chunk(piece({"content": "half"})), b"0\r\n\r\n"]


class Pair:
    """A primary that can be told to fail, one behind it, and clocks that can be set."""

    def __init__(self, make_daemon, make_provider, folder):
        self.clock = Clock(folder)
        self.daemon = make_daemon("--test-timeouts", "5000", env=self.clock.env)
        self.a, self.b = make_provider(default=stream("from a")), make_provider(default=stream("from b"))
        self.daemon.add_provider(self.a, name="a", key=KEY)
        self.daemon.add_provider(self.b, name="b")
        with self.daemon.rpc() as c:
            c.call("chain.set", name="c", refs=["a:m1", "b:m1"])
            c.call("route.set", ref="@c")

    def ask(self, **params):
        with self.daemon.rpc() as c:
            return c.prompt("hi", **params).check_grammar()

    def active(self):
        with self.daemon.rpc() as c:
            return c.call("route.get")["active"]["ref"]

    def open(self):
        self.a.default = OVERLOADED
        assert self.ask().text == "from b" and self.active() == "b:m1"
        self.a.requests = []

    def later(self, seconds):
        self.clock.set(self.clock.wall + seconds, self.clock.boot + seconds)


@pytest.fixture
def pair(make_daemon, make_provider, tmp_path):
    return Pair(make_daemon, make_provider, tmp_path)


# ---- half open ----

def test_F83_of_many_at_the_same_moment_one_tries(pair):
    pair.open()
    pair.later(31)
    pair.a.default = stream("from a", first=0.3)
    with pair.daemon.rpc() as c:
        first = c.msgid + 1
        c.msgid += 10
        c.send_raw(b"".join(msgpack.packb([0, first + n, "prompt.start", [{"text": "hi"}]]) for n in range(10)))
        answers = [c.collect(c.wait(first + n)["stream"]).check_grammar() for n in range(10)]
    assert sorted(a.text for a in answers) == ["from a"] + ["from b"] * 9
    assert len(pair.a.chats) == 1
    for a in answers:
        [f] = [e for e in a.events if e["type"] == "fallback"] or [None]
        assert (f is None) is (a.text == "from a")
        assert f is None or (f["passed"], f["from"], f["to"]) == (True, "a:m1", "b:m1")
    assert pair.active() == "a:m1"


def test_F83_a_trial_that_fails_opens_it_again_for_all(pair):
    pair.open()
    pair.later(31)
    go = threading.Event()
    pair.a.default = [Wait(go), *OVERLOADED]
    with pair.daemon.rpc() as c:
        trial = c.call("prompt.start", text="hi")["stream"]
        c.event("prompt.event", type="start", stream=trial)
        assert [pair.ask().text for _ in range(3)] == ["from b"] * 3
        go.set()
        assert c.collect(trial).text == "from b"
    assert len(pair.a.chats) == 1 and pair.active() == "b:m1"
    pair.later(31)  # it is open for a minute now
    assert pair.ask().text == "from b" and len(pair.a.chats) == 1
    pair.a.default = stream("from a")
    pair.later(31)
    assert pair.ask().text == "from a" and pair.active() == "a:m1"


@pytest.mark.parametrize("silent", (False, True), ids=("cancelled", "gone"))
def test_F83_a_trial_that_is_cancelled_leaves_its_place_to_the_next(pair, silent):
    pair.open()
    pair.later(31)
    pair.a.default = [Wait(threading.Event())]
    c = pair.daemon.rpc()
    trial = c.call("prompt.start", text="hi")["stream"]
    c.event("prompt.event", type="start", stream=trial)
    assert pair.ask().text == "from b"
    if silent:
        c.close()
    else:
        c.call("prompt.cancel", stream=trial)
        assert c.collect(trial).last["stop"] == "cancelled"
        c.close()
    pair.a.default = stream("from a")
    deadline = time.monotonic() + 5
    while pair.ask().text != "from a":
        assert time.monotonic() < deadline and len(pair.a.chats) == 1
    assert len(pair.a.chats) == 2 and pair.active() == "a:m1"


# ---- what is no call of the user trips nothing, and mends nothing ----

def auxiliary(pair):
    """Everything else that the daemon asks a provider."""
    with pair.daemon.rpc() as c:
        for ask in (lambda: c.call("provider.check", name="a:m1", deep=True), lambda: c.call("provider.check", name="a"),
                    lambda: c.call("model.list", provider="a", refresh=True), lambda: c.call("provider.recognize", base_url=pair.a.url),
                    lambda: c.call("session.start", provider="a", model="m1", secret="sk-test-0123456789abcdef", duration_ms=60000, activate=False)):
            try:
                ask()
            except Exception:  # noqa: BLE001: that they fail is what is tried here
                pass
        c.call("key.status", provider="a")
        c.call("provider.list")


@pytest.mark.parametrize("cls", [c for c in RULES if c != "protocol"])
def test_what_is_no_call_trips_nothing(pair, cls):
    bad = [Reset()] if cls == "network" else refusal(cls)
    pair.a.default = bad
    pair.a.models = lambda r: bad
    for _ in range(3):
        auxiliary(pair)
    assert len(pair.a.requests) >= 9
    with pair.daemon.rpc() as c:
        assert "code" not in c.call("route.get")["chain"]["targets"][0]
    pair.a.default = stream("from a")
    assert pair.active() == "a:m1" and pair.ask().text == "from a"


def test_what_is_no_call_closes_nothing(pair):
    pair.open()
    pair.a.default = stream("from a")
    auxiliary(pair)
    n = len(pair.a.chats)
    assert pair.active() == "b:m1" and pair.ask().text == "from b" and len(pair.a.chats) == n


# ---- judged at the end ----

def test_a_200_that_breaks_off_later_is_a_failure(pair):
    """Three in a row open it, as three refusals would; until each has ended nothing is said of it."""
    go = threading.Event()
    for n in range(3):
        go.clear()
        pair.a.default = [*CUT[:2], Wait(go), *CUT[2:]]
        with pair.daemon.rpc() as c:
            s = c.call("prompt.start", text="hi")["stream"]
            c.event("prompt.event", type="delta", stream=s)
            assert pair.active() == "a:m1"
            go.set()
            assert c.collect(s).last["partial"] is True
        assert pair.active() == ("b:m1" if n == 2 else "a:m1")
    assert pair.ask().text == "from b" and len(pair.a.chats) == 3


def test_an_error_late_in_a_200_counts_when_it_comes(pair):
    go = threading.Event()
    pair.a.default = [*CUT[:2], Wait(go), chunk(b'data: {"error":{"message":"overloaded","code":"server_is_overloaded"}}\n\n'), *CUT[2:]]
    with pair.daemon.rpc() as c:
        s = c.call("prompt.start", text="hi")["stream"]
        c.event("prompt.event", type="delta", stream=s)
        assert pair.active() == "a:m1"
        go.set()
        assert c.collect(s).code == "provider_unavailable"
    assert pair.active() == "b:m1"


def test_a_slow_long_answer_that_ends_well_is_a_success(pair):
    """Two failures, a good one that took its time, two failures: never three in a row."""
    for script, text in ((CUT, "half"), (CUT, "half"), (stream(*["piece "] * 30, pause=0.02, first=0.3), "piece " * 30), (CUT, "half"), (CUT, "half")):
        pair.a.default = script
        assert pair.active() == "a:m1" and pair.ask().text == text
    assert pair.active() == "a:m1"
    pair.ask()
    assert pair.active() == "b:m1"


def test_what_the_caller_ends_says_nothing_of_the_provider(pair):
    """His own patience and a cancel are no failures of it."""
    pair.a.default = [*CUT[:2], Wait(threading.Event())]
    for n in range(4):
        if n % 2:
            assert pair.ask(timeout_ms=150).code == "timeout"
        else:
            with pair.daemon.rpc() as c:
                s = c.call("prompt.start", text="hi")["stream"]
                c.event("prompt.event", type="delta", stream=s)
                c.call("prompt.cancel", stream=s)
                c.collect(s)
        assert pair.active() == "a:m1"


# ---- the way back ----

def test_the_way_back_is_told_without_being_asked(pair):
    """At the reset time the route is the primary's again: listeners hear it at once, and `mpc` shows it."""
    pair.a.default = reply(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, extra=[("Retry-After", "2")])
    with pair.daemon.rpc() as c:
        c.call("state.subscribe", topics=["route"])
        assert pair.ask().text == "from b"
        away = time.monotonic()
        assert c.event("state.event", topic="route")["value"]["ref"] == "b:m1"
        assert "b:m1" in pair.daemon.mpc("which", check=0).out.splitlines()[0]
        event = c.event("state.event", timeout=6, topic="route")
        assert event["value"]["ref"] == "a:m1" and event["cause"]["reason"] == "cooled"
        assert 1.5 < time.monotonic() - away < 3
        assert "a:m1" in pair.daemon.mpc("which", check=0).out.splitlines()[0]
    pair.a.default = stream("from a")
    assert pair.ask().text == "from a"


# ---- the narrowest thing ----

# class: which of these are left alone after a:m1 failed so with the key "one": itself, with the key "two", another model, both
NARROW = {
    "rate_limit": (True, False, False, False),
    "permission": (True, False, False, False),
    "overloaded": (True, True, False, False),
    "not_found": (True, True, False, False),
    "quota": (True, False, True, False),
    "auth": (True, False, True, False),
    "network": (True, True, True, True),
    "bad_request": (False, False, False, False),
    "context_length": (False, False, False, False),
    "content_policy": (False, False, False, False),
}


@pytest.mark.parametrize("cls", NARROW)
def test_no_more_is_left_alone_than_the_failure_speaks_of(pair, cls):
    on = ["auth_rejected", "quota_exceeded", "not_permitted", "not_found", "rate_limited", "provider_unavailable"]
    with pair.daemon.rpc() as c:
        for label in ("one", "two"):
            c.call("key.set", provider="a", label=label, secret=f"{KEY}-{label}")
        c.call("chain.set", name="default", refs=["b:m1"], on=on)
        c.call("route.set", ref="a:m1", label="one")
        pair.a.default = [Reset()] if cls == "network" else refusal(cls)
        c.prompt("hi")
        pair.a.default = stream("from a")
        seen = []
        for ref, label in (("a:m1", "one"), ("a:m1", "two"), ("a:m2", "one"), ("a:m2", "two")):
            c.call("route.set", ref=ref, label=label)
            pair.a.requests = []
            seen.append(c.prompt("hi").text == "from b")
            assert [r.header("authorization") for r in pair.a.chats] == [f"Bearer {KEY}-{label}"] * (not seen[-1])
        # the order of the four is no accident: a good answer ends what it was asked under
    assert tuple(seen) == NARROW[cls]
