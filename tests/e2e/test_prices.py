"""Prices: what people set counts from the next call on, exactly; what has no price is unpriced, never nothing."""
import json

import pytest

from harness.provider import stream
from harness.rpc import RpcError

# 400 fresh, 600 read from a cache, 200 written as an answer (50 of them thoughts)
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
         "prompt_tokens_details": {"cached_tokens": 600}, "completion_tokens_details": {"reasoning_tokens": 50}}
DAY_MS = 86400000


@pytest.fixture
def paid(daemon, provider):
    """A provider that is paid; none of its models is in a list."""
    daemon.mpc("provider", "set", "openai", "type=local", f"url={provider.url}", "auth=none", check=0)
    provider.default = stream("ok", usage=USAGE)
    return daemon


@pytest.fixture
def lab(daemon, provider):
    """A server of one's own."""
    daemon.add_provider(provider, "lab")
    provider.default = stream("ok", usage=USAGE)
    return daemon


def last(c):
    return c.call("usage.export")["rows"][-1]


def ask(c, ref="openai:mine", **kw):
    c.call("prompt.run", text="hi", ref=ref, **kw)
    return last(c)


def cost(c, **kw):
    row = ask(c, **kw)
    return row["cost_kind"], row.get("cost_microusd")


def rows(c, ref="openai:mine"):
    return c.call("price.list", ref=ref)["prices"]


def test_it_counts_to_the_millionth_of_a_dollar(paid):
    with paid.rpc() as c:
        assert cost(c) == ("unpriced", None)
        out = paid.mpc("catalog", "set", "openai:mine", "--input", "0.37", "--output", "$1.23", "--cache-read", "0.041",
                      check=0).out
        assert "openai:mine costs $0.37 in, $1.23 out (cache: $0.041 read, $0.37 written) per million tokens." in out
        # 400 x 0.37 + 600 x 0.041 + 200 x 1.23 = 148 + 24.6 + 246 = 418.6
        assert cost(c) == ("own", 419)
        paid.mpc("catalog", "set", "openai:mine", "--input", "0.000001", "--output", "0", check=0)
        assert cost(c) == ("own", 0)  # 1000 millionths of a millionth
        paid.mpc("catalog", "set", "openai:mine", "--input", "0.0005", "--output", "0", check=0)
        assert cost(c) == ("own", 1)  # 1000 x 0.0005 = 0.5: half and more is one
        out = paid.mpc("catalog", "unset", "openai:mine", check=0).out
        assert "1 price of openai:mine is gone." in out and "openai:mine is unpriced" in out
        assert cost(c) == ("unpriced", None)
        total = c.call("usage.query")["total"]
        assert (total["cost_microusd"], total["unpriced"], total["requests"]) == (420, 2, 5)
        shown = paid.mpc("usage", check=0)
        assert "$0.0004 + 2 unpriced" in shown.out and "2 requests have no known price and are not in the sum" in shown.err


