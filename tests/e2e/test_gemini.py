"""Gemini's own language against a scripted server: the address, the key's header, chats, calls, failures, models."""
import json
import os
import pathlib

import pytest

from harness.provider import Provider, head, reply

SAMPLES = pathlib.Path(os.environ.get("MPD_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]), "tests/transcripts/gemini")
KEY = "AIza-test-0123456789abcdef"


def sse(name):
    """A recorded stream with the line ends that Google sends; the connection's end is the stream's."""
    return [head(), (SAMPLES / name).read_bytes().replace(b"\n", b"\r\n")]


def refusal(name):
    d = json.loads((SAMPLES / name).read_text())
    return reply(d["status"], d["body"])


class Gemini(Provider):
    """The model list beside the scripted chats; other addresses do not exist."""

    def __init__(self, **kw):
        super().__init__(default=self.answer, **kw)
        self.url = self.url[:-len("/v1")]
        self.answers = []

    def answer(self, r):
        if r.method == "GET" and r.path == "/v1beta/models?pageSize=1000":
            return reply(200, (SAMPLES / "models.json").read_bytes())
        if r.method != "POST" or not r.path.startswith("/v1beta/models/gemini-3.8-flash:"):
            return reply(404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such page"}})
        return self.answers.pop(0) if self.answers else sse("stream-text.sse")

    @property
    def chats(self):
        return [r for r in self.requests if r.method == "POST"]


@pytest.fixture
def gemini(daemon):
    p = Gemini()
    daemon.mpc("provider", "add", "google-here", "--url", p.url, "--type", "local", "--auth", "optional-key",
               "--dialect", "gemini", check=0)
    daemon.mpc("key", "set", "google-here", "--stdin", "--no-check", input=(KEY + "\n").encode(), check=0)
    yield p
    p.close()


def ask(d, gemini, *answers, text="hi", **params):
    gemini.answers += answers
    with d.rpc() as c:
        return c.prompt(text, ref="google-here:gemini-3.8-flash", **params).check_grammar()


def test_a_stream_with_the_key_in_its_own_header(daemon, gemini):
    a = ask(daemon, gemini, system="Be brief.", options={"max_tokens": 9})
    assert a.text == "Oslo has snow; Rome is unknown. 🌍" and a.last["stop"] == "end"
    assert (a.last["usage"]["input_tokens"], a.last["usage"]["output_tokens"]) == (1219, 61)
    r = gemini.chats[0]
    assert r.path == "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse"
    assert r.header("x-goog-api-key") == KEY and r.header("authorization") is None
    assert r.json["contents"] == [{"role": "user", "parts": [{"text": "hi"}]}]
    assert r.json["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert r.json["generationConfig"]["maxOutputTokens"] == 9


def test_a_whole_reply_and_the_array_form(daemon, gemini):
    a = ask(daemon, gemini, reply(200, (SAMPLES / "reply.json").read_bytes()), options={"stream": False})
    assert a.text == "Oslo has snow; Rome is unknown."
    assert gemini.chats[0].path.endswith(":generateContent")
    a = ask(daemon, gemini, reply(200, (SAMPLES / "stream-text.array.json").read_bytes()))
    assert a.text == "Oslo has snow; Rome is unknown. 🌍"


def test_calls_get_ids_that_find_their_results_again(daemon, gemini):
    tools = [{"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}]
    a = ask(daemon, gemini, sse("stream-parallel-tools.sse"), tools=tools)
    assert a.last["stop"] == "tool_call"
    calls = [e for e in a.events if e.get("type") == "tool_call"]
    assert [c["name"] for c in calls] == ["get_weather", "get_weather", "list_cities"]
    messages = [{"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "tool_call", "id": c["id"], "name": c["name"], "arguments": "{}"} for c in calls]},
                *({"role": "tool", "tool_call_id": c["id"], "content": str(i)} for i, c in reversed(list(enumerate(calls))))]
    ask(daemon, gemini, text=None, messages=messages, tools=tools)
    answers = [p["functionResponse"] for p in gemini.chats[1].json["contents"][2]["parts"]]
    assert [(r["name"], r["response"]) for r in answers] == [
        ("get_weather", {"output": "0"}), ("get_weather", {"output": "1"}), ("list_cities", {"output": "2"})]


@pytest.mark.parametrize("script, code", [
    (refusal("error-400-api-key.json"), "auth_rejected"),
    (refusal("error-429-limit-zero.json"), "quota_exceeded"),
    (refusal("error-404-model.json"), "not_found"),
    (reply(200, (SAMPLES / "reply-prompt-blocked.json").read_bytes()), None),
], ids=["key", "no quota", "no model", "blocked"])
def test_failures(daemon, gemini, script, code):
    a = ask(daemon, gemini, script)
    assert a.last["type"] == "error" and a.text == ""
    assert code is None or a.last["code"] == code, a.last
    assert KEY not in json.dumps(a.last)


def test_the_list_is_asked_for_with_the_key(daemon, gemini):
    daemon.mpc("check", "google-here", check=0)
    assert any(r.path == "/v1beta/models?pageSize=1000" and r.header("x-goog-api-key") == KEY for r in gemini.requests)
