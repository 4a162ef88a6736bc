"""Test sessions: try a target for a while, with a temporary key if you like, and be put back where you were.

The promise: a session ends when it said it would, whatever happens to the daemon or the clocks; what it was given (its
key) goes with it; and the choice you had before is the choice you have again. Read from top to bottom."""
import signal
import threading
import time

import pytest

from harness.daemon import figure
from harness.provider import Hang, Sleep, chunk, head, piece, reply, stream
from harness.rpc import RpcError

KEY = "sk-temporary-000000000000000007"
OTHER = "sk-stored-00000000000000000042"
MINUTE = 60_000


@pytest.fixture
def lab(make_daemon, provider):
    """A daemon with a choice of its own (echo:before) and a provider "lab" that needs a key and has none."""
    d = make_daemon(start=False)
    d.clock
    d.start()
    with d.rpc() as c:
        c.call("provider.add", name="lab", base_url=provider.url, dialect="openai-chat", type="local", auth_type="api-key")
        c.call("route.set", ref="echo:before")
    d.provider = provider
    return d


def active(d, **params):
    with d.rpc() as c:
        return c.call("route.get", **params)["active"]["ref"]


def start(c, **params):
    given = {"provider": "lab", "model": "m1", "secret": KEY, "duration_ms": 30 * MINUTE}
    return c.call("session.start", **{k: v for k, v in {**given, **params}.items() if v is not None})


def bearer(request):
    return request.header("authorization")


def fails(c, method, **params):
    with pytest.raises(RpcError) as e:
        c.call(method, **params)
    return e.value


def files(d):
    return b"".join(p.read_bytes() for p in sorted(d.data.iterdir()) if p.is_file())


def wait_until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


# ---- the story ----

def test_a_temporary_key_for_half_an_hour_and_back_to_where_i_was(lab):
    with lab.rpc() as c:
        s = start(c)
        assert s["ref"] == "lab:m1" and s["has_key"] and s["activated"] and s["state"] == "open"
        assert s["checked"]["key"] and s["checked"]["first_token_ms"] >= 0
        assert s["previous"]["ref"] == "echo:before" and s["active"]["ref"] == "lab:m1"
        # everybody uses it now, with the temporary key
        assert c.prompt("hello").text == "Hello from the provider."
        assert all(bearer(r) == f"Bearer {KEY}" for r in lab.provider.requests)
        # half an hour later nobody does
        c.call("state.subscribe", topics=["sessions", "route"], snapshot=False)
        lab.clock.sleep(30 * 60)
        gone = c.event("state.event", topic="sessions", op="remove", timeout=5)
        assert gone["cause"]["reason"] == "expired"
        assert (gone["value"]["state"], gone["value"]["requests"]) == ("ended", 1)
        assert c.event("state.event", topic="route", timeout=5)["value"]["ref"] == "echo:before"
        assert c.call("session.list")["sessions"] == []
        assert c.prompt("hello").text == "hello"


def test_it_is_tried_first_and_what_fails_leaves_nothing(lab):
    lab.provider.script(reply(401, {"error": {"message": "No such key", "code": 401}}))
    with lab.rpc() as c:
        before = c.call("state.get")["rev"]
        e = fails(c, "session.start", provider="lab", model="m1", secret=KEY)
        assert e.code == "auth_rejected"
        assert c.call("session.list")["sessions"] == []
        # a bad temporary key says nothing about the provider, whose own key may be good
        assert c.call("provider.get", name="lab")["status"] == "no-credential"
        assert "status_code" not in c.call("provider.get", name="lab")
        assert c.call("route.get")["active"]["ref"] == "echo:before"
        assert [k for k in c.call("key.status")["keys"]] == []
        # the list of models is news, nothing else
        e = fails(c, "session.start", provider="lab", model="m1")
        assert e.code == "no_credential"
        e = fails(c, "session.start", provider="nobody", model="m1")
        assert e.code == "not_found"
        assert before <= c.call("state.get")["rev"]
    assert KEY.encode() not in files(lab)


def test_a_client_that_goes_away_during_the_probe_leaves_nothing(lab):
    lab.provider.script([head(), Hang()])
    c = lab.rpc()
    c.send("session.start", {"provider": "lab", "model": "m1", "secret": KEY})
    wait_until(lambda: lab.provider.chats)
    c.close()
    with lab.rpc() as c:
        wait_until(lambda: lab.provider.gone)
        assert c.call("session.list")["sessions"] == []
        assert c.call("route.get")["active"]["ref"] == "echo:before"
    lab.provider.script([head(), Hang()])
    with lab.rpc() as c:
        number = c.send("session.start", {"provider": "lab", "model": "m1", "secret": KEY})
        wait_until(lambda: len(lab.provider.chats) == 2)
        assert c.call("sys.cancel", msgid=number)["cancelled"]
        with pytest.raises(RpcError) as e:
            c.wait(number)
        assert e.value.code == "cancelled"
        assert c.call("session.list")["sessions"] == []