def test_long_prompts_and_days(paid):
    with paid.rpc() as c:
        tomorrow = (c.call("sys.ping")["now_ms"] // DAY_MS + 1) * DAY_MS
        paid.mpc("catalog", "set", "openai:mine", "--input", "1", "--output", "2", check=0)
        paid.mpc("catalog", "set", "openai:mine", "--input", "3", "--output", "4", "--above", "999", check=0)
        assert cost(c) == ("own", 1000 * 3 + 200 * 4)
        paid.mpc("catalog", "set", "openai:mine", "--input", "3", "--output", "4", "--above", "1000", check=0)
        paid.mpc("catalog", "unset", "openai:mine", "--above", "999", check=0)
        assert cost(c) == ("own", 1000 * 1 + 200 * 2)  # a thousand is not above a thousand
        c.call("price.set", ref="openai:mine", input=9000000, output=9000000, valid_from_ms=tomorrow)
        assert cost(c) == ("own", 1000 * 1 + 200 * 2)
        c.call("price.set", ref="openai:mine", input=5000000, output=6000000, valid_from_ms=tomorrow - DAY_MS)
        assert cost(c) == ("own", 1000 * 5 + 200 * 6)
        assert [(r.get("valid_from_ms", 0), r.get("above_tokens", 0), r["holds"]) for r in rows(c)] == [
            (0, 0, False), (0, 1000, False), (tomorrow - DAY_MS, 0, True), (tomorrow, 0, False)]
        # what was used at another time costs what held then
        told = c.call("usage.record", ref="openai:mine", usage={"input_tokens": 1000, "output_tokens": 200},
                      request_key="k1", at_ms=tomorrow - DAY_MS - 1)
        assert (told["cost_kind"], told["cost_microusd"]) == ("own", 1400)


def test_the_users_word_is_above_the_list(paid):
    with paid.rpc() as c:
        # 400 x 2.50 + 600 x 1.25 + 200 x 10
        assert cost(c, ref="openai:gpt-4o") == ("list", 3750)
        c.call("price.set", ref="openai:gpt-4o", input=1000000, output=1000000)
        assert cost(c, ref="openai:gpt-4o") == ("own", 1200)
        assert cost(c, ref="openai:gpt-4o-2026-01-02") == ("own", 1200)  # the same model, made on some day
        assert [(r["source"], r["input"], r["holds"]) for r in rows(c, "openai:gpt-4o")] == [
            ("own", 1000000, True), ("catalogue", 2500000, False)]
        model, = c.call("model.list", provider="openai", query="gpt-4o-mini", catalog=True)["models"]
        assert model["price"] == {"input": 150000, "cache_read": 75000, "cache_write": 150000, "output": 600000}
        assert model["price_source"] == "catalogue"
        out = paid.mpc("catalog", "unset", "openai:gpt-4o", check=0).out
        assert "Now it costs $2.50 in, $10.00 out per million tokens (catalogue)." in out
        assert cost(c, ref="openai:gpt-4o") == ("list", 3750)


def test_on_a_server_of_ones_own(lab):
    with lab.rpc() as c:
        assert cost(c, ref="lab:a") == ("free", 0)
        assert "lab:a costs nothing" in lab.mpc("catalog", "show", "lab:a", check=0).out
        lab.mpc("catalog", "set", "lab:a", "--input", "1", "--output", "1", check=0)
        assert cost(c, ref="lab:a") == ("own", 1200)
        assert cost(c, ref="lab:b") == ("unpriced", None)  # it is paid now, and this one nobody knows
        lab.mpc("catalog", "set", "lab:b", "--input", "0", "--output", "0", check=0)
        assert cost(c, ref="lab:b") == ("own", 0)
        total = c.call("usage.query")["total"]
        assert (total["cost_microusd"], total["unpriced"], total["requests"]) == (1200, 1, 4)


def test_it_stays(lab):
    with lab.rpc() as c:
        c.call("price.set", ref="lab:m1", input=1000000, output=1000000)
    lab.kill()
    lab.start()
    with lab.rpc() as c:
        assert cost(c, ref="lab:m1") == ("own", 1200)
        c.call("provider.update", name="lab", set={"name": "works"})
        assert cost(c, ref="works:m1") == ("own", 1200)
        assert [p["ref"] for p in c.call("price.list", provider="works")["prices"]] == ["works:m1"]
        c.call("route.set", ref="echo:echo")
        with pytest.raises(RpcError) as e:
            c.call("provider.remove", name="works")
        assert e.value.code == "conflict" and "prices" in str(e.value)
        c.call("provider.remove", name="works", cascade=True)
        assert c.call("price.list")["prices"] == []
    lab.restart()
    with lab.rpc() as c:
        assert c.call("price.list")["counts"]["own"] == 0


def test_an_alias_and_a_nickname_mean_what_the_provider_calls_it(lab):
    with lab.rpc() as c:
        c.call("provider.update", name="lab", set={"models": {"quick": "vendor/quick-1"}})
    lab.mpc("add", "lab", "quick", "--nick", "q", check=0)
    with lab.rpc() as c, lab.rpc() as listener:
        listener.call("state.subscribe", topics=["models"], snapshot=False)
        assert c.call("price.set", ref="q", input=1000000, output=1000000)["price"]["ref"] == "lab:vendor/quick-1"
        event = listener.event("state.event", topic="models")
        assert (event["op"], event["key"]) == ("update", "lab:vendor/quick-1")
        assert event["value"]["price"]["input"] == 1000000
        assert cost(c, ref="q") == ("own", 1200)
        line = lab.mpc("list", "--plain", check=0).out.rstrip("\n").split("\t")
        assert line[0] == "lab:quick" and line[3:5] == ["$1.00", "$1.00"]


def test_what_is_no_price_is_refused(lab):
    with lab.rpc() as c:
        c.call("price.set", ref="lab:m1", input=1000000, output=1000000)
        before = c.call("price.list")
        for bad in ("1,5", "-1", "1e3", "0x10", "nan", "", "1.", ".5", "0.0000001", "2000.000001", "9" * 30, "1 "):
            r = lab.mpc("catalog", "set", "lab:m1", "--input", bad, "--output", "1")
            assert r.returncode == 2 and "USD per million tokens" in r.err, bad
        for more in (["--from", "2026-02-30"], ["--from", "soon"], ["--above", "0"], ["--above", "many"], ["--above", "1k"],
                     ["--above", "9" * 30]):
            assert lab.mpc("catalog", "set", "lab:m1", "--input", "1", "--output", "1", *more).returncode == 2, more
        assert lab.mpc("catalog", "set", "lab:m1", "--input", "1").returncode == 2
        assert lab.mpc("catalog", "set", "nobody:m1", "--input", "1", "--output", "1").returncode == 3
        for bad in ({"input": -1}, {"input": 2000000001}, {"output": 2 ** 53 - 1}, {"cache_read": -1}, {"above_tokens": 0},
                    {"valid_from_ms": 1}, {"valid_from_ms": 4102444800001}, {"input": 0.5}):
            with pytest.raises(RpcError) as e:
                c.call("price.set", **dict({"ref": "lab:m1", "input": 1, "output": 1}, **bad))
            assert e.value.code == "invalid_params", bad
        r = lab.mpc("catalog", "set", "lab:m2", "--input", "1", "--output", "1", "--above", "1000")
        assert r.returncode == 9 and "shorter" in r.err
        assert lab.mpc("catalog", "unset", "lab:m2").returncode == 3
        after = c.call("price.list")
        assert after["prices"] == before["prices"] and after["counts"] == before["counts"]


def test_a_budget_counts_with_it(paid):
    with paid.rpc() as c:
        c.call("price.set", ref="openai:mine", input=1000000, output=1000000)
        c.call("budget.set", period="day", limit_microusd=5000, hard=True)
        options = {"max_tokens": 400}
        served = 0
        with pytest.raises(RpcError) as e:
            while served < 10:
                assert ask(c, options=options)["cost_microusd"] == 1200
                served += 1
        # 400 and a little are put aside for each, 1200 are spent: the fifth finds 200 left
        assert e.value.code == "budget_exceeded" and served == 4
        budget, = c.call("budget.get")["budgets"]
        assert budget["spent_microusd"] == 4800 and budget["reserved_microusd"] == 0


def test_what_costs_nothing_by_ones_own_word_needs_no_room(paid):
    with paid.rpc() as c:
        c.call("price.set", ref="openai:mine", input=1000000, output=1000000)
        c.call("price.set", ref="openai:gift", input=0, output=0)
        c.call("budget.set", period="day", limit_microusd=4810, hard=True)
        for _ in range(4):
            assert ask(c, options={"max_tokens": 400})["cost_microusd"] == 1200
        # 10 are left: not enough for what nobody knows
        with pytest.raises(RpcError) as e:
            ask(c, ref="openai:nobody")
        assert e.value.code == "budget_exceeded"
        assert cost(c, ref="openai:gift") == ("own", 0)


def test_the_command_shows_it(lab):
    assert lab.mpc("catalog", "--plain", check=0).out == ""
    lab.mpc("catalog", "set", "lab:m1", "--input", "0.40", "--output", "1.60", check=0)
    lab.mpc("catalog", "set", "lab:m1", "--input", "0.80", "--output", "2.40", "--above", "128000", "--from", "2026-01-31")
    lab.mpc("catalog", "set", "lab:m1", "--input", "0.50", "--output", "2", "--from", "2026-01-31", check=0)
    lab.mpc("catalog", "set", "lab:m1", "--input", "0.80", "--output", "2.40", "--above", "128000", "--from", "2026-01-31",
            check=0)
    assert [line.split("\t") for line in lab.mpc("catalog", "show", "lab:m1", "--plain", check=0).out.splitlines()] == [
        ["", "lab:m1", "400000", "400000", "400000", "1600000", "0", "", "own"],
        ["holds", "lab:m1", "500000", "500000", "500000", "2000000", "0", "2026-01-31", "own"],
        ["holds", "lab:m1", "800000", "800000", "800000", "2400000", "128000", "2026-01-31", "own"]]
    out = lab.mpc("catalog", check=0).out
    counts = json.loads(lab.mpc("catalog", "--json", check=0).out)["counts"]
    assert counts["own"] == 3 and counts["catalogue"] > 50 and counts["bundle"] == counts["refreshed"] == 0
    for words in (["own", "3"], ["catalogue", str(counts["catalogue"])], ["lab:m1", "$0.80"]):
        assert any(all(w in line for w in words) for line in out.splitlines()), (words, out)
    assert lab.mpc("catalog", "shw").returncode == 2
