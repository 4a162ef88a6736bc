"""A daemon and the targets of one chain: what fallback is tested with."""
import json

from harness.daemon import Daemon
from harness.provider import Provider, chunk, piece, reply, stream


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
    "protocol": (None, None, "upstream_error", True, 1),   # the answer is cut off, or is none
    "network": (None, None, "provider_unavailable", True, 1),  # the connection is reset
}


def refusal(cls):
    """The script of a target that refuses so at once."""
    status, body, *_ = RULES[cls]
    return reply(status, body)


ROLE = chunk(piece({"role": "assistant", "content": ""}))
WHOLE = reply(200, {"id": "x", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2},
                    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "good answer"}}]})
GOOD = stream("good", " answer")


class Lab:
    """A daemon and up to three targets, new for each chain: nobody remembers the one before."""

    def __init__(self):
        self.daemon = Daemon("--test-timeouts", "5000")
        self.rpc = self.daemon.rpc()
        self.servers = []
        self.names = []
        self.count = 0
        self.cursor = 0

    def close(self):
        self.rpc.close()
        for s in self.servers:
            s.close()
        self.daemon.close()

    def chain(self, *scripts, on=None):
        """Targets that answer with these scripts, always, as chain @c. The ledger's rows so far are old ones."""
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
        self.new_rows()

    def asked(self):
        """How often each target was."""
        return [len(s.chats) for s in self.servers[:len(self.names)]]

    def new_rows(self):
        """The rows that the ledger got since this was asked last, or since the chain was made."""
        rows = self.rpc.call("usage.export", cursor=self.cursor)["rows"]
        if rows:
            self.cursor = rows[-1]["id"] + 1
        return rows


def fallbacks(answer):
    """From which target to which, and why."""
    return [(e["from"].split(":")[0][-1], e["to"].split(":")[0][-1], e.get("class", e["code"])) for e in answer.events
            if e["type"] == "fallback"]


def starts(answer):
    return [(e["provider"][-1], e["attempt"]) for e in answer.events if e["type"] == "start"]


def kinds(answer):
    """The types of its events; pieces of one text are one."""
    got = []
    for e in answer.events:
        if e["type"] != "delta" or got[-1:] != ["delta"]:
            got.append(e["type"])
    return got


def error_event(body):
    return chunk(b"data: " + json.dumps(body).encode() + b"\n\n")
