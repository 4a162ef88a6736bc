"""OpenRouter's manners: its own members on the wire, errors behind a 200, reasoning that goes back."""
import json

import pytest

from harness.provider import DONE, chunk, head, piece, reply

KEY = "sk-or-v1-" + "0" * 24
EXTRA = {
    "provider": {"order": ["anthropic", "openai"], "allow_fallbacks": False, "max_price": {"prompt": 0.5}},
    "models": ["a/one:free", "b/two"],
    "reasoning": {"max_tokens": 2000, "exclude": False},
    "plugins": [{"id": "web", "max_results": 3}],
    "transforms": ["middle-out"],
    "session_id": "ñ-1",
}
DETAILS = [{"type": "reasoning.text", "text": "Two cities.", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
           {"type": "reasoning.encrypted", "data": "AAAA", "id": "rs_1", "index": 1}]


def add(d, provider, model="a/one"):
    d.mpc("provider", "set", "openrouter", "type=local", f"base_url={provider.url}", check=0)
    d.mpc("key", "set", "openrouter", "--stdin", "--no-check", input=f"{KEY}\n".encode(), check=0)
    return f"openrouter:{model}"


def pieces(*parts):
    return [head(chunked=True), *map(chunk, parts), chunk(DONE), b"0\r\n\r\n"]


def test_extra_members_reach_the_wire_unchanged(daemon, provider):
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        assert c.prompt("hi", ref=ref, options={"extra": EXTRA, "temperature": 0.5}).ok
    sent = provider.chats[0].json
    assert {k: sent[k] for k in EXTRA} == EXTRA
    assert sent["model"] == "a/one" and sent["temperature"] == 0.5
    assert provider.chats[0].header("x-openrouter-title") == "mpd"


@pytest.mark.parametrize("member", ["model", "messages", "stream"])
def test_extra_cannot_replace_the_request(daemon, provider, member):
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref, options={"extra": {member: "x"}})
    assert a.code == "invalid_params" and provider.chats == []


CREDITS = {"code": 402, "message": "Insufficient credits", "metadata": {"error_type": "payment_required"}}


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("body", [
    {"id": "gen-1", "choices": [], "error": CREDITS},
    {"id": "gen-1", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": CREDITS}]},
    {"id": "gen-1", "choices": [{"index": 0, "message": {"content": ""}, "error": CREDITS}]},
], ids=["top", "choice of a stream", "choice of a reply"])
def test_an_error_behind_a_200(daemon, provider, body, streaming):
    provider.default = (pieces(b"data: " + json.dumps(body).encode() + b"\n\n") if streaming else reply(200, body))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref, options={"stream": streaming}).check_grammar()
    assert a.code == "quota_exceeded" and "Insufficient credits" in a.last["message"], a.last
    assert len(provider.chats) == 1


@pytest.mark.parametrize("more, code, words", [
    ({"error": {"code": 429, "message": "Rate limit exceeded", "metadata": {"error_type": "rate_limit_exceeded"}}},
     "rate_limited", "Rate limit exceeded"),
    ({}, "provider_unavailable", "ended its answer with an error"),
], ids=["told", "untold"])
def test_an_error_in_the_middle(daemon, provider, more, code, words):
    provider.script(pieces(piece({"content": "Oslo"}), piece({"content": ""}, "error", **more)))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref).check_grammar()
    assert a.text == "Oslo" and a.code == code and a.last["partial"] is True, a.last
    assert words in a.last["message"]
    assert len(provider.chats) == 1


def cut(**more):
    """A piece of the first block, as streams have them."""
    return {**{k: DETAILS[0][k] for k in ("type", "format", "index")}, **more}


def think(c, provider, ref):
    provider.script(pieces(piece({"reasoning": "Two ", "reasoning_details": [cut(text="Two ")]}),
                           piece({"reasoning": "cities.", "reasoning_details": [cut(text="cities.")]}),
                           piece({"reasoning_details": [cut(signature="c2ln")]}),
                           piece({"content": "Oslo.", "reasoning_details": DETAILS[1:]}), piece({}, "stop")))
    a = c.prompt("weather?", ref=ref, reasoning=True).check_grammar()
    signed = [e for e in a.events if e["type"] == "reasoning" and "signature" in e]
    assert a.text == "Oslo." and a.reasoning == "Two cities." and len(signed) == 1
    assert json.loads(signed[0]["signature"]) == DETAILS and signed[0]["signed_by"] == ref
    return [{"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [
                {"type": "reasoning", "text": a.reasoning, "signature": signed[0]["signature"], "signed_by": signed[0]["signed_by"]},
                {"type": "text", "text": a.text}]},
            {"role": "user", "content": "and?"}]


def test_reasoning_goes_back_to_the_model_that_made_it(daemon, provider):
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        messages = think(c, provider, ref)
        a = c.prompt(ref=ref, messages=messages)
        assert a.ok and a.warnings == []
        assert provider.chats[1].json["messages"][1] == {"role": "assistant", "content": "Oslo.", "reasoning_details": DETAILS}
        a = c.prompt(ref="openrouter:b/two", messages=messages)
        assert a.ok and len(a.warnings) == 1
        assert provider.chats[2].json["messages"][1] == {"role": "assistant", "content": "Oslo."}


def test_a_reply_at_once_is_signed_too(daemon, provider):
    message = {"role": "assistant", "content": "Oslo.", "reasoning": "Hm", "reasoning_details": DETAILS}
    body = {"id": "gen-1", "model": "m", "choices": [{"index": 0, "finish_reason": "stop", "message": message}]}
    provider.script(reply(200, json.dumps(body, indent=2)))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref, reasoning=True, options={"stream": False}).check_grammar()
        signature = next(e["signature"] for e in a.events if e["type"] == "reasoning" and "signature" in e)
        assert json.loads(signature) == DETAILS
        part = {"type": "reasoning", "signature": signature, "signed_by": ref}
        assert c.prompt(ref=ref, messages=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": [part]},
                                           {"role": "user", "content": "so?"}]).ok
    assert provider.chats[1].json["messages"][1]["reasoning_details"] == DETAILS


def test_other_providers_get_no_details(daemon, provider):
    provider.script(pieces(piece({"reasoning_details": DETAILS}), piece({"content": "Oslo."}, "stop")))
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref, reasoning=True).check_grammar()
    assert a.text == "Oslo." and not any("signature" in e for e in a.events)
