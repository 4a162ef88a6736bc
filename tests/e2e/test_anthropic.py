"""The messages API over real HTTP: recorded answers, the key's header, the path, refusals."""
import pathlib
import time

import pytest

from harness.provider import Hang, Reset, Sleep, chunk, head, reply

SAMPLES = pathlib.Path(__file__).parents[1] / "transcripts" / "anthropic"
KEY = "sk-ant-" + "0" * 24


def recorded(name):
    body = (SAMPLES / name).read_bytes()
    return [head(length=len(body)), body]


def add(d, provider, base=None, model="claude-haiku-4-5"):
    d.mpc("provider", "add", "claude", "--url", base or provider.url, "--type", "local", "--auth", "optional-key",
          "--dialect", "anthropic-messages", check=0)
    d.mpc("key", "set", "claude", "--stdin", "--no-check", input=(KEY + "\n").encode(), check=0)
    return f"claude:{model}"


def wait_for(f, seconds=5):
    end = time.monotonic() + seconds
    while True:
        got = f()
        if got or time.monotonic() > end:
            return got
        time.sleep(0.01)


def posted(provider):
    return [r for r in provider.requests if r.method == "POST"]


def test_a_recorded_answer(daemon, provider):
    provider.script(recorded("stream-text.sse"))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("weather?", ref=ref, options={"temperature": 0.5}).check_grammar()
    assert a.ok and a.text == "Oslo has snow at 3 °C; Rome is unknown. 🌍"
    sent = posted(provider)[0]
    # the base URL of the scripted provider ends in /v1
    assert sent.path == "/v1/messages"
    assert sent.header("x-api-key") == KEY and sent.header("authorization") is None
    assert sent.header("anthropic-version") == "2023-06-01"
    assert sent.json["max_tokens"] == 8192 and sent.json["stream"] is True and sent.json["temperature"] == 0.5
    assert sent.json["messages"] == [{"role": "user", "content": [{"type": "text", "text": "weather?"}]}]


def test_a_base_url_without_a_version(daemon, provider):
    provider.script(recorded("stream-text.sse"))
    ref = add(daemon, provider, base=provider.url.removesuffix("/v1"))
    with daemon.rpc() as c:
        assert c.prompt("hi", ref=ref).ok
    assert posted(provider)[0].path == "/v1/messages"
    assert posted(provider)[0].header("anthropic-version") == "2026-10-21"


def test_an_error_in_the_middle_keeps_what_came(daemon, provider):
    provider.script(recorded("stream-error-mid.sse"))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref)
    assert a.text == "Oslo has" and not a.ok and a.last["partial"] is True


def test_a_used_up_plan_is_no_rate_limit(daemon, provider):
    provider.script(reply(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "used up"}},
                          extra=[("anthropic-ratelimit-unified-status", "rejected"), ("retry-after", "3600")]))
    ref = add(daemon, provider)
    with daemon.rpc() as c:
        a = c.prompt("hi", ref=ref)
    assert a.code == "quota_exceeded" and a.last["retry_after_ms"] >= 3600000
    assert len(posted(provider)) == 1


# ---- what was told before it broke off ----

BEGIN = recorded("stream-text.sse")[1].split(b"\n\n")[0] + b"\n\n"  # message_start: 195 tokens, and 1024 from the cache
PIECE = (b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
         b'"delta":{"type":"text_delta","text":"Oslo has snow"}}\n\n')
TOLD = {"input_tokens": 1219, "cache_read_tokens": 1024}


def told(d, provider, steps, ending):
    """What the caller heard of an answer that broke off so, and the row it left. The usual price list holds."""
    d.mpc("provider", "set", "anthropic", "type=local", f"url={provider.url}", check=0)
    d.mpc("key", "set", "anthropic", "--stdin", "--no-check", input=(KEY + "\n").encode(), check=0)
    provider.script([head(chunked=True), *(chunk(s) for s in steps), *ending])
    with d.rpc() as c:
        stream = c.call("prompt.start", text="weather?", ref="anthropic:claude-haiku-4-5")["stream"]
        if isinstance(ending[-1], Hang):
            wait_for(lambda: [s for s in c.call("prompt.list")["streams"] if s.get("input_tokens") == 1219])
            [running] = c.call("prompt.list")["streams"]
            assert running["estimated"] is (len(steps) < 3)
            c.call("prompt.cancel", stream=stream)
        a = c.collect(stream).check_grammar()
        [row] = wait_for(lambda: c.call("usage.export")["rows"])
    assert {k: row[k] for k in TOLD} == TOLD
    assert {k: a.last["usage"][k] for k in TOLD} == TOLD
    assert row["output_tokens"] == a.last["usage"]["output_tokens"]
    return a, row


@pytest.mark.parametrize("ending,outcome", [([Hang()], "cancelled"), ([b"0\r\n\r\n"], "protocol"), ([Reset()], "protocol")],
                         ids=["cancelled", "cut", "reset"])
def test_counts_that_were_told_before_the_end_are_kept(make_daemon, provider, ending, outcome):
    prompt_only = 195 + 102  # micro-USD: $1 per million, and a tenth of it from the cache
    a, row = told(make_daemon(), provider, [BEGIN], ending)
    assert a.text == "" and (row["outcome"], row["counts"]) == (outcome, "output_estimated")
    assert row["output_tokens"] == 0 and row["cost_microusd"] == prompt_only
    a, row = told(make_daemon(), provider, [BEGIN, PIECE], [Sleep(0.05), *ending])
    assert a.text == "Oslo has snow" and (row["outcome"], row["counts"]) == (outcome, "output_estimated")
    assert row["output_tokens"] == 4 and row["cost_microusd"] == prompt_only + 4 * 5
    assert a.last["usage"]["estimated"] is True
    # all is told, and only the end mark missed: nothing is an estimate
    delta = b'data: {"type":"message_delta","delta":{},"usage":{"output_tokens":30}}\n\n'
    a, row = told(make_daemon(), provider, [BEGIN, PIECE, delta], [Sleep(0.05), *ending])
    assert (row["outcome"], row["counts"], row["output_tokens"]) == (outcome, "reported", 30)
    assert row["cost_microusd"] == prompt_only + 30 * 5 and a.last["usage"]["estimated"] is False
