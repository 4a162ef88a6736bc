"""The promise this project exists for: a switch stays.

The rules, in plain words, and the page that has them:

  1. Of several choices the narrowest wins. In this order: what a request asks for; the test session it names; the choice of
     its scope (a terminal, a project, a name); the activated test session; the temporary choice for everyone; the persistent
     choice for everyone; the default.                                                            DESIGN.md section 3
  2. A persistent choice survives everything. A temporary one ends when it is cleared, when its time is up, or when the machine
     reboots; that of a terminal is temporary, for after a reboot other terminals have the old names.   DESIGN.md section 4
  3. A test session ends when it is stopped, when its time is up, or when the machine reboots; nothing extends it but the user,
     and afterwards the choice is what it was before.                                       FAULTS.md F10, F34, F35, F119
  4. Clients coming and going, new configuration, new keys, other providers, new lists of models, failing answers, restarts,
     crashes and upgrades touch no choice at all.                                               DESIGN.md section 4, F65
  5. A backup that is restored brings back the choices of its time. Test sessions are in none.          DESIGN.md section 4
  6. A provider that somebody chose is not removed, unless one says that the choice goes with it.     PROTOCOL.md section 5
  7. A choice that cannot serve, because its key is gone, stays the choice: prompts say what is missing, and nobody is sent
     somewhere else in silence.                                                                     DESIGN.md section 4
  8. `mpc switch -` goes back to the choice before, and what it would go back to survives as well.      UX.md section 4

Below stand the kinds of choices, as one types them, and everything that may happen. Each kind meets each event."""
import dataclasses
import json
import signal
import subprocess
import threading
import time

import pytest

from harness import schema
from harness.daemon import BIN, Daemon, figure
from harness.provider import Provider, reply
from harness.rpc import RpcError

KEY, OWN_KEY, OTHER_KEY = (f"sk-{name}-00000000000000000001" for name in ("stored", "own", "other"))
HOUR = 3600


@dataclasses.dataclass
class Kind:
    """A way to choose lab:m1, where echo:ground was chosen before."""
    name: str
    typed: list              # the commands of mpc
    where: str = ""          # who has this choice: "" everyone, else a terminal, a project, a name
    ends: str = ""           # what ends it, of "reboot", "time" and "restore"
    input: bytes = None      # the key that is asked for
    key: str = KEY           # what the provider gets to see
    since_schema: int = 1    # the first that could store it
    chosen: str = "lab:m1"   # where prompts go then
    below: str = "echo:ground"  # and where when it has ended


KINDS = [
    Kind("everywhere", ["switch lab:m1"], below="echo:echo"),
    Kind("until cleared", ["switch lab:m1 --temp"], ends="reboot"),
    Kind("for two hours", ["switch lab:m1 --for 2h"], ends="reboot time"),
    Kind("this terminal", ["switch lab:m1 --here"], where="terminal", ends="reboot"),
    Kind("this project", ["switch lab:m1 --project"], where="project"),
    Kind("a scope", ["switch lab:m1 --scope work"], where="work"),
    Kind("a scope for two hours", ["switch lab:m1 --scope work --for 2h"], where="work", ends="reboot time"),
    Kind("a test", ["test lab m1 2h --no-check"], ends="reboot time restore", since_schema=4),
    Kind("a test with its own key", ["test lab m1 2h --stdin --no-check"], ends="reboot time restore", input=OWN_KEY.encode(),
         key=OWN_KEY, since_schema=4),
    Kind("a test that is only open", ["test lab m1 2h --no-check --no-activate"], ends="reboot time restore", since_schema=4,
         chosen="echo:ground"),
    Kind("a test by its token", ["test lab m1 2h --no-check --no-activate --json"], where="token", ends="reboot time restore",
         since_schema=4, below="not_found"),
    Kind("back by switch -", ["switch lab:m1", "switch echo:elsewhere", "switch -"], below="echo:echo"),
]


