"""Lists of models: page after page, and servers that lie about them."""
import itertools
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.daemon import figure
from harness.provider import Hang, Provider, reply

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
