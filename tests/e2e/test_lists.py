"""Lists of models: page after page, servers that lie about them, and old lists that are renewed."""
import contextlib
import itertools
import sqlite3
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.daemon import figure
from harness.provider import Hang, Provider, head, piece, reply

FAST = ["--test-timeouts", "1000"]
PAGES_MAX = 32


class Book:
    """A server whose list has pages, in the form of Anthropic or Google. pages: cursor -> (ids, next cursor or None)."""

    def __init__(self, dialect, pages):
        self.dialect, self.pages = dialect, pages
        self.server = Provider(default=self.answer)
        self.url = self.server.url[:-len("/v1")]

    @property
    def asked(self):
        """The cursors asked for; "" is the first page."""
        word = {"anthropic-messages": "after_id", "gemini": "pageToken"}[self.dialect]
        return [parse_qs(urlsplit(r.path).query).get(word, [""])[0] for r in self.server.requests]

    def answer(self, r):
        page = self.pages(self.asked[-1]) if callable(self.pages) else self.pages[self.asked[-1]]
        if isinstance(page, list):
            return page
        return self.page(*page)

    def page(self, ids, more):
        if self.dialect == "gemini":
            return reply(200, {"models": [{"name": f"models/{i}"} for i in ids], **({"nextPageToken": more} if more else {})})
        return reply(200, {"data": [{"type": "model", "id": i} for i in ids], "has_more": more is not None, "first_id": "x", "last_id": more})


@pytest.fixture(params=["anthropic-messages", "gemini"])
def book(request, make_daemon):
    made = []

    def make(pages, *args):
        b = Book(request.param, pages)
        made.append(b)
        b.daemon = make_daemon(*args)
        b.daemon.mpc("provider", "add", "paged", "--url", b.url, "--type", "local", "--auth", "none", "--dialect", b.dialect, check=0)
        return b

    yield make
    for b in made:
        b.server.close()


def check(b):
    with b.daemon.rpc() as c:
        r = c.call("provider.check", name="paged", timeout=60)
        models = [m["model"] for m in c.call("model.list", provider="paged", catalog=True, limit=10000)["models"]]
    return r, models


def test_all_pages_are_one_list(book):
    b = book({"": (["a", "b"], "b&c=1"), "b&c=1": (["c"], "Ch9t+/="), "Ch9t+/=": (["d", "a"], None)})
    r, models = check(b)
    assert r["ok"] and sorted(models) == ["a", "b", "c", "d"] and r["warnings"] == []
    assert b.asked == ["", "b&c=1", "Ch9t+/="]


@pytest.mark.parametrize("pages, asked, why", [
    ({"": (["a"], "x"), "x": (["b"], "x")}, ["", "x"], "the same page was named again"),
    ({"": (["a"], "x"), "x": reply(500, {"error": {"message": "broken"}})}, ["", "x"], "a page of it did not come"),
    ({"": (["a"], "x"), "x": reply(200, "<html>", "text/html")}, ["", "x"], "a page of it did not come"),
    ({"": (["a"], "x" * 600)}, [""], "more was promised, but not where it is"),
    ({"": (["a"], "&" * 500)}, [""], "the next page cannot be asked for"),
], ids=["same again", "error", "no list", "no cursor", "no request"])
def test_a_page_that_lies_ends_the_list(book, pages, asked, why):
    """What came is there, and a warning says that it is not all."""
    b = book(pages)
    r, models = check(b)
    assert r["ok"] and b.asked == asked and models == ["a", "b"][:1 + (why == "the same page was named again")]
    assert r["warnings"] == [f"the list of models of paged is not whole: {why}"]
    del b.server.requests[:]
    with b.daemon.rpc() as c:
        assert c.call("model.list", provider="paged", refresh=True)["warnings"] == r["warnings"]
    assert f"warning: {r['warnings'][0]}" in b.daemon.mpc("check", "paged", check=0).out


@pytest.mark.parametrize("cursors", ["other each time", "in turn"])
def test_an_endless_list_ends(book, cursors):
    n = itertools.count()
    turn = (lambda c: (["m"], "y" if c == "x" else "x")) if cursors == "in turn" else (lambda c: (["m"], f"c{next(n)}"))
    b = book(turn)
    r, models = check(b)
    assert r["ok"] and models == ["m"] and len(b.asked) == PAGES_MAX
    assert r["warnings"] == ["the list of models of paged is not whole: it does not end"]


