"""Several keys of a provider that share its calls: by weight or by load, a conversation with one of them."""
import pytest

from harness.rpc import RpcError

KEYS = {label: f"sk-{label}-" + "0" * 20 for label in ("default", "b", "c")}


def weights(c, provider):
    return {k["label"]: k["weight"] for k in c.call("key.status", provider=provider)["keys"]}


# ---- what is set ----

def test_sharing_is_a_member_of_a_provider(daemon):
    with daemon.rpc() as c:
        assert c.call("provider.get", name="openai")["key_sharing"] == "off"
        daemon.mpc("provider", "set", "openai", "key_sharing=weighted", check=0)
        assert c.call("provider.get", name="openai")["key_sharing"] == "weighted"
        text = c.call("config.export")["text"]
        assert "key_sharing: weighted" in text
        daemon.mpc("provider", "set", "openai", "key_sharing=off", check=0)
        c.call("config.apply", text=text)
        assert c.call("provider.get", name="openai")["key_sharing"] == "weighted"
        with pytest.raises(RpcError) as e:
            c.call("provider.update", name="openai", set={"key_sharing": "equal"})
        assert "off, weighted or least-loaded" in e.value.message
        problems = c.call("config.check", text="version: 1\nproviders: {openai: {key_sharing: wieghted}}\n")["problems"]
        assert "weighted" in str(problems)
    daemon.restart()
    with daemon.rpc() as c:
        assert c.call("provider.get", name="openai")["key_sharing"] == "weighted"


@pytest.mark.parametrize("name, why", [("claude-code-max", "login"), ("echo", "no keys")])
def test_providers_without_keys_refuse_it(daemon, name, why):
    r = daemon.mpc("provider", "set", name, "key_sharing=weighted")
    assert r.returncode != 0 and why in r.err and "key_sharing=off" in r.err
    with daemon.rpc() as c, pytest.raises(RpcError) as e:
        c.call("provider.update", name=name, set={"key_sharing": "least-loaded"})
    assert e.value.code == "invalid_params" and e.value.data["field"] == "key_sharing"


def test_a_provider_that_shares_keeps_an_auth_type_with_keys(daemon):
    daemon.mpc("provider", "set", "openai", "key_sharing=weighted", check=0)
    r = daemon.mpc("provider", "set", "openai", "auth_type=none")
    assert r.returncode != 0 and "key_sharing" in r.err


def test_a_weight_is_given_with_a_key_and_changed_without_one(daemon):
    def put(label, *more, key=None, code=0):
        return daemon.mpc("key", "set", "openai", "--label", label, *more, *(["--stdin", "--no-check"] if key else ["--no-input"]),
                          input=(key + "\n").encode() if key else None, check=code)
    with daemon.rpc() as c:
        put("default", key=KEYS["default"])
        put("b", "--weight", "5", key=KEYS["b"])
        assert weights(c, "openai") == {"default": 1, "b": 5}
        before = c.call("key.status", provider="openai")["keys"]
        assert "weight 3" in put("default", "--weight", "3").out
        after = c.call("key.status", provider="openai")["keys"]
        assert weights(c, "openai") == {"default": 3, "b": 5}
        assert [k["fingerprint"] for k in before] == [k["fingerprint"] for k in after]
        put("b", key=KEYS["c"])
        assert weights(c, "openai") == {"default": 3, "b": 5}
        table = daemon.mpc("key", "list", "openai", check=0).out
        assert table.splitlines()[0].endswith("WEIGHT")
        assert [row.split("\t")[-1] for row in daemon.mpc("key", "list", "openai", "--plain", check=0).out.splitlines()] == ["5", "3"]
        for wrong in ("0", "101", "x", "1x", ""):
            assert "1 to 100" in put("b", "--weight", wrong, code=2).err
        with pytest.raises(RpcError) as e:
            c.call("key.set", provider="openai", label="none", weight=3)
        assert e.value.code == "no_credential"
        with pytest.raises(RpcError) as e:
            c.call("key.set", provider="openai", label="b", weight=101)
        assert e.value.code == "invalid_params"
    daemon.kill()
    daemon.start()
    with daemon.rpc() as c:
        assert weights(c, "openai") == {"default": 3, "b": 5}
