"""Fallback along a chain: which target is asked, what the caller hears, and that nothing is ever mixed.

Every class of failure at every place of an answer is in test_fallback_table.py."""
import time

import pytest

from harness.lab import GOOD, ROLE, RULES, WHOLE, Lab, error, error_event, fallbacks, kinds, refusal, starts
from harness.provider import Close, Hang, Reset, Sleep, chunk, head, piece, reply, stream
from harness.rpc import RpcError

KEY = "sk-test-" + "0" * 24
OVERLOADED_IN_THE_PREAMBLE = [head(chunked=True), ROLE, error_event(RULES["overloaded"][1]), b"0\r\n\r\n"]


@pytest.fixture(scope="module")
def lab():
    made = Lab()
    yield made
    made.close()


def test_F82_a_rejected_key_falls_back_only_if_allowed(lab):
    bad = refusal("auth")
    lab.chain(bad, GOOD)
    assert lab.rpc.prompt("hi", ref="@c").code == "auth_rejected" and lab.asked() == [1, 0]
    lab.chain(bad, GOOD, on=["auth_rejected"])
    a = lab.rpc.prompt("hi", ref="@c")
    assert a.text == "good answer" and lab.asked() == [1, 1]


def test_F82_the_key_is_suspect_not_gone(daemon, make_provider):
    a, b = make_provider(default=refusal("auth")), make_provider()
    refs = [daemon.add_provider(a, name="a", key=KEY + "aaaa"), daemon.add_provider(b, name="b", key=KEY + "bbbb")]
    with daemon.rpc() as c:
        c.call("chain.set", name="c", refs=refs, on=["auth_rejected"])
        assert c.prompt("hi", ref="@c").ok
        [key] = c.call("key.status", provider="a")["keys"]
        assert key["code"] == "auth_rejected" and key["last4"] == "aaaa"
        assert len(a.chats) == 1


def test_F86_each_key_is_seen_by_its_origin_alone(daemon, make_provider):
    made = {x: make_provider(default=script)
            for x, script in zip("abcd", (refusal("server"), refusal("overloaded"), [Reset()], None))}
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
    lab.chain(OVERLOADED_IN_THE_PREAMBLE, GOOD)
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
        lab.chain(GOOD if claude_first else refusal("overloaded"))
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


def test_a_whole_answer_that_ended_with_an_error_is_none(lab):
    """Nobody has heard what it says before: the next target is asked."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "half"}, "finish_reason": "error"}
    lab.chain(reply(200, {"id": "x", "choices": [choice], "usage": {"prompt_tokens": 70, "completion_tokens": 1}}), WHOLE)
    a = lab.rpc.prompt("hi", ref="@c", options={"stream": False}).check_grammar()
    assert a.text == "good answer" and fallbacks(a) == [("a", "b", "server")]
    assert [(r["outcome"], r["counts"], r["input_tokens"], r["output_tokens"]) for r in lab.new_rows()] == \
        [("server", "reported", 70, 1), ("done", "reported", 1, 2)]


def test_an_answer_without_a_word_still_tells_its_usage(lab):
    """Nothing was delivered when it ends: what was held back goes out before the end."""
    lab.chain(stream())
    a = lab.rpc.prompt("hi", ref="@c").check_grammar()
    assert kinds(a) == ["start", "usage", "done"] and a.events[1]["output_tokens"] == a.last["usage"]["output_tokens"] == 3


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
    lab.chain(OVERLOADED_IN_THE_PREAMBLE, refusal("rate_limit"), GOOD)
    r = lab.daemon.mpc("p", "-m", "@c", "hi", check=0)
    a, b, c = lab.names
    assert r.out == "good answer\n"
    assert r.err == f"↪ {a} overloaded, continuing with @c[2] {b}:m\n↪ {b} rate limited, continuing with @c[3] {c}:m\n"
    assert lab.daemon.mpc("p", "-q", "-m", "@c", "hi", check=0).err == ""
    lab.chain(*[refusal("quota")] * 3)
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
        steps.append(error_event(body))
    elif kind == "garbage":
        steps.append(chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\n\n"))
    elif kind == "cut":
        steps.append(b"0\r\n\r\n")
    if rng.random() < 0.5:
        steps.insert(-1, Sleep(0.003))
    return steps + [Reset() if kind == "reset" else Close()], None


def test_never_mixed_never_a_success_without_an_end_and_a_row_for_every_try(lab, rng):
    """Random targets, streamed or whole: text is of one target alone, whole when it is a success, and every try was told
    and is in the ledger."""
    seen = {"ok": 0, "failed": 0, "partial": 0, "fell": 0}
    for _ in range(100):
        made = [behave(rng, x) for x in "abc"]
        lab.chain(*(m[0] for m in made))
        # a server that streams although it was asked for the whole is understood, too
        a = lab.rpc.prompt("hi", ref="@c", options={"stream": rng.random() < 0.5}).check_grammar()
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
        rows = lab.new_rows()
        assert [(r["provider"][-1], r["attempt"]) for r in rows] == tries and len({r["call"] for r in rows}) == 1
        assert [r["outcome"] == "done" for r in rows] == [False] * (len(rows) - 1) + [a.ok]
        assert all("first_token_ms" not in r for r in rows[:-1])
    assert min(seen.values()) > 3, seen
