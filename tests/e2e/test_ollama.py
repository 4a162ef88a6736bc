"""Ollama's own language against a scripted server: chats, tools, failures, models, and Ollama added as /v1 by hand."""
import base64
import json

import pytest

from harness.provider import Close, Provider, chunk, head, reply

TAGS = {"models": [
    {"name": "qwen3:8b", "model": "qwen3:8b", "details": {"context_length": 40960}, "capabilities": ["completion", "tools", "thinking"]},
    {"name": "nomic-embed-text:latest", "model": "nomic-embed-text:latest", "capabilities": ["embedding"]}]}
SHOW = {"model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960}, "capabilities": ["completion", "tools", "thinking"]}


def line(done=False, **more):
    d = {"model": "qwen3:8b", "created_at": "2026-11-22T08:00:00.1Z", "done": done}
    if "error" in more:
        d = {}
    d.update(more)
    return (json.dumps(d, ensure_ascii=False) + "\n").encode()


def say(content="", **more):
    return chunk(line(message=dict(role="assistant", content=content, **more)))


def end(reason="stop"):
    return chunk(line(True, message={"role": "assistant", "content": ""}, done_reason=reason, prompt_eval_count=26, eval_count=12))


def lines(*chunks):
    return [head(content_type="application/x-ndjson", chunked=True), *chunks, b"0\r\n\r\n"]


class Ollama(Provider):
    """/api/tags and /api/show beside the scripted chats; other addresses do not exist."""

    def __init__(self, **kw):
        super().__init__(default=self.answer, **kw)
        self.origin = self.url[:-len("/v1")]
        self.answers = []

    def answer(self, r):
        if (r.method, r.path) == ("GET", "/api/tags"):
            return reply(200, TAGS)
        if (r.method, r.path) == ("POST", "/api/show"):
            return reply(200, SHOW)
        if (r.method, r.path) != ("POST", "/api/chat"):
            return reply(404, "404 page not found", "text/plain")
        return self.answers.pop(0) if self.answers else lines(say("Hel"), say("lo 🌌"), end())

    @property
    def chats(self):
        return [r for r in self.requests if r.path == "/api/chat"]


@pytest.fixture
def ollama():
    p = Ollama()
    yield p
    p.close()


def add(d, p, url=None):
    d.mpc("provider", "add", "scripted", "--url", url or p.origin, "--type", "local", "--auth", "none", "--dialect", "ollama", check=0)
    d.mpc("switch", "scripted:qwen3:8b", check=0)


def ask(d, p, answer=None, url=None, text="hi", **params):
    if answer is not None:
        p.answers.append(answer)
    if not p.chats:
        add(d, p, url)
    with d.rpc() as c:
        return c.prompt(text, ref="scripted:qwen3:8b", **params).check_grammar()


@pytest.mark.parametrize("end_of_url", ["", "/v1", "/api"])
def test_a_stream_whatever_the_url_ends_in(daemon, ollama, end_of_url):
    a = ask(daemon, ollama, url=ollama.origin + end_of_url, options={"max_tokens": 9, "stop": ["END"], "extra": {"num_ctx": 8192, "keep_alive": "10m"}})
    assert a.text == "Hello 🌌" and a.last["stop"] == "end"
    assert a.last["usage"] == {"input_tokens": 26, "output_tokens": 12, "estimated": False, "cost_microusd": 0}
    sent = ollama.chats[0].json
    assert sent["model"] == "qwen3:8b" and sent["stream"] is True and sent["keep_alive"] == "10m"
    assert sent["messages"] == [{"role": "user", "content": "hi"}]
    assert sent["options"] == {"num_predict": 9, "stop": ["END"], "num_ctx": 8192}
    assert "think" not in sent


def test_tools_images_and_results(daemon, ollama):
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
    messages = [
        {"role": "user", "content": [{"type": "text", "text": "Compare."}, {"type": "image", "data": png, "media_type": "image/png"}]},
        {"role": "assistant", "content": [{"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": '{"city":"Oslo"}'}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3 C"},
    ]
    tools = [{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    call = {"function": {"index": 0, "name": "get_weather", "arguments": {"city": "Rome"}}}
    a = ask(daemon, ollama, lines(say(tool_calls=[call]), end()), text=None, messages=messages, tools=tools)
    assert a.last["stop"] == "tool_call"
    assert [(t["name"], json.loads(t["arguments"])) for t in a.tool_calls] == [("get_weather", {"city": "Rome"})]
    assert a.tool_calls[0]["id"].startswith("call_")
    sent = ollama.chats[0].json["messages"]
    assert sent[0] == {"role": "user", "content": "Compare.", "images": [base64.b64encode(png).decode()]}
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert sent[2] == {"role": "tool", "tool_name": "get_weather", "tool_call_id": "call_1", "content": "3 C"}


def test_thinking_is_asked_for_and_shown(daemon, ollama):
    a = ask(daemon, ollama, lines(say(thinking="Let me"), say(thinking=" think."), say("Yes."), end()), reasoning=True)
    assert a.reasoning == "Let me think." and a.text == "Yes."
    assert ollama.chats[0].json["think"] is True


def test_F70_an_error_line_in_the_middle(daemon, ollama):
    a = ask(daemon, ollama, lines(say("Oslo has"), chunk(line(error="an error was encountered while running the model"))))
    assert a.text == "Oslo has" and a.last["type"] == "error"
    assert "while running the model" in json.dumps(a.last)


def test_F74_an_end_without_done(daemon, ollama):
    a = ask(daemon, ollama, [head(content_type="application/x-ndjson"), line(message={"role": "assistant", "content": "Oslo"}), Close()])
    assert a.text == "Oslo" and a.last["type"] == "error"


def test_F77_every_byte_alone(daemon, ollama):
    ollama.split = True
    assert ask(daemon, ollama).text == "Hello 🌌"


def test_a_whole_reply(daemon, ollama):
    body = {"model": "qwen3:8b", "message": {"role": "assistant", "content": "Whole."}, "done": True, "done_reason": "stop"}
    a = ask(daemon, ollama, reply(200, body), options={"stream": False})
    assert a.text == "Whole." and a.last["stop"] == "end"
    assert ollama.chats[0].json["stream"] is False


def test_a_model_it_does_not_have(daemon, ollama):
    ollama.answers.append(reply(404, {"error": "model 'qwen3:8b' not found"}))
    add(daemon, ollama)
    r = daemon.mpc("prompt", "hi")
    assert r.returncode != 0 and "ollama pull qwen3:8b" in r.err


def test_models_without_those_that_cannot_chat(daemon, ollama):
    add(daemon, ollama)
    with daemon.rpc() as c:
        r = c.call("provider.check", name="scripted")
    assert r["ok"] and r["models"] == 1


def test_the_catalogues_ollama_at_another_address(daemon, ollama):
    daemon.mpc("provider", "set", "ollama", f"url={ollama.url}", check=0)
    daemon.mpc("switch", "ollama:qwen3:8b", check=0)
    assert "Hello" in daemon.mpc("prompt", "hi", check=0).out
    assert ollama.chats


def test_ollama_added_as_v1_by_hand_stays_what_it_was(daemon, provider):
    """Who said openai-chat keeps openai-chat."""
    daemon.mpc("provider", "add", "mine", "--url", provider.url, "--type", "local", "--auth", "none", "--dialect", "openai-chat", check=0)
    daemon.mpc("switch", "mine:m1", check=0)
    assert "Hello from" in daemon.mpc("prompt", "hi", check=0).out
    assert provider.chats[0].path == "/v1/chat/completions"
