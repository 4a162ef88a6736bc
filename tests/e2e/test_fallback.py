"""Fallback along a chain: which target is asked, what the caller hears, and that nothing is ever mixed.

A table: every class of failure x where in the answer it happens x streamed or whole x how many targets of the chain fail
so. What is expected of a case follows from RULES alone."""
import contextlib
import itertools
import json
import sqlite3
import time

import pytest

from harness.daemon import Daemon
from harness.provider import DONE, Close, Hang, Provider, Reset, Sleep, chunk, head, piece, reply, stream
from harness.rpc import RpcError

KEY = "sk-test-" + "0" * 24


def error(message, **more):
    return {"error": {"message": message, **more}}


# class: status and body; the code a client sees; whether the next target is asked by default; how often again
RULES = {
    "rate_limit": (429, error("slow down", code="rate_limit_exceeded"), "rate_limited", True, 2),
    "quota": (429, error("used up", code="insufficient_quota", type="insufficient_quota"), "quota_exceeded", True, 0),
    "overloaded": (503, error("overloaded", code="server_is_overloaded"), "provider_unavailable", True, 2),
    "server": (500, error("oops", type="server_error"), "provider_unavailable", True, 2),
    "timeout": (504, error("too slow", code=504), "timeout", True, 1),
    "auth": (401, error("no", code="invalid_api_key"), "auth_rejected", False, 0),
    "permission": (403, error("not here", code="unsupported_country_region_territory"), "not_permitted", False, 0),
    "not_found": (404, error("no such model", code="model_not_found"), "not_found", False, 0),
    "bad_request": (400, error("bad field", code=400), "upstream_error", False, 0),
    "context_length": (400, error("too long", code="context_length_exceeded"), "upstream_error", False, 0),
    "content_policy": (400, error("no", code="content_policy_violation"), "upstream_error", False, 0),
    "protocol": (None, None, "upstream_error", True, 1),   # the answer is cut off
    "network": (None, None, "provider_unavailable", True, 1),  # the connection is reset
}
POSITIONS = ("before headers", "after 200", "after preamble", "after first token", "at the end")
ROLE = chunk(piece({"role": "assistant", "content": ""}))
EARLY_USAGE = chunk(piece({}, usage={"prompt_tokens": 7, "completion_tokens": 77, "total_tokens": 84}))


def broken(cls, position, whole):
    """The script of a target that fails in this way; None where there is no such thing."""
    status, body, *_ = RULES[cls]
    if cls == "protocol":
        end = [Close()]
    elif cls == "network":
        end = [Reset()]
    else:
        end = [chunk(b"data: " + json.dumps(body).encode() + b"\n\n"), chunk(DONE), b"0\r\n\r\n"]
    if position == "before headers":
        if cls == "protocol":
            return None
        return [Reset()] if cls == "network" else reply(status, body)
    if whole:
        if position != "after 200":
            return None  # a whole answer has no more places
        text = json.dumps({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": "half"}}]})
        if cls in ("protocol", "network"):
            return [head(200, "application/json", length=len(text) + 100) + text.encode(), *end]
        return reply(200, body)
    before = {"after 200": [], "after preamble": [ROLE, EARLY_USAGE], "after first token": [ROLE, chunk(piece({"content": "half"}))],
              "at the end": [ROLE, chunk(piece({"content": "half"})), chunk(piece({"content": " of it"}))]}[position]
    return [head(chunked=True), *before, Sleep(0.02), *end]


WHOLE = reply(200, {"id": "x", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2},
                    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "good answer"}}]})
GOOD = stream("good", " answer")
CASES = [(c, p, w, n) for c, p, w, n in itertools.product(RULES, POSITIONS, (False, True), (1, 2, 3)) if broken(c, p, w) is not None]


