"""What providers say is left: Provider.limits, the status behind a wall, and the news of it."""
import itertools
import time

from harness.provider import reply, stream

MESSAGE = {"type": "message", "id": "msg_1", "role": "assistant", "model": "m1", "stop_reason": "end_turn",
           "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 1, "output_tokens": 1}}


def answered(**headers):
    """An ordinary answer with these headers; x_ratelimit_limit_requests="9" is x-ratelimit-limit-requests: 9."""
    first, *rest = stream("hi")
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items()).encode()
    return [first.replace(b"\r\n\r\n", b"\r\n" + lines + b"\r\n"), *rest]


def get(c, name="scripted"):
    return c.call("provider.get", name=name)


def test_headers_of_an_answer_are_in_the_object(daemon, provider):
    provider.script(answered(x_ratelimit_limit_requests=60, x_ratelimit_remaining_requests=59,
                             x_ratelimit_reset_requests="1s", x_ratelimit_remaining_tokens=1234))
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        assert "limits" not in get(c)
        before = time.time() * 1000
        assert c.prompt("hi", ref=ref).ok
        p = get(c)
    requests, tokens = p["limits"]
    assert p["status"] in ("active", "available")
    assert (requests["name"], requests["limit"], requests["remaining"]) == ("requests", 60, 59)
    assert before - 1 <= requests["at_ms"] <= time.time() * 1000
    assert requests["resets_ms"] == requests["at_ms"] + 1000
    assert tokens == {"name": "tokens", "remaining": 1234, "at_ms": requests["at_ms"]}


def test_nothing_left_is_rate_limited_until_the_reset(daemon, provider):
    provider.script(answered(x_ratelimit_limit_requests=60, x_ratelimit_remaining_requests=0,
                             x_ratelimit_reset_requests="3s"))
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        assert c.prompt("hi", ref=ref).ok
        p = get(c)
        assert p["status"] == "rate-limited" and p["status_code"] == "rate_limited"
        assert p["status_until_ms"] == p["limits"][0]["resets_ms"] == p["limits"][0]["at_ms"] + 3000
        time.sleep(max(0, p["status_until_ms"] / 1000 - time.time()) + 0.05)
        p = get(c)
        assert p["status"] in ("active", "available") and "status_until_ms" not in p


def test_a_refusal_with_a_reset(daemon, provider):
    provider.default = reply(429, {"error": {"message": "slow down", "type": "rate_limit_exceeded"}}, extra=[
        ("retry-after", "600"), ("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "10m0s")])
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref)
        assert a.code == "rate_limited" and a.last["retry_after_ms"] >= 600000
        p = get(c)
    assert p["status"] == "rate-limited"
    tokens = p["limits"][0]
    assert tokens["name"] == "tokens" and tokens["resets_ms"] == tokens["at_ms"] + 600000 == p["status_until_ms"]


def test_news_of_counting_come_at_most_once_a_second(daemon, provider):
    ref = daemon.add_provider(provider)
    left = itertools.count(1000000, -1)
    provider.default = lambda r: answered(x_ratelimit_remaining_requests=next(left))
    with daemon.rpc() as c, daemon.rpc() as listener:
        listener.call("state.subscribe", topics=["providers"])
        began = time.monotonic()
        while time.monotonic() - began < 1.5:
            assert c.prompt("hi", ref=ref).ok
        took = time.monotonic() - began
        asked = len(provider.chats)
        listener.call("sys.ping")
        news = [e for n, e in listener.events if n == "state.event" and e["cause"].get("reason") == "limits"]
    assert all((e["topic"], e["op"], e["key"]) == ("providers", "update", "scripted") for e in news)
    assert asked > 3 and 1 <= len(news) <= 1 + int(took), (asked, took)


def test_a_wall_is_told_at_once(daemon, provider):
    provider.script(answered(x_ratelimit_remaining_requests=5),
                    answered(x_ratelimit_remaining_requests=0, x_ratelimit_reset_requests="60s"))
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        c.call("state.subscribe", topics=["providers"])
        for _ in range(2):
            assert c.prompt("hi", ref=ref).ok
        c.call("sys.ping")
        news = [e for n, e in c.events if n == "state.event" and e["cause"].get("reason") == "limits"]
    assert len(news) == 2


def test_windows_of_a_plan(daemon, provider):
    resets = int(time.time()) + 3600
    unified = "anthropic-ratelimit-unified-"
    provider.default = reply(200, MESSAGE, extra=[
        (unified + "status", "allowed_warning"), (unified + "5h-status", "allowed_warning"),
        (unified + "5h-utilization", "0.93"), (unified + "5h-reset", resets), (unified + "7d-status", "allowed"),
        (unified + "7d-utilization", "0.3"), (unified + "7d-reset", resets + 86400)])
    daemon.mpc("provider", "add", "claude", "--url", provider.url, "--type", "local", "--auth", "none",
               "--dialect", "anthropic-messages", check=0)
    with daemon.rpc() as c:
        assert c.prompt("hi", ref="claude:m1", options={"stream": False}).ok
        p = get(c, "claude")
        assert p["status"] != "rate-limited"
        windows = {w["name"]: (w["used_permille"], w["resets_ms"], "rejected" in w) for w in p["limits"]}
        assert windows == {"5h": (930, resets * 1000, False), "7d": (300, (resets + 86400) * 1000, False)}
        assert "available, 93 % of window used" in daemon.mpc("providers", check=0).out
        provider.default = reply(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "full"}},
                                 extra=[(unified + "status", "rejected"), (unified + "5h-status", "rejected"),
                                        (unified + "5h-utilization", "1.0"), (unified + "5h-reset", resets)])
        assert c.prompt("hi", ref="claude:m1").code == "quota_exceeded"
        p = get(c, "claude")
    assert p["status"] == "rate-limited" and p["status_until_ms"] == resets * 1000
    assert [w["name"] for w in p["limits"] if w.get("rejected")] == ["5h"]


