"""What was used and what it cost: every attempt is counted, by whom and for whom, also over kill -9."""
import csv
import io
import json
import sqlite3
import time

import pytest

from harness.daemon import figure
from harness.program import DONE, INIT, Fake
from harness.provider import Close, Hang, chunk, head, piece, reply, stream

OPENAI_USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
                "prompt_tokens_details": {"cached_tokens": 600}, "completion_tokens_details": {"reasoning_tokens": 150}}
# 400 x 2.50 + 600 x 1.25 + 200 x 10 USD per million
OPENAI_MICROUSD = 3750


@pytest.fixture
def c(daemon):
    with daemon.rpc() as c:
        yield c


def openai_here(daemon, provider):
    """The catalogue's own provider, whose models have a list price, at the scripted server."""
    daemon.mpc("provider", "set", "openai", "type=local", f"url={provider.url}", check=0)
    daemon.mpc("key", "set", "openai", "--stdin", "--no-check", input=b"sk-0123456789abcdef0123\n", check=0)


def total(c, **kw):
    return c.call("usage.query", **kw)["total"]


def rows(c, **kw):
    return c.call("usage.export", **kw)["rows"]


def test_list_price_of_a_sample_payload(daemon, provider, c):
    openai_here(daemon, provider)
    provider.script(stream("ok", usage=OPENAI_USAGE))
    usage = c.call("prompt.run", text="hi", ref="openai:gpt-4o")["usage"]
    assert usage["cost_microusd"] == OPENAI_MICROUSD
    [row] = rows(c)
    assert row["cost_kind"] == "list" and row["cost_microusd"] == OPENAI_MICROUSD
    assert (row["input_tokens"], row["output_tokens"], row["cache_read_tokens"], row["reasoning_tokens"]) == (1000, 200,
                                                                                                         600, 150)
    assert row["client"] == "pytest" and row["outcome"] == "done" and row["answered"] == "m1"


def test_what_the_provider_reports_wins(daemon, provider, c):
    openai_here(daemon, provider)
    provider.script(stream("ok", usage=dict(OPENAI_USAGE, cost=0.5)))
    assert c.call("prompt.run", text="hi", ref="openai:gpt-4o")["usage"]["cost_microusd"] == 500000
    assert rows(c)[0]["cost_kind"] == "reported"


def test_unpriced_is_counted_and_never_nothing(daemon, provider, c):
    openai_here(daemon, provider)
    provider.script(stream("ok", usage=OPENAI_USAGE), stream("ok", usage=OPENAI_USAGE))
    usage = c.call("prompt.run", text="hi", ref="openai:model-of-tomorrow")["usage"]
    assert "cost_microusd" not in usage
    c.call("prompt.run", text="hi", ref="openai:gpt-4o")
    t = total(c)
    assert (t["requests"], t["unpriced"], t["cost_microusd"]) == (2, 1, OPENAI_MICROUSD)
    out = daemon.mpc("usage", check=0).out
    assert "unpriced" in [l for l in out.splitlines() if "model-of-tomorrow" in l][0]
    assert "$0.0037 + 1 unpriced" in out or "$0.0038 + 1 unpriced" in out


def test_every_end_is_recorded_as_what_it_is(daemon, provider, c):
    daemon.add_provider(provider)
    provider.script(stream("ok"), reply(429, {"error": {"message": "slow down"}}), [head(chunked=True), Close()])
    for _ in range(3):
        try:
            c.call("prompt.run", text="hi")
        except Exception:
            pass
    assert [(r["outcome"], r["counts"]) for r in rows(c)][:2] == [("done", "reported"), ("rate_limit", "unknown")]
    assert rows(c)[2]["outcome"] in ("protocol", "network")
    t = total(c)
    assert (t["requests"], t["failed"]) == (3, 2)


def test_by_what_and_since_when(daemon, provider, c):
    daemon.add_provider(provider)
    for model in ("m1", "m2", "m2"):
        c.call("prompt.run", text="hi", ref=f"scripted:{model}")
    daemon.mpc("p", "-m", "scripted:m1", "hi", check=0)
    by = lambda what: {r.get(what) or r.get("ref"): r["requests"] for r in c.call("usage.query", by=what)["rows"]}
    assert by("provider") == {"scripted": 4}
    assert by("model") == {"m1": 2, "m2": 2}
    assert by("client") == {"pytest": 3, "modelpc": 1}
    [day] = c.call("usage.query", by="day")["rows"]
    assert day["requests"] == 4 and 0 <= time.time() * 1000 - day["start_ms"] < 25 * 3600e3
    [hour] = c.call("usage.query", by="hour", since_ms=int(time.time() * 1000) - 60000)["rows"]
    assert hour["requests"] == 4
    assert total(c, since_ms=int(time.time() * 1000) + 3600000)["requests"] == 0
    assert total(c, until_ms=int(time.time() * 1000) - 3600000)["requests"] == 0
    with pytest.raises(Exception, match="by must be"):
        c.call("usage.query", by="moon")