class Lab:
    """A daemon and three targets, new for each case: nobody remembers the one before."""

    def __init__(self):
        self.daemon = Daemon("--test-timeouts", "5000")
        self.rpc = self.daemon.rpc()
        self.servers = []
        self.names = []
        self.count = 0

    def close(self):
        self.rpc.close()
        for s in self.servers:
            s.close()
        self.daemon.close()

    def chain(self, *scripts, on=None):
        """Targets that answer with these scripts, always, as chain @c."""
        self.count += 1
        for name in self.names:
            self.rpc.call("provider.remove", name=name, cascade=True)
        self.names = [f"p{self.count}{x}" for x in "abc"[:len(scripts)]]
        for s in self.servers:
            s.close()  # a kept connection that is reset is tried once more by the HTTP client itself
        self.servers = [Provider(default=script) for script in scripts]
        for s, name in zip(self.servers, self.names):
            self.rpc.call("provider.add", name=name, type="local", dialect="openai-chat", auth_type="none", base_url=s.url)
        params = {} if on is None else {"on": on}
        self.rpc.call("chain.set", name="c", refs=[f"{n}:m" for n in self.names], **params)

    def asked(self):
        return [len(s.chats) for s in self.servers[:len(self.names)]]


@pytest.fixture(scope="module")
def lab():
    made = Lab()
    yield made
    made.close()


def fallbacks(answer):
    return [(e["from"].split(":")[0][-1], e["to"].split(":")[0][-1], e.get("class", e["code"])) for e in answer.events if e["type"] == "fallback"]


def starts(answer):
    return [(e["provider"][-1], e["attempt"]) for e in answer.events if e["type"] == "start"]


def seen_as(cls, position):
    """A connection that is reset in the middle of an answer is an answer that is cut off."""
    return "protocol" if cls == "network" and position != "before headers" else cls


def expected(cls, position, failing):
    """The targets in the order they are asked, and how it ends."""
    *_, code, falls, again = RULES[seen_as(cls, position)]
    committed = position in ("after first token", "at the end")
    if committed:
        return "a", code, True
    if not falls:
        return "a", code, False
    if failing < 3:
        return "abc"[:failing + 1], None, False
    # nobody is left: those that may be asked again are, as their waits (which chance spreads) are over
    return "abc" * (1 + again), "chain_exhausted", False


@pytest.mark.parametrize("cls,position,whole,failing", CASES, ids=lambda v: str(v).replace(" ", "-"))
def test_F81_F83_every_failure_everywhere(lab, cls, position, whole, failing):
    bad = broken(cls, position, whole)
    lab.chain(*[bad] * failing, *[WHOLE if whole else GOOD] * (3 - failing))
    order, code, partial = expected(cls, position, failing)
    a = lab.rpc.prompt("hi", ref="@c", options={"stream": not whole}).check_grammar()
    went = "".join(x for x, _ in starts(a))
    assert went[:3] == order[:3] and sorted(went) == sorted(order)
    assert [n for _, n in starts(a)] == list(range(1, len(order) + 1))
    assert lab.asked() == [order.count(x) for x in "abc"]
    # each step from one try to the next is told, with why
    assert fallbacks(a) == [(x, y, seen_as(cls, position)) for x, y in zip(went, went[1:])]
    first = next((i for i, e in enumerate(a.events) if e["type"] in ("delta", "usage")), len(a.events))
    assert all(e["type"] in ("start", "fallback") for e in a.events[:first - 1] if e is not a.last)
    assert not any(e["type"] in ("start", "fallback") for e in a.events[first:])
    if code is None:
        assert a.ok and a.text == "good answer" and a.last["ref"] == f"{lab.names[failing]}:m"
        assert a.last["usage"]["output_tokens"] in (2, 3)
        return
    assert a.code == code and a.last["partial"] is partial
    assert a.text == (("half" if position == "after first token" else "half of it") if partial else "")
    if code == "chain_exhausted":
        assert [x["ref"][-3] for x in a.last["data"]["attempts"]] == list(went)
        assert {x["code"] for x in a.last["data"]["attempts"]} == {RULES[seen_as(cls, position)][2]}
        assert all(n in a.last["message"] for n in lab.names)


def test_every_try_leaves_a_row_in_the_ledger(make_daemon, make_provider):
    d = make_daemon()
    made = {"a": broken("server", "after preamble", False), "b": broken("quota", "before headers", False), "c": GOOD}
    refs = [d.add_provider(make_provider(default=script), name=x) for x, script in made.items()]
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=refs)
        assert c.prompt("hi", ref="@c").text == "good answer"
    d.stop()
    with contextlib.closing(sqlite3.connect(d.data / "usage.db")) as db:
        rows = list(db.execute("SELECT provider, attempt, chain, outcome FROM attempts ORDER BY id"))
    assert [r[:3] for r in rows] == [("a", 1, "c"), ("b", 2, "c"), ("c", 3, "c")] and len({r[3] for r in rows}) == 3