def test_kill_9_during_the_probe_leaves_nothing(lab):
    lab.provider.script([head(), Hang()])
    c = lab.rpc()
    c.send("session.start", {"provider": "lab", "model": "m1", "secret": KEY})
    wait_until(lambda: lab.provider.chats)
    lab.kill()
    c.close()
    lab.start()
    with lab.rpc() as c:
        assert c.call("session.list")["sessions"] == []
    assert active(lab) == "echo:before"


def test_without_a_key_of_its_own_it_uses_the_stored_one(lab):
    with lab.rpc() as c:
        c.call("key.set", provider="lab", secret=OTHER)
        s = c.call("session.start", provider="lab", model="m2")
        assert not s["has_key"] and 29 * MINUTE < s["left_ms"] <= 30 * MINUTE
        assert c.prompt("hello").start["model"] == "m2"
        assert bearer(lab.provider.chats[-1]) == f"Bearer {OTHER}"
        c.call("session.stop")
        # the stored key is nobody's to take along
        assert len(c.call("key.status")["keys"]) == 1


def test_how_long_is_a_setting(lab):
    lab.mpc("config", "set", "session_duration", "10m", check=0)
    with lab.rpc() as c:
        s = c.call("session.start", provider="echo", model="x", check=False)
        assert s["expires_ms"] - s["started_ms"] == 10 * MINUTE
        s = c.call("session.start", provider="echo", model="x", check=False, duration_ms=5 * MINUTE)
        assert s["expires_ms"] - s["started_ms"] == 5 * MINUTE


def test_a_provider_that_needs_no_key(daemon):
    with daemon.rpc() as c:
        s = c.call("session.start", provider="echo", model="anything", duration_ms=5 * MINUTE)
        assert s["ref"] == "echo:anything" and not s["checked"]["key"]
        e = fails(c, "session.start", provider="echo", model="x", secret=KEY)
        assert e.code == "invalid_state"


# ---- its key ----

def test_its_key_is_never_an_ordinary_key(lab):
    with lab.rpc() as c:
        s = start(c)
        label = f"session-{s['id']}"
        assert c.call("key.status")["keys"] == []
        assert "key" not in c.call("provider.get", name="lab")
        assert fails(c, "key.set", provider="lab", label=label, secret=OTHER).field == "label"
        assert fails(c, "key.delete", provider="lab", label=label).code == "not_found"
        assert KEY not in str(c.call("state.get")) and label not in str(c.call("state.get"))
        assert c.call("provider.get", name="lab")["session"]["id"] == s["id"]
        # asking for the provider by name is not using the session: there the key is missing
        assert c.prompt("hello", ref="lab:m1").code == "no_credential"


def test_what_its_key_may_do_is_no_matter_of_the_provider(lab):
    """The provider's own key is another one: it may have credit, and no limit that is full."""
    def limits(n):
        return [("x-ratelimit-limit-requests", "10"), ("x-ratelimit-remaining-requests", str(n)), ("x-ratelimit-reset-requests", "600s")]
    with lab.rpc() as c:
        c.call("key.set", provider="lab", secret=OTHER)
        assert c.prompt("x", ref="lab:m1").ok
        start(c, check=False)
        lab.provider.script([head(extra=limits(0))] + [s for s in stream("ok")[1:] if isinstance(s, Sleep)]
                            + [piece({"content": "ok"}, "stop"), b"data: [DONE]\n\n"],
                            reply(429, {"error": {"message": "slow down"}}, extra=limits(0)),
                            reply(402, {"error": {"message": "no credit"}}),
                            reply(401, {"error": {"message": "who are you"}}))
        assert c.prompt("x").ok
        assert [c.prompt("x").code for _ in range(3)] == ["rate_limited", "quota_exceeded", "auth_rejected"]
        p = c.call("provider.get", name="lab")
        assert p["status"] == "active" and "limits" not in p and "status_code" not in p
        c.call("session.stop")
        p = c.call("provider.get", name="lab")
        assert p["status"] == "available" and "code" not in p["key"]
        # the same from its own key is
        lab.provider.script(reply(402, {"error": {"message": "no credit"}}))
        assert c.prompt("x", ref="lab:m1").code == "quota_exceeded"
        assert c.call("provider.get", name="lab")["status_code"] == "quota_exceeded"


