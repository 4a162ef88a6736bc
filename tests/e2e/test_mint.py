"""`mpc test --mint`: the provider makes a key for one test, with a limit and an end of its own, and it is deleted there
when the test is over. Whatever is killed when: no key is forgotten. The provider is a scripted OpenRouter."""
import datetime
import signal
import threading
import time

import pytest

from harness.provider import Hang, Provider, Sleep, Wait, head, reply, stream
from harness.rpc import RpcError

MANAGEMENT = "sk-or-v1-management-0000000001"
MINUTE = 60_000


class Keys:
    """OpenRouter's /keys, as far as its pages tell."""

    def __init__(self, provider):
        self.made, self.keys, self.deleted = [], {}, []
        self.lock = threading.Lock()
        self.refuse = None        # (status, message) for every request
        self.before_create = []   # steps in front of the answer to the next POST
        self.lose_answer = False  # the key is made, the answer never comes
        provider.also["/keys"] = self.answer

    def answer(self, r):
        with self.lock:
            if r.header("authorization") != f"Bearer {MANAGEMENT}":
                return reply(401, {"error": {"code": 401, "message": "User not found."}})
            if self.refuse:
                return reply(self.refuse[0], {"error": {"code": self.refuse[0], "message": self.refuse[1]}})
            return {"POST": self.create, "GET": self.list, "DELETE": self.delete}[r.method](r)

    def create(self, r):
        n = len(self.made) + 1
        key, hash_ = f"sk-or-v1-minted-{n:016d}", f"{n:064x}"
        self.made.append((key, r.json))
        self.keys[hash_] = {"hash": hash_, "name": r.json["name"], "disabled": False, "limit": r.json["limit"], "key": key}
        steps, self.before_create = self.before_create, []
        if self.lose_answer:
            return [Hang()]
        data = {k: v for k, v in self.keys[hash_].items() if k != "key"}
        return steps + reply(201, {"data": data, "key": key})

    def list(self, r):
        offset = int(r.path.partition("offset=")[2] or 0)
        newest = list(reversed(self.keys.values()))[offset:offset + 100]
        return reply(200, {"data": [{k: v for k, v in d.items() if k != "key"} for d in newest]})

    def delete(self, r):
        hash_ = r.path.rpartition("/")[2]
        if self.keys.pop(hash_, None) is None:
            return reply(404, {"error": {"code": 404, "message": "API key not found"}})
        self.deleted.append(hash_)
        return reply(200, {"deleted": True})


@pytest.fixture
def lab(make_daemon, provider):
    d = make_daemon("--test-timeouts", "2000", start=False)
    d.clock
    d.start()
    d.provider, d.keys = provider, Keys(provider)
    with d.rpc() as c:
        c.call("provider.add", name="router", base_url=provider.url, dialect="openai-chat", type="local", auth_type="api-key",
               features=["mint-keys"])
        c.call("key.set", provider="router", label="management", secret=MANAGEMENT)
        c.call("route.set", ref="echo:before")
    return d


def start(c, **params):
    return c.call("session.start", **{"provider": "router", "model": "m1", "mint": True, **params})


