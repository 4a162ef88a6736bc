"""The messages API over real HTTP: recorded answers, the key's header, the path, refusals."""
import pathlib

from harness.provider import head, reply

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