def test_a_token_speaks_for_its_session(lab):
    with lab.rpc() as c:
        s = start(c, activate=False)
        assert s["active"]["ref"] == "echo:before" and not s["activated"]
        assert c.prompt("hi").text == "hi"
        answer = c.prompt("hi", session=s["token"])
        assert (answer.start["ref"], answer.start["why"]) == ("lab:m1", "session")
        # it outranks a scope, and a selector goes with its key
        c.call("route.set", ref="echo:scoped", scope="s")
        assert c.prompt("hi", session=s["token"], scope="s").start["ref"] == "lab:m1"
        assert c.call("prompt.run", text="hi", session=s["token"], ref="lab:m2")["ref"] == "lab:m2"
        assert bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
        # but only to its own provider
        assert fails(c, "prompt.start", text="hi", session=s["token"], ref="echo:echo").code == "origin"
        assert fails(c, "prompt.start", text="hi", session=s["token"][:-1]).code == "not_found"
        why = c.call("route.get", session=s["token"])["why"]
        assert next(l for l in why if l["won"])["layer"] == "session"
        assert c.call("session.list")["sessions"][0]["requests"] == 3
        c.call("session.stop")
        e = fails(c, "prompt.start", text="hi", session=s["token"])
        assert e.code == "not_found" and "has ended" in e.message
    assert s["token"].encode() not in files(lab)
    assert s["token"] not in lab.log()


def test_F116_its_key_and_row_are_gone_within_a_second(lab):
    with lab.rpc() as c:
        c.call("state.subscribe", topics=["sessions"], snapshot=False)
        s = start(c, duration_ms=1500, check=False)
        c.event("state.event", op="add")
        c.event("state.event", op="remove", timeout=10)
        late = time.time() * 1000 - s["expires_ms"]
        assert late < figure(1000, 3000)
        assert fails(c, "prompt.start", text="x", session=s["token"]).code == "not_found"
        assert c.call("route.get")["active"]["ref"] == "echo:before"
    lab.kill()
    import sqlite3
    db = sqlite3.connect(lab.data / "state.db")
    assert db.execute("SELECT count(*) FROM sessions").fetchone() == (0,)
    assert db.execute("SELECT count(*) FROM credentials").fetchone() == (0,)
    db.close()
    lab.start()


def test_F116_a_thousand_sessions(lab):
    with lab.rpc() as c:
        c.call("state.subscribe", topics=["sessions"], snapshot=False)
        sessions = [start(c, check=False, activate=n == 0) for n in range(1000)]
        assert len(c.call("session.list")["sessions"]) == 1000
        assert c.prompt("x", session=sessions[777]["token"]).ok
        c.events.clear()
        lab.clock.sleep(31 * 60)
        since = time.monotonic()
        # at once, all of them
        with lab.rpc() as other:
            for s in sessions[::50]:
                assert fails(other, "prompt.start", text="x", session=s["token"]).code == "not_found"
            assert other.call("session.list")["sessions"] == []
        seen = set()
        while len(seen) < 1000:
            message = c.next(10)
            if message[0] == 2 and message[2][0]["op"] == "remove":
                seen.add(message[2][0]["key"])
        assert time.monotonic() - since < figure(1.5, 10)
        assert c.call("sys.ping")


# ---- nothing extends it ----

def test_F10_restarts_and_kill_9_keep_its_original_end(lab):
    with lab.rpc() as c:
        s = start(c, check=False)
    for again in (lab.restart, lambda: (lab.kill(), lab.start()), lambda: (lab.kill(), lab.start())):
        lab.clock.sleep(5 * 60)
        again()
        with lab.rpc() as c:
            now = c.call("session.list")["sessions"][0]
            assert now["expires_ms"] == s["expires_ms"] and now["activated"]
            assert c.prompt("x", session=s["token"]).ok
    assert 14 * MINUTE < now["left_ms"] <= 15 * MINUTE
    lab.kill()
    lab.clock.sleep(15 * 60)
    lab.start()
    with lab.rpc() as c:
        assert c.call("session.list")["sessions"] == []
        assert fails(c, "prompt.start", text="x", session=s["token"]).code == "not_found"
    assert active(lab) == "echo:before"