def test_mpc_status_says_what_today_was(daemon, provider, c):
    assert "today" not in daemon.mpc("status", check=0).out
    openai_here(daemon, provider)
    provider.script(stream("ok", usage=OPENAI_USAGE))
    c.call("prompt.run", text="hi", ref="openai:gpt-4o")
    line = [l for l in daemon.mpc("status", check=0).out.splitlines() if l.startswith("today")][0]
    assert "1 request   1000 in   200 out   $0.003" in line
    assert f"today\t1\t1000\t200\t{OPENAI_MICROUSD}" in daemon.mpc("status", "--plain", check=0).out


def test_the_table_the_chart_and_its_machine_forms(daemon, provider, c):
    assert "Nothing was asked" in daemon.mpc("usage", check=0).out
    daemon.add_provider(provider)
    c.call("prompt.run", text="hi")
    assert "scripted:m1" in daemon.mpc("usage", check=0).out
    plot = daemon.mpc("usage", "--plot", "--by", "day", check=0).out
    assert "requests/day" in plot and "█" in plot
    assert daemon.mpc("usage", "--plain", "--by", "client", check=0).out == "pytest\t1\t7\t3\t0\t0\t0\t0\n"
    assert json.loads(daemon.mpc("usage", "--json", check=0).out)["total"]["requests"] == 1
    assert daemon.mpc("usage", "--by", "moon").returncode == 2
    assert daemon.mpc("usage", "backwards").returncode == 2


def test_export_as_csv_and_json_lines(daemon, provider, c):
    daemon.add_provider(provider)
    c.call("sys.hello", protocol=1, client={"name": 'odd, "name"', "version": "1"})
    for _ in range(7):
        c.call("prompt.run", text="hi")
    table = list(csv.DictReader(io.StringIO(daemon.mpc("usage", "export", check=0).out)))
    assert len(table) == 7 and table[0]["client"] == 'odd, "name"' and table[0]["input_tokens"] == "7"
    assert table[0]["cache_write_tokens"] == ""  # unknown is not 0
    lines = [json.loads(l) for l in daemon.mpc("usage", "export", "--jsonl", check=0).out.splitlines()]
    assert [l["id"] for l in lines] == [int(r["id"]) for r in table]
    got, cursor = [], None
    while True:  # pages
        page = c.call("usage.export", limit=3, **({"cursor": cursor} if cursor else {}))
        got += page["rows"]
        cursor = page.get("next")
        if cursor is None:
            break
    assert got == lines


def test_F01_nothing_recorded_is_lost_by_kill_9(daemon, provider):
    daemon.add_provider(provider)
    done = 0
    for _ in range(5):
        with daemon.rpc() as c:
            for _ in range(4):
                c.call("prompt.run", text="hi")
                done += 1
            assert total(c)["requests"] == done
        daemon.kill()
        daemon.start()
    with daemon.rpc() as c:
        assert total(c)["requests"] == done and len(rows(c)) == done


def test_F04_restart_after_kill_9_with_100_000_rows(daemon, provider):
    daemon.add_provider(provider)
    with daemon.rpc() as c:
        c.call("prompt.run", text="hi")
    daemon.kill()
    with sqlite3.connect(daemon.data / "usage.db") as db:
        names = [r[1] for r in db.execute("PRAGMA table_info(attempts)") if r[1] != "id"]
        db.execute(f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
                   f"INSERT INTO attempts (id, {', '.join(names)}) SELECT attempts.id - i * 1000, {', '.join(names)} "
                   "FROM attempts, n")
    db.close()
    begin = time.monotonic()
    daemon.start()
    assert time.monotonic() - begin < figure(1, 6)
    daemon.kill()
    begin = time.monotonic()
    daemon.start()
    with daemon.rpc() as c:
        assert c.call("sys.ping")
    assert time.monotonic() - begin < figure(1, 6)


# ---- what programs tell of calls of their own ----

TOLD = {"input_tokens": 1000, "output_tokens": 200, "cache_read_tokens": 600}


