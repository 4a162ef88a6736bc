"""The promise as a property: whatever is done in whatever order, the effective route is what a small model of the rules says.

Hypothesis makes up sequences of commands, restarts, crashes and moved clocks; after each step the daemon is asked what it
would use, in several scopes and for each test session, layer by layer. A failure is shrunk to the few steps that matter.
MPD_TEST_SEED repeats a run; where CI is set the sequences are always the same ones.

Spans end at half hours and clocks move by whole ones, so that the seconds a run takes decide nothing."""
import json
import os
import signal
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from conftest import CI, SEED
from harness.daemon import Daemon
from harness.rpc import RpcError
from harness.rules import HOUR, LAYERS, SCOPES, URL, Refused, Rules

NEAR = HOUR // 4  # how exact an end must be
EXAMPLES = int(os.environ.get("MPD_TEST_EXAMPLES", "30"))
OWN = ["free", "paid", "other"]  # names of the person's providers; "paid" wants a key
NICKS = ["one", "two"]
MODELS = ["m1", "m2"]
REFS = [f"{p}:{m}" for p in OWN for m in MODELS] + ["echo:e1"]

spans = st.sampled_from([0, HOUR * 3 // 2, HOUR * 11 // 2])
scopes = st.sampled_from(SCOPES)
names = st.sampled_from(OWN)
flags = st.booleans()
refs = st.sampled_from(REFS + NICKS)
models = st.sampled_from(MODELS)
which = st.none() | st.integers(0, 3)  # a session: none is said, or one of those that are open


class Promise(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.d = None

    @initialize()
    def begin(self):
        self.rules = Rules()
        self.boots = 0
        self.d = Daemon(start=False, env={"MODELPD_TEST_BOOT_ID": "boot-0"})
        self.d.clock
        self.began = time.time() * 1000
        self.start()
        for name in OWN[:2]:
            self.add_provider(name)
        self.key_set("paid")

    def teardown(self):
        if self.d:
            self.c.close()
            self.d.close()

    def start(self):
        self.d.start()
        self.c = self.d.rpc()

    def end(self, how):
        self.c.close()
        how(self.d)

    def both(self, rule, *args, method=None, **params):
        """A command, and what the rules say of it: done by both, or refused by both for the same reason."""
        want = got = "done"
        try:
            rule(*args)
        except Refused as e:
            want = str(e)
        try:
            self.c.call(method, **params)
        except RpcError as e:
            got = e.code
        assert got == want, f"{method} {params}"

    # -- what a person does --

    @rule(ref=refs, scope=scopes, temporary=flags, span=spans, keep=flags)
    def switch(self, ref, scope, temporary, span, keep):
        self.both(self.rules.switch, ref, scope, temporary, span, keep, method="route.set", ref=ref, scope=scope,
                  temporary=temporary, keep_session=keep, **({"ttl_ms": span} if span else {}))

    @rule(scope=scopes)
    def clear(self, scope):
        self.both(self.rules.clear, scope, method="route.clear", scope=scope)

    @rule(at=st.integers(0, 5))
    def clear_one(self, at):
        choices = self.c.call("state.get", topics=["overrides"])["snapshot"]["overrides"]
        if choices:
            one = choices[at % len(choices)]
            self.both(self.rules.clear_one, one["scope"], one["kind"] == "temporary", method="route.clear", id=one["id"])

    @rule(scope=scopes)
    def undo(self, scope):
        self.both(self.rules.undo, scope, method="route.undo", scope=scope)

    @rule(name=names, model=models, own_key=flags, span=spans, activate=flags)
    def start_test(self, name, model, own_key, span, activate):
        span = span or HOUR // 2
        want = got = "done"
        try:
            self.rules.may_start(name, own_key)
        except Refused as e:
            want = str(e)
        try:
            t = self.c.call("session.start", provider=name, model=model, duration_ms=span, activate=activate, check=False,
                            **({"secret": "sk-temporary-00000000001"} if own_key else {}))
            self.rules.start(t["id"], t["token"], name, model, own_key, span, activate)
        except RpcError as e:
            got = e.code
        assert got == want

    def test_number(self, at):
        if at is None:
            return None
        return self.rules.sessions[at % len(self.rules.sessions)].number if self.rules.sessions else 999

    def on_test(self, rule, *args, method, at, **params):
        number = self.test_number(at)
        self.both(rule, number, *args, method=method, **params, **({} if number is None else {"id": number}))

    @rule(at=st.integers(0, 3))
    def activate_test(self, at):
        self.on_test(self.rules.activate, method="session.activate", at=at)

    @rule(at=which, span=st.sampled_from([HOUR, 20 * HOUR]))
    def extend_test(self, at, span):
        self.on_test(self.rules.extend, span, method="session.extend", at=at, duration_ms=span)

    @rule(at=which, replace=flags)
    def keep_test(self, at, replace):
        self.on_test(self.rules.keep, replace, method="session.keep", at=at, replace=replace)

    @rule(at=which)
    def stop_test(self, at):
        self.on_test(self.rules.stop, method="session.stop", at=at)

    @rule(name=names, model=models, nick=st.sampled_from([""] + NICKS), span=spans)
    def add_model(self, name, model, nick, span):
        self.both(self.rules.add_model, name, model, nick, span, method="model.add", provider=name, model=model,
                  **({"nick": nick} if nick else {}), **({"ttl_ms": span} if span else {}))

    @rule(ref=refs)
    def remove_model(self, ref):
        self.both(self.rules.remove_model, ref, method="model.remove", ref=ref)

    @rule(ref=refs, nick=st.sampled_from([""] + NICKS))
    def name_model(self, ref, nick):
        self.both(self.rules.name_model, ref, nick, method="model.nick", ref=ref, nick=nick)

    @rule(name=names)
    def add_provider(self, name):
        self.both(self.rules.add_provider, name, method="provider.add", name=name, base_url=URL, dialect="openai-chat",
                  type="local", auth_type="api-key" if name == "paid" else "none")

    @rule(name=names, new=names)
    def rename_provider(self, name, new):
        self.both(self.rules.rename, name, new, method="provider.update", name=name, set={"name": new})

    @rule(name=names, cascade=flags)
    def remove_provider(self, name, cascade):
        self.both(self.rules.remove_provider, name, cascade, method="provider.remove", name=name, cascade=cascade)

    @rule(name=names)
    def key_set(self, name):
        if name not in self.rules.providers or self.rules.providers[name].wants_key:
            self.both(self.rules.key, name, True, method="key.set", provider=name, secret="sk-stored-000000000000001")

    @rule(name=names)
    def key_delete(self, name):
        self.both(self.rules.key, name, False, method="key.delete", provider=name)

    @rule(without=st.none() | names, also=st.none() | names, nickless=flags, cascade=flags)
    def apply(self, without, also, nickless, cascade):
        also = also if also != without else None
        text = json.dumps(self.rules.document(without, also, nickless))
        self.both(self.rules.apply, without, also, nickless, cascade, method="config.apply", text=text, cascade=cascade)

    # the rules that everything is about come up more often
    switch_again, switch_a_third_time, undo_again, start_another_test = switch, switch, undo, start_test

    # -- what happens to a person --

    @rule()
    def reload(self):
        self.c.call("state.subscribe", topics=["daemon"], snapshot=False)
        self.d.signal(signal.SIGHUP)
        self.c.event("state.event", topic="daemon")
        self.c.call("sys.reload")

    @rule()
    def client_restarts(self):
        self.c.close()
        self.c = self.d.rpc()

    @rule(how=st.sampled_from([Daemon.stop, Daemon.kill]))
    def restart(self, how):
        self.end(how)
        self.start()

    @rule(how=st.sampled_from([Daemon.stop, Daemon.kill]))
    def reboot(self, how):
        self.end(how)
        self.boots += 1
        self.d.env["MODELPD_TEST_BOOT_ID"] = f"boot-{self.boots}"
        self.rules.reboot()
        self.start()

    @rule(hours=st.sampled_from([1, 2, 6]), running=flags)
    def suspend(self, hours, running):
        if not running:
            self.end(Daemon.kill)
        self.d.clock.sleep(hours * 3600)
        ended = self.rules.move(hours * HOUR, hours * HOUR)
        if not running:
            self.start()
        elif ended:
            self.wait_for_models()

    @rule(hours=st.sampled_from([-30, -2, 1, 6]))
    def set_the_clock(self, hours):
        self.d.clock.set(wall=self.d.clock.wall + hours * 3600)
        if self.rules.move(hours * HOUR, 0):
            self.wait_for_models()

    def wait_for_models(self):
        """Choices and tests end at once; models leave the lists within a second."""
        deadline = time.monotonic() + 10
        while len(self.c.call("state.get", topics=["models"])["snapshot"]["models"]) > len(self.rules.entries):
            assert time.monotonic() < deadline, "models stay after their end"
            time.sleep(0.05)

    # -- what the daemon says then --

    @invariant()
    def the_route_is_what_the_rules_say(self):
        if not self.d:
            return
        for scope in SCOPES:
            self.compare(self.c.call("route.get", **({"scope": scope} if scope else {})), self.rules.layers(scope))

    def compare(self, said, layers):
        assert [(w["layer"], w.get("ref")) for w in said["why"]] == [(layer, ref) for layer, ref, _ in layers]
        layer, ref, choice = next(found for found in layers if found[1])
        assert [w["layer"] for w in said["why"] if w["won"]] == [layer]
        assert said["active"]["ref"] == ref
        assert said["active"].get("nick", "") == self.rules.nick(choice.ref)
        assert said["ready"] == self.rules.ready(choice)
        self.compare_end(said["active"], choice.ends)

    def compare_end(self, said, ends):
        assert ("expires_ms" in said) == (ends is not None)
        if ends:
            assert abs(said["expires_ms"] - self.began - ends.wall) < NEAR

    @invariant()
    def so_are_choices_tests_and_models(self):
        if not self.d:
            return
        state = self.c.call("state.get", topics=["overrides", "sessions", "models"])["snapshot"]
        assert [(o["scope"], o["kind"], o["ref"]) for o in state["overrides"]] == [
            (scope, LAYERS[t], self.rules.name(c.ref)) for scope in SCOPES for t, c in sorted(self.rules.now[scope].items())]
        assert [(t["id"], t["ref"], t["has_key"], t["activated"]) for t in state["sessions"]] == [
            (s.number, self.rules.name(s.ref), s.own_key, s.activated) for s in self.rules.sessions]
        for said, s in zip(state["sessions"], self.rules.sessions):
            self.compare_end(said, s.ends)
            route = self.c.call("route.get", session=s.token)
            self.compare(route, [("session", self.rules.name(s.ref), s)] + self.rules.layers(""))
        assert {(m["ref"], m.get("nick", ""), m["source"] == "user") for m in state["models"]} == {
            (self.rules.name(ref), e.nick, e.listed) for ref, e in self.rules.entries.items()}

    @rule(scope=scopes)
    def mpc_which_says_the_same(self, scope):
        said = self.d.mpc("which", "--plain", *(["--scope", scope] if scope else []), check=0).out.splitlines()
        won = next(ref for _, ref, _ in self.rules.layers(scope) if ref)
        assert [line.split("\t")[3] for line in said] == [ref or "" for _, ref, _ in self.rules.layers(scope)]
        assert [line.split("\t")[3] for line in said if line.startswith("active\t")] == [won]


def test_F10_F34_F65_F119_any_sequence_leaves_the_route_that_the_rules_say():
    print(f"MPD_TEST_SEED={SEED}")
    run = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None, database=None, print_blob=False,
                   derandomize=CI and "MPD_TEST_SEED" not in os.environ, suppress_health_check=list(HealthCheck),
                   phases=(Phase.generate, Phase.shrink))
    machine = Promise if run.derandomize else seed(SEED)(Promise)
    run_state_machine_as_test(machine, settings=run)