@pytest.mark.parametrize("wall", ["a day back", "1970", "nothing"])
def test_F34_a_clock_that_is_set_back_does_not_extend_it(lab, wall):
    back = {"a day back": -86400, "1970": -time.time() + 1000, "nothing": 0}[wall]
    with lab.rpc() as c:
        s = start(c, check=False)
        lab.clock.set(wall=back + 29 * 60, boot=29 * 60)
        assert c.prompt("x", session=s["token"]).ok
        assert active(lab) == "lab:m1"
        lab.clock.set(wall=back + 30 * 60 + 1, boot=30 * 60 + 1)
        assert fails(c, "prompt.start", text="x", session=s["token"]).code == "not_found"
        assert active(lab) == "echo:before"
        lab.restart()
    with lab.rpc() as c:
        assert c.call("session.list")["sessions"] == []


@pytest.mark.parametrize("forward", [86400, 30 * 365 * 86400])
def test_F34_a_clock_that_is_set_forward_ends_it(lab, forward):
    with lab.rpc() as c:
        start(c, check=False)
        c.call("route.set", ref="echo:scoped", scope="s", ttl_ms=10 * MINUTE)
        lab.clock.set(wall=forward)
        assert active(lab) == "echo:before"
        assert active(lab, scope="s") == "echo:before"
        assert c.prompt("hello").text == "hello"


def test_F35_after_a_suspend_it_is_refused_at_the_first_use(lab):
    with lab.rpc() as c:
        c.call("state.subscribe", topics=["sessions"], snapshot=False)
        s = start(c, check=False)
        c.event("state.event", op="add")
        lab.clock.sleep(8 * 3600)
        since = time.monotonic()
        assert fails(c, "prompt.start", text="x", session=s["token"]).code == "not_found"
        assert c.prompt("hello").text == "hello"
        assert c.event("state.event", op="remove", timeout=5)["cause"]["reason"] == "expired"
        assert time.monotonic() - since < figure(1, 3)


def test_F39_stopped_and_continued(lab):
    """SIGSTOP: no clock of ours stood still. What ended meanwhile has ended; a running answer goes on."""
    gate = threading.Event()
    from harness.provider import Wait
    with lab.rpc() as c:
        s = start(c, check=False, duration_ms=3000)
        lab.provider.script([head(chunked=True), chunk(piece({"content": "half "})), Wait(gate)] + stream("done")[1:])
        answer = c.call("prompt.start", text="x")["stream"]
        assert c.event("prompt.event", type="delta")["text"] == "half "
        lab.signal(signal.SIGSTOP)
        gate.set()
        time.sleep(3.5)
        lab.signal(signal.SIGCONT)
        done = c.collect(answer)
        assert done.ok and done.text == "done"
        assert fails(c, "prompt.start", text="x", session=s["token"]).code == "not_found"
        assert c.call("route.get")["active"]["ref"] == "echo:before"
        assert c.prompt("hello").text == "hello"
    assert len(lab.provider.chats) == 1


def test_extending_has_an_end_too(lab):
    with lab.rpc() as c:
        s = start(c, check=False)
        e = c.call("session.extend", duration_ms=30 * MINUTE)
        assert e["expires_ms"] == s["expires_ms"] + 30 * MINUTE
        assert fails(c, "session.extend", duration_ms=86400_000).field == "duration_ms"
        assert fails(c, "session.extend", duration_ms=23 * 3600_000 + 1).field == "duration_ms"
        c.call("session.extend", duration_ms=23 * 3600_000)
        assert fails(c, "session.extend", duration_ms=1).field == "duration_ms"
        lab.clock.sleep(24 * 3600)
        assert fails(c, "session.extend", id=s["id"], duration_ms=MINUTE).code == "not_found"
    assert active(lab) == "echo:before"


# ---- among the other choices ----

def test_a_switch_takes_effect_at_once_and_says_what_it_put_aside(lab):
    with lab.rpc() as c:
        s = start(c, check=False)
        r = c.call("route.set", ref="echo:chosen")
        assert (r["active"]["ref"], r["previous"]["ref"]) == ("echo:chosen", "lab:m1")
        assert r["deactivated"]["id"] == s["id"] and r["deactivated"]["left_ms"] > 29 * MINUTE
        # it is still open, and can be taken up again
        assert c.prompt("x", session=s["token"]).ok
        r = c.call("session.activate", id=s["id"])
        assert (r["active"]["ref"], r["previous"]["ref"]) == ("lab:m1", "echo:chosen")
        r = c.call("route.set", ref="echo:later", keep_session=True)
        assert r["active"]["ref"] == "lab:m1" and "deactivated" not in r
        r = c.call("session.stop")
        assert (r["active"]["ref"], r["session"]["state"], r["session"]["ended_why"]) == ("echo:later", "ended", "stopped")


