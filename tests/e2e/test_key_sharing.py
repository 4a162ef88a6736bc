"""Several keys of a provider that share its calls: by weight or by load, a conversation with one of them."""
import collections
import contextlib
import math
import sqlite3
import threading
import time

import pytest

from harness.provider import Close, Provider, Sleep, Wait, reply, stream
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


# ---- who answers ----

class Keys:
    """A provider that answers by the key it is asked with: which one, and whatever was scripted for it."""

    def __init__(self, daemon, provider, name="lab", sharing="weighted", url=None, **shares):
        self.daemon, self.provider, self.name = daemon, provider, name
        self.scripted = {}  # label -> function of the request that gives steps
        self.asked = []     # (label, first words) in the order of the requests
        provider.default = self.answer
        daemon.mpc("provider", "add", name, "--url", provider.url, "--type", "local", "--auth", "optional-key", "--dialect",
                   "openai-chat", check=0)
        daemon.mpc("provider", "set", name, f"key_sharing={sharing}", check=0)
        with daemon.rpc() as c:
            for label, weight in (shares or {"default": 1, "b": 1, "c": 1}).items():
                c.call("key.set", provider=name, label=label, secret=secret(label), weight=weight)

    def answer(self, request):
        label = request.header("authorization").split()[1].split("-")[1]
        self.asked.append((label, first_words(request)))
        script = self.scripted.get(label)
        return script(request) if script else stream("from ", label)

    def fails(self, label, status, body="no", **headers):
        answer = reply(status, {"error": {"message": body}}, extra=[(k.replace("_", "-"), str(v)) for k, v in headers.items()])
        self.scripted[label] = lambda request: answer

    def heals(self, label):
        del self.scripted[label]

    def ask(self, c, words="hello", later=(), **more):
        return c.prompt(ref=f"{self.name}:m1", messages=talk(words, later), **more).check_grammar()

    def key_of(self, c, words="hello", later=(), **more):
        a = self.ask(c, words, later, **more)
        assert a.ok, a.last
        return a.text.removeprefix("from ")


def secret(label):
    return f"sk-{label}-" + "0123456789abcdef" * 2


def first_words(request):
    m = next(m for m in request.json["messages"] if m["role"] == "user")
    return m["content"] if isinstance(m["content"], str) else m["content"][0]["text"]


def talk(words, later=()):
    messages = [{"role": "user", "content": words}]
    for said in later:
        messages += [{"role": "assistant", "content": "yes"}, {"role": "user", "content": said}]
    return messages


def starts(a):
    return [(e["ref"], e.get("key")) for e in a.events if e["type"] == "start"]


def changes(a):
    return [(e.get("from_key"), e.get("to_key"), e.get("class")) for e in a.events if e["type"] == "fallback"]


def conversation_of(keys, c, label):
    """The words of one that is with that key."""
    return next(w for w in (f"talk {i}" for i in range(500)) if keys.key_of(c, w) == label)


def attempts(daemon):
    """(call, number, label, outcome) of every attempt in the ledger."""
    with contextlib.closing(sqlite3.connect(daemon.data / "usage.db")) as db:
        return db.execute("SELECT call, attempt, label, outcome FROM attempts ORDER BY id").fetchall()


def test_off_is_as_it_was(daemon, provider):
    keys = Keys(daemon, provider, sharing="off")
    with daemon.rpc() as c:
        assert {keys.key_of(c, f"talk {i}") for i in range(20)} == {"default"}
        keys.fails("default", 429, retry_after=60)
        a = keys.ask(c)
        assert a.code == "rate_limited" and starts(a) == [("lab:m1", None)]
        assert "keys" not in c.call("route.get", ref="lab:m1")


def test_conversations_are_shared_by_weight(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=2, c=5)
    with daemon.rpc() as c:
        got = collections.Counter(keys.key_of(c, f"talk {i}") for i in range(240))
    assert sum(got.values()) == 240
    for label, share in {"default": 30, "b": 60, "c": 150}.items():
        assert abs(got[label] - share) <= 4.5 * math.sqrt(share * (1 - share / 240)), got