def test_a_list_of_too_many_models_ends(book):
    n = itertools.count()
    b = book(lambda c: ([f"m{next(n):06d}" for _ in range(7000)], f"c{next(n)}"))
    r, _ = check(b)
    assert r["ok"] and r["models"] == 20000 and len(b.asked) == 3
    assert r["warnings"] == ["the list of models of paged is not whole: it does not end"]


def test_a_page_that_never_comes(book):
    b = book({"": (["a"], "x"), "x": [Hang()]}, *FAST)
    began = time.monotonic()
    r, models = check(b)
    assert r["ok"] and models == ["a"] and time.monotonic() - began < figure(5, 15)
    assert r["warnings"][0].startswith("the list of models of paged is not whole: ")


def test_a_first_page_that_fails_is_a_failure(book):
    b = book({"": reply(500, {"error": {"message": "broken"}})})
    r, models = check(b)
    assert not r["ok"] and models == [] and r["warnings"] == [] and len(b.asked) == 1


# ---- old lists ----

def age(d, name, days):
    """The stored list of a provider becomes older."""
    with contextlib.closing(sqlite3.connect(d.data / "state.db")) as db:
        [[pid]] = db.execute("SELECT id FROM providers WHERE name = ?", [name]).fetchall()
        n = db.execute("UPDATE discovered_lists SET fetched_ms = fetched_ms - ? WHERE provider_id = ?", [days * 86400_000, pid]).rowcount
        db.commit()
    assert n == 1


def add_old(d, **providers):
    """Providers of two days ago, which answer a prompt in this run of the daemon."""
    for name, p in providers.items():
        d.mpc("provider", "add", name, "--url", p.url, "--dialect", "openai-chat", "--type", "local", "--auth", "api-key", check=0)
        d.mpc("key", "set", name, "--stdin", input=b"sk-test-0123456789abcdef\n", check=0)
    d.stop()
    for name in providers:
        age(d, name, 2)
    d.start()


def wait_for(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def test_an_old_list_is_renewed_by_itself(make_daemon, make_provider):
    """Only that of a provider that is ready and answered; not its status, its last use, or the choice."""
    d = make_daemon(*FAST)
    old, silent, off, refusing = (make_provider() for _ in range(4))
    add_old(d, old=old, silent=silent, off=off, refusing=refusing)
    d.mpc("provider", "disable", "off", check=0)
    d.mpc("switch", "silent:m1", check=0)
    old.models = {"object": "list", "data": [{"id": "new1"}, {"id": "new2"}, {"id": "new3"}]}
    refusing.models = lambda r: reply(401, {"error": {"message": "no", "code": "invalid_api_key"}})
    for p in (old, silent, off, refusing):
        del p.requests[:]
    with d.rpc() as c:
        assert c.prompt("hi", ref="old:m1").ok and c.prompt("hi", ref="refusing:m1").ok
        route = c.call("route.get")["active"]
        before = [c.call("provider.get", name=name) for name in ("old", "refusing")]
        wait_for(lambda: len(old.requests) + len(refusing.requests) == 4)
        time.sleep(2.5)  # two more looks
        assert [len(p.requests) for p in (old, silent, off, refusing)] == [2, 0, 0, 2]
        models = {m["model"]: m for m in c.call("model.list", provider="old", catalog=True)["models"]}
        assert set(models) == {"new1", "new2", "new3"} and models["new1"]["age_ms"] < 60_000
        # who did not answer keeps what it had, and nothing is held against it
        assert {m["model"] for m in c.call("model.list", provider="refusing", catalog=True)["models"]} == {"m1", "m2"}
        for p in before:
            now = c.call("provider.get", name=p["name"])
            assert {k: now.get(k) for k in ("status", "status_code", "status_since_ms", "last_used_ms", "latency_p50_ms")} == {
                k: p.get(k) for k in ("status", "status_code", "status_since_ms", "last_used_ms", "latency_p50_ms")}
        assert c.call("route.get")["active"] == route


def test_nobody_is_asked_while_the_daemon_stops(make_daemon, make_provider):
    d, p = make_daemon(*FAST), make_provider()
    add_old(d, old=p)
    del p.requests[:]
    with d.rpc() as c:
        assert c.prompt("hi", ref="old:m1").ok
        p.script([head(), piece({"content": "one "}), Hang()])
        assert c.call("prompt.start", text="hi", ref="old:m1", tag="long")["stream"]
        c.call("sys.shutdown", grace_ms=2500)
        time.sleep(2)
    assert [r for r in p.requests if r.method == "GET"] == []
    d.wait_exit()
