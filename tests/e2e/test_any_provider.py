"""A provider that speaks a known dialect takes no code: `mpc provider add` alone, for every dialect that HTTP carries."""
import json
import pathlib

import pytest

from harness.provider import Provider, chunk, head, reply

TRANSCRIPTS = pathlib.Path(__file__).resolve().parent.parent / "transcripts"
KEY = "sk-any-provider-000000001"

# how each of them says that a key is missing tells who it is, too
REFUSED = {
    "openai-chat": (401, {"error": {"message": "You didn't provide an API key.", "type": "invalid_request_error", "code": None}}),
    "anthropic-messages": (401, {"type": "error", "error": {"type": "authentication_error", "message": "x-api-key header is required"}}),
    "gemini": (403, {"error": {"code": 403, "message": "Method doesn't allow unregistered callers", "status": "PERMISSION_DENIED"}}),
}
REFUSED["openai-responses"] = REFUSED["openai-chat"]
# dialect: words for mpc, what the server lists where, where it is asked, the recorded answer, the header of its key
DIALECTS = {
    "openai-chat": ([], "/v1/models", {"object": "list", "data": [{"id": "the-model", "object": "model"}]},
                    "/v1/chat/completions", "openai-chat/stream-text.sse", ("Authorization", f"Bearer {KEY}")),
    # its list is that of the other: which of the two is wanted has to be said
    "openai-responses": (["--dialect", "openai-responses"], "/v1/models",
                         {"object": "list", "data": [{"id": "the-model", "object": "model"}]},
                         "/v1/responses", "openai-responses/stream-text.sse", ("Authorization", f"Bearer {KEY}")),
    "anthropic-messages": ([], "/v1/models", {"data": [{"type": "model", "id": "the-model", "display_name": "The Model",
                                                        "created_at": "2026-01-01T00:00:00Z"}], "has_more": False},
                           "/v1/messages", "anthropic/stream-text.sse", ("x-api-key", KEY)),
    "gemini": ([], "/v1beta/models", {"models": [{"name": "models/the-model", "supportedGenerationMethods": ["generateContent"]}]},
               "/v1beta/models/the-model:streamGenerateContent", "gemini/stream-text.sse", ("x-goog-api-key", KEY)),
    "ollama": ([], "/api/tags", {"models": [{"name": "the-model", "model": "the-model", "details": {"format": "gguf"},
                                             "capabilities": ["completion"]}]},
               "/api/chat", "ollama/stream-text.ndjson", None),
}


class Server(Provider):
    def __init__(self, dialect):
        _, listed_at, listed, asked_at, recorded, key = DIALECTS[dialect]
        super().__init__(self.answer)
        self.models = self.answer
        self.listed_at, self.listed, self.asked_at, self.key = listed_at, listed, asked_at, key
        self.refused = REFUSED.get(dialect)
        self.recorded = (TRANSCRIPTS / recorded).read_bytes()
        self.kind = "application/x-ndjson" if recorded.endswith("ndjson") else "text/event-stream"

    def answer(self, r):
        path = r.path.partition("?")[0]
        if self.key and r.header(self.key[0]) != self.key[1]:
            return reply(*self.refused)
        if path == self.listed_at:
            return reply(200, self.listed)
        if path == self.asked_at and r.method == "POST":
            return [head(content_type=self.kind, chunked=True), chunk(self.recorded), b"0\r\n\r\n"]
        return reply(404, {"error": {"message": "no such page"}})

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"


@pytest.mark.parametrize("where", ["/", "its base"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_known_dialect_takes_no_code(daemon, dialect, where):
    words, listed_at, _, asked_at, recorded, key = DIALECTS[dialect]
    text = json.loads((TRANSCRIPTS / recorded).with_suffix(".expected.json").read_text())["text"]
    s = Server(dialect)
    try:
        # who names the dialect names the base, too: nothing is asked then
        url = s.origin + ("/v1" if words or (where != "/" and listed_at.startswith("/v1/")) else "")
        daemon.mpc("provider", "add", "mine", "--url", url, *words, check=0, input=b"")
        if key:
            daemon.mpc("key", "set", "mine", "--stdin", input=(KEY + "\n").encode(), check=0)
        with daemon.rpc() as c:
            p = c.call("provider.get", name="mine")
        assert (p["dialect"], p["origin"]) == (dialect, "user"), p
        daemon.mpc("check", "mine", check=0)
        assert "mine:the-model" in daemon.mpc("list", "--all", "--plain", "the-model", check=0).out
        daemon.mpc("switch", "mine:the-model", check=0)
        assert daemon.mpc("prompt", "hello", check=0).out == text + "\n"
        assert [r for r in s.requests if r.method == "POST" and r.path.partition("?")[0] == asked_at]
    finally:
        s.close()
