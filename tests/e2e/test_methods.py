"""Every method with every kind of wrong parameter (F52, F53), driven by sys.methods; and what methods promise."""
import pytest

import msgpack

from harness.rpc import Closed, Rpc, RpcError

# A valid value for each required parameter, so that the one under test is the only wrong one.
VALID = {
    "refs": ["echo:x"],
    "base_url": "http://127.0.0.1:9/v1",
    "name": "echo", "team": "acme", "signer": "x", "url": "https://team.example/x", "provider": "echo", "ref": "echo:echo", "text": "x", "set": {"enabled": True}, "model": "echo", "nick": "nick",
    "usage": {"input_tokens": 1, "output_tokens": 1}, "input": 1, "output": 1, "request_key": "k", "msgid": 1, "limit_microusd": 1, "path": "/nowhere/b.tar", "new": "correct horse", "type": "key-file", "stream": 1, "id": 1, "duration_ms": 60000, "secret": "sk-0123456789abcdefghij",
}
WRONG = {
    "str": 5, "name": 5, "ref": 5, "bool": "yes", "int": "many", "uint": -1, "float": "x", "map": [1], "list": 5, "bytes": 5, "secret": 5,
    "[str]": "x", "[map]": "x",
}


def base(type_):
    return type_.split("(")[0]


@pytest.fixture(scope="module")
def shared():
    from harness.daemon import Daemon
    d = Daemon()
    yield d
    d.close()


def rows(d):
    with d.rpc() as c:
        return c.call("sys.methods")["methods"]


