"""State that a provider signed makes the whole way: out as events, back in messages, onto the wire."""
import json
import os
import pathlib

import pytest

from harness.provider import Provider, head, reply

FOLDER = pathlib.Path(os.environ.get("MPD_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]), "tests/transcripts")
TOOLS = [{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
SIGNATURE = "EqQBCkYIBBgCKkAx+/w=="


def event(type, **more):
    return f"event: {type}\ndata: {json.dumps({'type': type, **more})}\n\n".encode()


def block(index, start, *deltas):
    return (event("content_block_start", index=index, content_block=start)
            + b"".join(event("content_block_delta", index=index, delta=d) for d in deltas)
            + event("content_block_stop", index=index))


def thinking_with_a_call(redacted=False):
    blocks = [block(0, {"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "Two "},
                    {"type": "thinking_delta", "thinking": "cities. ñ\n"}, {"type": "signature_delta", "signature": SIGNATURE})]
    if redacted:
        blocks.append(block(1, {"type": "redacted_thinking", "data": "b3BhcXVl"}))
    blocks.append(block(len(blocks), {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}},
                        {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'}))
    return [head(), event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "model": "m1",
                                                    "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}),
            *blocks, event("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 20}),
            event("message_stop")]


MESSAGE = reply(200, {"type": "message", "id": "msg_2", "role": "assistant", "model": "m1", "stop_reason": "end_turn",
                      "content": [{"type": "text", "text": "snow"}], "usage": {"input_tokens": 1, "output_tokens": 1}})


def history(answer, results):
    """The messages that a client makes out of the events of an answer, and the results of its calls."""
    parts, text = [], ""
    for e in answer.events:
        if e["type"] == "reasoning" and "signature" not in e:
            text += e["text"]
        elif e["type"] == "reasoning":
            part = {"type": "reasoning", "signature": e["signature"], "signed_by": e["signed_by"]}
            if e.get("redacted"):
                part["redacted"] = True
            elif text:
                part["text"], text = text, ""
            parts.append(part)
        elif e["type"] == "tool_call":
            parts.append({"type": "tool_call", **{k: e[k] for k in ("id", "name", "arguments", "signature", "signed_by") if k in e}})
    calls = [p["id"] for p in parts if p["type"] == "tool_call"]
    return [{"role": "user", "content": "weather?"}, {"role": "assistant", "content": parts},
            *({"role": "tool", "tool_call_id": i, "content": results} for i in calls)]


@pytest.fixture
def claude(daemon, provider):
    daemon.mpc("provider", "add", "claude", "--url", provider.url, "--type", "local", "--auth", "none",
               "--dialect", "anthropic-messages", check=0)
    provider.default = MESSAGE
    return provider


def sent_answer(r):
    return next(m for m in r.json["messages"] if m["role"] == "assistant")["content"]


@pytest.mark.parametrize("redacted", [False, True])
def test_thinking_goes_back_unmodified_to_the_same_model(daemon, claude, redacted):
    claude.script(thinking_with_a_call(redacted))
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref="claude:m1", tools=TOOLS, reasoning=True).check_grammar()
        assert a.last["stop"] == "tool_call" and a.reasoning == "Two cities. ñ\n"
        assert [e["signed_by"] for e in a.events if "signature" in e] == ["claude:m1"] * (1 + redacted)
        assert c.prompt(ref="claude:m1", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).ok
        assert c.prompt(ref="claude:m2", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).ok
    same, other = claude.requests[-2:]
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}
    thought = [{"type": "thinking", "thinking": "Two cities. ñ\n", "signature": SIGNATURE}]
    if redacted:
        thought.append({"type": "redacted_thinking", "data": "b3BhcXVl"})
    assert sent_answer(same) == [*thought, call]
    assert sent_answer(other) == [call] and SIGNATURE.encode() not in other.body


def test_thinking_is_not_told_to_who_did_not_ask(daemon, claude):
    claude.script(thinking_with_a_call())
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref="claude:m1", tools=TOOLS).check_grammar()
    assert not any(e["type"] == "reasoning" for e in a.events) and len(a.tool_calls) == 1


def test_a_thought_signature_goes_back_on_its_call(daemon):
    p = Provider()
    try:
        p.url = p.url[:-len("/v1")]
        recorded = (FOLDER / "gemini/stream-parallel-tools.sse").read_bytes()
        done = {"candidates": [{"content": {"role": "model", "parts": [{"text": "snow"}]}, "finishReason": "STOP"}]}
        p.script([head(), recorded])
        p.default = reply(200, done)
        daemon.mpc("provider", "add", "google-here", "--url", p.url, "--type", "local", "--auth", "none",
                   "--dialect", "gemini", check=0)
        with daemon.rpc() as c:
            a = c.prompt("weather?", ref="google-here:m1", tools=TOOLS, reasoning=True).check_grammar()
            signed = [e for e in a.tool_calls if "signature" in e]
            assert signed and all(e["signed_by"] == "google-here:m1" for e in signed)
            assert all(e["signature"] in recorded.decode() for e in signed)
            for model in ("m1", "m2"):
                assert c.prompt(ref=f"google-here:{model}", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).ok
        same, other = ([part for m in r.json["contents"] if m["role"] == "model" for part in m["parts"] if "functionCall" in part]
                       for r in p.requests[-2:])
        assert len(same) == len(other) == len(a.tool_calls)
        want = [e.get("signature") for e in a.tool_calls]
        assert [part.get("thoughtSignature") for part in same] == want
        assert not any(part.get("thoughtSignature") in want for part in other if "thoughtSignature" in part)
    finally:
        p.close()


def google_at(daemon, p):
    p.url = p.url[:-len("/v1")]
    p.default = reply(200, {"candidates": [{"content": {"role": "model", "parts": [{"text": "snow"}]}, "finishReason": "STOP"}]})
    daemon.mpc("provider", "add", "google-here", "--url", p.url, "--type", "local", "--auth", "none", "--dialect", "gemini", check=0)


def calls_sent(r):
    return [part for m in r.json["contents"] if m["role"] == "model" for part in m["parts"] if "functionCall" in part]


def test_a_refused_thought_signature_is_tried_once_without(daemon, provider):
    """The provider's own sample: the second request says that there is no signature, and the caller hears why."""
    refusal = json.loads((FOLDER / "gemini/error-400-thought-signature.json").read_text())
    google_at(daemon, provider)
    provider.script([head(), (FOLDER / "gemini/stream-parallel-tools.sse").read_bytes()], reply(400, refusal["body"]))
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref="google-here:m1", tools=TOOLS, reasoning=True).check_grammar()
        b = c.prompt(ref="google-here:m1", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).check_grammar()
        assert b.ok and b.text == "snow"
        assert [e["attempt"] for e in b.events if e["type"] == "start"] == [1, 2]
        [warning] = [e["message"] for e in b.events if e["type"] == "warning" and "refused the signatures" in e["message"]]
        assert "once more without them" in warning
        signatures = [e["signature"] for e in a.tool_calls if "signature" in e]
        refused, second = provider.requests[-2:]
        assert [p["thoughtSignature"] for p in calls_sent(refused) if "thoughtSignature" in p] == signatures
        assert calls_sent(second)[0]["thoughtSignature"] == "skip_thought_signature_validator"
        assert not any(s.encode() in second.body for s in signatures)
        # refused again: that is the end, in the provider's words
        before = len(provider.requests)
        provider.script(*[reply(400, refusal["body"])] * 3)
        e = c.prompt(ref="google-here:m1", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).check_grammar()
        assert len(provider.requests) == before + 2
        assert "missing a thought_signature" in e.last["message"] and not e.last["partial"]
        provider.script([])


def test_a_refused_thinking_block_is_tried_once_without(daemon, claude):
    refusal = {"type": "error", "error": {"type": "invalid_request_error",
                                          "message": "messages.1.content.0: Invalid `signature` in `thinking` block"}}
    claude.script(thinking_with_a_call(), reply(400, refusal))
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref="claude:m1", tools=TOOLS, reasoning=True).check_grammar()
        b = c.prompt(ref="claude:m1", messages=history(a, "snow"), tools=TOOLS, options={"stream": False}).check_grammar()
    assert b.ok and b.text == "snow" and [e["attempt"] for e in b.events if e["type"] == "start"] == [1, 2]
    refused, second = claude.requests[-2:]
    assert SIGNATURE.encode() in refused.body and SIGNATURE.encode() not in second.body
    assert [part["type"] for part in sent_answer(second)] == ["tool_use"]


@pytest.mark.parametrize("redacted", [False, True])
def test_the_content_of_a_run_goes_back_as_it_is(daemon, claude, redacted):
    """prompt.run: its content is the assistant's message of the next turn, signatures included."""
    claude.script(thinking_with_a_call(redacted))
    with daemon.rpc() as c:
        r = c.call("prompt.run", text="weather?", ref="claude:m1", tools=TOOLS, reasoning=True, options={"stream": True})
        assert r["reasoning"] == "Two cities. ñ\n" and r["stop"] == "tool_call"
        thought = {"type": "reasoning", "text": "Two cities. ñ\n", "signature": SIGNATURE, "signed_by": "claude:m1"}
        hidden = {"type": "reasoning", "signature": "b3BhcXVl", "signed_by": "claude:m1", "redacted": True}
        call = {"type": "tool_call", "id": "toolu_1", "name": "get_weather", "arguments": '{"city": "Oslo"}'}
        assert r["content"] == [thought, *[hidden] * redacted, call]
        again = c.call("prompt.run", ref="claude:m1", tools=TOOLS, options={"stream": False}, messages=[
            {"role": "user", "content": "weather?"}, {"role": "assistant", "content": r["content"]},
            {"role": "tool", "tool_call_id": "toolu_1", "content": "snow"}])
        assert again["text"] == "snow" and "content" not in again  # nobody asked for the reasoning
    sent = sent_answer(claude.requests[-1])
    assert sent[0] == {"type": "thinking", "thinking": "Two cities. ñ\n", "signature": SIGNATURE}
    assert ({"type": "redacted_thinking", "data": "b3BhcXVl"} in sent) == redacted
    assert sent[-1] == {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}


def test_the_content_of_a_run_keeps_the_order(daemon, claude):
    """Thinking between two texts stays between them; what nobody signed is left out."""
    blocks = [{"type": "thinking", "thinking": "one", "signature": "c2ln"}, {"type": "text", "text": "First."},
              {"type": "thinking", "thinking": "not signed"}, {"type": "text", "text": " Then."},
              {"type": "thinking", "thinking": "", "signature": "b21pdHRlZA=="}, {"type": "text", "text": "Last."}]
    claude.default = reply(200, {"type": "message", "id": "msg_3", "role": "assistant", "model": "m1", "stop_reason": "end_turn",
                                 "content": blocks, "usage": {"input_tokens": 1, "output_tokens": 1}})
    with daemon.rpc() as c:
        r = c.call("prompt.run", text="go", ref="claude:m1", reasoning=True, options={"stream": False})
        assert r["text"] == "First. Then.Last." and r["reasoning"] == "onenot signed"
        assert [(p["type"], p.get("text"), p.get("signature")) for p in r["content"]] == [
            ("reasoning", "one", "c2ln"), ("text", "First.", None), ("text", " Then.", None), ("reasoning", None, "b21pdHRlZA=="),
            ("text", "Last.", None)]
        c.call("prompt.run", ref="claude:m1", options={"stream": False}, messages=[
            {"role": "user", "content": "go"}, {"role": "assistant", "content": r["content"]}, {"role": "user", "content": "on"}])
    assert [b.get("signature") for b in sent_answer(claude.requests[-1])] == ["c2ln", None, None, "b21pdHRlZA==", None]
