"""A small model of the rules of PROTOCOL.md and DESIGN.md: which choice wins, and what ends one. Times are in milliseconds
from where the model began; a provider is a number, whatever it is called."""
import dataclasses

HOUR = 3600_000
URL = "http://127.0.0.1:9/v1"  # of every provider; nothing listens there
SCOPES = ["", "s1", "s2"]
LAYERS = {True: "temporary", False: "persistent"}


@dataclasses.dataclass
class Choice:
    ref: tuple           # the provider's number and the model
    temporary: bool
    ends: object = None  # the End; None = none of its own

    def same(self, other):
        return other is not None and (self.ref, self.temporary) == (other.ref, other.temporary) \
            and (self.ends and self.ends.wall) == (other.ends and other.ends.wall)


@dataclasses.dataclass
class End:
    wall: int
    since_boot: int


@dataclasses.dataclass
class Session:
    number: int
    token: str
    ref: tuple
    own_key: bool
    lasts: int
    ends: End
    activated: bool = False


@dataclasses.dataclass
class Entry:
    """A model that was added or has a nickname."""
    listed: bool = False
    nick: str = ""
    ends: object = None  # on the wall clock


@dataclasses.dataclass
class Provider:
    number: int
    wants_key: bool
    key: bool = False


class Refused(Exception):
    """The rules say no, with this code."""