class Person:
    """Somebody with a daemon, a provider "lab" that wants a key, and one kind of choice."""

    def __init__(self, kind):
        self.kind = kind
        self.lab = Provider()
        self.d = Daemon(start=False, env={"MODELPD_TEST_BOOT_ID": "boot-0"})
        self.boots = 0
        self.d.clock  # before the start: so it can be moved
        self.d.start()
        self.project = self.d.home / "project"
        (self.project / ".git").mkdir(parents=True)
        self.place = {}
        self.choose()

    def close(self):
        self.d.close()
        self.lab.close()

    def mpc(self, words):
        """As typed: in the project, and where it is about this terminal, in one."""
        if "--here" in words:
            assert self.d.mpc_tty(*words.split()).wait() == 0
            return
        said = subprocess.run([BIN.resolve() / "modelpc", *words.split()], env=dict(self.d.env, MODELPD_NO_SPAWN="1"),
                              input=self.kind.input or b"", capture_output=True, cwd=self.project)
        assert said.returncode == 0, said.stderr
        return said.stdout

    def choose(self):
        with self.d.rpc() as c:
            for name in (p["name"] for p in c.call("provider.list")["providers"] if p["origin"] == "user"):
                c.call("provider.remove", name=name, cascade=True)
            for o in c.call("state.get")["snapshot"]["overrides"]:
                c.call("route.clear", id=o["id"])
            c.call("provider.add", name="lab", base_url=self.lab.url, dialect="openai-chat", type="local", auth_type="api-key")
            c.call("key.set", provider="lab", secret=KEY)
            c.call("route.set", ref="echo:ground")
            for words in self.kind.typed:
                said = self.mpc(words)
            scopes = [o["scope"] for o in c.call("state.get")["snapshot"]["overrides"] if o["scope"]]
        if self.kind.where == "token":
            self.place = {"session": json.loads(said)["token"]}
        elif self.kind.where:
            self.place = {"scope": scopes[0]}
        assert self.active() == self.kind.chosen
        self.as_chosen = True

    def active(self):
        with self.d.rpc() as c:
            try:
                return c.call("route.get", **self.place)["active"]["ref"]
            except RpcError as e:
                return e.code

    def sees(self):
        """All there is to see of choices, from where this one is made."""
        with self.d.rpc() as c:
            route = c.call("route.get", **self.place)
            tests = c.call("session.list")["sessions"]
            return {"active": route["active"], "why": route["why"], "ready": route["ready"],
                    "choices": c.call("state.get")["snapshot"]["overrides"],
                    "tests": [{k: t[k] for k in ("id", "ref", "activated", "expires_ms", "has_key")} for t in tests]}

    def asks(self):
        """Where a prompt goes: the target and the key that was used, or why it goes nowhere."""
        before = len(self.lab.chats)
        with self.d.rpc() as c:
            answer = c.prompt("hello", **self.place)
        if not answer.ok:
            assert len(self.lab.chats) == before
            return answer.code
        if len(self.lab.chats) == before:
            return answer.start["ref"]
        chat = self.lab.chats[-1]
        return f"lab:{chat.json['model']}", chat.header("authorization").removeprefix("Bearer ")

    def goes_back(self):
        """Where `switch -` would go, and back again. It would end a test."""
        if self.kind.typed[0].startswith("test"):
            return None
        with self.d.rpc() as c:
            there = c.call("route.undo", **self.place)["active"]["ref"]
            c.call("route.undo", **self.place)
            return there


# ---- everything that may happen; what it does to a choice stands in the list below ----

def locked_and_unlocked(p):
    with p.d.rpc() as c:
        c.call("vault.lock")
        # a token is checked with a key of the vault
        assert p.active() == ("locked" if "session" in p.place else p.kind.chosen)
        c.call("vault.unlock")


def a_client_restarts(p):
    client = p.d.rpc(scope="passing")
    client.call("state.subscribe")
    client.close()


def SIGHUP(p):
    with p.d.rpc() as c:
        c.call("state.subscribe", topics=["daemon"], snapshot=False)
        p.d.signal(signal.SIGHUP)
        c.event("state.event", topic="daemon", timeout=10)


def reload(p):
    p.mpc("daemon reload")


def the_same_configuration(p):
    with p.d.rpc() as c:
        c.call("config.apply", text=c.call("config.export")["text"])


def applies(p, *lines):
    """A whole document with the provider and these lines, and back to the one before."""
    with p.d.rpc() as c:
        before = c.call("config.export")["text"]
        mine = f"  lab: {{type: local, dialect: openai-chat, auth_type: api-key, base_url: {p.lab.url}}}"
        assert c.call("config.apply", text="\n".join(["version: 1", "providers:", mine, *lines, ""]))["changed"]
        assert c.call("config.apply", text=before)["changed"]


