"""What providers list, kept with its age; local servers found on this machine; languages recognized."""
import json
import re
import signal
import socket
import time

import pytest

from harness.provider import Hang, Provider, Reset, head, reply
from harness.rpc import RpcError


class Server(Provider):
    """Answers by path: a body for JSON, or steps, or a function of the request that gives either."""

    def __init__(self, routes, port=0):
        self.routes = routes
        super().__init__(default=self.answer)
        self.models = self.answer

    def answer(self, r):
        found = self.routes.get(r.path.partition("?")[0])
        if callable(found):
            found = found(r)
        if found is None:
            return reply(404, {"error": {"message": "no such page"}})
        return found if isinstance(found, list) else reply(200, found)

    @property
    def origin(self):
        return f"http://127.0.0.1:{self.port}"

    def asked(self, path):
        return [r for r in self.requests if r.path.partition("?")[0] == path]


@pytest.fixture
def serve():
    made = []

    def make(routes):
        made.append(Server(routes))
        return made[-1]

    yield make
    for s in made:
        s.close()


def closed_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(c, name, timeout=10, **want):
    """Waits until a provider stands like that."""
    deadline = time.monotonic() + timeout
    while True:
        p = c.call("provider.get", name=name)
        if all(p.get(k) == v for k, v in want.items()):
            return p
        assert time.monotonic() < deadline, p
        time.sleep(0.02)


def models(c, provider, **kw):
    return {m["model"]: m for m in c.call("model.list", provider=provider, catalog=True, **kw)["models"]}


def add(c, name, url, **kw):
    kw.setdefault("type", "local")
    kw.setdefault("auth_type", "none")
    return c.call("provider.add", name=name, base_url=url, **kw)


TAGS = {"models": [
    {"name": "qwen3:8b", "model": "qwen3:8b", "details": {"format": "gguf", "context_length": 40960},
     "capabilities": ["completion", "tools", "thinking"]},
    {"name": "llava:7b", "model": "llava:7b", "details": {"format": "gguf"}},
    {"name": "embed:1b", "model": "embed:1b", "details": {}, "capabilities": ["embedding"]},
    {"name": "old-embed", "model": "old-embed", "details": {}},
]}
SHOWN = {
    "llava:7b": {"model_info": {"general.architecture": "llama", "llama.context_length": 8192}, "capabilities": ["completion", "vision"]},
    "old-embed": {"model_info": {}, "capabilities": ["embedding"]},
}
OLLAMA = {
    "/api/tags": TAGS,
    "/api/ps": {"models": [{"name": "qwen3:8b", "model": "qwen3:8b", "context_length": 4096}]},
    "/api/show": lambda r: SHOWN.get(r.json["model"]),
}
STUDIO = {"/api/v1/models": {"models": [
    {"type": "llm", "key": "google/gemma", "display_name": "Gemma 4", "loaded_instances": [{"id": "x", "config": {"context_length": 4096}}],
     "max_context_length": 262144, "capabilities": {"vision": True, "trained_for_tool_use": True, "reasoning": {"default": "on"}}},
    {"type": "llm", "key": "big", "display_name": "Big", "loaded_instances": [], "max_context_length": 131072,
     "capabilities": {"vision": False, "trained_for_tool_use": False}},
    {"type": "embedding", "key": "nomic", "loaded_instances": [], "max_context_length": 2048},
]}}
STUDIO_OLD = {"/api/v0/models": {"object": "list", "data": [
    {"id": "vl", "type": "vlm", "state": "loaded", "max_context_length": 32768, "loaded_context_length": 8192, "capabilities": ["tool_use"]},
    {"id": "text", "type": "llm", "state": "not-loaded", "max_context_length": 65536},
    {"id": "vectors", "type": "embeddings", "state": "not-loaded", "max_context_length": 512},
]}}
LLAMA = {
    "/v1/models": {"object": "list", "data": [{"id": "tiny.gguf", "object": "model", "meta": {"n_ctx_train": 131072}}],
                   "models": [{"name": "tiny.gguf", "model": "tiny.gguf"}]},
    "/api/tags": {"object": "list", "data": [{"id": "tiny.gguf"}], "models": [{"name": "tiny.gguf", "model": "tiny.gguf"}]},
    "/props": {"default_generation_settings": {"n_ctx": 2048}, "total_slots": 1, "modalities": {"vision": True, "audio": False}},
}
ROUTER = {"/api/v1/models": {"data": [
    {"id": "anthropic/claude-sonnet-5.5", "name": "Claude Sonnet 5.5", "context_length": 1000000,
     "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
     "top_provider": {"context_length": 200000, "max_completion_tokens": 128000},
     "supported_parameters": ["tools", "tool_choice", "max_tokens", "reasoning"]},
    {"id": "some/pictures", "name": "Pictures", "architecture": {"output_modalities": ["image"]}, "context_length": 32000},
    {"id": "plain/small:free", "name": "Small", "context_length": 8000, "top_provider": {"context_length": None, "max_completion_tokens": None},
     "supported_parameters": None},
]}}