def test_a_conversation_stays_with_its_key(daemon, provider):
    """Over its turns, other conversations and a restart."""
    keys = Keys(daemon, provider)
    with daemon.rpc() as c:
        homes = {w: keys.key_of(c, w) for w in ("one", "two", "three")}
        for turn in range(1, 20):
            for w, home in homes.items():
                assert keys.key_of(c, w, [f"turn {i}" for i in range(turn)]) == home
            keys.key_of(c, f"other {turn}")
        assert keys.key_of(c, "one", ["x"]) == homes["one"]
        others = {w: keys.key_of(c, w) for w in (f"many {i}" for i in range(30))}
        assert len(set(others.values())) == 3
    daemon.kill()
    daemon.start()
    with daemon.rpc() as c:
        assert {w: keys.key_of(c, w, ["again"]) for w in others} == others
        system = [keys.key_of(c, "one", system=f"system {i}") for i in range(12)]
        assert len(set(system)) > 1


def test_a_limit_of_one_key_moves_its_conversation_for_good(daemon, provider):
    keys = Keys(daemon, provider)
    with daemon.rpc() as c:
        mine, other = conversation_of(keys, c, "b"), conversation_of(keys, c, "c")
        keys.fails("b", 429, "slow down", retry_after=2)
        a = keys.ask(c, mine, ["turn 1"])
        new = a.text.removeprefix("from ")
        assert a.ok and new in ("default", "c")
        assert starts(a) == [("lab:m1", "b"), ("lab:m1", new)] and changes(a) == [("b", new, "rate_limit")]
        fallback = next(e for e in a.events if e["type"] == "fallback")
        assert fallback["from"] == fallback["to"] == "lab:m1" and "chain" not in fallback
        # nobody asks it while it cools down, and the provider stands as before
        keys.asked.clear()
        assert keys.key_of(c, mine, ["turn 1", "turn 2"]) == new and keys.key_of(c, other) == "c"
        assert "b" not in [label for label, _ in keys.asked]
        p = c.call("provider.get", name="lab")
        assert p["status"] in ("available", "active") and "status_code" not in p
        status = {k["label"]: k for k in c.call("key.status", provider="lab")["keys"]}
        assert status["b"]["code"] == "rate_limited" and "code" not in status[new]
        shown = {k["label"]: k for k in c.call("route.get", ref="lab:m1")["keys"]["of"]}
        assert not shown["b"]["ready"] and shown["b"]["until_ms"] > time.time() * 1000 and shown["c"]["ready"]
        which = daemon.mpc("which", "lab:m1", check=0).out
        assert "by weight" in which and "b  weight 1, cannot serve now" in which
        # afterwards: no way back for the one that moved, and new ones come to b again
        keys.heals("b")
        time.sleep(max(0, shown["b"]["until_ms"] / 1000 - time.time()) + 0.1)
        assert keys.key_of(c, mine, ["turn 1", "turn 2", "turn 3"]) == new
        conversation_of(keys, c, "b")
        assert {k["label"]: k.get("code") for k in c.call("key.status", provider="lab")["keys"]}["b"] is None


@pytest.mark.parametrize("status, body, cls, code", [
    (401, {"message": "no", "code": "invalid_api_key"}, "auth", "auth_rejected"),
    (403, {"message": "not you", "code": "unsupported_country_region_territory"}, "permission", "not_permitted"),
    (429, {"message": "used up", "code": "insufficient_quota", "type": "insufficient_quota"}, "quota", "quota_exceeded"),
])
def test_what_is_wrong_with_one_key_is_not_wrong_with_the_others(daemon, provider, status, body, cls, code):
    keys = Keys(daemon, provider, default=1, b=1)
    with daemon.rpc() as c:
        mine = conversation_of(keys, c, "b")
        answer = reply(status, {"error": body})
        keys.scripted["b"] = lambda request: answer
        a = keys.ask(c, mine)
        assert a.text == "from default" and changes(a) == [("b", "default", cls)]
        p = c.call("provider.get", name="lab")
        assert p["status"] in ("available", "active"), p
        keys.asked.clear()
        assert {keys.key_of(c, f"new {i}") for i in range(10)} == {"default"}
        assert {label for label, _ in keys.asked} == {"default"}
        assert {k["label"]: k.get("code") for k in c.call("key.status", provider="lab")["keys"]} == {"b": code, "default": None}
        # a new key is tried again, the cooling of another one stays
        keys.fails("default", 429, retry_after=600)
        keys.heals("b")
        c.call("key.set", provider="lab", label="b", secret=secret("b"))
        assert keys.key_of(c, "new 1") == "b"
        keys.heals("default")
        c.call("key.set", provider="lab", label="b", weight=9)
        ready = {k["label"]: k["ready"] for k in c.call("route.get", ref="lab:m1")["keys"]["of"]}
        assert ready == {"default": False, "b": True}
        c.call("key.set", provider="lab", label="b", secret=secret("b"))
        assert {k["label"]: k["ready"] for k in c.call("route.get", ref="lab:m1")["keys"]["of"]} == ready


