"""The promise this project exists for: a switch stays. Nothing but the user, its own end, a reboot (temporary ones)
or the removal of its provider touches an override."""
import os
import random
import signal
import threading
import time

import pytest

from harness.rpc import Closed, RpcError

CHOICES = {
    "persistent": {},
    "temporary": {"temporary": True},
    "for two hours": {"ttl_ms": 7200_000},
    "in a scope": {"scope": "project:/a"},
    "temporary in a scope": {"scope": "project:/a", "temporary": True},
}


def client_restart(d):
    d.rpc().close()


def sighup(d):
    d.signal(signal.SIGHUP)
    with d.rpc() as c:
        c.call("sys.ping")


def reload(d):
    with d.rpc() as c:
        c.call("sys.reload")


def key_of_another_provider(d):
    with d.rpc() as c:
        c.call("key.set", provider="openai", secret="sk-other-000000000000000001")
        c.call("key.set", provider="openai", secret="sk-other-000000000000000002")
        c.call("key.delete", provider="openai")


def key_of_its_own_provider(d):
    with d.rpc() as c:
        c.call("key.set", provider="openrouter", secret="sk-or-000000000000000001")
        c.call("key.set", provider="openrouter", secret="sk-or-000000000000000002")
        c.call("key.delete", provider="openrouter")


def detection(d):
    with d.rpc() as c:
        c.call("provider.detect")


def other_providers_come_and_go(d):
    with d.rpc() as c:
        c.call("provider.add", name="passing", base_url="http://127.0.0.1:9/v1", type="local")
        c.call("provider.update", name="passing", set={"enabled": False})
        c.call("provider.remove", name="passing")


def a_test_session(d):
    with d.rpc() as c:
        c.call("session.start", provider="openrouter", model="gpt-4", secret="sk-or-temporary-00000001", check=False)
        c.call("session.stop")


def a_test_session_that_ends_by_itself(d):
    with d.rpc() as c:
        c.call("state.subscribe", topics=["sessions"], snapshot=False)
        c.call("session.start", provider="echo", model="passing", check=False, duration_ms=1000)
        c.event("state.event", topic="sessions", op="remove", timeout=10)


def its_provider_changes(d):
    with d.rpc() as c:
        c.call("provider.update", name="openrouter", set={"display_name": "Another name"})


def documents_applied(d):
    """The whole configuration replaced and brought back; its own provider changes meanwhile."""
    with d.rpc() as c:
        before = c.call("config.export")["text"]
        c.call("config.apply", text="version: 1\nproviders: {openrouter: {enabled: false}, x: {dialect: echo}}\n"
                                    "models: [x:m]\nnicknames: {n: x:m}\nsettings: {lock_idle: 1h}\n")
        c.call("config.apply", text="version: 1\n")
        c.call("config.apply", text=before)


def clean_restart(d):
    d.restart()


def shutdown_method(d):
    with d.rpc() as c:
        c.call("sys.shutdown")
    assert d.wait_exit() == 0
    d.start()


def crash(d):
    d.kill()
    d.start()


EVENTS = [client_restart, sighup, reload, key_of_another_provider, key_of_its_own_provider, detection,
          other_providers_come_and_go, its_provider_changes, a_test_session, a_test_session_that_ends_by_itself,
          documents_applied, clean_restart, shutdown_method, crash]


def effective(d, scope=None):
    with d.rpc() as c:
        params = {"scope": scope} if scope else {}
        return c.call("route.get", **params)["active"]


@pytest.mark.parametrize("kind", CHOICES)
def test_an_override_survives_everything(daemon, kind):
    params = CHOICES[kind]
    scope = params.get("scope")
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:ground")
        c.call("route.set", ref="openrouter:claude-sonnet-4", **params)
    before = effective(daemon, scope)
    assert before["ref"] == "openrouter:claude-sonnet-4"
    for event in EVENTS:
        event(daemon)
        after = effective(daemon, scope)
        assert after == before, f"after {event.__name__}"
    if scope:
        assert effective(daemon)["ref"] == "echo:ground"


def test_F119_a_reboot_ends_temporary_overrides_only(make_daemon):
    d = make_daemon(env={"MODELPD_TEST_BOOT_ID": "boot-one"})
    with d.rpc() as c:
        c.call("route.set", ref="echo:ground")
        c.call("route.set", ref="echo:passing", temporary=True)
        c.call("route.set", ref="echo:here", scope="a")
        c.call("route.set", ref="echo:here-passing", scope="a", ttl_ms=3600_000)
    d.restart()
    assert effective(d)["ref"] == "echo:passing"
    assert effective(d, "a")["ref"] == "echo:here-passing"
    d.stop()
    d.env["MODELPD_TEST_BOOT_ID"] = "boot-two"
    d.start()
    assert effective(d)["ref"] == "echo:ground"
    assert effective(d, "a")["ref"] == "echo:here"
    d.kill()
    d.env["MODELPD_TEST_BOOT_ID"] = "boot-one"
    d.start()
    assert effective(d)["ref"] == "echo:ground", "a temporary override came back to life"