# ---- what lists say ----

def test_ollama_tells_what_is_loaded_and_how_much_it_holds(daemon, serve):
    s = serve(OLLAMA)
    with daemon.rpc() as c:
        add(c, "mine", s.origin, dialect="ollama")
        r = c.call("provider.check", name="mine")
        assert r["ok"] and r["models"] == 2, r
        m = models(c, "mine")
    assert set(m) == {"qwen3:8b", "llava:7b"}  # the rest does not chat
    assert m["qwen3:8b"]["context_tokens"] == 4096 and m["qwen3:8b"]["loaded"] is True
    assert m["qwen3:8b"]["abilities"] == ["tools", "reasoning"] and m["qwen3:8b"]["source"] == "discovered"
    assert m["llava:7b"]["context_tokens"] == 8192 and m["llava:7b"]["loaded"] is False and m["llava:7b"]["abilities"] == ["images"]
    assert 0 <= m["llava:7b"]["age_ms"] < 60_000
    assert [r.json["model"] for r in s.asked("/api/show")] == ["llava:7b", "old-embed"]  # only what was not told yet


def test_lm_studio_usable_context_and_warnings(daemon, serve):
    s = serve(STUDIO)
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        r = c.call("provider.check", name="lmstudio")
        assert r["ok"] and r["models"] == 2
        assert len(r["warnings"]) == 1 and "google/gemma" in r["warnings"][0] and "4096" in r["warnings"][0]
        m = models(c, "lmstudio")
        assert m["google/gemma"]["context_tokens"] == 4096 and m["google/gemma"]["title"] == "Gemma 4"
        assert m["google/gemma"]["abilities"] == ["tools", "images", "reasoning"] and "4096" in m["google/gemma"]["warning"]
        assert m["big"]["context_tokens"] == 131072 and m["big"]["loaded"] is False and "warning" not in m["big"]
        assert "4096" in c.call("route.set", ref="lmstudio:google/gemma")["warnings"][0]
        assert "warnings" not in c.call("route.set", ref="lmstudio:big")
    assert not s.asked("/v1/models") and not s.asked("/api/v0/models")


def test_lm_studio_before_0_4(daemon, serve):
    s = serve(STUDIO_OLD)
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        assert c.call("provider.check", name="lmstudio")["models"] == 2
        m = models(c, "lmstudio")
    assert m["vl"]["context_tokens"] == 8192 and m["vl"]["loaded"] and m["vl"]["abilities"] == ["tools", "images"]
    assert m["text"]["context_tokens"] == 65536 and not m["text"]["loaded"]


def test_lm_studio_with_nothing_but_the_openai_list(daemon, serve):
    s = serve({"/v1/models": {"data": [{"id": "only", "object": "model"}], "object": "list"}})
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        assert c.call("provider.check", name="lmstudio")["models"] == 1
        assert "context_tokens" not in models(c, "lmstudio")["only"]
    assert [r.path for r in s.requests] == ["/api/v1/models", "/api/v0/models", "/v1/models"]


def test_llama_cpp_context_in_use(daemon, serve):
    s = serve(LLAMA)
    with daemon.rpc() as c:
        c.call("provider.update", name="llamacpp", set={"base_url": s.url})
        assert c.call("provider.check", name="llamacpp")["models"] == 1
        m = models(c, "llamacpp")["tiny.gguf"]
    assert m["context_tokens"] == 2048 and m["abilities"] == ["images"] and m["loaded"] and "warning" in m


def test_openrouter_facts(daemon, serve):
    s = serve(ROUTER)
    with daemon.rpc() as c:
        add(c, "router", s.origin + "/api/v1")
        assert c.call("provider.check", name="router")["models"] == 2
        m = models(c, "router")
    big, small = m["anthropic/claude-sonnet-5.5"], m["plain/small:free"]
    assert (big["context_tokens"], big["output_tokens"], big["title"]) == (200000, 128000, "Claude Sonnet 5.5")
    assert big["abilities"] == ["tools", "images", "reasoning", "documents"]
    assert small["context_tokens"] == 8000 and "output_tokens" not in small and small["abilities"] == []


def test_vllm_max_model_len(daemon, serve):
    s = serve({"/v1/models": {"data": [{"id": "m", "max_model_len": 12000}]}})
    with daemon.rpc() as c:
        add(c, "vllm", s.url)
        c.call("provider.check", name="vllm")
        assert models(c, "vllm")["m"]["context_tokens"] == 12000


def test_facts_beside_the_list_may_fail(daemon, serve):
    """A server that hangs or resets where only details are asked still has its list."""
    for broken in ([Hang()], [Reset()], [head(200, "application/json", 5), b"nope!"]):
        s = serve(dict(LLAMA, **{"/props": broken}))
        with daemon.rpc() as c:
            c.call("provider.update", name="llamacpp", set={"base_url": s.url})
            r = c.call("provider.check", name="llamacpp")
            assert r["ok"] and r["models"] == 1 and r["latency_ms"] < 1500, r
            assert models(c, "llamacpp")["tiny.gguf"]["context_tokens"] == 131072