def test_a_report_is_priced_and_counts_at_its_own_time(daemon, c):
    then = int(time.time() * 1000) - 50 * 3600_000
    got = c.call("usage.record", ref="openai:gpt-4o", usage=TOLD, at_ms=then, request_key="one", client="tool")
    assert (got["ref"], got["cost_kind"], got["cost_microusd"]) == ("openai:gpt-4o", "list", OPENAI_MICROUSD)
    c.call("usage.record", ref="openai:gpt-4o", usage=dict(TOLD, cost_microusd=9, estimated=True), request_key="two")
    c.call("usage.record", ref="openai:model-of-tomorrow", usage=TOLD, request_key="three")
    assert [r["requests"] for r in c.call("usage.query", by="day")["rows"]] == [1, 2]
    first, second, third = rows(c)
    assert (first["client"], first["reported"], first["at_ms"], first["counts"]) == ("tool", "one", then, "reported")
    assert (second["client"], second["cost_kind"], second["cost_microusd"], second["counts"]) == ("pytest", "reported", 9, "estimated")
    assert third["cost_kind"] == "unpriced" and total(c)["unpriced"] == 1
    table = list(csv.DictReader(io.StringIO(daemon.mpc("usage", "export", check=0).out)))
    assert [r["reported"] for r in table] == ["one", "two", "three"]


def test_a_report_counts_once_also_over_kill_9(daemon, c):
    told = dict(ref="openai:gpt-4o", usage=TOLD, request_key="once")
    first = c.call("usage.record", **told)
    time.sleep(0.01)
    again = c.call("usage.record", **told)
    assert {**again, "rev": 0} == {**first, "rev": 0}
    daemon.kill()
    daemon.start()
    with daemon.rpc() as c:
        with pytest.raises(Exception, match="another call"):
            c.call("usage.record", **dict(told, usage=dict(TOLD, output_tokens=201)))
        assert c.call("usage.record", **told)["at_ms"] == first["at_ms"]
        assert len(rows(c)) == 1


def test_many_reports_do_not_push_out_the_keys_of_others(c):
    c.call("model.add", provider="echo", model="x", request_key="mine")
    for i in range(300):
        c.call("usage.record", ref="echo:m", usage=TOLD, request_key=f"many-{i}")
    assert len(rows(c)) == 300
    with pytest.raises(Exception, match="conflict"):
        c.call("model.add", provider="echo", model="y", request_key="mine")


@pytest.mark.parametrize("change, words", [
    ({"at_ms": int(time.time() * 1000) + 3600_000}, "future"), ({"at_ms": int(time.time())}, "400 days"),
    ({"usage": {"input_tokens": 5}}, "needs"), ({"usage": dict(TOLD, output_tokens=-1)}, "from 0"),
    ({"usage": dict(TOLD, cost_microusd=10**15)}, "from 0"), ({"usage": dict(TOLD, input_tokens=10)}, "cannot be less"),
    ({"usage": dict(TOLD, reasoning_tokens=201)}, "cannot be less"), ({"usage": dict(TOLD, monkeys=1)}, "monkeys"),
    ({"usage": dict(TOLD, input_tokens=1.5)}, "from 0"), ({"ref": "nobody:m"}, "nobody"), ({"ref": "@chain"}, "chain"),
    ({"usage": dict(TOLD, estimated=1)}, "true or false"), ({"request_key": ""}, "empty")])
def test_a_report_that_cannot_be_is_refused(c, change, words):
    with pytest.raises(Exception, match=words):
        c.call("usage.record", **dict(dict(ref="openai:gpt-4o", usage=TOLD, request_key="k"), **change))
    assert total(c)["requests"] == 0


def test_a_report_fills_a_budget(daemon, c):
    daemon.mpc("budget", "set", "0.01", "--per", "day", "--for", "openai", check=0)
    c.call("usage.record", ref="openai:gpt-4o", usage=dict(TOLD, cost_microusd=9000), request_key="a")
    c.call("usage.record", ref="openai:gpt-4o", usage=dict(TOLD, cost_microusd=9000), request_key="b",
           at_ms=int(time.time() * 1000) - 30 * 3600_000)  # of a day that is over
    assert c.call("budget.get")["budgets"][0]["spent_microusd"] == 9000


def test_a_restart_knows_when_providers_were_used_and_how_fast(daemon, provider, c):
    daemon.add_provider(provider)
    for _ in range(3):
        provider.script(stream("ok", first=0.05))
        c.call("prompt.run", text="hi")
    c.call("usage.record", ref="openai:gpt-4o", usage=TOLD, request_key="k")  # not a use of ours
    before = c.call("provider.get", name="scripted")
    daemon.kill()
    daemon.start()
    with daemon.rpc() as c:
        after = c.call("provider.get", name="scripted")
        assert abs(after["last_used_ms"] - before["last_used_ms"]) < 1000
        assert 50 <= after["latency_p50_ms"] < 5000 and abs(after["latency_p50_ms"] - before["latency_p50_ms"]) < 40
        assert after["status"] == before["status"] and after.get("status_since_ms", 0) == 0
        assert "last_used_ms" not in c.call("provider.get", name="openai")


