"""FAULTS.md F81 to F84 and F87: providers that refuse, fail by turns, answer somebody else, or sit behind a dead proxy.

Every answer of these providers is the same, so that what is counted holds however often the daemon may try again."""
import email.utils
import json
import time

import pytest

from harness.provider import DONE, chunk, head, piece, reply, stream

KEY = "sk-test-" + "0" * 24 + "f3a9"
DAY = 86400_000
TRIES = 3  # FAULTS.md F81: per provider and request


def prompt(d, ref, **params):
    with d.rpc() as c:
        return c.prompt("hi", ref=ref, **params).check_grammar()


def get(d, name="scripted"):
    with d.rpc() as c:
        return c.call("provider.get", name=name), c.call("key.status", provider=name)["keys"]


# ---- F81: waits ----

def date(seconds):
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


# what Retry-After says: how long the caller is told to wait, in ms; None = it is not told anything
WAITS = {
    "without": (None, None),
    "seconds": ("600", (600_000, 660_000)),
    "a fraction": ("700.5", (700_500, 770_000)),
    "a date": (lambda: date(900), (890_000, 1_000_000)),
    "a past date": (lambda: date(-900), None),
    "a date of 1970": ("Thu, 01 Jan 1970 00:00:00 GMT", None),
    "negative": ("-5", None),
    "garbage": ("soon, or later", None),
    "huge": ("99999999999999999999999", (DAY, DAY * 11 // 10)),
    "a century": ("3153600000", (DAY, DAY * 11 // 10)),
    "not a number": ("NaN", None),
    "hexadecimal": ("0x10", None),
}


@pytest.mark.parametrize("case", WAITS)
def test_F81_a_429_and_its_wait(daemon, provider, case):
    value, wait = WAITS[case]
    value = value() if callable(value) else value
    provider.default = reply(429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}},
                             extra=[("Retry-After", value)] if value else [])
    ref = daemon.add_provider(provider)
    before = time.time() * 1000
    a = prompt(daemon, ref)
    assert a.code == "rate_limited" and a.last["partial"] is False
    assert 1 <= len(provider.chats) <= TRIES
    told = a.last.get("retry_after_ms")
    if wait:
        assert wait[0] <= told <= wait[1]
    else:
        # what cannot be is not said; a moment at the most
        assert told is None or 0 < told <= 60_000
    p, _ = get(daemon)
    until = p.get("status_until_ms", 0)
    assert p["status"] == "rate-limited" and until <= before + DAY * 11 // 10 + 60_000


def test_F81_a_wait_of_nothing_is_a_second(daemon, provider):
    provider.default = reply(429, {"error": {"message": "slow down"}}, extra=[("Retry-After", "0")])
    a = prompt(daemon, daemon.add_provider(provider))
    assert a.code == "rate_limited" and 1 <= len(provider.chats) <= TRIES
    assert a.last["retry_after_ms"] <= 1100


def test_F81_the_larger_of_two_waits(daemon, provider):
    provider.default = reply(429, {"error": {"message": "slow down"}}, extra=[("Retry-After", "600"), ("Retry-After", "1200")])
    a = prompt(daemon, daemon.add_provider(provider))
    assert a.code == "rate_limited" and a.last["retry_after_ms"] >= 600_000


def test_F81_a_storm_from_all_providers(daemon, make_provider):
    """Each request asks its own provider, and nobody else's is asked more often for it."""
    made = [make_provider(default=reply(429, {"error": {"message": "slow down"}}, extra=[("Retry-After", "900")])) for _ in range(4)]
    refs = [daemon.add_provider(p, name=f"p{i}") for i, p in enumerate(made)]
    with daemon.rpc() as c:
        streams = [c.call("prompt.start", text="hi", ref=ref)["stream"] for ref in refs]
        assert [c.collect(s).code for s in streams] == ["rate_limited"] * 4
    assert all(1 <= len(p.chats) <= TRIES for p in made)


# ---- F82: refused keys ----

@pytest.mark.parametrize("status, body, code", [
    (401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, "auth_rejected"),
    (403, {"error": {"message": "Country not supported", "code": "unsupported_country_region_territory"}}, "not_permitted"),
], ids=["401", "403"])
def test_F82_no_second_try_and_the_key_stays(daemon, provider, status, body, code):
    provider.default = reply(status, body)
    ref = daemon.add_provider(provider, key=KEY)
    a = prompt(daemon, ref)
    assert a.code == code and len(provider.chats) == 1, "a refused key is not tried again"
    assert a.last["retryable"] is False and body["error"]["message"] in a.last["message"]
    assert "ending in f3a9" in a.last["hint"]
    p, [key] = get(daemon)
    # the key is under suspicion only where it was the key that was refused; it is there in any case
    assert key.get("code") == ("auth_rejected" if status == 401 else None) and key["last4"] == "f3a9"
    assert p["status"] == "error" and p["status_code"] == code
    # it may be right again: the next prompt goes out with it, and clears it
    provider.default = stream("hello")
    assert prompt(daemon, ref).text == "hello"
    assert provider.chats[-1].header("authorization") == f"Bearer {KEY}"
    p, [key] = get(daemon)
    assert p["status"] == "active" and "code" not in key and key["last_ok_ms"] > 0


def test_F82_the_first_choice_is_asked_and_nobody_else(daemon, provider, make_provider):
    """Without a chain there is no fallback: the other provider never sees the prompt."""
    provider.default = reply(401, {"error": {"message": "no", "code": "invalid_api_key"}})
    other = make_provider()
    daemon.add_provider(other, name="other")
    assert prompt(daemon, daemon.add_provider(provider, key=KEY)).code == "auth_rejected"
    assert other.chats == []


# ---- F83: failures of the server, by turns ----

def test_F83_failures_by_turns(daemon, provider):
    """Each is told as what it is, nothing is delivered twice, and one good answer makes all good."""
    codes = {500: "provider_unavailable", 502: "provider_unavailable", 503: "provider_unavailable", 529: "provider_unavailable"}
    ref = daemon.add_provider(provider)
    for status in [500, 502, 503, 529] * 2:
        provider.default = reply(status, {"error": {"message": f"failure {status}"}})
        before = len(provider.chats)
        a = prompt(daemon, ref)
        assert a.code == codes[status] and a.text == "" and a.last["partial"] is False
        assert f"HTTP {status}" in a.last["message"] and f"failure {status}" in a.last["message"]
        assert len(provider.chats) - before <= TRIES
        assert get(daemon)[0]["status"] == "error"
    provider.default = stream("well again")
    with daemon.rpc() as c:
        deadline = time.monotonic() + 40
        while not (a := c.prompt("hi", ref=ref)).ok:  # whoever waits after failures waits for an end
            assert time.monotonic() < deadline, a.last
            time.sleep(0.2)
    assert a.text == "well again" and get(daemon)[0]["status"] == "active"


# ---- F84: the answer to another request ----

@pytest.mark.parametrize("whole", (False, True), ids=("stream", "whole"))
def test_F84_a_foreign_answer_is_data(daemon, provider, tmp_path, whole):
    """Other ids, another model, a tool nobody offered: told as it came, under our own names; nothing runs."""
    trap = tmp_path / "trap"
    arguments = json.dumps({"command": f"touch {trap}"})
    call = {"tool_calls": [{"index": 0, "id": "call_of_somebody", "type": "function", "function": {"name": "shell", "arguments": arguments}}]}
    other = {"id": "chatcmpl-of-somebody-else", "model": "another-model", "created": -1, "object": "something"}
    body = [piece({"role": "user", "content": "not for you"}, **other), piece(call, **other), piece({}, "tool_calls", **other)]
    provider.default = [head(chunked=True), *map(chunk, body), chunk(DONE), b"0\r\n\r\n"]
    if whole:
        message = {"role": "user", "content": "not for you", **call}
        provider.default = reply(200, {**other, "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})
    ref = daemon.add_provider(provider)
    a = prompt(daemon, ref, options={"stream": not whole})
    assert a.ok and a.text == "not for you" and a.last["stop"] == "tool_call"
    [told] = a.tool_calls
    assert (told["id"], told["name"], told["arguments"]) == ("call_of_somebody", "shell", arguments)
    assert a.start["ref"] == a.last["ref"] == ref and a.start["model"] == "m1"
    time.sleep(0.3)
    assert not trap.exists() and len(provider.chats) == 1
    # and it is nothing that changes what is asked next
    provider.default = stream("ok")
    assert prompt(daemon, ref).ok and provider.chats[-1].json["model"] == "m1"
    assert "tools" not in provider.chats[-1].json and len(provider.chats[-1].json["messages"]) == 1


# ---- F87: proxies ----

def test_F87_the_environments_proxies_are_ignored(make_daemon, provider, make_provider):
    proxy = make_provider(default=reply(502, "proxied"))
    where = f"http://127.0.0.1:{proxy.port}"
    d = make_daemon(env={name: where for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")})
    assert prompt(d, d.add_provider(provider)).ok
    assert proxy.connections == 0 and proxy.requests == []


def test_F87_a_proxy_that_is_down_is_named(daemon, provider):
    ref = daemon.add_provider(provider)
    daemon.mpc("provider", "set", "scripted", "proxy=http://127.0.0.1:1", check=0)
    a = prompt(daemon, ref)
    assert a.code == "provider_unavailable" and f"the proxy of {provider.url[:-3]} does not answer" in a.last["message"]
    assert "proxy=" in a.last["hint"]
    assert provider.chats == []
    daemon.mpc("provider", "set", "scripted", "proxy=", check=0)
    assert prompt(daemon, ref).ok