def test_when_no_key_can_serve_the_error_says_so(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=1)
    with daemon.rpc() as c:
        keys.fails("default", 429, retry_after=40)
        keys.fails("b", 429, retry_after=90)
        a = keys.ask(c)
        assert a.code == "rate_limited" and len(starts(a)) == 2 and not a.text
        assert "none of the 2 keys of lab can serve now" in a.last["message"]
        assert 30000 < a.last["retry_after_ms"] <= 40000
        p = c.call("provider.get", name="lab")
        assert p["status"] == "rate-limited" and p["status_until_ms"] < (time.time() + 41) * 1000
        # asked once more, the one that can soonest says why
        a = keys.ask(c)
        assert a.code == "rate_limited" and starts(a) == [("lab:m1", "default")]
        r = daemon.mpc("p", "-m", "lab:m1", "hello")
        assert r.returncode != 0 and "none of the 2 keys" in r.err


def test_three_tries_of_a_provider_and_no_more(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=1, c=1, d=1, e=1)
    for label in ("default", "b", "c", "d", "e"):
        keys.fails(label, 401)
    with daemon.rpc() as c:
        a = keys.ask(c)
        assert a.code == "auth_rejected" and len({k for _, k in starts(a)}) == len(starts(a)) == 3
        assert "none of the" not in a.last["message"]
        a = keys.ask(c)
        assert len(starts(a)) == 2 and "none of the 5 keys" in a.last["message"]


def test_another_key_comes_before_another_target(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=1)
    other = Provider(default=stream("from the other"))
    try:
        daemon.mpc("provider", "add", "spare", "--url", other.url, "--type", "local", "--auth", "none", "--dialect", "openai-chat",
                   check=0)
        daemon.mpc("chain", "set", "coding", "lab:m1", "spare:m1", check=0)
        with daemon.rpc() as c:
            mine = conversation_of(keys, c, "b")
            keys.fails("b", 429, retry_after=600)
            a = c.prompt(ref="@coding", messages=talk(mine))
            assert a.text == "from default" and not other.chats
            keys.fails("default", 429, retry_after=300)
            a = c.prompt(ref="@coding", messages=talk(mine))
            assert a.text == "from the other" and changes(a) == [("default", None, "rate_limit")]
            before = len(keys.asked)
            a = c.prompt(ref="@coding", messages=talk("another"))
            assert a.text == "from the other" and len(keys.asked) == before
            passed = c.call("route.get", ref="@coding")["chain"]["targets"][0]
            assert passed["code"] == "rate_limited" and "none of its 2 keys" in passed["message"]
            assert passed["until_ms"] < (time.time() + 301) * 1000
    finally:
        other.close()


def test_a_named_key_is_never_changed(daemon, provider):
    keys = Keys(daemon, provider)
    with daemon.rpc() as c:
        assert {keys.key_of(c, f"talk {i}", label="b") for i in range(12)} == {"b"}
        keys.fails("b", 429, retry_after=600)
        a = keys.ask(c, label="b")
        assert a.code == "rate_limited" and starts(a) == [("lab:m1", None)]
        assert c.call("provider.get", name="lab")["status"] in ("available", "active")
        assert keys.key_of(c, "hello") != "b"
        keys.heals("b")
        c.call("route.set", ref="lab:m1", label="c")
        assert {c.prompt(messages=talk(f"talk {i}")).text for i in range(12)} == {"from c"}
        daemon.mpc("test", "lab", "m1", "5m", "--label", "b", "--no-check", check=0)
        assert {c.prompt(messages=talk(f"talk {i}")).text for i in range(12)} == {"from b"}
        keys.fails("b", 401)
        a = c.prompt(messages=talk("hello"))
        assert a.code == "auth_rejected" and len(starts(a)) == 1
        daemon.mpc("test", "stop", check=0)
        daemon.mpc("test", "lab", "m1", "5m", "--stdin", "--no-check", input=(secret("own") + "\n").encode(), check=0)
        assert {c.prompt(messages=talk(f"talk {i}")).text for i in range(6)} == {"from own"}
        keys.fails("own", 429, retry_after=5)
        a = c.prompt(messages=talk("hello"))
        assert a.code == "rate_limited" and len(starts(a)) == 1