def test_an_override_ends_at_its_time_and_everyone_is_told(daemon):
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:ground")
        c.call("state.subscribe", topics=["route"], snapshot=False)
        c.call("route.set", ref="echo:short", ttl_ms=700)
        assert c.event("state.event", topic="route")["value"]["ref"] == "echo:short"
        t = time.monotonic()
        e = c.event("state.event", topic="route", timeout=5)
        assert e["value"]["ref"] == "echo:ground"
        assert e["cause"]["reason"] == "expired"
        assert time.monotonic() - t < 1.5
        assert c.call("route.get")["active"]["ref"] == "echo:ground"


def test_an_override_that_ended_while_the_daemon_was_away_stays_ended(daemon):
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:ground")
        c.call("route.set", ref="echo:short", ttl_ms=300)
    daemon.kill()
    time.sleep(0.4)
    daemon.start()
    assert effective(daemon)["ref"] == "echo:ground"


def test_a_switch_is_used_by_the_next_prompt_and_not_by_the_running_one(daemon, provider):
    gate = threading.Event()
    from harness.provider import Wait, chunk, head, piece, stream
    daemon.add_provider(provider)
    provider.script([head(chunked=True), chunk(piece({"content": "old "})), Wait(gate)] + stream("route")[1:])
    with daemon.rpc() as a, daemon.rpc() as b:
        stream_id = a.call("prompt.start", text="one")["stream"]
        assert a.event("prompt.event", type="delta")["text"] == "old "
        b.call("route.set", ref="echo:echo")
        assert a.prompt("two").start["ref"] == "echo:echo"
        gate.set()
        answer = a.collect(stream_id)
        assert answer.ok and answer.last["ref"] == "scripted:m1"


def test_every_subscriber_sees_a_switch(daemon):
    clients = [daemon.rpc() for _ in range(20)]
    for c in clients:
        c.call("state.subscribe", topics=["route"], snapshot=False)
    with daemon.rpc() as c:
        result = c.call("route.set", ref="echo:seen")
    assert result["told"] == 20
    for c in clients:
        assert c.event("state.event", topic="route", timeout=2)["value"]["ref"] == "echo:seen"
        c.close()


def test_undo_goes_back_and_forth(daemon):
    with daemon.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("route.undo")
        assert e.value.code == "not_found"
        c.call("route.set", ref="echo:a")
        c.call("route.set", ref="echo:b")
        assert c.call("route.undo")["active"]["ref"] == "echo:a"
        assert c.call("route.undo")["active"]["ref"] == "echo:b"
        c.call("route.set", ref="echo:c", temporary=True)
        assert c.call("route.undo")["active"]["ref"] == "echo:b"
        assert c.call("route.undo")["active"]["ref"] == "echo:c"
        daemon_before = c.call("route.get")["active"]
    daemon.restart()
    assert effective(daemon) == daemon_before


def test_a_persistent_switch_takes_effect_over_a_temporary_one(daemon):
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:temp", temporary=True)
        c.call("route.set", ref="echo:now")
        assert c.call("route.get")["active"]["ref"] == "echo:now"


# ---- F01: kill -9 under mixed writes ----

