"""Chains: ordered lists of targets, defined once, used as @name wherever a target goes.

    mpc chain set coding A B C     asked in that order
    mpc switch @coding             the live choice is the chain
    mpc chain set default B        stands behind every live choice that is one target
"""
import json

import pytest

from harness.rpc import RpcError


@pytest.fixture
def lab(daemon):
    """Three providers that are there, one that has no key."""
    with daemon.rpc() as c:
        for name in ("one", "two", "three"):
            c.call("provider.add", name=name, dialect="echo")
    return daemon


def refused(c, method, **params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def targets(chain):
    return [t["ref"] for t in chain["targets"]]


# ---- definition ----

def test_a_chain_is_defined_listed_and_removed(lab):
    with lab.rpc() as c:
        made = c.call("chain.set", name="coding", refs=["one:a", "openai:gpt-5", "two:b"])
        assert made["refs"] == ["one:a", "openai:gpt-5", "two:b"] and made["rev"] > 0
        assert made["on"] == ["rate_limited", "quota_exceeded", "provider_unavailable", "timeout"]
        assert [t.get("code") for t in made["targets"]] == [None, "no_credential", None]
        again = c.call("chain.set", name="coding", refs=["one:a", "openai:gpt-5", "two:b"])
        assert again["rev"] == made["rev"]  # nothing changed
        c.call("chain.set", name="chat", refs=["@coding", "three:c"], on=["timeout"])
        [chat, coding] = c.call("chain.list")["chains"]
        assert chat["name"] == "chat" and chat["on"] == ["timeout"] and chat["refs"] == ["@coding", "three:c"]
        assert targets(chat) == ["one:a", "openai:gpt-5", "two:b", "three:c"] and coding["name"] == "coding"
        assert refused(c, "chain.remove", name="coding").code == "conflict"
        c.call("chain.remove", name="chat")
        c.call("chain.remove", name="coding")
        assert c.call("chain.list")["chains"] == []
        assert refused(c, "chain.remove", name="coding").code == "not_found"


def test_F86_cycles_and_what_is_not_there_are_refused_at_definition(lab):
    with lab.rpc() as c:
        c.call("chain.set", name="a", refs=["one:x"])
        c.call("chain.set", name="b", refs=["@a"])
        for name, refs, code in [("a", ["@a"], "invalid_params"), ("a", ["one:x", "@b"], "invalid_params"),
                                 ("c", ["@nonesuch"], "not_found"), ("c", ["nonesuch:x"], "not_found"),
                                 ("c", [], "invalid_params"), ("c", [""], "invalid_params"), ("c", ["@"], "not_found"),
                                 ("c", ["one:x", "one:x"], "invalid_params"), ("c", ["one:x y"], "invalid_params"),
                                 ("c", [f"one:{i}" for i in range(17)], "invalid_params"), ("c", ["one:" + "x" * 600], "invalid_params")]:
            assert refused(c, "chain.set", name=name, refs=refs).code == code, refs
        assert refused(c, "chain.set", name="c", refs=["one:x"], on=["internal"]).code == "invalid_params"
        assert refused(c, "chain.set", name="C", refs=["one:x"]).code == "invalid_params"
        assert {x["name"]: x["refs"] for x in c.call("chain.list")["chains"]} == {"a": ["one:x"], "b": ["@a"]}


def test_a_nickname_is_taken_for_what_it_means_now(lab):
    with lab.rpc() as c:
        c.call("model.nick", ref="one:a", nick="quick")
        assert c.call("chain.set", name="c", refs=["quick"])["refs"] == ["one:a"]
        c.call("model.nick", ref="one:a", nick="")
        c.call("model.nick", ref="two:b", nick="quick")
        assert targets(c.call("chain.list")["chains"][0]) == ["one:a"]


# ---- the live choice ----

def test_a_chain_is_the_live_choice(lab):
    with lab.rpc() as c, lab.rpc() as listener:
        listener.call("state.subscribe", topics=["route", "chains"])
        c.call("chain.set", name="coding", refs=["openai:gpt-5", "one:a", "two:b"])
        assert listener.event("state.event", topic="chains")["value"]["refs"][0] == "openai:gpt-5"
        active = c.call("route.set", ref="@coding")["active"]
        # openai has no key: what is told is what is used
        assert (active["ref"], active["chain"], active["position"], active["kind"]) == ("one:a", "coding", 2, "persistent")
        assert listener.event("state.event", topic="route")["value"] == active
        got = c.call("route.get")
        assert got["chain"]["name"] == "coding" and got["chain"]["behind"] is False
        assert [t.get("code") for t in got["chain"]["targets"]] == ["no_credential", None, None]
        assert "no key" in got["chain"]["targets"][0]["message"] and got["ready"] is True
        assert [(l["layer"], l.get("chain")) for l in got["why"] if l["won"]] == [("global-persistent", "coding")]
        a = c.prompt("hello").check_grammar()
        assert a.ok and a.last["ref"] == "one:a"
        # the chain is another one now: so is the route, for everybody at once
        c.call("chain.set", name="coding", refs=["two:b", "one:a"])
        assert listener.event("state.event", topic="route")["value"]["ref"] == "two:b"
        assert refused(c, "chain.remove", name="coding").code == "conflict"
        # and back
        c.call("route.set", ref="three:z")
        assert c.call("route.undo")["active"]["chain"] == "coding"
        c.call("route.undo")
        c.call("chain.remove", name="coding")
        # what came before is gone: nothing was chosen then
        assert c.call("route.undo")["active"]["kind"] == "default"
        assert c.call("route.undo")["active"]["ref"] == "three:z"
    lab.restart()
    with lab.rpc() as c:
        assert c.call("route.get")["active"]["ref"] == "three:z"


def test_a_chosen_chain_survives(lab):
    with lab.rpc() as c:
        c.call("chain.set", name="coding", refs=["one:a", "two:b"])
        c.call("route.set", ref="@coding")
        c.call("route.set", ref="@coding", scope="proj", ttl_ms=3600_000)
    for again in (lab.restart, lambda: (lab.kill(), lab.start())):
        again()
        with lab.rpc() as c:
            assert c.call("route.get")["active"]["chain"] == "coding"
            assert c.call("route.get", scope="proj")["active"]["kind"] == "temporary"
            assert {o["scope"]: o["chain"] for o in c.call("state.get", topics=["overrides"])["snapshot"]["overrides"]} == {
                "": "coding", "proj": "coding"}


def test_a_request_names_a_chain(lab):
    with lab.rpc() as c:
        c.call("chain.set", name="coding", refs=["openai:x", "two:b"])
        assert c.prompt("hi", ref="@coding").last["ref"] == "two:b"
        assert c.call("model.resolve", text="@coding")["chain"] == "coding"
        assert refused(c, "model.nick", ref="@coding", nick="x").code == "invalid_params"
        assert refused(c, "prompt.start", text="x", ref="@nonesuch").code == "not_found"
        token = c.call("session.start", provider="one", model="a", check=False)["token"]
        assert refused(c, "prompt.start", text="x", ref="@coding", session=token).code == "origin"


def test_the_default_chain_stands_behind_the_choice(lab):
    with lab.rpc() as c:
        c.call("route.set", ref="openai:gpt-5")
        assert c.call("route.get")["ready"] is False and "chain" not in c.call("route.get")
        assert c.call("chain.set", name="default", refs=["one:a"])["behind"] is True
        got = c.call("route.get")
        assert got["active"]["ref"] == "one:a" and got["active"]["behind"] is True and got["active"]["position"] == 2
        assert targets(got["chain"]) == ["openai:gpt-5", "one:a"]
        assert c.prompt("hi").last["ref"] == "one:a"
        # named: that one, and its own failure
        assert c.prompt("hi", ref="openai:gpt-5").code == "no_credential"
        # a test tries its target alone
        c.call("session.start", provider="two", model="t", check=False)
        assert "chain" not in c.call("route.get")
        c.call("chain.remove", name="default")
        c.call("session.stop")
        assert c.call("route.get")["active"]["ref"] == "openai:gpt-5"


# ---- providers come and go ----

def test_a_provider_of_a_chain_is_renamed_and_removed(lab):
    with lab.rpc() as c:
        c.call("chain.set", name="coding", refs=["one:a", "two:b"])
        c.call("chain.set", name="lone", refs=["one:a"])
        c.call("route.set", ref="@lone")
        c.call("provider.update", name="one", set={"name": "uno"})
        assert [x["refs"] for x in c.call("chain.list")["chains"]] == [["uno:a", "two:b"], ["uno:a"]]
        e = refused(c, "provider.remove", name="uno")
        assert e.code == "conflict" and "a place in a chain" in e.message
        c.call("provider.remove", name="uno", cascade=True)
        assert [(x["name"], x["refs"]) for x in c.call("chain.list")["chains"]] == [("coding", ["two:b"])]
        assert c.call("route.get")["active"]["kind"] == "default"


# ---- mpc ----

def test_mpc_chain(lab):
    assert "no chain yet" in lab.mpc("chain", check=0).err
    r = lab.mpc("chain", "set", "coding", "openai:gpt-5", "one:a", "@nonesuch", check=3)
    assert "there is no chain @nonesuch" in r.err
    r = lab.mpc("chain", "set", "@coding", "openai:gpt-5", "one:a", check=0)
    assert r.out.startswith("@coding is (openai:gpt-5) → one:a.\n") and "mpc switch @coding" in r.out
    lab.mpc("chain", "set", "chat", "two:b", "@coding", "--on", "timeout", "--on", "auth_rejected", check=0)
    assert lab.mpc("chain", "--plain", check=0).out == (
        "chat\ttwo:b @coding\ttimeout auth_rejected\n"
        "coding\topenai:gpt-5 one:a\trate_limited quota_exceeded provider_unavailable timeout\n")
    assert "@coding" in lab.mpc("chain", "list", check=0).out
    r = lab.mpc("chain", "show", "coding", check=0)
    assert "  1  openai:gpt-5, passed over: " in r.out and "● 2  one:a\n" in r.out and "falls back on rate_limited" in r.out
    assert json.loads(lab.mpc("chain", "show", "coding", "--json", check=0).out)["name"] == "coding"
    lab.mpc("chain", "show", "nonesuch", check=3)
    lab.mpc("chain", "bogus", check=2)
    lab.mpc("chain", "set", "x", check=2)
    r = lab.mpc("switch", "@coding", check=0)
    assert "Now using @coding, now one:a everywhere" in r.out
    out = lab.mpc(check=0).out
    assert "active  @coding, now one:a" in out and "chain   @coding: (openai:gpt-5) → one:a\n" in out
    out = lab.mpc("which", check=0).out
    assert "  1  openai:gpt-5, passed over: " in out and "● 2  one:a\n" in out
    assert lab.mpc("p", "-m", "@chat", "hello", check=0).out == "hello\n"
    r = lab.mpc("check", "@chat", "one:a", "three:c", "--plain", check=4)
    assert [line.split("\t")[:2] for line in r.out.splitlines()] == [
        ["two:b", "ok"], ["openai:gpt-5", "no_credential"], ["one:a", "ok"], ["three:c", "ok"]]
    lab.mpc("chain", "set", "short", "one:a", check=0)
    assert [o["ref"] for o in json.loads(lab.mpc("check", "@short", "--json", check=0).out)["checks"]] == ["one:a"]
    assert "there is no chain @nonesuch" in lab.mpc("check", "@nonesuch", check=3).err
    assert "keys of its own" in lab.mpc("check", "@short", "--label", "work", check=2).err
    assert "mpc check @coding --deep" in lab.mpc("test", "@coding", check=2).err
    lab.mpc("chain", "remove", "coding", "--yes", check=9)
    lab.mpc("switch", "two:b", check=0)
    lab.mpc("chain", "remove", "chat", "--yes", check=0)
    lab.mpc("chain", "remove", "coding", "--yes", check=0)
    r = lab.mpc("chain", "set", "default", "three:c", check=0)
    assert "stands behind the live choice" in r.out
    assert "chain   @default: two:b → three:c\n" in lab.mpc(check=0).out


def test_the_document_has_the_chains(lab):
    lab.mpc("chain", "set", "coding", "one:a", "two:b", check=0)
    lab.mpc("switch", "@coding", check=0)
    text = lab.mpc("config", "export", check=0).out
    assert "chains:\n  coding:\n    - one:a\n    - two:b\n" in text
    with lab.rpc() as c:
        changed = c.call("config.apply", text=text.replace("    - two:b\n", "    - three:c\n"))
        assert [d["text"] for d in changed["diff"]] == ["- chains.coding: two:b", "+ chains.coding: three:c"]
        assert c.call("route.get")["active"]["chain"] == "coding"
        e = refused(c, "config.apply", text=text.split("chains:")[0])
        assert e.code == "conflict" and "chain @coding goes, and with it a live choice" in e.message
