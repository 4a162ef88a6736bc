"""What a gateway tells of a key (feature "credit-limits"): provider.check, the provider's limits, and `mpc check`."""
import json
import os
import pathlib
import time

import pytest

from harness.provider import Provider, reply, stream
from harness.rpc import RpcError

FOLDER = pathlib.Path(os.environ.get("MPD_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]), "tests/transcripts/openrouter")
KEY = "sk-or-v1-" + "0" * 20 + "f3a9"
DAY = 24 * 3600 * 1000


def sample(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


class Gateway:
    """A loopback stand-in whose list of models is open to all, as OpenRouter's is."""

    def __init__(self):
        self.key, self.credits = reply(200, sample("key")), reply(200, sample("credits"))
        self.server = Provider(default=self.answer)

    def answer(self, r):
        if r.path == "/v1/key":
            return self.key
        if r.path == "/v1/credits":
            return self.credits
        return stream("OK")

    @property
    def asked(self):
        return [r.path[len("/v1"):] for r in self.server.requests]

    def tell(self, **members):
        self.key = reply(200, {"data": {**sample("key")["data"], **members}})


@pytest.fixture
def gateway(daemon):
    g = Gateway()
    daemon.mpc("provider", "set", "openrouter", "type=local", f"base_url={g.server.url}", check=0)
    daemon.mpc("key", "set", "openrouter", "--stdin", "--no-check", input=f"{KEY}\n".encode(), check=0)
    yield g
    g.server.close()


def check(daemon, **params):
    with daemon.rpc() as c:
        return c.call("provider.check", name="openrouter", **params)


def limits_of(result):
    return {limit.pop("name"): limit for limit in result.get("limits", [])}


def test_a_check_says_all_by_itself(daemon, gateway):
    before = time.time() * 1000
    r = check(daemon)
    assert gateway.asked == ["/key", "/models", "/credits"]
    assert all(q.header("authorization") == f"Bearer {KEY}" for q in gateway.server.requests)
    key = r["key"]
    assert r["ok"] and r["reachable"] and r["models"] == 2 and r["latency_ms"] >= 0 and "answers" not in r
    assert (key["label"], key["source"], key["last4"], key["valid"]) == ("default", "stored", "f3a9", True)
    assert len(key["fingerprint"]) == 8 and key["last_ok_ms"] >= before - 1 and "expires_ms" not in key
    limits = limits_of(r)
    assert set(limits) == {"credit", "free-requests", "balance"}
    credit, free, balance = limits["credit"], limits["free-requests"], limits["balance"]
    # money is never told as a count
    assert (credit["limit_microusd"], credit["remaining_microusd"]) == (10_000_000, 7_500_000)
    assert balance["remaining_microusd"] == 7_654_400 and not {"limit", "remaining"} & (set(credit) | set(balance))
    month = time.gmtime(credit["resets_ms"] / 1000)
    assert (month.tm_mday, month.tm_hour, month.tm_min) == (1, 0, 0) and credit["resets_ms"] > before
    assert (free["limit"], free["remaining"], free["partial"]) == (1000, 988, True)
    assert free["resets_ms"] % DAY == 0 and 0 < free["resets_ms"] - before <= DAY + 1
    with daemon.rpc() as c:
        p = c.call("provider.get", name="openrouter")
        assert limits_of(p) == limits and p["status"] == "available"


def test_a_deep_check_says_that_the_model_answers(daemon, gateway):
    r = check(daemon, deep=True)
    assert r["ok"] and r["answers"] and r["first_token_ms"] >= 0 and r["key"]["valid"]
    gateway.answer = lambda _: None
    gateway.server.default = lambda q: gateway.key if q.path == "/v1/key" else reply(500, {"error": {"message": "broken"}})
    r = check(daemon, deep=True)
    assert not r["ok"] and r["answers"] is False and r["reachable"] and r["key"]["valid"]


def test_a_rejected_key_is_found_though_the_list_is_open(daemon, gateway):
    gateway.key = reply(401, sample("error-401-auth")["body"])
    r = check(daemon)
    assert gateway.asked == ["/key"]
    assert not r["ok"] and r["code"] == "auth_rejected" and r["key"]["valid"] is False and r["reachable"]
    assert r["key"]["code"] == "auth_rejected" and "limits" not in r
    assert "mpc key set openrouter" in r["hint"]
    daemon.mpc("check", "openrouter", check=4)


def test_a_gateway_without_the_endpoint_is_no_failure(daemon, gateway):
    """Then nobody knows whether the key is good, and nobody says so."""
    for answer in (reply(404, {"error": {"message": "no such path"}}), reply(200, {"data": []}), reply(500, "oops", "text/plain")):
        gateway.key = answer
        del gateway.server.requests[:]
        r = check(daemon)
        assert gateway.asked == ["/key", "/models"], "what is behind /key is not asked for"
        assert r["ok"] and r["models"] == 2 and "limits" not in r
        assert "valid" not in r["key"] and "last_ok_ms" not in r["key"]


def test_credits_are_asked_for_where_the_key_may(daemon, gateway):
    gateway.credits = reply(403, {"error": {"code": 403, "message": "Only management keys can fetch credits"}})
    r = check(daemon)
    assert r["ok"] and set(limits_of(r)) == {"credit", "free-requests"}
    with daemon.rpc() as c:
        assert c.call("provider.get", name="openrouter")["status"] == "available"


def test_only_providers_with_the_feature_are_asked(daemon, provider):
    ref = daemon.add_provider(provider)
    with daemon.rpc() as c:
        assert c.call("provider.check", name=ref)["ok"]
        assert [r.path for r in provider.requests] == ["/v1/models"]
        c.call("provider.update", name="scripted", set={"features": ["credit-limits"], "auth_type": "optional-key"})
        # there is no key that could be asked about
        r = c.call("provider.check", name=ref)
        assert r["ok"] and "key" not in r and [q.path for q in provider.requests] == ["/v1/models"] * 2


def test_a_used_up_key_waits_for_its_reset(daemon, gateway):
    gateway.tell(limit=10, limit_remaining=0, limit_reset="daily", free_model_daily_requests={"limit": 50, "remaining": 0})
    r = check(daemon)
    assert r["ok"] and r["key"]["valid"]
    with daemon.rpc() as c:
        p = c.call("provider.get", name="openrouter")
        assert (p["status"], p["status_code"]) == ("rate-limited", "quota_exceeded")
        assert p["status_until_ms"] == limits_of(p)["credit"]["resets_ms"] and p["status_until_ms"] % DAY == 0
        # free models that are used up stand in nobody else's way; a limit that was taken away is gone
        gateway.tell(limit=None, limit_remaining=None, limit_reset=None, free_model_daily_requests={"limit": 50, "remaining": 0})
        c.call("provider.check", name="openrouter")
        p = c.call("provider.get", name="openrouter")
        assert p["status"] == "available" and set(limits_of(p)) == {"free-requests", "balance"}


@pytest.mark.parametrize("left, words", [(3 * DAY, "the key expires in "), (-1000, "the key has expired"), (30 * DAY, None)])
def test_a_key_that_ends_soon(daemon, gateway, left, words):
    at = time.time() + left / 1000
    gateway.tell(expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)))
    r = check(daemon)
    assert r["key"]["expires_ms"] == int(at) * 1000
    assert [w for w in r["warnings"] if "key" in w] == [w for w in r["warnings"] if words and w.startswith(words)]
    assert any("key" in w for w in r["warnings"]) == (words is not None)
    with daemon.rpc() as c:
        assert c.call("key.status", provider="openrouter")["keys"][0]["expires_ms"] == int(at) * 1000


def test_in_words(daemon, gateway):
    out = daemon.mpc("check", "openrouter", check=0).out
    line, limits = out.splitlines()
    assert line.startswith("✓ openrouter:") and "  key …f3a9 ok  reachable (" in line and line.endswith(" ms)  2 models")
    assert limits.startswith("  limits: credit $7.50 of $10.00 (resets in ")
    assert ", balance $7.65 left" in limits and "free-requests 988 of 1000 (resets in " in limits
    shown = daemon.mpc("provider", "show", "openrouter", check=0).out
    assert "credit $7.50 of $10.00" in shown and "balance $7.65 left" in shown
    daemon.mpc("check", "openrouter", "--deep", check=0).out.index("  2 models  model answers (")
    plain = daemon.mpc("check", "openrouter", "--plain", check=0).out
    assert plain.count("\n") == 1 and plain.split("\t")[1] == "ok"
    told = json.loads(daemon.mpc("check", "openrouter", "--json", check=0).out)
    assert told["limits"][0]["remaining_microusd"] == 7_500_000


def test_absurd_numbers_of_a_key(daemon, gateway):
    gateway.tell(limit=-5, limit_remaining=1e300, limit_reset=[1], usage="?", expires_at="soon", label=None,
                 free_model_daily_requests="many")
    r = check(daemon)
    assert r["ok"] and r["key"]["valid"] and "expires_ms" not in r["key"]
    assert all(v >= 0 for limit in r["limits"] for k, v in limit.items() if k.endswith("_microusd"))
    daemon.mpc("check", "openrouter", check=0)


def test_a_new_key_is_the_one_that_is_tried(daemon, gateway):
    """What the provider said of the old key is not said of the new one; a second key is asked about by its label."""
    other = "sk-or-v1-" + "1" * 20 + "beef"
    answer = gateway.server.default
    gateway.server.default = lambda r: (reply(401, sample("error-401-auth")["body"])
                                        if r.path == "/v1/key" and r.header("authorization") == f"Bearer {other}" else answer(r))
    assert "limits" in check(daemon)
    with daemon.rpc() as c:
        assert "limits" in c.call("provider.get", name="openrouter")
    # with a label of its own it changes nothing for the usual key, and is rejected by itself
    out = daemon.mpc("key", "set", "openrouter", "--label", "work", "--stdin", input=f"{other}\n".encode(), check=4).out
    assert "--label work (key \"work\" ending in beef" in out
    assert gateway.server.requests[-1].header("authorization") == f"Bearer {other}"
    assert check(daemon)["key"]["valid"] and check(daemon, label="work")["key"]["valid"] is False
    assert check(daemon, label="work")["key"]["last4"] == "beef"
    daemon.mpc("check", "openrouter", "--label", "work", check=4)
    with daemon.rpc() as c:
        assert "limits" in c.call("provider.get", name="openrouter")
        with pytest.raises(RpcError) as e:
            c.call("provider.check", name="openrouter", label="nobody")
        assert e.value.code == "no_credential" and "--label nobody" in e.value.error["hint"]
        # what a second key may cost is told of it alone
        gateway.server.default = lambda r: (reply(200, {"data": {**sample("key")["data"], "limit": 3, "limit_remaining": 1.25}})
                                            if r.path == "/v1/key" and r.header("authorization") == f"Bearer {other}" else answer(r))
        assert limits_of(check(daemon, label="work"))["credit"]["remaining_microusd"] == 1_250_000
        assert limits_of(c.call("provider.get", name="openrouter"))["credit"]["remaining_microusd"] == 7_500_000
    # in place of the usual one: nothing is known of what it may cost
    daemon.mpc("key", "set", "openrouter", "--stdin", "-y", "--no-check", input=f"{other}\n".encode(), check=0)
    with daemon.rpc() as c:
        assert "limits" not in c.call("provider.get", name="openrouter")


def test_the_end_of_a_key_in_words(daemon, gateway):
    gateway.tell(expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3 * DAY / 1000 + 60)))
    daemon.mpc("check", "openrouter", check=0)
    [row] = [line for line in daemon.mpc("key", "list", check=0).out.splitlines() if "openrouter" in line]
    assert row.endswith("ok, expires in 3 d")
    [key] = [line for line in daemon.mpc("provider", "show", "openrouter", check=0).out.splitlines() if line.startswith("key ")]
    assert "…f3a9, label default, stored " in key and key.endswith(", expires in 3 d")