def test_calls_that_last_go_to_the_idlest(daemon, provider):
    keys = Keys(daemon, provider, sharing="least-loaded", default=1, b=3)
    gate = threading.Event()

    def slow(request):
        first, *rest = stream("from the slow")
        return [first, Wait(gate), *rest]
    keys.scripted = {"default": slow, "b": slow}
    with daemon.rpc() as c, daemon.rpc() as d:
        streams = [(x, x.call("prompt.start", ref="lab:m1", messages=talk(f"talk {i}"))["stream"])
                   for i, x in enumerate([c, d] * 10)]
        for _ in range(500):
            if len(keys.asked) == 20:
                break
            time.sleep(0.02)
        assert collections.Counter(label for label, _ in keys.asked) == {"default": 5, "b": 15}
        gate.set()
        assert all(x.collect(s).ok for x, s in streams)
        # who was somewhere stays there, though it may be busier
        homes = {w: label for label, w in keys.asked}
        keys.scripted = {}
        assert {w: keys.key_of(c, w, ["more"]) for w in homes} == homes


def test_what_cools_down_is_the_keys_over_a_kill(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=1)
    with daemon.rpc() as c:
        mine = conversation_of(keys, c, "default")
        keys.fails("default", 429, retry_after=600)
        assert keys.key_of(c, mine) == "b"
    time.sleep(0.8)  # what cools down is written half a second later
    daemon.kill()
    daemon.start()
    with daemon.rpc() as c:
        assert {k["label"]: k["ready"] for k in c.call("route.get", ref="lab:m1")["keys"]["of"]} == {"default": False, "b": True}
        assert c.call("provider.get", name="lab")["status"] in ("available", "active")
        before = len(keys.asked)
        assert {keys.key_of(c, f"talk {i}") for i in range(10)} == {"b"}
        assert len(keys.asked) == before + 10


def test_a_provider_without_the_usual_key(daemon, provider):
    keys = Keys(daemon, provider, b=1, c=1)
    with daemon.rpc() as c:
        assert {keys.key_of(c, f"talk {i}") for i in range(30)} == {"b", "c"}
        assert c.call("route.get", ref="lab:m1")["ready"]
        c.call("provider.update", name="lab", set={"auth_type": "api-key"})
        assert c.call("provider.get", name="lab")["status"] in ("available", "active")
        assert {keys.key_of(c, f"talk {i}") for i in range(30)} == {"b", "c"}
        c.call("provider.update", name="lab", set={"key_sharing": "off"})
        assert c.call("provider.get", name="lab")["status"] == "no-credential"
        assert keys.ask(c).code == "no_credential"


def test_what_is_asked_beside_calls_has_a_key_too(daemon, provider):
    keys = Keys(daemon, provider, b=1, management=100)
    with daemon.rpc() as c:
        c.call("provider.update", name="lab", set={"auth_type": "api-key"})
        assert {keys.key_of(c, f"talk {i}") for i in range(30)} == {"b"}
        assert [m["ref"] for m in c.call("model.list", provider="lab", catalog=True, refresh=True)["models"]] == ["lab:m1", "lab:m2"]
        listed = [r for r in provider.requests if r.path.endswith("/models")]
        assert {r.header("authorization") for r in listed} == {f"Bearer {secret('b')}"}
        # a check is of the usual key, or of the one that it names, and moves nobody
        keys.fails("b", 429, retry_after=60)
        before = len(keys.asked)
        assert not c.call("provider.check", name="lab:m1", deep=True)["ok"] and len(keys.asked) == before + 1
        keys.heals("b")
        assert keys.key_of(c) == "b"


