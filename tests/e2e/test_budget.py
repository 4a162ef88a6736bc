"""Budgets: what may be spent is never overspent, whoever asks, and everybody hears when it runs out."""
import contextlib
import json
import time

import pytest

from harness.provider import Sleep, stream
from harness.rpc import RpcError

USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
         "prompt_tokens_details": {"cached_tokens": 600}}
MICROUSD = 3750  # of gpt-4o: 400 x 2.50 + 600 x 1.25 + 200 x 10 USD per million
OPTIONS = {"max_tokens": 400}  # put aside: 400 x 10 and the prompt, more than the price


@pytest.fixture
def priced(daemon, provider):
    daemon.mpc("provider", "set", "openai", "type=local", f"url={provider.url}", check=0)
    daemon.mpc("key", "set", "openai", "--stdin", "--no-check", input=b"sk-0123456789abcdef0123\n", check=0)
    provider.default = stream("ok", usage=USAGE)
    return daemon


def ask(c, **kw):
    try:
        kw.setdefault("ref", "openai:gpt-4o")
        return c.call("prompt.run", text="hi", options=OPTIONS, **kw)["text"]
    except RpcError as e:
        return e.code


def budget(c, i=0):
    return c.call("budget.get")["budgets"][i]


def test_100_at_once_against_room_for_50(priced, provider):
    provider.default = [*stream("ok", usage=USAGE)[:1], Sleep(0.05), *stream("ok", usage=USAGE)[1:]]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(priced.rpc()) for _ in range(10)]
        a = clients[0]
        a.call("budget.set", period="day", limit_microusd=50 * MICROUSD, hard=True)
        asked = [(c, c.send("prompt.run", {"text": "hi", "ref": "openai:gpt-4o", "options": OPTIONS}))
                 for _ in range(10) for c in clients]
        ends = []
        for c, msgid in asked:
            try:
                c.wait(msgid, 60)
                ends.append("done")
            except RpcError as e:
                ends.append(e.code)
        served = ends.count("done")
        assert 40 <= served <= 50 and ends.count("budget_exceeded") == 100 - served, ends
        assert len(provider.chats) == served  # the others were never sent
        while ask(a) == "ok":  # one after the other the rest of it is spent
            served += 1
        assert served <= 50
        at_end = budget(a)
        assert at_end["spent_microusd"] == served * MICROUSD <= 50 * MICROUSD and at_end["reserved_microusd"] == 0
        assert a.call("usage.query")["total"]["cost_microusd"] == served * MICROUSD


def test_it_warns_at_four_fifths_and_says_when_it_is_empty(priced):
    with priced.rpc() as c, priced.rpc() as listener:
        listener.call("state.subscribe", topics=["budget"], snapshot=False)
        priced.mpc("budget", "set", "0.05", "--per", "day", check=0)
        assert listener.event("state.event", topic="budget")["op"] == "add"
        ends = []
        while not ends or ends[-1] == "ok":
            ends.append(ask(c))
        assert ends[-1] == "budget_exceeded" and 12 <= ends.count("ok") <= 13
        event = listener.event("state.event", topic="budget", op="update")
        assert event["cause"]["reason"] == "80 %" and 800 <= event["value"][0]["used_permille"] < 1000
        out = priced.mpc("status", check=0).out
        assert "budget  $0.04" in out and "of $0.05" in out
        r = priced.mpc("p", "-m", "openai:gpt-4o", "-o", "max_tokens=400", "hi")
        assert r.returncode == 7 and "has no room" in r.err and "mpc budget" in r.err


def test_the_call_that_brings_a_budget_there_says_so(priced):
    """Once at four fifths and once at the end, on the terminal that spent it and in the events of any client."""
    priced.mpc("budget", "set", "0.0375", "--per", "day", "--for", "openai", check=0)
    said = [priced.mpc("p", "-m", "openai:gpt-4o", "-o", "max_tokens=1", "hi") for _ in range(9)]
    assert [r.returncode for r in said] == [0] * 9 and all(r.out == "ok\n" for r in said)
    assert [("budget" in r.err) for r in said] == [False] * 7 + [True, False], [r.err for r in said]
    assert "$0.03 of the budget of $0.04 a day for openai is spent" in said[7].err
    with priced.rpc() as c:
        a = c.prompt("hi", ref="openai:gpt-4o", options={"max_tokens": 1})
        assert a.ok and [w for w in a.warnings if "it is used up" in w["message"]], a.warnings


@pytest.mark.parametrize("of", ["openai", "scope:work"])
def test_only_what_it_is_for_is_held(priced, provider, of):
    priced.add_provider(provider, "mine")
    with priced.rpc() as c:
        c.call("budget.set", **{"for": of}, period="week", limit_microusd=5000)
        other = {"ref": "mine:m1"} if of == "openai" else {}
        inside = {} if of == "openai" else {"scope": "work"}
        assert ask(c, **inside) == "ok"
        assert ask(c, **inside) == "budget_exceeded"
        assert ask(c, **other) == "ok"
        assert budget(c)["for"] == of


@pytest.mark.parametrize("of", ["openai", "@coding", ""])
def test_the_next_target_is_asked_unless_it_is_hard(priced, provider, of):
    priced.add_provider(provider, "mine")
    with priced.rpc() as c:
        c.call("chain.set", name="coding", refs=["openai:gpt-4o", "mine:m1"])
        c.call("budget.set", **{"for": of}, period="day", limit_microusd=5000)
        run = lambda: c.call("prompt.run", text="hi", ref="@coding", options=OPTIONS)["ref"]
        assert [run(), run(), run()] == ["openai:gpt-4o", "mine:m1", "mine:m1"]
        assert [r["outcome"] for r in c.call("usage.export")["rows"]][:3] == ["done", "budget_exceeded", "done"]
        c.call("budget.set", **{"for": of}, period="day", limit_microusd=5000, hard=True)
        assert ask(c, ref="@coding") == "budget_exceeded"