def fails(c, method, params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def required(row):
    return {p["name"]: VALID[p["name"]] for p in row["params"] if not p["optional"]}


def test_F52_every_parameter_with_a_wrong_type(shared):
    checked = 0
    with shared.rpc() as c:
        for row in rows(shared):
            for p in row["params"]:
                params = required(row)
                if base(p["type"]) == "any":
                    continue
                params[p["name"]] = WRONG[base(p["type"])]
                e = fails(c, row["name"], params)
                assert e.code == "invalid_params", (row["name"], p, e.error)
                assert e.field == p["name"], (row["name"], p, e.error)
                assert p["name"] in e.message
                checked += 1
    assert checked > 80


def test_F53_every_required_parameter_missing(shared):
    with shared.rpc() as c:
        for row in rows(shared):
            for name in required(row):
                params = required(row)
                del params[name]
                e = fails(c, row["name"], params)
                assert (e.code, e.field) == ("invalid_params", name), (row["name"], name, e.error)


def test_F53_an_unknown_parameter(shared):
    with shared.rpc() as c:
        for row in rows(shared):
            e = fails(c, row["name"], required(row) | {"no_such_param": 1})
            assert (e.code, e.field) == ("invalid_params", "no_such_param"), (row["name"], e.error)


def test_F53_values_no_method_takes(shared):
    odd = {
        "NaN": float("nan"), "infinity": float("inf"), "a huge int": 1 << 63, "past 2^53": (1 << 53) + 1, "a very negative int": -(1 << 62),
        "ext": msgpack.ExtType(5, b"x"),
    }
    for name, value in odd.items():
        with shared.rpc() as c:
            try:
                e = fails(c, "route.set", {"ref": "echo:x", "ttl_ms": value})
                assert e.code in ("invalid_params", "protocol_error"), (name, e.error)
            except Closed:
                pass


def test_F53_bad_strings_and_keys(shared):
    raw = {
        "invalid UTF-8": b"\x94\x00\x05\xa9route.set\x91\x81\xa3ref\xa2\xff\xfe",
        "NUL in a ref": b"\x94\x00\x05\xa9route.set\x91\x81\xa3ref\xa5e\x00cho",
        "a key that is no string": b"\x94\x00\x05\xa9route.set\x91\x81\x01\xa4echo",
        "the same key twice": b"\x94\x00\x05\xa9route.set\x91\x82\xa3ref\xa4echo\xa3ref\xa4echo",
        "two parameter maps": b"\x94\x00\x05\xa8sys.ping\x92\x80\x80",
        "params that are a string": b"\x94\x00\x05\xa8sys.ping\x91\xa1x",
    }
    for name, data in raw.items():
        with shared.rpc() as c:
            before = c.call("state.get")["rev"]
            c.send_raw(data)
            try:
                m = c.next()
                assert m[1] == 5 and m[2] is not None, (name, m)
                assert m[2]["code"] in ("invalid_params", "protocol_error"), (name, m)
            except Closed:
                pass
        with shared.rpc() as c:
            assert c.call("state.get")["rev"] == before, name


def test_empty_params_in_all_their_forms(shared):
    with shared.rpc() as c:
        for raw in (b"\x94\x00\x05\xa8sys.ping\x90", b"\x94\x00\x05\xa8sys.ping\x91\x80", b"\x94\x00\x05\xa8sys.ping\xc0",
                    b"\x94\x00\x05\xa8sys.ping\x91\x90", b"\x94\x00\x05\xa8sys.ping\x91\xc0"):
            c.send_raw(raw)
            m = c.next()
            assert m[2] is None and "now_ms" in m[3], (raw, m)


def test_errors_as_neovims_pair(shared):
    with Rpc(shared.socket, errors="pair") as c:
        e = fails(c, "route.set", {"ref": 5}).error
        assert e[0] == 1 and e[1].startswith("invalid_params: ")
        e = fails(c, "route.set", {"ref": "no-such-model"}).error
        assert e[0] == 0 and e[1].startswith("not_found: ")


def test_errors_as_maps_carry_everything(shared):
    with shared.rpc() as c:
        e = fails(c, "route.set", {"ref": "opnai:gpt-5"}).error
    assert e["code"] == "not_found" and e["num"] == 7 and e["retryable"] is False
    assert any("openai" in x for x in e["data"]["candidates"]), e


def test_hello_in_full(shared):
    with Rpc(shared.socket, client={"name": "x", "version": "2", "pid": 7, "tty": "/dev/pts/1", "cwd": "/"}, scope="s1") as c:
        h = c.hello
        assert h["protocol"] == {"major": 1, "minor": 0}
        assert h["server"]["name"] == "modelpd" and h["server"]["version"] == "0.1.0"
        assert h["limits"]["message_bytes"] == 16 << 20 if "message_bytes" in h["limits"] else h["limits"]
        assert isinstance(h["instance"], str) and isinstance(h["rev"], int) and isinstance(h["caps"], list) and h["deprecated"] == []
        me = [x for x in c.call("sys.clients")["clients"] if x.get("name") == "x"]
        assert len(me) == 1
        assert c.call("sys.hello", protocol=1)["instance"] == h["instance"]


def test_hello_refuses_bad_members(shared):
    for params, field in [({"notify": "morse"}, "notify"), ({"errors": "loud"}, "errors"), ({"notify": "nvim", "handler": "a\nb"}, "handler"),
                          ({"handler": "x" * 257}, "handler"), ({"client": {"name": 5}}, "client")]:
        with Rpc(shared.socket, hello=False) as c:
            e = fails(c, "sys.hello", {"errors": "map"} | params)
            assert "invalid_params" in repr(e.error) and field in repr(e.error), (params, e.error)


def test_methods_list_is_complete_and_typed(shared):
    names = [r["name"] for r in rows(shared)]
    assert len(names) == len(set(names)) and "prompt.start" in names
    with shared.rpc() as c:
        assert [r["name"] for r in c.call("sys.methods", prefix="route.")["methods"]] == ["route.get", "route.set", "route.clear", "route.undo"]


def test_revisions_and_snapshots(daemon):
    with daemon.rpc() as a, daemon.rpc() as b:
        first = a.call("state.subscribe")
        assert set(first["snapshot"]) >= {"route", "overrides", "providers", "models", "keys", "daemon"}
        rev = first["rev"]
        for n in range(5):
            r = b.call("route.set", ref=f"echo:m{n}")
            assert r["rev"] > rev
            seen = {}
            while "route" not in seen or "overrides" not in seen:
                e = a.event("state.event")
                seen[e["topic"]] = e
                assert e["instance"] == first["instance"] and e["rev"] == r["rev"]
                assert e["prev_rev"] in (rev, r["rev"])
            assert seen["route"]["value"]["ref"] == f"echo:m{n}"
            assert seen["route"]["cause"]["method"] == "route.set" and seen["route"]["cause"]["client"] == "pytest"
            rev = r["rev"]
        a.call("state.unsubscribe")
        b.call("route.set", ref="echo:unseen")
        a.call("sys.ping")
        assert not [e for n, e in a.events if n == "state.event" and e["topic"] == "route"]


def test_own_event_follows_the_reply(daemon):
    with daemon.rpc() as c:
        c.call("state.subscribe", topics=["route"], snapshot=False)
        msgid = c.send("route.set", {"ref": "echo:order"})
        first, second = c.next(), c.next()
        assert first[0] == 1 and first[1] == msgid
        assert second[0] == 2 and second[1] == "state.event"


def test_a_scoped_connection_hears_its_own_route(daemon):
    with daemon.rpc(scope="here") as here, daemon.rpc() as other:
        for c in (here, other):
            c.call("state.subscribe", topics=["route"], snapshot=False)
        other.call("route.set", ref="echo:here", scope="here")
        assert here.event("state.event", topic="route")["value"]["ref"] == "echo:here"
        r = other.call("route.set", ref="echo:global")
        assert [k["scope"] for k in r["keeping"]] == ["here"]
        assert other.event("state.event", topic="route")["value"]["ref"] == "echo:global"
        here.call("sys.ping")
        assert not [e for _, e in here.events if e.get("topic") == "route"]
        assert here.call("route.get")["active"]["ref"] == "echo:here"


def test_which_names_every_layer(daemon):
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:p")
        c.call("route.set", ref="echo:t", temporary=True)
        c.call("route.set", ref="echo:s", scope="z")
        why = c.call("route.get", scope="z", ref="echo:asked")["why"]
        won = [l for l in why if l.get("won")]
        assert len(won) == 1 and won[0]["ref"] == "echo:asked"
        assert [l["ref"] for l in why if "ref" in l][:4] == ["echo:asked", "echo:s", "echo:t", "echo:p"]


def test_if_rev_protects_against_a_race(daemon):
    with daemon.rpc() as c:
        r = c.call("route.set", ref="echo:one")
        c.call("route.set", ref="echo:two")
        e = fails(c, "route.set", {"ref": "echo:three", "if_rev": r["rev"]})
        assert e.code == "precondition_failed"
        assert "echo:two" in repr(e.error)
        now = c.call("route.set", ref="echo:four")
        c.call("route.set", ref="echo:five", if_rev=now["rev"])


def test_request_key_makes_a_repeat_harmless(daemon):
    with daemon.rpc() as c:
        one = c.call("model.add", provider="echo", model="k", request_key="abc")
        two = c.call("model.add", provider="echo", model="k", request_key="abc")
        assert one == two
        assert fails(c, "model.add", {"provider": "echo", "model": "l", "request_key": "abc"}).code == "conflict"


def test_providers_of_the_catalogue(daemon):
    with daemon.rpc() as c:
        ps = {p["name"]: p for p in c.call("provider.list")["providers"]}
        assert {"openrouter", "openai", "anthropic", "gemini", "qwen", "claude-max", "ollama", "lmstudio", "echo"} <= set(ps)
        assert ps["openrouter"]["type"] == "universal-gateway" and ps["openrouter"]["auth_type"] == "api-key"
        assert ps["claude-max"]["type"] == "plan-based" and ps["claude-max"]["auth_type"] == "oauth-personal"
        assert ps["openai"]["status"] == "no-credential" and ps["echo"]["status"] == "active"
        assert all(p["origin"] == "catalogue" for p in ps.values())
        assert c.call("model.resolve", text="openrouter:claude-sonnet-4")["ref"] == "openrouter:claude-sonnet-4"


def test_provider_life(daemon):
    with daemon.rpc() as c:
        p = c.call("provider.add", name="mine", base_url="https://api.example.org/v1", type="direct-api", auth_type="api-key")
        assert p["origin"] == "user" and p["dialect"] == "openai-chat"
        assert fails(c, "provider.add", {"name": "mine", "base_url": "https://x.org/v1"}).code == "conflict"
        p = c.call("provider.update", name="mine", set={"name": "yours", "display_name": "Yours"})
        assert p["name"] == "yours"
        assert fails(c, "provider.get", {"name": "mine"}).code == "not_found"
        e = fails(c, "provider.update", {"name": "yours", "set": {"bas_url": "x"}})
        assert e.code == "invalid_params" and "bas_url" in e.field
        c.call("route.set", ref="yours:m")
        assert fails(c, "provider.remove", {"name": "yours"}).code == "conflict"
        c.call("provider.remove", name="yours", cascade=True)
        assert c.call("route.get")["active"]["ref"] == "echo:echo"
        c.call("provider.update", name="openai", set={"enabled": False})
        assert c.call("provider.get", name="openai")["status"] == "disabled"
        c.call("provider.remove", name="openai")
        assert c.call("provider.get", name="openai")["enabled"] is True


@pytest.mark.parametrize("url", ["ftp://x/", "http://api.example.org/v1", "https://user:pw@x.org/", "https://x.org/?a=b", "https://x.org/#f",
                                 "https:///v1", "https://x.org\\@evil/", "javascript:1", "https://x.org:99999/", "https://x y/"])
def test_bad_urls_are_refused(daemon, url):
    with daemon.rpc() as c:
        e = fails(c, "provider.add", {"name": "bad", "base_url": url, "type": "direct-api"})
        assert (e.code, e.field) == ("invalid_params", "base_url"), e.error


def test_models_and_nicknames(daemon):
    with daemon.rpc() as c:
        m = c.call("model.add", provider="openrouter", model="claude-sonnet-4", nick="favourite")
        assert m["ref"] == "openrouter:claude-sonnet-4" and m["nick"] == "favourite"
        assert c.call("route.set", ref="favourite")["active"]["ref"] == "openrouter:claude-sonnet-4"
        e = fails(c, "model.resolve", {"text": "favorite"})
        assert e.code == "not_found" and "favourite" in repr(e.data["candidates"])
        assert fails(c, "model.nick", {"ref": "echo:echo", "nick": "favourite"}).code == "conflict"
        c.call("model.nick", ref="openrouter:claude-sonnet-4", nick="")
        assert fails(c, "model.resolve", {"text": "favourite"}).code == "not_found"
        c.call("model.add", provider="echo", model="passing", ttl_ms=300)
        assert "echo:passing" in repr(c.call("model.list")["models"])
        import time
        time.sleep(0.6)
        assert "echo:passing" not in repr(c.call("model.list")["models"])
        assert len(c.call("model.list", catalog=True)["models"]) > 20
        page = c.call("model.list", catalog=True, limit=5)
        assert len(page["models"]) == 5 and page["next"]
        more = c.call("model.list", catalog=True, limit=5, cursor=page["next"])
        assert not {m["ref"] for m in page["models"]} & {m["ref"] for m in more["models"]}


def test_prompt_parameters_are_checked_to_the_leaf(daemon):
    cases = [
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0]"),
        ({"messages": []}, "messages"),
        ({}, "text"),
        ({"text": "x", "messages": [{"role": "user", "content": "y"}]}, "messages"),
        ({"text": "x", "options": {"temperature": "hot"}}, "options.temperature"),
        ({"text": "x", "options": {"temperature": 9}}, "options.temperature"),
        ({"text": "x", "options": {"max_tokens": 0}}, "options.max_tokens"),
        ({"text": "x", "options": {"tempreature": 1}}, "options.tempreature"),
        ({"text": "x", "tools": [{"description": "no name"}]}, "tools[0].name"),
        ({"text": "x", "tools": [{"name": "bad name!"}]}, "tools[0]"),
        ({"text": "x", "attachments": [{"type": "image", "data": "%%%", "encoding": "base64", "media_type": "image/png"}]}, "attachments[0].data"),
    ]
    with daemon.rpc() as c:
        for params, field in cases:
            for method in ("prompt.start", "prompt.run"):
                e = fails(c, method, params)
                assert e.code == "invalid_params", (params, e.error)
                assert e.field.startswith(field), (params, e.error)


def test_provider_check_and_detect(daemon, provider):
    daemon.add_provider(provider)
    with daemon.rpc() as c:
        r = c.call("provider.check", name="scripted")
        assert r["ok"] and r["models"] == 2 and r["latency_ms"] >= 0
        r = c.call("provider.check", name="scripted:m1", deep=True)
        assert r["ok"] and r["first_token_ms"] >= 0
        r = c.call("provider.check", name="openai")
        assert not r["ok"] and r["code"] == "no_credential"
        before = c.call("route.get")["active"]
        assert isinstance(c.call("provider.detect")["found"], list)
        assert c.call("route.get")["active"] == before