def another_configuration(p):
    applies(p, "  openrouter: {enabled: false}", "models: [echo:new]", "nicknames: {n: lab:m1}", "settings: {lock_idle: 1h}")


def a_configuration_with_one_more_provider(p):
    applies(p, "  more: {dialect: echo}")


def a_configuration_without_its_provider(p):
    with p.d.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("config.apply", text="version: 1\n")
        assert e.value.code == "conflict"


def another_key_set(p):
    with p.d.rpc() as c:
        c.call("key.set", provider="openai", secret=OTHER_KEY)


def another_key_rotated(p):
    another_key_set(p)
    with p.d.rpc() as c:
        c.call("key.set", provider="openai", secret=OTHER_KEY[:-1] + "2")


def another_key_deleted(p):
    another_key_set(p)
    with p.d.rpc() as c:
        c.call("key.delete", provider="openai")


def its_key_set_again(p):
    with p.d.rpc() as c:
        c.call("key.set", provider="lab", secret=KEY)


def its_key_rotated(p):
    with p.d.rpc() as c:
        c.call("key.set", provider="lab", secret=OTHER_KEY)
        c.call("key.set", provider="lab", secret=KEY)


def its_key_deleted(p):
    with p.d.rpc() as c:
        c.call("key.delete", provider="lab")


def detection(p):
    with p.d.rpc() as c:
        c.call("provider.detect")


def new_lists_of_models(p):
    with p.d.rpc() as c:
        c.call("model.list", provider="lab", refresh=True)


def new_prices(p):
    lists = [{"prices": [{"provider": "openai", "model": f"m{i}", "input": str(i), "output": "2"}]} for i in range(2)]
    with p.d.rpc() as c:
        for prices in lists:
            assert c.call("catalog.refresh", text=json.dumps(prices), force=True)["models"] == 1


def other_providers_come_and_go(p):
    with p.d.rpc() as c:
        c.call("provider.add", name="passing", base_url="http://127.0.0.1:9/v1", type="local")
        c.call("provider.update", name="passing", set={"enabled": False})
        c.call("provider.remove", name="passing")


def its_provider_is_described_anew(p):
    with p.d.rpc() as c:
        c.call("provider.update", name="lab", set={"display_name": "Another name"})
        c.call("provider.update", name="lab", set={"enabled": False})
        assert c.call("route.get", **p.place)["active"]["ref"] == p.kind.chosen
        c.call("provider.update", name="lab", set={"enabled": True})


def its_provider_gets_another_name(p):
    with p.d.rpc() as c:
        c.call("provider.update", name="lab", set={"name": "laboratory"})
        assert c.call("route.get", **p.place)["active"]["ref"] == p.kind.chosen.replace("lab", "laboratory")
        c.call("provider.update", name="laboratory", set={"name": "lab"})


def removing_its_provider_without_a_word(p):
    with p.d.rpc() as c:
        with pytest.raises(RpcError) as e:
            c.call("provider.remove", name="lab")
        assert e.value.code == "conflict"


def its_provider_removed(p):
    with p.d.rpc() as c:
        c.call("provider.remove", name="lab", cascade=True)


def models_and_nicknames_change(p):
    with p.d.rpc() as c:
        c.call("model.add", provider="lab", model="m1", nick="one")
        c.call("model.remove", ref="lab:m1")
        c.call("model.nick", ref="lab:m2", nick="two")
        c.call("model.nick", ref="lab:m2", nick="")


def its_model_has_another_price(p):
    with p.d.rpc() as c:
        c.call("price.set", ref="lab:m1", input=3000000, output=9000000)
        c.call("price.set", ref="lab:m1", input=0, output=0, valid_from_ms=86400000)
        assert c.call("price.remove", ref="lab:m1")["removed"] == 2


def its_answers_fail(p):
    p.lab.script(*(reply(status, {"error": {"message": "no"}}) for status in (500, 401, 402)))
    with p.d.rpc() as c:
        assert [c.prompt("x", ref="lab:m1").ok for _ in range(3)] == [False] * 3
        c.prompt("x", ref="lab:m1")


def a_choice_elsewhere(p):
    with p.d.rpc() as c:
        c.call("route.set", ref="echo:elsewhere", scope="some other place")
        c.call("route.clear", scope="some other place")