def test_undo_goes_back_from_a_test(lab):
    with lab.rpc() as c:
        s = start(c, check=False)
        r = c.call("route.undo")
        assert r["active"]["ref"] == "echo:before" and r["deactivated"]["id"] == s["id"]
        assert len(c.call("session.list")["sessions"]) == 1


def test_a_scope_keeps_its_own_choice(lab):
    with lab.rpc() as c, lab.rpc(scope="mine") as mine:
        c.call("route.set", ref="echo:mine", scope="mine")
        s = start(c, check=False)
        assert [k["ref"] for k in s["keeping"]] == ["echo:mine"]
        assert mine.call("route.get")["active"]["ref"] == "echo:mine"
        passed = {l["layer"]: l for l in mine.call("route.get")["why"]}
        assert passed["activated-session"]["ref"] == "lab:m1" and not passed["activated-session"]["won"]
        # a switch in a scope is none of the session's business
        assert "deactivated" not in c.call("route.set", ref="echo:mine2", scope="mine")
        assert c.call("route.get")["active"]["ref"] == "lab:m1"


def test_one_session_at_most_is_activated(lab):
    with lab.rpc() as c:
        a = start(c, check=False)
        b = start(c, check=False, model="m2")
        assert b["deactivated"]["id"] == a["id"]
        assert [s["activated"] for s in c.call("session.list")["sessions"]] == [False, True]
        assert c.call("session.stop")["session"]["id"] == b["id"]
        # the first one does not come back by itself
        assert c.call("route.get")["active"]["ref"] == "echo:before"
        assert c.call("session.stop")["session"]["id"] == a["id"]
        assert fails(c, "session.stop").code == "not_found"


def test_a_word_without_an_id_must_be_clear(lab):
    with lab.rpc() as c:
        start(c, check=False, activate=False)
        start(c, check=False, activate=False)
        for method in ("session.stop", "session.keep"):
            assert fails(c, method).code == "ambiguous"
        assert fails(c, "session.extend", duration_ms=1000).code == "ambiguous"


def test_keeping_makes_it_permanent(lab):
    with lab.rpc() as c:
        start(c, check=False)
        r = c.call("session.keep")
        assert (r["active"]["ref"], r["active"]["kind"]) == ("lab:m1", "persistent")
        assert r["key"]["label"] == "default" and r["key"]["last4"] == KEY[-4:]
        assert c.call("session.list")["sessions"] == []
        assert [m["ref"] for m in c.call("model.list", provider="lab")["models"]] == ["lab:m1"]
        lab.clock.sleep(86400)
        assert c.prompt("x").ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
    lab.restart()
    assert active(lab) == "lab:m1"


def test_keeping_never_replaces_a_key_unasked(lab):
    with lab.rpc() as c:
        c.call("key.set", provider="lab", secret=OTHER)
        start(c, check=False)
        e = fails(c, "session.keep")
        assert (e.code, e.field) == ("conflict", "label")
        assert len(c.call("session.list")["sessions"]) == 1
        r = c.call("session.keep", label="second")
        assert r["key"]["label"] == "second" and r["active"]["label"] == "second"
        assert c.prompt("x").ok and bearer(lab.provider.chats[-1]) == f"Bearer {KEY}"
        # one that is not the live choice is nobody's choice: kept, not switched to
        start(c, check=False, model="m2", activate=False)
        r = c.call("session.keep", replace=True)
        assert r["active"]["model"] == "m1" and r["key"]["label"] == "default"