def test_absurd_headers_are_ignored(daemon, provider):
    provider.script(answered(x_ratelimit_limit_requests="-1", x_ratelimit_remaining_requests="1e99",
                             x_ratelimit_remaining_tokens="9" * 40, x_ratelimit_reset_tokens="\xff"),
                    answered(x_ratelimit_remaining_requests=0, x_ratelimit_reset_requests="9999999999"))
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        assert c.prompt("hi", ref=ref).ok
        assert "limits" not in get(c)
        assert c.prompt("hi", ref=ref).ok
        p = get(c)
    # a wall, but not one for centuries
    assert "resets_ms" not in p["limits"][0]
    assert p["status"] == "rate-limited" and p["status_until_ms"] == p["limits"][0]["at_ms"] + 60000


def test_what_one_key_has_used_up_closes_no_other(daemon, provider):
    """With the key "work" nothing is left: whoever uses that one waits, the usual key serves on."""
    work = "Bearer sk-work-000000000000000000000002"
    full = answered(x_ratelimit_limit_requests=60, x_ratelimit_remaining_requests=0, x_ratelimit_reset_requests="50s")
    provider.default = lambda r: full if r.header("authorization") == work else stream("Hello from the provider.")
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        c.call("provider.update", name="scripted", set={"auth_type": "api-key"})
        c.call("key.set", provider="scripted", secret="sk-usual-00000000000000000000001")
        c.call("key.set", provider="scripted", label="work", secret=work.split()[1])
        c.call("chain.set", name="usual", refs=[ref, "echo:x"])
        c.call("chain.set", name="default", refs=["echo:y"])
        c.call("route.set", ref=ref, label="work")
        assert c.prompt("hi").text == "hi"
        p = get(c)
        assert p["status"] in ("active", "available") and "limits" not in p
        usual, other = c.call("key.status", provider="scripted")["keys"]
        assert "limits" not in usual and other["limits"][0]["remaining"] == 0
        # the live choice is that key: it is passed over before it refuses
        assert c.call("route.get")["active"]["ref"] == "echo:y"
        assert "the limit of requests is used up" in str(c.call("route.get"))
        assert c.prompt("from echo").text == "from echo"
        # a chain uses the usual key
        assert c.prompt("hi", ref="@usual").text == "Hello from the provider."
        # another key in its place starts afresh
        c.call("key.set", provider="scripted", label="work", secret="sk-fresh-00000000000000000000003")
        assert c.call("route.get")["active"]["ref"] == ref