@pytest.mark.parametrize("of", ["openai", "@coding", "scope:tests", ""])
def test_who_asks_for_the_way_hears_of_a_used_up_budget(priced, provider, of):
    """What `which` names is what the next call uses: nobody is asked in vain, and no row is written."""
    priced.add_provider(provider, "mine")
    with priced.rpc() as c:
        c.call("chain.set", name="coding", refs=["openai:gpt-4o", "mine:m1"])
        c.call("budget.set", **{"for": of}, period="day", limit_microusd=5000)
        provider.default = stream("ok", usage=dict(USAGE, completion_tokens=400, total_tokens=1400))
        way = lambda **kw: c.call("route.get", ref="@coding", **kw)
        run = lambda **kw: c.call("prompt.run", text="hi", ref="@coding", options=OPTIONS, **kw)["ref"]
        inside = {"scope": "tests"} if of.startswith("scope") else {}
        assert way(**inside)["active"]["ref"] == run(**inside) == "openai:gpt-4o"
        assert budget(c)["spent_microusd"] == 5750
        now = way(**inside)
        assert now["active"]["ref"] == run(**inside) == "mine:m1"
        passed = now["chain"]["targets"][0]
        assert passed["code"] == "budget_exceeded" and "is used up" in passed["message"] and of in passed["message"]
        rows = c.call("usage.export")["rows"]
        assert [(r["provider"], r["outcome"]) for r in rows] == [("openai", "done"), ("mine", "done")]
        if of.startswith("scope"):
            assert way()["active"]["ref"] == "openai:gpt-4o"
        said = priced.mpc("which", "@coding", *(["--scope", "tests"] if inside else []), check=0).out
        assert "budget" in said and "is used up" in said
        # a hard one refuses, whoever comes next in the chain
        c.call("budget.set", **{"for": of}, period="day", limit_microusd=5000, hard=True)
        assert way(**inside)["active"]["ref"] == "openai:gpt-4o"
        assert ask(c, ref="@coding", **inside) == "budget_exceeded"


def test_what_costs_nothing_needs_no_room(priced, provider):
    priced.add_provider(provider, "mine")
    with priced.rpc() as c:
        c.call("budget.set", period="month", limit_microusd=1, hard=True)
        assert ask(c) == "budget_exceeded"
        assert ask(c, ref="mine:m1") == "ok" and ask(c, ref="echo:echo") == "hi"


def test_no_way_around_it(priced):
    """A check of the model, a test session, another name, a restart: all of them are asked."""
    with priced.rpc() as c:
        c.call("budget.set", period="day", limit_microusd=5000, hard=True)
        assert ask(c) == "ok"
        c.call("budget.set", period="day", limit_microusd=MICROUSD + 1, hard=True)
        assert ask(c) == "budget_exceeded"
        check = c.call("provider.check", name="openai:gpt-4o", deep=True)
        assert not check["ok"] and check["code"] == "budget_exceeded"
        s = c.call("session.start", provider="openai", model="gpt-4o", check=False)
        assert ask(c, ref="openai:gpt-4o", session=s["token"]) == "budget_exceeded"
        c.call("provider.update", name="openai", set={"name": "renamed"})
    priced.kill()
    priced.start()
    with priced.rpc() as c:
        c.call("provider.update", name="renamed", set={"name": "openai"})
        assert budget(c)["spent_microusd"] == MICROUSD
        assert ask(c) == "budget_exceeded"


def test_a_new_day_has_a_new_budget(make_daemon, provider):
    d = make_daemon(start=False)
    clock = d.clock
    d.start()
    d.mpc("provider", "set", "openai", "type=local", f"url={provider.url}", check=0)
    d.mpc("key", "set", "openai", "--stdin", "--no-check", input=b"sk-0123456789abcdef0123\n", check=0)
    provider.default = stream("ok", usage=USAGE)
    with d.rpc() as c:
        c.call("budget.set", period="day", limit_microusd=5000)
        assert (ask(c), ask(c)) == ("ok", "budget_exceeded")
        clock.set(wall=24 * 3600)
        assert (ask(c), ask(c)) == ("ok", "budget_exceeded")
        clock.set(wall=0)  # set back: what was spent that day is spent
        assert ask(c) == "budget_exceeded"


def test_mpc_budget(priced):
    assert "No budget is set" in priced.mpc("budget", check=0).out
    assert "a week for openai" in priced.mpc("budget", "set", "2.50", "--for", "openai", "--per", "week", check=0).out
    priced.mpc("budget", "set", "$10", check=0)
    assert priced.mpc("budget", "--plain", check=0).out.splitlines()[0].split("\t")[:6] == ["", "month", "0", "10000000",
                                                                                        "0", "soft"]
    shown = json.loads(priced.mpc("budget", "show", "--json", check=0).out)["budgets"]
    assert [(b["for"], b["period"], b["limit_microusd"], b["hard"]) for b in shown] == [
        ("", "month", 10000000, False), ("openai", "week", 2500000, False)]
    assert all(b["resets_ms"] > time.time() * 1000 for b in shown)
    assert priced.mpc("budget", "set", "lots").returncode == 2
    assert priced.mpc("budget", "set", "1", "--per", "year").returncode == 2
    assert priced.mpc("budget", "set", "1", "--for", "opnai").returncode == 3
    priced.mpc("budget", "set", "off", check=0)
    assert priced.mpc("budget", "set", "off").returncode == 3
    assert len(json.loads(priced.mpc("budget", "--json", check=0).out)["budgets"]) == 1