class Writer(threading.Thread):
    """Changes things without pause; remembers what was acknowledged and what was on its way."""

    def __init__(self, daemon, number, seed):
        super().__init__(daemon=True)
        self.d, self.n, self.random = daemon, number, random.Random(seed)
        self.acknowledged = {}   # key -> value the daemon confirmed
        self.pending = None      # (key, value) sent, not confirmed

    def run(self):
        try:
            with self.d.rpc() as c:
                while True:
                    self.step(c)
        except (Closed, OSError, TimeoutError):
            pass

    def step(self, c):
        value = f"v{self.random.randrange(1 << 30)}"
        kind = self.random.choice(["override", "scope", "provider", "key", "model"])
        if kind == "override" and self.n == 0:
            self.do(c, ("route", ""), f"echo:{value}", "route.set", ref=f"echo:{value}")
        elif kind in ("scope", "override"):
            self.do(c, ("route", f"s{self.n}"), f"echo:{value}", "route.set", ref=f"echo:{value}", scope=f"s{self.n}")
        elif kind == "provider":
            name = f"p{self.n}"
            if ("provider", name) not in self.acknowledged:
                self.do(c, ("provider", name), value, "provider.add", name=name, display_name=value, type="local",
                        base_url="http://127.0.0.1:9/v1")
            else:
                self.do(c, ("provider", name), value, "provider.update", name=name, set={"display_name": value})
        elif kind == "key":
            self.do(c, ("key", f"l{self.n}"), value, "key.set", provider="openai", label=f"l{self.n}",
                    secret=f"sk-{self.n}-{value}-0000000000")
        else:
            self.do(c, ("model", f"n{self.n}"), f"echo:{value}", "model.nick", ref=f"echo:{value}", nick=f"n{self.n}")

    def do(self, c, key, value, method, **params):
        self.pending = (key, value)
        result = c.call(method, **params)
        if method == "key.set":
            value = self.pending[1]
            self.fingerprints = getattr(self, "fingerprints", {})
            self.fingerprints[value] = result["fingerprint"]
        self.acknowledged[key] = value
        self.pending = None

    def check(self, c, lost):
        for key, value in self.acknowledged.items():
            allowed = [value]
            if self.pending and self.pending[0] == key:
                allowed.append(self.pending[1])
            seen = self.look(c, key, allowed)
            if seen not in allowed:
                lost.append((key, allowed, seen))
        if self.pending and self.pending[0][0] == "provider" and self.pending[0] not in self.acknowledged:
            # an addition on its way: there whole, or not at all
            try:
                self.acknowledged[self.pending[0]] = c.call("provider.get", name=self.pending[0][1])["display_name"]
            except RpcError as e:
                assert e.code == "not_found"
        self.pending = None

    def look(self, c, key, allowed):
        kind, name = key
        if kind == "route":
            return c.call("route.get", **({"scope": name} if name else {}))["active"]["ref"]
        if kind == "provider":
            return c.call("provider.get", name=name)["display_name"]
        if kind == "model":
            return c.call("model.resolve", text=name)["ref"]
        row = next(k for k in c.call("key.status", provider="openai")["keys"] if k["label"] == name)
        if row["fingerprint"] == self.fingerprints.get(allowed[0]):
            return allowed[0]
        return allowed[-1] if len(allowed) > 1 else row["fingerprint"]


def crash_rounds(d, rng, rounds):
    """Rounds of writers and a kill at a random moment; returns the acknowledged changes that were lost."""
    lost, changes = [], 0
    state = [{} for _ in range(4)]
    prints = [{} for _ in range(4)]
    for _ in range(rounds):
        writers = [Writer(d, n, rng.random()) for n in range(4)]
        for w, acknowledged, fingerprints in zip(writers, state, prints):
            w.acknowledged = acknowledged
            w.fingerprints = fingerprints
            w.start()
        time.sleep(rng.uniform(0.005, 0.12))
        d.kill()
        for w in writers:
            w.join(10)
            changes += len(w.acknowledged)
        d.start()
        with d.rpc() as c:
            for w in writers:
                w.check(c, lost)
                # what is there now is what the next round builds on
                for key in w.acknowledged:
                    w.acknowledged[key] = w.look(c, key, [w.acknowledged[key]])
    return lost, changes


def test_F01_no_acknowledged_change_is_lost_to_kill_9(daemon, rng):
    rounds = int(os.environ.get("MPD_TEST_CRASH_ROUNDS", "200"))
    lost, changes = crash_rounds(daemon, rng, rounds)
    assert changes > rounds, "the writers wrote next to nothing"
    assert lost == []
    daemon.stop()
    import sqlite3
    db = sqlite3.connect(daemon.data / "state.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_F01_the_harness_sees_a_loss(daemon, rng, monkeypatch):
    """R4: a daemon that forgets is caught. The database is put back to an older copy behind the kill."""
    import shutil
    with daemon.rpc() as c:
        c.call("route.set", ref="echo:old")
    daemon.stop()
    copy = daemon.root / "copy"
    shutil.copytree(daemon.data, copy)
    daemon.start()
    kill = daemon.kill

    def forgetful_kill():
        kill()
        shutil.rmtree(daemon.data)
        shutil.copytree(copy, daemon.data)

    monkeypatch.setattr(daemon, "kill", forgetful_kill)
    try:
        lost, _ = crash_rounds(daemon, rng, 3)
    except (RpcError, StopIteration):
        lost = ["a row that was acknowledged is gone"]
    assert lost