# ---- the cache ----

def test_lists_survive_a_restart_and_a_crash(daemon, serve):
    s = serve(ROUTER)
    with daemon.rpc() as c:
        add(c, "router", s.origin + "/api/v1")
        c.call("provider.check", name="router")
        before = models(c, "router")
    s.close()
    for again in (daemon.restart, lambda: (daemon.kill(), daemon.start())):
        again()
        with daemon.rpc() as c:
            after = models(c, "router")
            assert c.call("provider.get", name="router")["models_count"] == 2
        assert after.keys() == before.keys()
        for k in before:
            assert after[k].pop("age_ms") >= 0
            assert after[k] == {f: v for f, v in before[k].items() if f != "age_ms"}


def test_refresh_asks_first_and_a_failure_keeps_the_old_list(daemon, serve):
    s = serve({"/v1/models": {"data": [{"id": "one"}]}})
    with daemon.rpc() as c:
        add(c, "p", s.url)
        assert models(c, "p") == {}
        assert set(models(c, "p", refresh=True)) == {"one"}
        s.routes["/v1/models"] = {"data": [{"id": "two"}, {"id": "three"}]}
        assert set(models(c, "p")) == {"one"}
        assert set(models(c, "p", refresh=True)) == {"two", "three"}
        time.sleep(0.3)
        s.routes["/v1/models"] = reply(503, {"error": {"message": "busy"}})
        r = c.call("model.list", provider="p", catalog=True, refresh=True)
        assert {m["model"] for m in r["models"]} == {"two", "three"}
        assert all(m["age_ms"] >= 300 for m in r["models"])
        assert len(r["warnings"]) == 1 and "p" in r["warnings"][0]


def test_refresh_of_all_asks_who_can_be_asked(daemon, serve):
    a, b = serve({"/v1/models": {"data": [{"id": "a"}]}}), serve({"/v1/models": {"data": [{"id": "b"}]}})
    with daemon.rpc() as c:
        add(c, "first", a.url)
        add(c, "second", b.url)
        add(c, "keyless", a.url, auth_type="api-key")
        for i in range(20):  # more than are asked at once
            add(c, f"more{i}", b.url)
        r = c.call("model.list", catalog=True, refresh=True)
        found = {m["ref"] for m in r["models"] if m["source"] == "discovered"}
        assert {"first:a", "second:b"} | {f"more{i}:b" for i in range(20)} <= found and "keyless:a" not in found
        assert not [w for w in r["warnings"] if "first" in w or "second" in w]


def test_a_refresh_can_be_cancelled(daemon, serve):
    s = serve({"/v1/models": [Hang()]})
    with daemon.rpc() as c:
        add(c, "slow", s.url)
        msgid = c.send("model.list", {"refresh": True, "provider": "slow"})
        time.sleep(0.1)
        assert c.call("sys.cancel", msgid=msgid)["cancelled"]
        with pytest.raises(RpcError) as e:
            c.wait(msgid)
        assert e.value.code == "cancelled"
        add(c, "slow2", s.url)
        c.send("model.list", {"refresh": True})
    with daemon.rpc() as c:  # the connection that asked is gone
        c.call("sys.ping")


def test_another_address_is_another_list(daemon, serve):
    s, other = serve({"/v1/models": {"data": [{"id": "here"}]}}), serve({"/v1/models": {"data": [{"id": "there"}]}})
    with daemon.rpc() as c:
        add(c, "p", s.url)
        c.call("provider.check", name="p")
        c.call("provider.update", name="p", set={"display_name": "P"})
        assert set(models(c, "p")) == {"here"}
        c.call("provider.update", name="p", set={"base_url": other.url})
        assert models(c, "p") == {}
        c.call("provider.check", name="p")
        assert set(models(c, "p")) == {"there"}
        c.call("provider.remove", name="p", cascade=True)
        add(c, "p", other.url)
        assert models(c, "p") == {}
    daemon.restart()
    with daemon.rpc() as c:
        assert models(c, "p") == {}


def test_an_answer_that_comes_after_the_move_is_not_kept(daemon, serve):
    import threading
    gate = threading.Event()
    from harness.provider import Wait
    s = serve({"/v1/models": [Wait(gate), *reply(200, {"data": [{"id": "late"}]})]})
    with daemon.rpc() as c:
        add(c, "p", s.url)
        msgid = c.send("provider.check", {"name": "p"})
        time.sleep(0.1)
        c.call("provider.update", name="p", set={"base_url": f"http://127.0.0.1:{closed_port()}/v1"})
        gate.set()
        c.wait(msgid)
        assert models(c, "p") == {}