# ---- calls that run ----

def test_a_running_call_shows_what_it_came_to_so_far(daemon, provider, c):
    openai_here(daemon, provider)
    text = "word " * 80
    provider.script([head(chunked=True), chunk(piece({"content": text})), Hang()])
    with daemon.rpc() as other:
        stream_id = other.call("prompt.start", text="a question of forty bytes, more or less.", ref="openai:gpt-4o")["stream"]
        other.event("prompt.event", type="delta")
        [s] = c.call("prompt.list")["streams"]
        assert (s["input_tokens"], s["output_tokens"], s["estimated"]) == (10, 100, True)
        assert s["cost_microusd"] == 10 * 2.5 + 100 * 10
        assert any("~100" in l and "$0.001" in l for l in daemon.mpc("top", "--once", check=0).out.splitlines())
        other.call("prompt.cancel", stream=stream_id)
    wait_for(lambda: rows(c))
    [row] = rows(c)
    assert (row["outcome"], row["counts"], row["cost_microusd"]) == ("cancelled", "estimated", s["cost_microusd"])


# ---- the topic ----

def usage_events(c, seconds):
    got, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            got.append((c.event("state.event", timeout=end - time.monotonic(), topic="usage"), time.monotonic()))
        except TimeoutError:
            break
    return got


def test_the_topic_tells_what_today_came_to_once_a_second(daemon, provider, c):
    daemon.add_provider(provider)
    with daemon.rpc() as watcher:
        snapshot = watcher.call("state.subscribe", topics=["usage"])["snapshot"]["usage"]
        assert snapshot["total"]["requests"] == 0 and snapshot["providers"] == []
        began = time.monotonic()
        for _ in range(30):
            c.call("prompt.run", text="hi")
        took = time.monotonic() - began
        events = usage_events(watcher, 2.5)
        assert 2 <= len(events) <= 3 + took, events
        # those that came during the calls were read late: the last one was not
        assert events[-1][1] - began > 0.9 * (len(events) - 1)
        last = events[-1][0]
        assert last["value"]["total"]["requests"] == 30 and last["op"] == "update" and last["key"] == "today"
        assert [(p["provider"], p["requests"]) for p in last["value"]["providers"]] == [("scripted", 30)]
        assert last["value"]["total"] == total(c)
        assert usage_events(watcher, 1.3) == []  # nothing happens, nothing is told
    w = daemon.mpc_tty("watch", "usage")
    w.expect("now")
    c.call("prompt.run", text="hi")
    w.expect("usage      today 31 requests")


# ---- windows of plans ----

def windows(c):
    return {l["name"]: l for l in c.call("provider.get", name="claude-max").get("limits", [])}


def wait_for(what, seconds=5):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_plan_windows_are_counted_until_they_are_told(daemon):
    fake = Fake(daemon).talks().use()
    with daemon.rpc() as c:
        c.call("provider.update", name="claude-max",
               set={"rate_limits": {"rolling": 10, "window_hours": 5, "weekly": 40}})
        for i in range(3):
            c.call("prompt.run", text=f"question {i}", ref="claude-max:sonnet")
        wait_for(lambda: windows(c).get("5h", {}).get("remaining") == 7)
        told = windows(c)
        assert told["5h"]["limit"] == 10 and told["5h"]["used_permille"] == 300 and told["5h"]["estimated"]
        assert told["7d"]["limit"] == 40 and told["7d"]["used_permille"] == 75
        assert "30 % of window used" in daemon.mpc("providers", check=0).out
        assert "about 7 of 10" in daemon.mpc("provider", "show", "claude-max", check=0).out
        # it survives a restart: the ledger knows
    daemon.restart()
    with daemon.rpc() as c:
        wait_for(lambda: windows(c).get("5h", {}).get("remaining") == 7)
        event = {"type": "rate_limit_event", "rate_limit_info": {
            "status": "allowed", "resetsAt": int(time.time()) + 3600, "rateLimitType": "five_hour", "utilization": 0.61}}
        fake.answers(INIT, json.dumps(event), json.dumps({
            "type": "assistant", "message": {"id": "m", "content": [{"type": "text", "text": "ok"}]}}), DONE)
        c.call("prompt.run", text="another", ref="claude-max:sonnet")
        wait_for(lambda: not windows(c)["5h"].get("estimated"))
        time.sleep(0.1)
        assert windows(c)["5h"]["used_permille"] == 610  # what was counted does not come back over it
        assert windows(c)["7d"]["estimated"]
        assert "61 % of window used" in daemon.mpc("providers", check=0).out