class Rules:
    """Everything the pages say about who wins and what ends."""

    def __init__(self):
        self.wall = self.boot = 0
        self.numbers = 0
        self.providers = {"echo": Provider(0, False)}
        self.now = {s: {} for s in SCOPES}     # temporary? -> Choice
        self.before = {s: {} for s in SCOPES}  # where undo goes
        self.sessions = []
        self.entries = {}

    # -- what is there --

    def find(self, ref):
        """A selector: provider:model, or a nickname."""
        name, _, model = ref.partition(":")
        if model and name in self.providers:
            return self.providers[name].number, model
        for target, entry in self.entries.items():
            if entry.nick and entry.nick == ref:
                return target
        raise Refused("not_found")

    def name(self, ref):
        return next(f"{n}:{ref[1]}" for n, p in self.providers.items() if p.number == ref[0])

    def provider_of(self, ref):
        return next(p for p in self.providers.values() if p.number == ref[0])

    def provider(self, name):
        if name not in self.providers:
            raise Refused("not_found")
        return self.providers[name]

    def nick(self, ref):
        return self.entries[ref].nick if ref in self.entries else ""

    def activated(self):
        return next((s for s in self.sessions if s.activated), None)

    def session(self, number):
        """The one that is named; else the activated one; else the only one."""
        if number is not None:
            found = [s for s in self.sessions if s.number == number]
        else:
            found = [self.activated()] if self.activated() else self.sessions
        if not found:
            raise Refused("not_found")
        if len(found) > 1:
            raise Refused("ambiguous")
        return found[0]

    def layers(self, scope):
        """Who would decide, highest first: the name of the layer, and its target or None."""
        found = []
        if scope:
            found += [(f"scope-{LAYERS[t]}", self.now[scope].get(t)) for t in (True, False)]
        if self.activated():
            found.append(("activated-session", self.activated()))
        found += [(f"global-{LAYERS[t]}", self.now[""].get(t)) for t in (True, False)]
        found.append(("default", Choice((0, "echo"), False)))
        return [(layer, self.name(c.ref) if c else None, c) for layer, c in found]

    def ready(self, choice):
        p = self.provider_of(choice.ref)
        return not p.wants_key or p.key or getattr(choice, "own_key", False)

    # -- time --

    def end(self, span):
        return End(self.wall + span, self.boot + span) if span else None

    def over(self, thing):
        return thing.ends is not None and (self.wall >= thing.ends.wall or self.boot >= thing.ends.since_boot)

    def move(self, wall, boot):
        self.wall += wall
        self.boot += boot
        for kept in (self.now, self.before):
            for scope in SCOPES:
                kept[scope] = {t: c for t, c in kept[scope].items() if not self.over(c)}
        self.sessions = [s for s in self.sessions if not self.over(s)]
        left = {ref: e for ref, e in self.entries.items() if e.ends is None or self.wall < e.ends}
        ended, self.entries = len(left) < len(self.entries), left
        return ended

    def reboot(self):
        for kept in (self.now, self.before):
            for scope in SCOPES:
                kept[scope].pop(True, None)
        self.sessions = []

    # -- choices --

    def advance(self, scope, choices):
        self.before[scope] = {t: dataclasses.replace(c) for t, c in self.now[scope].items()}
        self.now[scope] = {c.temporary: c for c in choices if c}

    def switch(self, ref, scope, temporary, span, keep_session):
        self.choose(self.find(ref), scope, temporary or bool(span), self.end(span))
        if not scope and not keep_session:
            self.deactivate()

    def choose(self, ref, scope, temporary, ends):
        now = self.now[scope]
        old = now.get(temporary)
        if old and old.ref == ref and (temporary or True not in now):
            old.ends = ends  # chosen already: "the one before" does not become the same one
            return
        new = Choice(ref, temporary, ends)
        self.advance(scope, [now.get(False), new] if temporary else [new])

    def clear(self, scope):
        if not self.now[scope]:
            raise Refused("not_found")
        self.advance(scope, [])

    def clear_one(self, scope, temporary):
        self.advance(scope, [c for t, c in self.now[scope].items() if t != temporary])

    def undo(self, scope):
        if not scope and self.activated():
            self.deactivate()
            return
        now, before = self.now[scope], self.before[scope]
        if now.keys() == before.keys() and all(now[t].same(before[t]) for t in now):
            raise Refused("not_found")
        # what is the same on both sides stays as it is
        self.now[scope], self.before[scope] = dict(before), dict(now)

    # -- test sessions --

    def deactivate(self):
        for s in self.sessions:
            s.activated = False

    def may_start(self, name, own_key):
        p = self.provider(name)
        if own_key and not p.wants_key:
            raise Refused("invalid_state")
        if p.wants_key and not p.key and not own_key:
            raise Refused("no_credential")

    def start(self, number, token, name, model, own_key, span, activate):
        if activate:
            self.deactivate()
        self.sessions.append(Session(number, token, (self.providers[name].number, model), own_key, span, self.end(span), activate))

    def activate(self, number):
        chosen = self.session(number)
        self.deactivate()
        chosen.activated = True

    def extend(self, number, span):
        s = self.session(number)
        if s.lasts + span > 24 * HOUR:
            raise Refused("invalid_params")
        s.lasts += span
        s.ends = End(s.ends.wall + span, s.ends.since_boot + span)

    def keep(self, number, replace):
        s = self.session(number)
        p = self.provider_of(s.ref)
        if s.own_key and p.key and not replace:
            raise Refused("conflict")
        p.key = p.key or s.own_key
        entry = self.entries.setdefault(s.ref, Entry())
        entry.listed, entry.ends = True, None
        if s.activated:
            self.choose(s.ref, "", False, None)
        self.sessions.remove(s)

    def stop(self, number):
        self.sessions.remove(self.session(number))

    # -- models and nicknames --

    def claim(self, ref, nick):
        if any(e.nick == nick and target != ref for target, e in self.entries.items()):
            raise Refused("conflict")

    def add_model(self, name, model, nick, span):
        ref = (self.provider(name).number, model)
        if nick:
            self.claim(ref, nick)
        entry = self.entries.setdefault(ref, Entry())
        entry.listed, entry.ends, entry.nick = True, self.wall + span if span else None, nick or entry.nick

    def remove_model(self, ref):
        if self.entries.pop(self.find(ref), None) is None:
            raise Refused("not_found")

    def name_model(self, ref, nick):
        target = self.find(ref)
        if nick:
            self.claim(target, nick)
            self.entries.setdefault(target, Entry()).nick = nick
            return
        if not self.nick(target):
            raise Refused("not_found")
        self.entries[target].nick = ""
        if not self.entries[target].listed:
            del self.entries[target]

    # -- providers and keys --

    def add_provider(self, name):
        if name in self.providers:
            raise Refused("conflict")
        self.numbers += 1
        self.providers[name] = Provider(self.numbers, name == "paid")

    def rename(self, name, new):
        p = self.provider(name)
        if new != name and new in self.providers:
            raise Refused("conflict")
        del self.providers[name]
        self.providers[new] = p

    def used(self, name, models=True):
        p = self.providers[name]
        return (p.key or any(s.ref[0] == p.number for s in self.sessions)
                or any(c.ref[0] == p.number for choices in self.now.values() for c in choices.values())
                or models and any(ref[0] == p.number for ref in self.entries))

    def remove_provider(self, name, cascade):
        self.provider(name)
        if self.used(name) and not cascade:
            raise Refused("conflict")
        number = self.providers.pop(name).number
        for kept in (self.now, self.before):
            for scope in SCOPES:
                kept[scope] = {t: c for t, c in kept[scope].items() if c.ref[0] != number}
        self.sessions = [s for s in self.sessions if s.ref[0] != number]
        self.entries = {ref: e for ref, e in self.entries.items() if ref[0] != number}

    def key(self, name, there):
        p = self.provider(name)
        if not there and not p.key:
            raise Refused("not_found")
        p.key = there

    # -- the configuration document: what it does not name goes, but never a choice in silence --

    def document(self, without, also, nickless):
        lasting = {self.name(ref): e for ref, e in self.entries.items()
                   if not e.ends and not self.name(ref).startswith(f"{without}:")}
        return {"version": 1,
                "providers": {n: {"type": "local", "dialect": "openai-chat", "base_url": URL,
                                  "auth_type": "api-key" if p.wants_key else "none"}
                              for n, p in self.providers.items() if p.number and n != without}
                | ({also: {"dialect": "openai-chat", "type": "local", "base_url": URL,
                           "auth_type": "api-key" if also == "paid" else "none"}}
                   if also and also not in self.providers else {}),
                "models": [name for name, e in lasting.items() if e.listed],
                "nicknames": {} if nickless else {e.nick: name for name, e in lasting.items() if e.nick}}

    def apply(self, without, also, nickless, cascade):
        if without in self.providers and self.used(without, models=False) and not cascade:
            raise Refused("conflict")
        if without in self.providers:
            self.remove_provider(without, True)
        if also and also not in self.providers and also != without:
            self.add_provider(also)
        for ref, e in list(self.entries.items()):
            if nickless and not e.ends:
                e.nick = ""
                if not e.listed:
                    del self.entries[ref]