def test_F82_a_rejected_key_falls_back_only_if_allowed(lab):
    bad = broken("auth", "before headers", False)
    lab.chain(bad, GOOD)
    assert lab.rpc.prompt("hi", ref="@c").code == "auth_rejected" and lab.asked() == [1, 0]
    lab.chain(bad, GOOD, on=["auth_rejected"])
    a = lab.rpc.prompt("hi", ref="@c")
    assert a.text == "good answer" and lab.asked() == [1, 1]


def test_F82_the_key_is_suspect_not_gone(daemon, make_provider):
    a, b = make_provider(default=broken("auth", "before headers", False)), make_provider()
    refs = [daemon.add_provider(a, name="a", key=KEY + "aaaa"), daemon.add_provider(b, name="b", key=KEY + "bbbb")]
    with daemon.rpc() as c:
        c.call("chain.set", name="c", refs=refs, on=["auth_rejected"])
        assert c.prompt("hi", ref="@c").ok
        [key] = c.call("key.status", provider="a")["keys"]
        assert key["code"] == "auth_rejected" and key["last4"] == "aaaa"
        assert len(a.chats) == 1


def test_F86_each_key_is_seen_by_its_origin_alone(daemon, make_provider):
    made = {x: make_provider(default=broken(cls, "before headers", False) if cls else None)
            for x, cls in zip("abcd", ("server", "overloaded", "network", None))}
    refs = [daemon.add_provider(p, name=x, key=KEY + x * 4) for x, p in made.items()]
    with daemon.rpc() as c:
        c.call("chain.set", name="c", refs=refs)
        a = c.prompt("hi", ref="@c")
        assert a.ok and a.last["ref"] == "d:m1"
    for x, p in made.items():
        assert p.chats, x
        for r in p.requests:
            assert r.header("authorization") in (None, f"Bearer {KEY}{x * 4}")
            assert not any((KEY + y * 4).encode() in r.raw + r.body for y in made if y != x)


def test_F86_all_down(lab):
    lab.chain(GOOD, GOOD, GOOD)
    for name in lab.names:  # nobody listens there
        lab.rpc.call("provider.update", name=name, set={"base_url": "http://127.0.0.1:9/v1"})
    a = lab.rpc.prompt("hi", ref="@c").check_grammar()
    assert a.code == "chain_exhausted" and [x for x, _ in starts(a)] == ["a", "b", "c"]
    with pytest.raises(RpcError) as e:
        lab.rpc.call("prompt.run", text="hi", ref="@c")
    assert e.value.code == "chain_exhausted" and len(e.value.data["attempts"]) == 3


def test_F86_a_provider_that_went_away_is_passed_over(lab):
    lab.chain(GOOD, GOOD)
    lab.rpc.call("provider.update", name=lab.names[0], set={"enabled": False})
    a = lab.rpc.prompt("hi", ref="@c").check_grammar()
    assert a.ok and starts(a) == [("b", 1)] and fallbacks(a) == [("a", "b", "invalid_state")]
    [f] = [e for e in a.events if e["type"] == "fallback"]
    assert f["passed"] is True and f["chain"] == "c" and f["position"] == 2 and a.events[0] == f
    assert lab.asked() == [0, 1]


def test_the_default_chain_takes_over(lab):
    lab.chain(broken("overloaded", "after preamble", False), GOOD)
    lab.rpc.call("chain.set", name="default", refs=[f"{lab.names[1]}:m"])
    lab.rpc.call("route.set", ref=f"{lab.names[0]}:m")
    try:
        a = lab.rpc.prompt("hi").check_grammar()
        assert a.text == "good answer" and starts(a) == [("a", 1), ("b", 2)]
        assert lab.rpc.call("prompt.run", text="hi")["ref"] == f"{lab.names[1]}:m"
        # named: that one alone, once, and its own failure
        lab.servers[0].requests = []
        assert lab.rpc.prompt("hi", ref=f"{lab.names[0]}:m").code == "provider_unavailable" and lab.asked()[0] == 1
    finally:
        lab.rpc.call("chain.remove", name="default")


