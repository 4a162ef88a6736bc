"""kill -9 at random moments while clients write: what was acknowledged is there afterwards (FAULTS.md F01)."""
import os
import random
import threading
import time

from harness.rpc import Closed, RpcError


class Writer(threading.Thread):
    """Changes things without pause; remembers what was acknowledged and what was on its way."""

    def __init__(self, daemon, number, seed):
        super().__init__(daemon=True)
        self.d, self.n, self.random = daemon, number, random.Random(seed)
        self.acknowledged = {}   # key -> value the daemon confirmed
        self.pending = None      # (key, value) sent, not confirmed
        self.refused = None      # an error that nothing here should get

    def run(self):
        try:
            with self.d.rpc() as c:
                while True:
                    self.step(c)
        except (Closed, OSError, TimeoutError):
            pass
        except RpcError as e:
            self.refused = e

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
            self.do(c, ("model", f"echo:n{self.n}"), value, "model.nick", ref=f"echo:n{self.n}", nick=value)

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
            return next(m["nick"] for m in c.call("state.get", topics=["models"])["snapshot"]["models"] if m["ref"] == name)
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
                if w.refused:
                    lost.append(w.refused)
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
