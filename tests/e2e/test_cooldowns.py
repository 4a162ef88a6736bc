"""What has just failed is left alone for a while: passed over with the reason, returned to when the time is over."""
import json
import time

import pytest

from harness.daemon import Clock
from harness.provider import reply, stream


def refuse(status, message="no", wait=None, **more):
    return reply(status, {"error": {"message": message, **more}}, extra=[("Retry-After", str(wait))] if wait else [])


SLOW = refuse(429, "slow down", wait=600, code="rate_limit_exceeded")


@pytest.fixture
def pair(daemon, make_provider):
    """A primary that can be told to fail, and one behind it."""
    a, b = make_provider(), make_provider(default=stream("from b"))
    a.default = stream("from a")
    refs = [daemon.add_provider(a, name="a", key="sk-a-0123456789abcdef"), daemon.add_provider(b, name="b")]
    with daemon.rpc() as c:
        c.call("chain.set", name="c", refs=refs)
        c.call("route.set", ref="@c")
    return daemon, a, b


def ask(d, **params):
    with d.rpc() as c:
        return c.prompt("hi", **params).check_grammar()


def told(d):
    with d.rpc() as c:
        got = c.call("route.get")
        return got["active"]["ref"], [t.get("code") for t in got["chain"]["targets"]]


def test_F81_a_stated_wait_is_kept_and_survives(pair):
    d, a, b = pair
    a.default = SLOW
    with d.rpc() as listener:
        listener.call("state.subscribe", topics=["route"])
        assert ask(d).text == "from b"
        value = listener.event("state.event", topic="route")["value"]
        assert value["ref"] == "b:m1" and value["position"] == 2
    assert told(d) == ("b:m1", ["rate_limited", None])
    again = ask(d)
    assert again.text == "from b" and len(a.chats) == 1  # not asked
    [f] = [e for e in again.events if e["type"] == "fallback"]
    assert (f["from"], f["to"], f["code"], f["passed"]) == ("a:m1", "b:m1", "rate_limited", True)
    out = d.mpc("which", check=0).out
    assert "passed over: left alone after a failure (rate_limit), for " in out
    assert "still rate limited, continuing with @c[2] b:m1" in d.mpc("p", "hi", check=0).err
    time.sleep(0.8)  # it is written a moment later
    with d.rpc() as c:
        until = c.call("route.get", ref="@c")["chain"]["targets"][0]["until_ms"]
    d.kill()
    d.start()
    with d.rpc() as c:
        [p] = [p for p in c.call("provider.list")["providers"] if p["name"] == "a"]
    assert p["status"] == "rate-limited" and "(rate_limit)" in p["status_message"]
    assert abs(p["status_until_ms"] - until) <= 2
    assert told(d) == ("b:m1", ["rate_limited", None])
    assert ask(d).text == "from b" and len(a.chats) == 1
    # who names it, asks it
    assert ask(d, ref="a:m1").code == "rate_limited" and len(a.chats) == 2


def test_the_route_returns_when_the_time_is_over(make_daemon, make_provider, tmp_path):
    clock = Clock(tmp_path)
    d = make_daemon(env=clock.env)
    a, b = make_provider(default=SLOW), make_provider(default=stream("from b"))
    d.add_provider(a, name="a"), d.add_provider(b, name="b")
    with d.rpc() as c:
        c.call("chain.set", name="default", refs=["b:m1"])
        c.call("route.set", ref="a:m1")
    assert ask(d).text == "from b" and told(d)[0] == "b:m1"
    a.default = stream("from a")
    clock.set(wall=3600, boot=3600)
    assert told(d) == ("a:m1", [None, None])
    assert ask(d).text == "from a" and ask(d).text == "from a"


def test_F83_the_circuit_opens_tries_one_and_closes(make_daemon, make_provider, tmp_path):
    clock = Clock(tmp_path)
    d = make_daemon(env=clock.env)
    a, b = make_provider(), make_provider(default=stream("from b"))
    d.add_provider(a, name="a"), d.add_provider(b, name="b")
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=["a:m1", "b:m1"])
        c.call("route.set", ref="@c")
    for n, status in enumerate((500, 502, 500), 1):
        a.default = refuse(status)
        assert told(d)[0] == "a:m1"  # two in a row say nothing yet
        assert ask(d).text == "from b" and len(a.chats) == n
    assert told(d) == ("b:m1", ["provider_unavailable", None])
    assert ask(d).text == "from b" and len(a.chats) == 3
    # half open: one is let through, the others pass while it tries
    clock.set(wall=31, boot=31)
    a.default = stream("from a", first=1.0)
    with d.rpc() as c:
        first = c.call("prompt.start", text="hi")["stream"]
        c.event("prompt.event", type="start", stream=first)
        assert ask(d).text == "from b" and len(a.chats) == 4
        assert c.collect(first).text == "from a"
    assert told(d) == ("a:m1", [None, None])
    a.default = refuse(500)  # it failed once: closed again means counted from the beginning
    assert ask(d).text == "from b" and told(d)[0] == "a:m1"