def test_a_test_with_one_of_several_stored_keys(lab):
    with lab.rpc() as c:
        c.call("key.set", provider="lab", secret=OTHER)
        c.call("key.set", provider="lab", label="work", secret=KEY)
        s = start(c, secret=None, label="work")
        assert s["checked"]["key"] and not s["has_key"] and s["label"] == "work"
        assert [one["label"] for one in c.call("session.list")["sessions"]] == ["work"]
        assert lab.mpc("test", "list", "--plain", check=0).out.split("\t")[3] == "work"
        assert c.prompt("hello").ok
        assert {bearer(r) for r in lab.provider.chats} == {f"Bearer {KEY}"}
        c.call("session.stop")
        assert [k["label"] for k in c.call("key.status", provider="lab")["keys"]] == ["default", "work"]
        for more, code, field in (({"label": "nonesuch"}, "no_credential", None), ({"label": "session-1"}, "invalid_params", "label"),
                                  ({"label": "work", "secret": KEY}, "invalid_params", "label"),
                                  ({"label": "work", "mint": True}, "invalid_params", "label")):
            e = fails(c, "session.start", provider="lab", model="m1", **more)
            assert (e.code, e.field) == (code, field)
        # kept, the key stays the one that was tried
        start(c, secret=None, label="work", check=False)
        assert c.call("session.keep")["active"]["label"] == "work"
    r = lab.mpc("test", "lab", "m2", "5", "--label", "work", check=0)
    assert "key ok" in r.out and "Testing lab:m2 until" in r.out
    lab.mpc("test", "stop", check=0)
    assert 'has no key "nonesuch"' in lab.mpc("test", "lab", "m2", "--label", "nonesuch", check=4).err
    assert "--label names a stored key" in lab.mpc("test", "lab", "m2", "--label", "work", "--key", check=2).err
    assert "never taken from the command line" in lab.mpc("test", "lab", "m2", "--label", KEY, check=2).err


def test_F65_conflicting_choices_and_a_client_that_goes_away(lab):
    with lab.rpc() as watcher:
        watcher.call("state.subscribe", topics=["route"], snapshot=False)
        first, second = lab.rpc(), lab.rpc()
        for c in (first, second):
            c.call("state.subscribe", topics=["route"], snapshot=False)
        numbers = [(c, c.send("route.set", {"ref": f"echo:{n}"})) for n, c in (("one", first), ("two", second))]
        results = sorted((c.wait(n) for c, n in numbers), key=lambda r: r["rev"])
        last = results[-1]["active"]["ref"]
        # both writers and who looks on are told that the last writer won (of the other only when it came to be in force)
        for c in (first, second, watcher):
            told = [c.event("state.event", topic="route", timeout=5)["value"]["ref"]]
            if told != [last]:
                told.append(c.event("state.event", topic="route", timeout=5)["value"]["ref"])
            assert told == [r["active"]["ref"] for r in results][-len(told):]
        first.close()
        second.close()
        assert active(lab) == last
        # a choice belongs to its scope, not to the client that made it
        c = lab.rpc(scope="gone")
        c.call("route.set", ref="echo:stays", scope="gone")
        s = start(c, check=False)
        c.close()
        assert active(lab, scope="gone") == "echo:stays"
        assert active(lab) == "lab:m1"
        assert watcher.call("session.list")["sessions"][0]["id"] == s["id"]


def test_a_provider_in_a_test_is_not_removed_by_accident(lab):
    with lab.rpc() as c:
        start(c, check=False)
        assert "a test session" in fails(c, "provider.remove", name="lab").message
        c.call("provider.remove", name="lab", cascade=True)
        assert c.call("session.list")["sessions"] == []
    assert active(lab) == "echo:before"


def test_a_request_key_starts_one_session(lab):
    with lab.rpc() as c:
        a = start(c, check=False, request_key="once")
        assert start(c, check=False, request_key="once")["token"] == a["token"]
        assert fails(c, "session.start", provider="lab", model="m2", secret=KEY, check=False,
                     request_key="once").code == "conflict"
        assert len(c.call("session.list")["sessions"]) == 1


def test_cost_is_counted_when_an_answer_tells_it(lab):
    cost = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "cost": 0.0015}
    with lab.rpc() as c:
        start(c, check=False)
        assert "cost_microusd" not in c.call("session.list")["sessions"][0]
        lab.provider.script(stream("a", usage=cost), stream("b", usage=cost), stream("c"))
        for _ in range(3):
            assert c.prompt("x").ok
        s = c.call("session.list")["sessions"][0]
        assert (s["requests"], s["cost_microusd"]) == (3, 3000)
    lab.kill()
    lab.start()
    with lab.rpc() as c:
        s = c.call("session.list")["sessions"][0]
        assert (s["requests"], s["cost_microusd"]) == (3, 3000)


# ---- the same with mpc, as it looks ----

def enter(d, *args, key=KEY, **kw):
    """mpc on a terminal; the key is typed when it is asked for."""
    t = d.mpc_tty(*args, env={"NO_COLOR": "1"}, **kw)
    t.expect("Temporary key for lab: ")
    t.type(key + "\n")
    return t


def clock_words(ms):
    at = time.localtime(ms / 1000)
    return time.strftime("%H:%M" if at[:3] == time.localtime()[:3] else "%Y-%m-%d %H:%M", at)