def test_F81_a_storm_from_all_ends_soon_and_says_when(lab):
    for wait, told in (("700", (690_000, 780_000)), ("Wed, 01 Jan 2020 00:00:00 GMT", None), ("soon", None), (None, None)):
        extra = [("Retry-After", wait)] if wait else []
        lab.chain(*[reply(429, error("slow down"), extra=extra)] * 3)
        begun = time.monotonic()
        a = lab.rpc.prompt("hi", ref="@c")
        assert a.code == "chain_exhausted" and time.monotonic() - begun < 5
        assert all(n <= 3 for n in lab.asked())
        if told:
            assert lab.asked() == [1, 1, 1] and told[0] < a.last["retry_after_ms"] < told[1]


def test_F81_many_do_not_try_again_at_the_same_moment(make_daemon, make_provider):
    """Waits are spread: of 12 calls that fail together the second tries do not come together."""
    d, p = make_daemon(), make_provider()
    times = []
    p.default = lambda r: times.append(time.monotonic()) or reply(429, error("slow down"))
    d.add_provider(p, name="p")
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=["p:m1", "p:m2"], on=["rate_limited"])
        streams = [c.call("prompt.start", text="hi", ref="@c")["stream"] for _ in range(12)]
        assert all(c.collect(s).code == "chain_exhausted" for s in streams)
    last = sorted(times)[-12:]
    assert 24 <= len(times) <= 36 and last[-1] - last[0] > 0.03, last


def test_a_whole_request_goes_to_the_next_target(lab, make_provider):
    """Endpoint, credential, model and language are swapped together, and what belonged to the first stays there."""
    from test_signatures import MESSAGE, SIGNATURE
    for claude_first in (False, True):
        claude = make_provider()
        lab.chain(GOOD if claude_first else broken("overloaded", "before headers", False))
        first, name = lab.servers[0], f"claude{lab.count}"
        lab.rpc.call("provider.add", name=name, type="local", dialect="anthropic-messages", auth_type="none",
                     base_url=claude.url.removesuffix("/v1"))
        refs = [f"{lab.names[0]}:m", f"{name}:m1"][::-1 if claude_first else 1]
        lab.rpc.call("chain.set", name="c", refs=refs)
        down = reply(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
        claude.also["/"] = (lambda r: down) if claude_first else (lambda r: MESSAGE)
        thought = {"type": "reasoning", "text": "Two.", "signature": SIGNATURE, "signed_by": f"{name}:m1"}
        a = lab.rpc.prompt(ref="@c", options={"extra": {"vendor_member": 7}, "max_tokens": 9}, messages=[
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "rain"}]}, {"role": "user", "content": "and now?"}])
        assert a.ok and a.text == ("good answer" if claude_first else "snow"), a.last
        [openai], [anthropic] = first.chats, [r for r in claude.requests if r.path.endswith("/messages")]
        assert openai.json["model"] == "m" and anthropic.json["model"] == "m1"
        assert SIGNATURE.encode() not in openai.body and SIGNATURE.encode() in anthropic.body
        asked_first, asked_then = (anthropic, openai) if claude_first else (openai, anthropic)
        assert asked_first.json["vendor_member"] == 7 and "vendor_member" not in asked_then.json
        [warning] = [w["message"] for w in a.warnings if "members that were meant" in w["message"]]
        assert refs[0].split(":")[0] in warning


def test_a_cancel_between_two_tries_ends_it(make_daemon, make_provider):
    d = make_daemon()
    p, q = (make_provider(default=reply(429, error("slow down"), extra=[("Retry-After", "4")])) for _ in range(2))
    d.add_provider(p, name="p"), d.add_provider(q, name="q")
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=["p:m1", "q:m1"])
        stream_id = c.call("prompt.start", text="hi", ref="@c")["stream"]
        waits = c.event("prompt.event", type="fallback", to="p:m1")  # now it waits
        assert waits["wait_ms"] > 2000 and len(p.chats) == 1
        assert c.call("prompt.cancel", stream=stream_id)["cancelled"] is True
        a = c.collect(stream_id)
        assert a.last["stop"] == "cancelled"
        time.sleep(0.8)
        assert (len(p.chats), len(q.chats)) == (1, 1)