def a_test_elsewhere(p):
    with p.d.rpc() as c:
        test = c.call("session.start", provider="echo", model="x", check=False, activate=False)
        assert c.call("route.get", session=test["token"])["active"]["ref"] == "echo:x"
        c.call("session.stop", id=test["id"])


def a_teams_bundle_comes_and_goes(p):
    """One that names its provider, too, as another row below the person's own."""
    with p.d.rpc() as c:
        signer = c.call("team.id")["fingerprint"]
        for _ in range(2):  # the second time as a newer version
            bundle = c.call("team.seal", team="acme")["text"]
            assert c.call("team.add", text=bundle, signer=signer)["team"] == "acme"
            assert c.call("route.get", **p.place)["active"]["ref"] == p.kind.chosen
        assert c.call("team.remove", team="acme")["removed"]


def a_clean_restart(p):
    p.d.restart()


def kill_9(p):
    p.d.kill()
    p.d.start()


def a_reboot(p, end=Daemon.stop):
    end(p.d)
    p.boots += 1
    p.d.env["MODELPD_TEST_BOOT_ID"] = f"boot-{p.boots}"
    p.d.start()


def a_power_cut(p):
    a_reboot(p, Daemon.kill)


def a_backup_is_taken(p):
    with p.d.rpc() as c:
        c.call("store.backup", path=str(p.d.root / "backup"), replace=True)


def a_backup_is_restored(p):
    a_backup_is_taken(p)
    with p.d.rpc() as c:
        for scope in {"", p.place.get("scope", "")}:
            c.call("route.set", ref="echo:later", scope=scope)
    with p.d.rpc() as c:
        c.call("store.restore", path=str(p.d.root / "backup"))


def half_an_hour_asleep(p):
    p.d.clock.sleep(HOUR / 2)


def three_hours_asleep(p):
    p.d.clock.sleep(3 * HOUR)


def three_hours_while_nothing_runs(p):
    p.d.stop()
    p.d.clock.sleep(3 * HOUR)
    p.d.start()


def three_hours_asleep_and_the_clock_set_back(p):
    p.d.clock.set(boot=p.d.clock.boot + 3 * HOUR)


def the_clock_says_1970(p):
    wall = p.d.clock.wall
    p.d.clock.set(wall=-time.time())
    assert p.active() == p.kind.chosen
    p.d.clock.set(wall=wall)


def the_clock_is_a_day_ahead_for_a_moment(p):
    wall = p.d.clock.wall
    p.d.clock.set(wall=wall + 24 * HOUR)
    with p.d.rpc() as c:
        c.call("state.get")  # seen once to have ended, it has
    p.d.clock.set(wall=wall)


def an_upgrade_from_schema(version):
    def upgrade(p):
        p.d.stop()
        schema.make_older(p.d.data / "state.db", version)
        p.d.start()
    upgrade.__name__ = f"an_upgrade_from_schema_{version}"
    upgrade.version = version
    return upgrade


# what changes no choice
STAYS = [a_client_restarts, locked_and_unlocked, SIGHUP, reload, the_same_configuration, another_configuration,
         a_configuration_with_one_more_provider, a_configuration_without_its_provider, another_key_set, another_key_rotated,
         another_key_deleted, its_key_set_again, its_key_rotated, detection, new_lists_of_models, new_prices, other_providers_come_and_go,
         its_provider_is_described_anew, its_provider_gets_another_name, removing_its_provider_without_a_word,
         models_and_nicknames_change, its_model_has_another_price, its_answers_fail, a_choice_elsewhere, a_test_elsewhere,
         a_teams_bundle_comes_and_goes, a_clean_restart, kill_9,
         a_backup_is_taken, half_an_hour_asleep, the_clock_says_1970, *map(an_upgrade_from_schema, schema.EARLIER)]
# what ends those that say so above
REBOOT = [a_reboot, a_power_cut]
RESTORE = [a_backup_is_restored]
TIME = [three_hours_asleep, three_hours_while_nothing_runs, three_hours_asleep_and_the_clock_set_back,
        the_clock_is_a_day_ahead_for_a_moment]
# and what nothing can survive, or serve with
LOSS = [its_key_deleted, its_provider_removed]