def test_mpc_test_looks_as_promised(lab):
    t = enter(lab, "test", "lab", "m1", "27", "--key")
    assert t.wait() == 0
    said = t.output.decode().replace("\r\n", "\n")
    assert KEY not in said  # typed without echo
    with lab.rpc() as c:
        s = c.call("session.list")["sessions"][0]
    until = clock_words(s["expires_ms"])
    lines = said.split("\n")
    assert lines[:2] == ["Temporary key for lab: ", f"{len(KEY)} characters, ending in {KEY[-4:]}"]
    assert lines[2].startswith("✓ key ok   ✓ reachable (") and lines[2].endswith(" ms)   ✓ model answers")
    assert lines[3:5] == [f"Testing lab:m1 until {until}, then back to echo:before.",
                          "  mpc test keep    make it permanent        mpc test stop    end now"]
    assert lab.mpc(check=0).out.split("\n")[0] == "active  lab:m1                       test, 27 min left → echo:before"
    which = lab.mpc("which", check=0).out
    assert which.startswith("lab:m1  test, 27 min left → echo:before\n● test session, everywhere")
    assert "active, test 27 min left" in lab.mpc("providers", "lab", check=0).out
    assert lab.mpc("providers", "lab", check=0).out.split("\n")[1].split()[3:5] == ["test", "key"]
    listed = lab.mpc("test", check=0).out.split("\n")
    assert listed[0].split() == ["ID", "TARGET", "KEY", "LEFT", "REQUESTS", "COST"]
    assert listed[1].split() == ["●", "1", "lab:m1", "temporary", "27", "min", "0", "-"]


def test_mpc_switch_says_that_it_put_a_test_aside(lab):
    assert enter(lab, "test", "lab", "m1", "30", "--key").wait() == 0
    lab.clock.sleep(4 * 60)
    r = lab.mpc("switch", "echo:now", check=0)
    assert r.out.startswith("Now using echo:now everywhere (was a test of lab:m1)")
    assert r.err == "note: test session lab:m1 is no longer active (26 min left; mpc test activate 1)\n"
    r = lab.mpc("test", "activate", "1", check=0)
    assert r.out.startswith("Testing lab:m1 until ") and "then back to echo:now" in r.out
    assert lab.mpc("switch", "echo:later", "--keep-session", check=0).err == ""
    assert lab.mpc("--plain", check=0).out.split("\n")[0] == "active\tlab:m1\t\tsession\t"
    r = lab.mpc("switch", "-", check=0)
    assert r.out.startswith("Back to the one before; now using echo:later") and "mpc test activate 1" in r.err


def test_mpc_test_stop_extend_and_keep(lab):
    def mpc(*args, check=0, **kw):
        return lab.mpc("test", *args, check=check, **kw)
    mpc("lab", "m1", "--stdin", input=(KEY + "\n").encode())
    assert lab.mpc("p", "hello", check=0).out == "Hello from the provider.\n"
    assert "(1 h left)" in mpc("extend", "30").out
    assert "23 h more" in mpc("extend", "1", "24h", check=2).err
    r = mpc("stop")
    assert r.out.split("\n")[:2] == ["Ended test session 1 of lab:m1 (1 request, $0.00).", "Back to echo:before (chosen everywhere, just now)."]
    assert mpc("stop", check=3).err.startswith("mpc: no test session is open\n")
    assert "has ended (stopped)" in mpc("stop", "1", check=3).err
    # kept
    mpc("lab:m2", "1h", "--stdin", input=KEY.encode())
    assert mpc("keep").out.startswith("Kept lab:m2; its key is stored (fingerprint ")
    assert lab.mpc("key", check=0).out.count("\n") == 2
    # with a key of its own there is one to lose: asked on a terminal, refused elsewhere
    mpc("lab", "m1", "--stdin", "--no-check", "--no-activate", input=(OTHER + "\n").encode())
    assert "replace it: --yes; keep both: --label NAME" in mpc("keep", check=9).err
    t = lab.mpc_tty("test", "keep")
    t.expect("lab has a key already. Replace it? [y/N] ")
    t.type("n\n")
    assert t.wait() == 2
    r = mpc("keep", "--label", "second")
    assert "its key is stored as second" in r.out and "Still using lab:m2; to use it: mpc switch lab:m1" in r.out