def test_F83_a_trial_that_fails_opens_it_for_longer(make_daemon, make_provider, tmp_path):
    clock = Clock(tmp_path)
    d = make_daemon(env=clock.env)
    a, b = make_provider(default=refuse(503, "overloaded", code="server_is_overloaded")), make_provider(default=stream("from b"))
    d.add_provider(a, name="a"), d.add_provider(b, name="b")
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=["a:m1", "b:m1"])
        c.call("route.set", ref="@c")
    offset = 0
    for n, span in enumerate((30, 60, 120), 1):
        assert ask(d).text == "from b" and len(a.chats) == n
        offset += span - 10
        clock.set(wall=offset, boot=offset)
        assert ask(d).text == "from b" and len(a.chats) == n, span
        offset += 11
        clock.set(wall=offset, boot=offset)


def test_a_check_opens_nothing(pair):
    d, a, b = pair
    a.default, a.models = SLOW, lambda r: SLOW
    with d.rpc() as c:
        for _ in range(4):
            assert not c.call("provider.check", name="a:m1", deep=True)["ok"]
    assert told(d)[0] == "a:m1"


def test_another_key_or_address_is_another_chance(pair):
    d, a, b = pair
    for change in (lambda: d.mpc("key", "set", "a", "--stdin", "--no-check", "--yes", input=b"sk-a-another-0123456789\n", check=0),
                   lambda: d.mpc("provider", "set", "a", f"url={a.url}/", check=0)):
        a.default = SLOW
        assert ask(d).text == "from b" and told(d)[0] == "b:m1"
        a.default = stream("from a")
        change()
        assert told(d)[0] == "a:m1" and ask(d).text == "from a"
        break


def test_only_what_failed_is_left_alone(daemon, make_provider):
    """Another model of the same provider is asked; a rejected key is passed over only where that may fall back."""
    a = make_provider(default=lambda r: SLOW if r.json["model"] == "m1" else stream("other"))
    daemon.add_provider(a, name="a", key="sk-a-0123456789abcdef")
    with daemon.rpc() as c:
        c.call("chain.set", name="c", refs=["a:m1", "a:m2"])
        assert c.prompt("hi", ref="@c").text == "other"
        assert [t.get("code") for t in c.call("chain.list")["chains"][0]["targets"]] == ["rate_limited", None]
        c.call("chain.set", name="strict", refs=["a:m1", "a:m2"], on=["timeout"])
        assert c.prompt("hi", ref="@strict").code == "rate_limited"


def test_before_the_wall(pair):
    """Nothing is left until the reset: it is passed over before it refuses."""
    d, a, b = pair
    full = stream("from a")
    full[0] = full[0].replace(b"\r\n\r\n", b"\r\nx-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: 0\r\n"
                              b"x-ratelimit-reset-requests: 1h\r\n\r\n")
    a.default = full
    assert ask(d).text == "from a"
    assert told(d) == ("b:m1", ["rate_limited", None])
    assert ask(d).text == "from b" and len(a.chats) == 1
    assert "the limit of requests is used up, for " in d.mpc("which", check=0).out


def test_when_all_have_to_wait(pair):
    d, a, b = pair
    a.default = b.default = SLOW
    assert ask(d).code == "chain_exhausted"
    r = ask(d)
    assert r.code == "chain_exhausted" and 500_000 < r.last["retry_after_ms"] < 700_000
    assert [x.get("passed") for x in r.last["data"]["attempts"]] == [True, True] and len(a.chats) == len(b.chats) == 1
    # a time that is only our guess keeps nobody from the last target there is
    with d.rpc() as c:
        c.call("provider.update", name="b", set={"enabled": False})
        c.call("provider.update", name="b", set={"enabled": True})
    b.default = refuse(503, "overloaded", code="server_is_overloaded")
    ask(d)
    n = len(b.chats)
    b.default = stream("from b")
    assert ask(d).text == "from b" and len(b.chats) == n + 1