def fails(c, method, **params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def wait_until(condition, timeout=15):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def minted(d):
    with d.rpc() as c:
        return c.call("session.list").get("minted", [])


def test_a_key_for_one_test(lab):
    with lab.rpc() as c:
        s = start(c, duration_ms=30 * MINUTE, limit_microusd=2_500_000)
        key, asked = lab.keys.made[0]
        assert asked["limit"] == 2.5 and asked["name"].startswith("modelpd test ")
        ends = datetime.datetime.fromisoformat(asked["expires_at"].replace("Z", "+00:00")).timestamp() * 1000
        assert s["expires_ms"] < ends < s["expires_ms"] + 10 * MINUTE
        assert s["minted"] and s["has_key"]
        # it was tried with the new key, and is used with it
        assert c.prompt("hello").ok
        assert [r.header("authorization") for r in lab.provider.chats] == [f"Bearer {key}"] * 2
        # its end at the provider cannot be moved, so neither can the session's
        assert fails(c, "session.extend", duration_ms=MINUTE).code == "invalid_state"
        assert fails(c, "session.keep").code == "invalid_state"
        c.call("session.stop")
        wait_until(lambda: lab.keys.deleted)
        assert lab.keys.keys == {} and minted(lab) == []
        assert c.call("route.get")["active"]["ref"] == "echo:before"
    stored = b"".join(p.read_bytes() for p in lab.data.iterdir() if p.is_file())
    assert key.encode() not in stored and key not in lab.log() and MANAGEMENT not in lab.log()


def test_it_is_deleted_when_its_time_is_up(lab):
    with lab.rpc() as c:
        start(c)
        lab.clock.sleep(31 * 60)
        wait_until(lambda: lab.keys.deleted)
        assert lab.keys.keys == {}


def test_it_is_deleted_when_the_probe_fails(lab):
    lab.provider.script(reply(404, {"error": {"message": "no such model"}}))
    with lab.rpc() as c:
        assert fails(c, "session.start", provider="router", model="m9", mint=True).code == "not_found"
        wait_until(lambda: lab.keys.deleted)
        assert lab.keys.keys == {} and c.call("session.list")["sessions"] == []


@pytest.mark.parametrize("moment", ["making", "trying"])
def test_it_is_deleted_when_the_client_goes_away(lab, moment):
    gate = threading.Event()
    if moment == "making":
        lab.keys.before_create = [Wait(gate)]
    else:
        lab.provider.script([head(), Hang()])
    c = lab.rpc()
    c.send("session.start", {"provider": "router", "model": "m1", "mint": True})
    wait_until(lambda: lab.keys.made and (moment == "making" or lab.provider.chats))
    c.close()
    gate.set()
    if moment == "making":
        # whether it was made is not known for a minute
        wait_until(lambda: minted(lab))
        lab.clock.sleep(61)
        lab.restart()
    wait_until(lambda: lab.keys.deleted)
    wait_until(lambda: minted(lab) == [])
    with lab.rpc() as c:
        assert c.call("session.list")["sessions"] == []


def test_kill_9_at_any_moment_forgets_no_key(lab):
    # while it is used
    with lab.rpc() as c:
        start(c, duration_ms=10 * MINUTE)
    lab.kill()
    lab.clock.sleep(11 * 60)
    lab.start()
    wait_until(lambda: len(lab.keys.deleted) == 1)
    # while it is being made: the provider has made it, we never heard
    lab.keys.lose_answer = True
    c = lab.rpc()
    c.send("session.start", {"provider": "router", "model": "m1", "mint": True})
    wait_until(lambda: len(lab.keys.made) == 2)
    lab.kill()
    lab.keys.lose_answer = False
    lab.clock.sleep(61)
    lab.start()
    wait_until(lambda: len(lab.keys.deleted) == 2)
    # while it is being tried
    lab.provider.script([head(), Hang()])
    c = lab.rpc()
    c.send("session.start", {"provider": "router", "model": "m1", "mint": True})
    wait_until(lambda: len(lab.keys.made) == 3 and len(lab.provider.chats) == 2)
    lab.kill()
    lab.start()
    wait_until(lambda: len(lab.keys.deleted) == 3)
    wait_until(lambda: minted(lab) == [])
    assert lab.keys.keys == {}


def test_one_that_was_never_made_is_let_go(lab):
    with lab.rpc() as c:
        lab.keys.refuse = (403, "Only management keys may do this")
        e = fails(c, "session.start", provider="router", model="m1", mint=True)
        assert e.message.startswith("cannot mint a key at router: ") and "management key" in e.error["hint"]
        lab.keys.refuse = None
        assert len(minted(lab)) == 1
        # among three hundred keys of other people's
        for n in range(300):
            lab.keys.keys[f"{n + 1000:064x}"] = {"hash": f"{n + 1000:064x}", "name": f"of somebody {n}", "key": "k"}
        lab.clock.sleep(61)
        lab.restart()
        wait_until(lambda: minted(lab) == [])
    assert len(lab.keys.keys) == 300 and lab.keys.deleted == []


def test_deleting_is_tried_again(lab):
    with lab.rpc() as c:
        start(c)
        lab.keys.refuse = (503, "try later")
        c.call("session.stop")
        wait_until(lambda: minted(lab) and minted(lab)[0]["tries"] >= 2)
        assert minted(lab)[0]["code"] == "provider_unavailable"
        r = lab.mpc("test", check=0)
        assert "waits to be deleted at router, last try: provider_unavailable; it ends there" in r.err
        assert "is not deleted there yet, provider_unavailable" in lab.mpc("doctor").out
        lab.keys.refuse = None
        wait_until(lambda: minted(lab) == [])
        assert len(lab.keys.deleted) == 1
        assert "minted" not in lab.mpc("doctor").out
    # also when the management key was gone meanwhile
    with lab.rpc() as c:
        start(c)
        c.call("key.delete", provider="router", label="management")
        c.call("session.stop")
        wait_until(lambda: minted(lab) and minted(lab)[0].get("code") == "no_credential")
        c.call("key.set", provider="router", label="management", secret=MANAGEMENT)
        wait_until(lambda: minted(lab) == [])
        assert lab.keys.keys == {}


def test_a_key_that_is_gone_already_is_gone(lab):
    with lab.rpc() as c:
        start(c)
        lab.keys.keys.clear()  # the user deleted it on the provider's page
        c.call("session.stop")
        wait_until(lambda: minted(lab) == [])


@pytest.mark.parametrize("status", (401, 402, 403, 404, 429, 500, 503))
def test_a_mint_that_is_refused_closes_nothing(lab, status):
    """It is no call of the user's: the next one is asked as if nothing had been."""
    with lab.rpc() as c:
        c.call("key.set", provider="router", secret="sk-or-v1-usual-000000000001")
        c.call("chain.set", name="c", refs=["router:m1", "echo:x"])
        lab.keys.refuse = (status, "no")
        for _ in range(3):
            fails(c, "session.start", provider="router", model="m1", mint=True)
        c.call("route.set", ref="@c")
        assert "code" not in c.call("route.get")["chain"]["targets"][0]
        assert c.prompt("hi").last["ref"] == "router:m1"


def test_what_cannot_be_minted(lab):
    with lab.rpc() as c:
        e = fails(c, "session.start", provider="echo", model="x", mint=True)
        assert e.code == "invalid_state" and "no way to mint keys" in e.message
        assert fails(c, "session.start", provider="router", model="m1", mint=True, secret="sk-1234567890").field == "mint"
        c.call("key.delete", provider="router", label="management")
        e = fails(c, "session.start", provider="router", model="m1", mint=True)
        assert e.code == "no_credential" and "mpc key set router --label management" in e.error["hint"]
        for body in ("{}", "<html>", {"data": {"hash": "../../credits"}, "key": "sk-1"}, {"data": {"hash": "ab"}, "key": "a b"}):
            c.call("key.set", provider="router", label="management", secret=MANAGEMENT)
            lab.provider.also["/keys"] = lambda r, body=body: reply(201, body)
            assert fails(c, "session.start", provider="router", model="m1", mint=True).code == "upstream_error"
        assert c.call("session.list")["sessions"] == []


def test_mpc_test_mint(lab):
    r = lab.mpc("test", "router", "m1", "5", "--mint", "--limit", "0.25", check=0)
    assert r.out.startswith("✓ key minted   ✓ reachable (")
    assert lab.keys.made[0][1]["limit"] == 0.25
    assert lab.mpc("test", check=0).out.split("\n")[1].split()[3] == "minted"
    assert "cannot be kept" in lab.mpc("test", "keep", check=1).err
    for words in (("--mint", "--key"), ("--limit", "1"), ("--mint", "--limit", "much")):
        lab.mpc("test", "router", "m1", *words, check=2)
    lab.mpc("test", "stop", check=0)
    wait_until(lambda: lab.keys.deleted)