def test_a_source_that_fails_is_one_keys_trouble(daemon, provider):
    keys = Keys(daemon, provider, default=1)
    gone = daemon.home / "key"
    gone.write_text(secret("b") + "\n")
    gone.chmod(0o600)
    with daemon.rpc() as c:
        c.call("key.set", provider="lab", label="b", source={"file": str(gone)})
        mine = conversation_of(keys, c, "b")
        gone.unlink()
        c.call("key.set", provider="lab", label="b", source={"file": str(gone)})
        a = keys.ask(c, mine)
        assert a.text == "from default" and changes(a) == [("b", "default", "config")]
        assert c.call("provider.get", name="lab")["status"] in ("available", "active")
        keys.asked.clear()
        assert keys.key_of(c, mine) == "default" and len(keys.asked) == 1
        # and the source is left alone as a key is
        assert {tuple(starts(keys.ask(c, f"new {i}"))) for i in range(12)} == {(("lab:m1", "default"),)}


def test_mpc_says_which_key_went_on(daemon, provider):
    keys = Keys(daemon, provider, default=1, b=1)
    with daemon.rpc() as c:
        mine = conversation_of(keys, c, "b")
    keys.fails("b", 429, retry_after=600)
    r = daemon.mpc("p", "-m", "lab:m1", mine, check=0)
    assert r.out == "from default\n"
    assert "lab (key b) rate limited, continuing with another key of lab: default" in r.err
    assert daemon.mpc("which", "lab:m1", "--plain", check=0).out.count("\tkey\t") == 2


def test_no_key_is_told_anywhere(daemon, provider):
    keys = Keys(daemon, provider)
    with daemon.rpc() as c:
        keys.fails("b", 401)
        keys.fails("c", 429, retry_after=60)
        said = repr([keys.ask(c, f"secret words {i}").events for i in range(20)])
        said += repr(c.call("key.status")) + repr(c.call("route.get", ref="lab:m1"))
    log = daemon.log()
    for label in ("default", "b", "c"):
        assert secret(label) not in said and secret(label) not in log
    assert "secret words" not in log
    for name in ("state.db", "state.db-wal"):
        assert b"secret words" not in (daemon.data / name).read_bytes()


def test_random_keys(daemon, provider, rng):
    """Whatever the keys do: nothing is mixed, nothing is sent twice unseen, and every attempt has its row."""
    keys = Keys(daemon, provider, default=1, b=2, c=3, d=1)
    failures = [(401, {"message": "no"}), (429, {"message": "slow down"}), (500, {"message": "oops"}),
                (403, {"message": "no"}), (400, {"message": "bad"})]
    asked = 0
    with daemon.rpc() as c:
        for i in range(120):
            for label in ("default", "b", "c", "d"):
                keys.scripted.pop(label, None)
                what = rng.random()
                if what < 0.3:
                    status, body = rng.choice(failures)
                    # by the time that another one has answered, it could be asked again
                    answer = [Sleep(0.04), *reply(status, {"error": body}, extra=[("retry-after", "0.02")] if rng.random() < 0.7 else [])]
                    keys.scripted[label] = lambda request, answer=answer: answer
                elif what < 0.4:  # half an answer
                    steps = stream("half of ", label)[:2] + [Close()]
                    keys.scripted[label] = lambda request, steps=steps: steps
            if i % 20 == 19:  # what was wrong is put right
                for label in ("default", "b", "c", "d"):
                    c.call("key.set", provider="lab", label=label, secret=secret(label))
            before = len(keys.asked)
            a = keys.ask(c, f"talk {rng.randrange(15)}")
            tried = [k for _, k in starts(a)]
            assert [label for label, _ in keys.asked[before:]] == tried and 1 <= len(tried) <= 3
            assert len(set(tried)) == len(tried)
            asked += len(tried)
            assert a.text in ("", f"from {tried[-1]}", "half of ", f"half of {tried[-1]}"), (a.text, tried)
            assert a.ok == (a.text == f"from {tried[-1]}")
            assert a.ok or a.last["partial"] == bool(a.text)
    daemon.stop()
    rows = attempts(daemon)
    assert len(rows) == asked == len(keys.asked)
    assert [label for _, _, label, _ in rows] == [label for label, _ in keys.asked]