def test_the_callers_patience_is_for_all_of_it(make_daemon, make_provider):
    d = make_daemon()
    p, q = make_provider(default=[Hang()]), make_provider()
    d.add_provider(p, name="p"), d.add_provider(q, name="q")
    with d.rpc() as c:
        c.call("chain.set", name="c", refs=["p:m1", "q:m1"])
        begun = time.monotonic()
        assert c.prompt("hi", ref="@c", timeout_ms=400).code == "timeout"
        assert time.monotonic() - begun < 2 and q.chats == []


def test_mpc_says_who_answers_instead(lab):
    lab.chain(broken("overloaded", "after preamble", False), broken("rate_limit", "before headers", False), GOOD)
    r = lab.daemon.mpc("p", "-m", "@c", "hi", check=0)
    a, b, c = lab.names
    assert r.out == "good answer\n"
    assert r.err == f"↪ {a} overloaded, continuing with @c[2] {b}:m\n↪ {b} rate limited, continuing with @c[3] {c}:m\n"
    assert lab.daemon.mpc("p", "-q", "-m", "@c", "hi", check=0).err == ""
    lab.chain(*[broken("quota", "before headers", False)] * 3)
    r = lab.daemon.mpc("p", "-m", "@c", "hi", check=6)
    assert r.out == "" and "no target of @c could answer" in r.err and "mpc which @c" in r.err
    r = lab.daemon.mpc("p", "--no-stream", "-m", "@c", "hi", check=6)
    assert "no target of @c could answer" in r.err


# ---- whatever they do ----

def behave(rng, name):
    """Random behaviour whose every piece of text names its target; and the whole text where it ends well."""
    texts = [f"{name}{i}." for i in range(rng.randrange(0, 5))]
    kind = rng.choice(("good", "good", "status", "reset", "cut", "error", "close", "garbage"))
    steps = [head(chunked=True)] if rng.random() < 0.9 or kind == "good" else []
    if steps and rng.random() < 0.7:
        steps.append(ROLE)
    if steps and rng.random() < 0.3:
        steps.append(chunk(b": keep-alive\n\n"))
    if kind == "good":
        texts = texts or [name + "."]
        return stream(*texts, pause=rng.choice((0, 0, 0.005))), "".join(texts)
    if kind == "status" or not steps:
        return reply(*rng.choice([(s, b) for s, b, *_ in RULES.values() if s])), None
    steps += [chunk(piece({"content": t})) for t in texts]
    if kind == "error":
        _, body, *_ = RULES[rng.choice([c for c in RULES if RULES[c][0]])]
        steps.append(chunk(b"data: " + json.dumps(body).encode() + b"\n\n"))
    elif kind == "garbage":
        steps.append(chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\n\n"))
    elif kind == "cut":
        steps.append(b"0\r\n\r\n")
    if rng.random() < 0.5:
        steps.insert(-1, Sleep(0.003))
    return steps + [Reset() if kind == "reset" else Close()], None


def test_F84_never_mixed_never_a_success_without_an_end(lab, rng):
    """Random targets: text is of one target alone, whole when it is a success, and every try was told."""
    seen = {"ok": 0, "failed": 0, "partial": 0, "fell": 0}
    for _ in range(100):
        made = [behave(rng, x) for x in "abc"]
        lab.chain(*(m[0] for m in made))
        a = lab.rpc.prompt("hi", ref="@c").check_grammar()
        speakers = {piece_[0] for piece_ in a.text.split(".") if piece_}
        assert len(speakers) <= 1, (a.text, a.events)
        tries = starts(a)
        assert [n for _, n in tries] == list(range(1, len(tries) + 1)) and len(tries) <= 9
        assert lab.asked() == [sum(x == y for x, _ in tries) for y in "abc"] and max(lab.asked()) <= 3
        if speakers:
            assert tries[-1][0] == speakers.pop()
        if a.ok:
            assert a.text == made["abc".index(tries[-1][0])][1]
            seen["ok"] += 1
        else:
            assert a.last["partial"] is (a.text != "")
            seen["partial" if a.text else "failed"] += 1
        seen["fell"] += len(tries) > 1
    assert min(seen.values()) > 3, seen