def test_twenty_thousand_models(daemon, serve):
    data = [{"id": f"vendor/model-{i:05d}", "name": f"Model {i}", "context_length": 32768} for i in range(20_500)]
    s = serve({"/v1/models": {"data": data}})
    with daemon.rpc() as c, daemon.rpc() as other:
        add(c, "many", s.url)
        msgid = c.send("provider.check", {"name": "many"})
        slowest, answered = 0.0, False
        end = time.monotonic() + 15
        while not answered and time.monotonic() < end:
            t = time.monotonic()
            other.call("sys.ping")
            slowest = max(slowest, time.monotonic() - t)
            try:
                answered = c.wait(msgid, timeout=0.01)["ok"]
            except TimeoutError:
                pass
        assert answered and slowest < 1.0, slowest
        seen, cursor = [], {}
        while True:
            r = c.call("model.list", provider="many", catalog=True, **cursor)
            assert len(r["models"]) <= 2000
            seen += [m["model"] for m in r["models"]]
            if "next" not in r:
                break
            cursor = {"cursor": r["next"]}
        assert seen == [d["id"] for d in data[:20_000]]
        assert c.call("model.resolve", text="vendor/model-19999")["ref"] == "many:vendor/model-19999"
        with pytest.raises(RpcError) as e:
            c.call("model.resolve", text="vendor/model-0000x")
        assert any("vendor/model-0000" in x for x in e.value.data["candidates"])
        # most of it stays: what is written is the difference
        s.routes["/v1/models"] = {"data": data[5:19_990]}
        c.call("provider.check", name="many")
    daemon.restart()
    with daemon.rpc() as c:
        assert c.call("provider.get", name="many")["models_count"] == 19_985
        assert [m["model"] for m in c.call("model.list", provider="many", catalog=True, limit=1)["models"]] == ["vendor/model-00005"]