def fate(kind, event):
    """What the rules say: it stays, it ends, or it stays and cannot serve."""
    if event in REBOOT and "reboot" in kind.ends or event in TIME and "time" in kind.ends \
            or event in RESTORE and "restore" in kind.ends or event is its_provider_removed:
        return "ends"
    return "lacks its key" if event is its_key_deleted and kind.key == KEY and kind.chosen == "lab:m1" else "stays"


CELLS = [(kind, event) for kind in KINDS for event in STAYS + REBOOT + RESTORE + TIME + LOSS
         if kind.since_schema <= getattr(event, "version", kind.since_schema)]


@pytest.fixture(scope="module")
def persons():
    """One person at a time: the events of one kind share a daemon."""
    now = []

    def person(kind):
        if not now or now[0].kind is not kind:
            if now:
                now.pop().close()
            now.append(Person(kind))
        return now[0]

    yield person
    if now:
        now[0].close()


@pytest.mark.parametrize("kind, event", CELLS, ids=[f"{k.name}-{e.__name__}".replace("_", " ") for k, e in CELLS])
def test_F10_F34_F35_F65_F119_a_choice_and_what_may_happen(persons, kind, event):
    person = persons(kind)
    if not person.as_chosen:
        person.choose()
    person.as_chosen = False
    back, before = person.goes_back(), person.sees()
    event(person)
    verdict = fate(kind, event)
    if verdict == "ends":
        assert person.active() == kind.below
        person.place.pop("session", None)
        after = person.sees()
        assert after["tests"] == []
        assert [o["ref"] for o in after["choices"] if o["ref"].startswith("lab:")] == []
        return
    after = person.sees()
    if verdict == "lacks its key":
        assert person.asks() == "no_credential"
        assert after == dict(before, ready=False)
        return
    assert after == before
    assert person.asks() == (("lab:m1", kind.key) if kind.chosen == "lab:m1" else kind.chosen)
    assert person.goes_back() == back
    person.as_chosen = True


# ---- more of the story ----

def effective(d, scope=None):
    with d.rpc() as c:
        return c.call("route.get", **({"scope": scope} if scope else {}))["active"]


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


def test_a_restart_with_a_locked_vault_ends_nothing(make_daemon, provider):
    d = make_daemon()
    words = "correct horse battery staple"
    with d.rpc() as c:
        c.call("provider.add", name="lab", base_url=provider.url, dialect="openai-chat", type="local", auth_type="api-key")
        c.call("route.set", ref="echo:ground")
        c.call("route.set", ref="lab:m1", scope="work", ttl_ms=2 * HOUR * 1000)
        test = c.call("session.start", provider="lab", model="m2", secret=OWN_KEY, check=False)
        file = c.call("vault.passwd", new=words)["slots"][0]
        assert file["type"] == "key-file"
        c.call("vault.remove_slot", id=file["id"])
        before = c.call("state.get", topics=["overrides", "route"])["snapshot"]
    for end in (Daemon.stop, Daemon.kill):
        end(d)
        d.start()
        with d.rpc() as c:
            assert c.call("vault.status")["locked"]
            assert c.call("state.get", topics=["overrides", "route"])["snapshot"] == before
            assert c.call("route.get")["active"]["ref"] == "lab:m2"
            assert c.prompt("x").code == "locked"
            with pytest.raises(RpcError) as e:
                c.call("route.get", session=test["token"])
            assert e.value.code == "locked"
    with d.rpc() as c:
        c.call("vault.unlock", passphrase=words)
        assert c.call("route.get", session=test["token"])["active"]["ref"] == "lab:m2"
        assert c.prompt("x").ok
        assert provider.chats[-1].header("authorization") == f"Bearer {OWN_KEY}"
        assert c.call("session.stop")["active"]["ref"] == "echo:ground"


def test_F35_everyone_is_told_within_a_second_after_a_suspend(make_daemon):
    d = make_daemon(start=False)
    d.clock
    d.start()
    with d.rpc() as c:
        c.call("route.set", ref="echo:ground")
        c.call("route.set", ref="echo:short", ttl_ms=2 * HOUR * 1000)
        c.call("state.subscribe", topics=["route"], snapshot=False)
        d.clock.sleep(3 * HOUR)
        began = time.monotonic()
        told = c.event("state.event", topic="route", timeout=10)
        assert (told["value"]["ref"], told["cause"]["reason"]) == ("echo:ground", "expired")
        assert time.monotonic() - began < figure(1, 3)


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