def test_mpc_test_without_a_key_of_its_own(lab):
    r = lab.mpc("test", "lab", "m1", check=4)
    assert r.err == "mpc: there is no key for lab\n  fix: give the test one of its own: --key; or store one: mpc key set lab\n"
    # on a terminal it asks, as nothing else would help
    t = enter(lab, "test", "lab", "m1")
    assert t.wait() == 0 and b"lab has no key; this one is for the test only" in t.output
    lab.mpc("key", "set", "lab", "--stdin", input=OTHER.encode(), check=0)
    r = lab.mpc("test", "lab", "m2", "90s", "--plain", check=0)
    number, ref, expires, token = r.out.rstrip("\n").split("\t")
    assert ref == "lab:m2" and token.startswith("mpd_test_")
    with lab.rpc() as c:
        s = next(s for s in c.call("session.list")["sessions"] if s["id"] == int(number))
        assert s["expires_ms"] == int(expires) and s["expires_ms"] - s["started_ms"] == 90_000
        assert not s["has_key"]


def test_mpc_test_no_activate_tells_the_token(lab):
    r = lab.mpc("test", "echo", "x", "5", "--no-activate", check=0)
    lines = r.out.split("\n")
    assert lines[1].startswith("Test session 1 of echo:x is open until ") and lines[1].endswith(", not active.")
    token = lines[2].split()[1]
    with lab.rpc() as c:
        assert c.prompt("hi", session=token).start["ref"] == "echo:x"
        assert c.call("route.get")["active"]["ref"] == "echo:before"
    import json
    j = json.loads(lab.mpc("test", "echo", "x", "5", "--json", check=0).out)
    assert j["ref"] == "echo:x" and j["token"].startswith("mpd_test_") and j["state"] == "open"


def test_a_key_on_the_command_line_is_refused(lab):
    for words in (("lab", "m1", "30", KEY), ("lab:m1", "30", KEY), ("keep", "--label", KEY)):
        r = lab.mpc("test", *words, check=2)
        assert "a key is never taken from the command line" in r.err and KEY not in r.err


@pytest.mark.parametrize("moment", ["while the key is typed", "during the probe"])
def test_ctrl_c_leaves_nothing_behind(lab, moment):
    t = lab.mpc_tty("test", "lab", "m1", "--key")
    t.expect("Temporary key for lab: ")
    if moment == "during the probe":
        lab.provider.script([head(), Hang()])
        t.type(KEY + "\n")
        wait_until(lambda: lab.provider.chats)
    else:
        t.type(KEY[:10])
    t.type("\x03")
    assert t.wait() == 128 + signal.SIGINT
    if lab.provider.chats:
        wait_until(lambda: lab.provider.gone)
    assert lab.mpc("test", "--json", check=0).out == '{"sessions":[]}\n'
    assert active(lab) == "echo:before"
    assert KEY.encode() not in files(lab)


def test_a_slow_probe_says_what_it_waits_for(lab):
    lab.provider.script([Sleep(3)] + stream("ok"))
    t = enter(lab, "test", "lab", "m1", "--key")
    assert t.wait() == 0
    assert b"trying lab:m1" in t.output


def test_a_status_bar_counts_the_minutes(lab):
    w = lab.mpc_tty("watch", "--format", "{active.ref} {session.left}")
    w.expect("echo:before \r\n")
    lab.mpc("test", "lab", "m1", "30", "--stdin", input=KEY.encode(), check=0)
    w.expect("lab:m1 30 min\r\n")
    lab.clock.sleep(5 * 60)
    lab.mpc("test", "extend", "1", check=0)
    w.expect("lab:m1 26 min\r\n")
    # by itself, too: half a second before the minute is over
    with lab.rpc() as c:
        left = c.call("session.list")["sessions"][0]["left_ms"]
    lab.clock.sleep(left / 1000 - 20 * 60 - 0.5)
    lab.mpc("test", "extend", "1s", check=0)
    w.expect("lab:m1 21 min\r\n")
    w.expect("lab:m1 20 min\r\n")
    lab.mpc("test", "stop", check=0)
    w.expect("echo:before \r\n")
    w.type("\x03")
    w.wait()


def test_watch_tells_what_happens_to_tests(lab):
    w = lab.mpc_tty("watch", "sessions")
    w.expect("now")
    lab.mpc("test", "lab", "m1", "30", "--stdin", input=KEY.encode(), check=0)
    w.expect("sessions   test 1 of lab:m1 started, 30 min left  (session.start by modelpc)")
    lab.mpc("switch", "echo:x", check=0)
    w.expect("sessions   test 1 of lab:m1 open, 30 min left  (route.set by modelpc)")
    lab.clock.sleep(1800)
    w.expect("sessions   test 1 of lab:m1 ended (expired), 0 requests  (expired)")
    w.type("\x03")
    w.wait()