LONG = "x" * 300
HOSTILE = {
    "no JSON": b"<html><title>hello</title></html>",
    "empty": b"",
    "null": b"null",
    "a number": b"17",
    "a string": b'"models"',
    "cut": b'{"data":[{"id":"a"},{"id":',
    "deep": b"[" * 5000 + b"]" * 5000,
    "many brackets": b'{"data":' + b"[" * 200 + b"]" * 200 + b"}",
    "two documents": b'{"data":[]}{"data":[]}',
    "data is a string": b'{"data":"none"}',
    "an error in a 200": b'{"error":{"message":"no"}}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_F80_a_list_that_is_none_keeps_the_old_one(daemon, serve, name):
    s = serve({"/v1/models": {"data": [{"id": "good"}]}})
    with daemon.rpc() as c:
        add(c, "p", s.url)
        assert c.call("provider.check", name="p")["ok"]
        s.routes["/v1/models"] = [head(200, "application/json", len(HOSTILE[name])) + HOSTILE[name]]
        r = c.call("provider.check", name="p")
        assert not r["ok"] and r["code"] == "upstream_error", r
        assert set(models(c, "p")) == {"good"}


def test_F85_what_stands_in_a_list_is_data(daemon, serve):
    ids = ["good", "", " ", "two words", "new\nline", "esc\x1b[31m", "del\x7f", "c1\x9b31m", LONG, "y" * 256, 5, None, True, {"id": "x"}, ["x"],
           "-rf", "$(reboot)", "`id`", "'; DROP TABLE models; --", "../../etc/passwd", "a:b:c", "@coding", "good", "%s%n", "a\x00b", "ü/模型"]
    data = [{"id": i, "name": "t\x1b]0;title\x07" if i == "good" else i, "context_length": n} for i, n in
            zip(ids, [-1, 0, 1.5, "many", None, 1 << 62, 1e300, [], {}, 9007199254740993] * 3)]
    body = json.dumps({"data": data + [None, 1, "x", [], {}, {"name": "no id"}]}).encode()
    body = body.replace(b'"context_length": 1e+300', b'"context_length": 1e400')
    s = serve({"/v1/models": [head(200, "application/json", len(body)) + body]})
    with daemon.rpc() as c:
        add(c, "p", s.url)
        assert c.call("provider.check", name="p")["ok"]
        m = models(c, "p")
        assert set(m) == {"good", "y" * 256, "-rf", "$(reboot)", "`id`", "../../etc/passwd", "a:b:c", "@coding", "%s%n", "ü/模型"}
        assert "title" not in m["good"]
        assert all(0 < x.get("context_tokens", 1) <= 1 << 40 for x in m.values())
        before = c.call("model.list", provider="p", catalog=True)["models"]
    daemon.restart()
    with daemon.rpc() as c:
        after = c.call("model.list", provider="p", catalog=True)["models"]
        assert [x["model"] for x in after] == [x["model"] for x in before]
    r = daemon.mpc("list", "--all", check=0)
    assert "\x1b" not in r.out and "\x9b" not in r.out


@pytest.mark.parametrize("steps", [[Hang()], [Reset()], [head(200, "application/json", 1000), b'{"data":['], [head(302, None, 0, extra=[("Location", "http://127.0.0.1:9/")])]],
                         ids=["hangs", "resets", "is cut", "redirects"])
def test_a_server_that_misbehaves_at_the_list(daemon, serve, steps):
    s = serve({"/v1/models": steps})
    with daemon.rpc() as c:
        c.call("provider.update", name="llamacpp", set={"base_url": s.url})
        t = time.monotonic()
        assert "llamacpp" not in [f["name"] for f in c.call("provider.detect")["found"]]
        assert time.monotonic() - t < 4
        p = c.call("provider.get", name="llamacpp")
        assert p["status"] == "error" and p["status_code"] == "provider_unavailable" and "another program" in p["status_message"]


# ---- selectors ----

def test_listed_models_are_selectors(daemon, serve):
    s, t = serve({"/v1/models": {"data": [{"id": "qwen-local"}, {"id": "shared"}]}}), serve({"/v1/models": {"data": [{"id": "shared"}]}})
    with daemon.rpc() as c:
        add(c, "one", s.url)
        add(c, "two", t.url)
        with pytest.raises(RpcError) as e:
            c.call("model.resolve", text="qwen-local")
        assert e.value.code == "not_found"
        c.call("provider.check", name="one")
        c.call("provider.check", name="two")
        r = c.call("model.resolve", text="qwen-local")
        assert r["ref"] == "one:qwen-local" and "listed" in r["why"]
        with pytest.raises(RpcError) as e:
            c.call("model.resolve", text="shared")
        assert e.value.code == "ambiguous" and set(e.value.data["candidates"]) == {"one:shared", "two:shared"}
        with pytest.raises(RpcError) as e:
            c.call("model.resolve", text="qwen-lokal")
        assert any("qwen-local" in x for x in e.value.data["candidates"])
        # the user's word and the catalogue's go before
        c.call("model.add", provider="two", model="qwen-local")
        assert c.call("model.resolve", text="qwen-local")["ref"] == "two:qwen-local"


def test_a_local_provider_alone_is_its_loaded_model(daemon, serve):
    s = serve(STUDIO)
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        c.call("provider.check", name="lmstudio")
        assert c.call("model.resolve", text="lmstudio")["model"] == "google/gemma"  # "big" is not in memory
        # elsewhere a choice would cost money
        r = serve(ROUTER)
        add(c, "paid", r.origin + "/api/v1")
        c.call("provider.check", name="paid")
        assert c.call("model.resolve", text="paid")["model"] == "anthropic/claude-sonnet-5.5"
        c.call("provider.update", name="paid", set={"enabled": False})


# ---- detection ----

def test_detection_at_the_start(make_daemon, serve):
    s = serve(OLLAMA)
    d = make_daemon(env={"OLLAMA_HOST": f"127.0.0.1:{s.port}"})
    with d.rpc() as c:
        p = until(c, "ollama", status="available")
        assert p["base_url"] == s.origin and p["models_count"] == 2 and "last_used_ms" not in p
        assert set(models(c, "ollama")) == {"qwen3:8b", "llava:7b"}


@pytest.mark.parametrize("form", ["0.0.0.0:{}", "localhost:{}", "http://127.0.0.1:{}/", ":{}", "127.0.0.1:{}"])
def test_ollama_host_in_every_form(daemon, serve, form):
    s = serve(OLLAMA)
    with daemon.rpc() as c:
        found = {f["name"]: f for f in c.call("provider.detect", ollama_host=form.format(s.port))["found"]}
        assert found["ollama"]["moved"] is True and set(found["ollama"]["models"]) == {"qwen3:8b", "llava:7b"}
        for m in found["ollama"]["models"]:
            assert c.call("model.resolve", text="ollama:" + m)["model"] == m
        again = {f["name"]: f for f in c.call("provider.detect", ollama_host=form.format(s.port))["found"]}
        assert again["ollama"]["moved"] is False
        # without the variable it stays where it answers, also over a restart
    daemon.restart()
    with daemon.rpc() as c:
        p = until(c, "ollama", status="available")
        assert str(s.port) in p["base_url"]


@pytest.mark.parametrize("host", ["192.0.2.7:11434", "http://ollama.example:11434", "a b", "127.0.0.1:99999", "ftp://127.0.0.1:1", "127.0.0.1@evil.example:80",
                                  "2130706433:80", "http://127.0.0.1.evil.example:80"])
def test_ollama_host_of_another_machine_is_not_followed(daemon, host):
    with daemon.rpc() as c:
        before = c.call("provider.get", name="ollama")["base_url"]
        t = time.monotonic()
        c.call("provider.detect", ollama_host=host)
        assert time.monotonic() - t < 1.5
        assert c.call("provider.get", name="ollama")["base_url"] == before


def test_a_working_address_of_the_users_own_stays(daemon, serve):
    mine, other = serve(OLLAMA), serve(OLLAMA)
    with daemon.rpc() as c:
        c.call("provider.update", name="ollama", set={"base_url": mine.origin})
        found = c.call("provider.detect", ollama_host=other.origin)["found"]
        assert [f["base_url"] for f in found if f["name"] == "ollama"] == [mine.origin]
        assert not other.requests
        mine.close()
        found = c.call("provider.detect", ollama_host=other.origin)["found"]
        assert [f["base_url"] for f in found if f["name"] == "ollama"] == [other.origin]


@pytest.mark.parametrize("how", ["SIGHUP", "sys.reload", "provider.detect"])
def test_a_server_that_comes_and_goes(daemon, serve, how):
    port = closed_port()

    def look(c):
        if how == "SIGHUP":
            daemon.signal(signal.SIGHUP)
        else:
            c.call(how)

    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": f"http://127.0.0.1:{port}/v1"})
        p = c.call("provider.get", name="lmstudio")
        assert p["status"] == "error" and p["status_code"] == "provider_unavailable"  # nobody has looked yet
        look(c)
        p = until(c, "lmstudio", status_message=f"not running: nothing listens at http://127.0.0.1:{port}/v1")
        assert p["status"] == "error" and p["status_code"] == "provider_unavailable"
        s = serve(STUDIO)
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        look(c)
        assert until(c, "lmstudio", status="available")["models_count"] == 2
        s.close()
        look(c)
        p = until(c, "lmstudio", status="error")
        assert "not running" in p["status_message"] and set(models(c, "lmstudio")) == {"google/gemma", "big"}


def test_a_server_that_wants_a_key_is_found(daemon, serve):
    s = serve({"/api/v1/models": reply(401, {"error": {"message": "token please"}})})
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        found = {f["name"]: f for f in c.call("provider.detect")["found"]}
        assert found["lmstudio"]["wants_key"] and found["lmstudio"]["models"] == []
        p = c.call("provider.get", name="lmstudio")
        assert p["status"] == "error" and p["status_code"] == "no_credential"


def test_detection_never_changes_an_override(make_daemon, serve):
    s = serve(OLLAMA)
    d = make_daemon()
    with d.rpc() as c:
        c.call("route.set", ref="ollama:old-model")
        c.call("route.set", ref="ollama:other", temporary=True)
        c.call("route.set", ref="ollama:scoped", scope="project:/a")
        before = [c.call("route.get", **kw) for kw in ({}, {"scope": "project:/a"})]
        c.call("provider.detect", ollama_host=s.origin)
        assert c.call("provider.get", name="ollama")["base_url"] == s.origin
        s.close()
        c.call("provider.detect")
        d.signal(signal.SIGHUP)
        c.call("sys.reload")
        after = [c.call("route.get", **kw) for kw in ({}, {"scope": "project:/a"})]
    for a, b in zip(before, after):
        assert a["why"] == b["why"] and a["active"] == b["active"]


def all_ports_closed(d):
    with d.rpc() as c:
        for name in ("ollama", "lmstudio", "llamacpp"):
            c.call("provider.update", name=name, set={"base_url": f"http://127.0.0.1:{closed_port()}"})


def test_no_http_library_for_doors_that_stay_shut(daemon):
    all_ports_closed(daemon)
    daemon.restart()
    with daemon.rpc() as c:
        for name in ("ollama", "lmstudio", "llamacpp"):
            assert "not running" in until(c, name, status="error")["status_message"]
        c.call("provider.detect")
        assert "libcurl" not in open(f"/proc/{daemon.pid}/maps").read()
    # and nothing stays awake: no timer, no descriptor
    before = daemon.fds()

    def switches():
        return sum(int(n) for n in re.findall(r"^(?:non)?voluntary_ctxt_switches:\s*(\d+)", open(f"/proc/{daemon.pid}/status").read(), re.M))

    time.sleep(0.5)
    was = switches()
    time.sleep(2)
    assert switches() - was <= 1 and daemon.fds() <= before


def test_detections_at_once_and_broken_off(daemon, serve):
    s = serve({"/api/v1/models": [Hang()]})
    with daemon.rpc() as c:
        c.call("provider.update", name="lmstudio", set={"base_url": s.url})
        fds = None
        for _ in range(3):
            clients = [daemon.rpc() for _ in range(8)]
            for x in clients:
                x.send("provider.detect", {})
            time.sleep(0.1)
            for x in clients:
                x.close()
            c.call("provider.detect")
            time.sleep(0.2)
            fds = fds or daemon.fds()
        assert daemon.fds() <= fds + 2


# ---- recognition ----

KEYED = "sk-recognize-00000000001"


def with_key(header, value, body, otherwise):
    return lambda r: body if r.header(header) == value else otherwise


ANTHROPIC_401 = reply(401, {"type": "error", "error": {"type": "authentication_error", "message": "x-api-key header is required"}})
GEMINI_403 = reply(403, {"error": {"code": 403, "message": "Method doesn't allow unregistered callers", "status": "PERMISSION_DENIED"}})
OPENAI_401 = reply(401, {"error": {"message": "You didn't provide an API key.", "type": "invalid_request_error", "code": None}})
ANTHROPIC = with_key("x-api-key", KEYED, {"data": [{"type": "model", "id": "claude-x", "display_name": "Claude X", "created_at": "2026-01-01T00:00:00Z"}], "has_more": False}, ANTHROPIC_401)
GEMINI = with_key("x-goog-api-key", KEYED, {"models": [{"name": "models/gemini-x", "supportedGenerationMethods": ["generateContent"]}]}, GEMINI_403)
OPENAI = with_key("Authorization", "Bearer " + KEYED, {"object": "list", "data": [{"id": "gpt-x", "object": "model"}]}, OPENAI_401)

SERVERS = {
    # routes, suffix of the URL given, key, dialect, base URL's suffix, models, feature, wants_key
    "openai": ({"/v1/models": OPENAI}, "/v1", KEYED, "openai-chat", "/v1", ["gpt-x"], None, False),
    "openai without its version": ({"/v1/models": OPENAI}, "", KEYED, "openai-chat", "/v1", ["gpt-x"], None, False),
    "openai with a slash": ({"/v1/models": OPENAI}, "/v1/", KEYED, "openai-chat", "/v1", ["gpt-x"], None, False),
    "openai without a key": ({"/v1/models": OPENAI}, "/v1", None, "openai-chat", "/v1", [], None, True),
    "openai somewhere": ({"/compatible/x/models": OPENAI}, "/compatible/x", KEYED, "openai-chat", "/compatible/x", ["gpt-x"], None, False),
    "openrouter": (ROUTER, "/api/v1", None, "openai-chat", "/api/v1", ["anthropic/claude-sonnet-5.5", "plain/small:free"], None, False),
    "anthropic": ({"/v1/models": ANTHROPIC}, "", KEYED, "anthropic-messages", "", ["claude-x"], None, False),
    "anthropic with its version": ({"/v1/models": ANTHROPIC}, "/v1", KEYED, "anthropic-messages", "", ["claude-x"], None, False),
    "anthropic without a key": ({"/v1/models": ANTHROPIC}, "", None, "anthropic-messages", "", [], None, True),
    "gemini": ({"/v1beta/models": GEMINI}, "", KEYED, "gemini", "", ["gemini-x"], None, False),
    "gemini without a key": ({"/v1beta/models": GEMINI}, "/v1beta", None, "gemini", "", [], None, True),
    "ollama": (dict(OLLAMA, **{"/v1/models": {"object": "list", "data": [{"id": "qwen3:8b"}]}}), "", None, "ollama", "", ["qwen3:8b", "llava:7b", "old-embed"], None, False),
    "ollama by its /v1": (dict(OLLAMA, **{"/v1/models": {"object": "list", "data": [{"id": "qwen3:8b"}]}}), "/v1", None, "ollama", "", ["qwen3:8b", "llava:7b", "old-embed"], None, False),
    "llama.cpp": (LLAMA, "", None, "openai-chat", "/v1", ["tiny.gguf"], "llamacpp-props", False),
    "LM Studio": (dict(STUDIO, **{"/v1/models": {"data": [{"id": "google/gemma"}]}}), "", None, "openai-chat", "/v1", ["google/gemma"], "lmstudio-api", False),
}


@pytest.mark.parametrize("name", SERVERS)
def test_recognized(daemon, serve, name):
    routes, given, key, dialect, base, ids, feature, wants_key = SERVERS[name]
    s = serve(routes)
    with daemon.rpc() as c:
        r = c.call("provider.recognize", base_url=s.origin + given, **({"secret": key} if key else {}))
        assert (r["dialect"], r["base_url"], r["models"], r["wants_key"]) == (dialect, s.origin + base, ids, wants_key), r
        assert r["features"] == ([feature] if feature else []) and r["evidence"] and r["models_count"] == len(ids)
        # what it says works
        add(c, "new", r["base_url"], dialect=r["dialect"], features=r["features"], auth_type="optional-key")
        if key:
            c.call("key.set", provider="new", secret=key)
        assert c.call("provider.check", name="new")["ok"] is not wants_key


NOBODY = {
    "a web site": {"/": [head(200, "text/html", 4), b"<ok>"]},
    "a page for everything": None,
    "an empty object": {p: {} for p in ("/v1/models", "/models", "/api/tags", "/v1beta/models")},
    "nonsense": {p: reply(200, b"\xff\xfe{") for p in ("/v1/models", "/models", "/api/tags", "/v1beta/models")},
    "basic auth": {p: reply(401, b"<h1>401</h1>", "text/html") for p in ("/v1/models", "/models", "/api/tags", "/v1beta/models")},
    "redirects": {p: [head(302, None, 0, extra=[("Location", "http://127.0.0.1:9/")])] for p in ("/v1/models", "/models", "/api/tags")},
}


@pytest.mark.parametrize("name", NOBODY)
def test_nobody_we_know(daemon, serve, name):
    s = serve(NOBODY[name] or {})
    if NOBODY[name] is None:
        s.answer = s.default = s.models = lambda r: reply(200, b"<html>welcome</html>", "text/html")
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("provider.recognize", base_url=s.origin, secret=KEYED)
        assert e.value.code in ("upstream_error", "provider_unavailable", "invalid_state"), e.value.error
        assert s.origin in e.value.message and KEYED not in json.dumps(e.value.error)
        assert [p["name"] for p in c.call("provider.list")["providers"]].count("new") == 0


def test_recognition_of_what_is_not_there(daemon, serve):
    hangs = serve({p: [Hang()] for p in ("/v1/models", "/models", "/api/tags", "/v1beta/models", "/api/v1/models", "/props")})
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("provider.recognize", base_url=f"http://127.0.0.1:{closed_port()}")
        assert e.value.code == "provider_unavailable"
        t = time.monotonic()
        with pytest.raises(RpcError) as e:
            c.call("provider.recognize", base_url=hangs.url)
        assert e.value.code == "timeout" and 1.5 < time.monotonic() - t < 4
        for url in ("http://example.com/v1", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "127.0.0.1:80", "http://127.0.0.1:1/?q=1", ""):
            with pytest.raises(RpcError) as e:
                c.call("provider.recognize", base_url=url)
            assert (e.value.code, e.value.field) == ("invalid_params", "base_url"), url
        with pytest.raises(RpcError) as e:
            c.call("provider.recognize", base_url=hangs.url, secret="two words")
        assert e.value.field == "secret"


def test_a_key_for_recognition_stays_at_its_origin(daemon, serve):
    other = serve({})
    s = serve({p: [head(307, None, 0, extra=[("Location", other.origin + "/v1/models")])] for p in
               ("/v1/models", "/models", "/api/tags", "/v1beta/models", "/api/v1/models", "/props")})
    with daemon.rpc() as c:
        with pytest.raises(RpcError):
            c.call("provider.recognize", base_url=s.url, secret=KEYED)
        assert s.requests and not other.requests
        assert not c.call("key.status")["keys"]
    assert KEYED not in daemon.log()
    assert not any(KEYED.encode() in f.read_bytes() for f in daemon.data.rglob("*") if f.is_file())


def test_recognition_broken_off(daemon, serve):
    s = serve({p: [Hang()] for p in ("/v1/models", "/models", "/api/tags")})
    c = daemon.rpc()
    msgid = c.send("provider.recognize", {"base_url": s.url})
    time.sleep(0.1)
    assert c.call("sys.cancel", msgid=msgid)["cancelled"]
    with pytest.raises(RpcError):
        c.wait(msgid)
    c.send("provider.recognize", {"base_url": s.url})
    time.sleep(0.05)
    c.close()
    with daemon.rpc() as c:
        c.call("sys.ping")


# ---- health checks and regions ----

def test_the_health_check_comes_before_the_list(daemon, serve):
    s = serve({"/v1/models": {"data": [{"id": "m"}]}, "/v1/health": {"status": "ok"}})
    with daemon.rpc() as c:
        add(c, "p", s.url, health_check="/health")
        assert c.call("provider.check", name="p")["ok"]
        assert [r.path for r in s.requests] == ["/v1/health", "/v1/models"]
        s.routes["/v1/health"] = [head(200, "text/plain", 2), b"OK"]
        assert c.call("provider.check", name="p")["ok"]
        s.routes["/v1/health"] = reply(503, {"error": {"message": "Loading model", "code": 503}})
        r = c.call("provider.check", name="p")
        assert not r["ok"] and "Loading model" in r["message"]
        c.call("provider.update", name="p", set={"health_check": "/models"})
        del s.requests[:]
        assert c.call("provider.check", name="p")["ok"]
        assert [r.path for r in s.requests] == ["/v1/models"]  # the same question is asked once


def test_regions_of_qwen(daemon):
    with daemon.rpc() as c:
        p = c.call("provider.get", name="qwen")
        assert set(p["regions"]) == {"intl", "cn", "us", "hk"} and p["region"] == "intl"
        c.call("key.set", provider="qwen", secret="sk-qwen-000000000000001")
        r = c.call("provider.update", name="qwen", set={"region": "us"})
        assert r["base_url"] == p["regions"]["us"] and r["region"] == "us" and "set it again" in r["warnings"][0]
        p = c.call("provider.get", name="qwen")
        assert p["status"] == "error" and p["status_code"] == "origin"
        c.call("key.set", provider="qwen", secret="sk-qwen-000000000000002")
        assert c.call("provider.get", name="qwen")["status"] == "available"
        with pytest.raises(RpcError) as e:
            c.call("provider.update", name="qwen", set={"region": "moon"})
        assert e.value.field == "set.region" and "intl" in e.value.error["hint"]
        with pytest.raises(RpcError) as e:
            c.call("provider.update", name="openai", set={"region": "us"})
        assert e.value.field == "set.region"
        assert "regions" not in c.call("provider.get", name="openai")
    daemon.restart()
    with daemon.rpc() as c:
        assert c.call("provider.get", name="qwen")["region"] == "us"
