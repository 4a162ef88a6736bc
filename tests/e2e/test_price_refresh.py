"""catalog.refresh: prices from OpenRouter's list of models or a file, whatever answers; and what was kept of them."""
import json
import os
import signal
import stat
import threading
import time

import pytest

from harness.daemon import Daemon, figure
from harness.provider import Close, Forever, Hang, Provider, Reset, Sleep, Wait, certificate, chunk, head, piece, reply, stream
from harness.rpc import RpcError

KEY = "sk-or-v1-0000000000000000000000000000000000000000"


def model(id, prompt, completion, **more):
    return {"id": id, "pricing": {"prompt": prompt, "completion": completion, **more}}


LIST = {"data": [
    model("maker/m1", "0.0000004", "0.0000016", input_cache_read="0.0000001"),
    model("openai/gpt-5.4", "0.000002", "0.00002"),
    model("anthropic/claude-haiku-4.5", "0.000001", "0.000005", input_cache_read="0.0000001", input_cache_write="0.00000125"),
    model("openrouter/auto", "-1", "-1"),
    model("maker/odd", "NaN", "1e999"),
]}
USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 300}}


@pytest.fixture
def lab(daemon, provider):
    """The daemon's openrouter is the scripted provider."""
    daemon.mpc("provider", "set", "openrouter", "type=local", "auth_type=optional-key", f"base_url={provider.url}", check=0)
    provider.models = LIST
    return provider


def snapshot(d):
    return d.home / ".cache" / "modelpd" / "prices.json"


def refresh(d, **params):
    with d.rpc(timeout=60) as c:
        return c.call("catalog.refresh", **params)


def info(d):
    with d.rpc() as c:
        return c.call("catalog.info")


def refused(d, **params):
    """The error of a refresh that changes nothing."""
    before, kept = info(d), snapshot(d).read_bytes() if snapshot(d).is_file() else None
    with pytest.raises(RpcError) as e:
        refresh(d, **params)
    assert info(d) == before
    assert (snapshot(d).read_bytes() if snapshot(d).is_file() else None) == kept
    assert e.value.error.get("hint"), e.value.error
    return e.value


def cost(d, p, ref="openrouter:maker/m1"):
    """What the ledger says a call costs, in micro-USD."""
    p.script(stream("x", usage=USAGE))
    with d.rpc() as c:
        assert c.prompt("hello", ref=ref).ok
        row = c.call("usage.export", limit=5000)["rows"][-1]
    return row.get("cost_microusd"), row["cost_kind"]


# ---- a good list ----

def test_a_refresh_changes_what_calls_cost_to_the_micro_dollar(daemon, lab):
    before = info(daemon)
    assert before["source"] == "catalogue" and before["models"] > 50 and before["date_ms"] == 1795305600000
    assert cost(daemon, lab) == (0, "free")  # of this machine, and no price is known
    done = refresh(daemon)
    assert done["source"] == "openrouter" and done["from"] == lab.url + "/models"
    # three of the gateway's, and two that their makers sell
    assert (done["models"], done["added"], done["changed"]) == (5, 3, 1)
    assert (done["dearer"], done["cheaper"], done["gone"], done["unpriced"], done["refused"]) == (1, 0, 0, 1, 1)
    assert abs(done["date_ms"] - time.time() * 1000) < 60000
    # 700 x 0.40 + 300 x 0.10 + 200 x 1.60
    assert cost(daemon, lab) == (280 + 30 + 320, "list")
    assert stat.S_IMODE(snapshot(daemon).stat().st_mode) == 0o600
    assert info(daemon)["counts"]["refreshed"] == 5


def test_no_key_is_sent(daemon, lab):
    daemon.mpc("key", "set", "openrouter", "--stdin", "--no-check", input=KEY.encode(), check=0)
    refresh(daemon)
    asked = [r for r in lab.requests if r.path == "/v1/models"][-1]
    assert asked.header("authorization") is None and KEY not in asked.raw.decode()


def test_it_works_while_the_keys_are_locked(daemon, lab):
    daemon.mpc("passwd", "--stdin", input=b"correct horse battery\n", check=0)
    daemon.mpc("lock", check=0)
    assert refresh(daemon)["models"] == 5


def test_a_refresh_is_told_once(daemon, lab):
    with daemon.rpc() as c:
        c.call("state.subscribe", topics=["models"], snapshot=False)
        refresh(daemon)
        e = c.event("state.event", topic="models", timeout=5)
        assert e["op"] == "update" and e["cause"]["reason"] == "prices" and e["key"] == ""
        daemon.mpc("nick", "echo:x", "then", check=0)
        assert c.event("state.event", topic="models", timeout=5)["key"] == "echo:x"


def test_the_same_list_again_changes_nothing(daemon, lab):
    refresh(daemon)
    again = refresh(daemon)
    assert (again["models"], again["changed"], again["added"], again["gone"]) == (5, 0, 0, 0)


def test_a_price_that_falls_and_one_that_is_gone(daemon, lab):
    refresh(daemon)
    lab.models = {"data": [m for m in LIST["data"] if m["id"] != "maker/m1"] + [model("maker/m2", "0", "0")]}
    lab.models["data"][0] = model("openai/gpt-5.4", "0.000001", "0.00001")
    done = refresh(daemon)
    # the gateway's and its maker's; m1 is gone, m2 is new
    assert (done["changed"], done["cheaper"], done["dearer"], done["added"], done["gone"]) == (2, 2, 0, 1, 1)
    assert cost(daemon, lab) == (None, "unpriced")
    assert cost(daemon, lab, "openrouter:maker/m2") == (0, "list")


def test_an_answer_byte_by_byte(daemon):
    p = Provider(split=True)
    daemon.mpc("provider", "set", "openrouter", "type=local", "auth_type=none", f"base_url={p.url}", check=0)
    p.models = LIST
    assert refresh(daemon)["models"] == 5
    p.close()


def test_over_tls_and_with_a_slash_at_the_end(daemon):
    p = Provider(tls=certificate(daemon.root))
    p.models = LIST
    daemon.mpc("provider", "set", "openrouter", "type=local", f"base_url={p.url}/", check=0)
    assert "cannot be fetched" in refused(daemon).message
    daemon.mpc("provider", "set", "openrouter", f"ca_file={daemon.root}/cert.pem", check=0)
    assert refresh(daemon)["models"] == 5
    p.close()


def test_a_list_of_full_size(daemon, lab):
    """As large as OpenRouter's: it stalls nobody, and a start with it is as quick as one without."""
    filler = {"name": "x" * 60, "description": "y" * 1500, "architecture": {"input_modalities": ["text"]}}
    lab.models = {"data": [dict(model(f"maker{i % 50}/model-{i}", f"0.{i + 1:010}", f"0.{i + 2:010}"), **filler) for i in range(800)]}
    assert len(json.dumps(lab.models)) > 1 << 20
    with daemon.rpc() as c:
        slowest = []
        t = threading.Thread(target=lambda: slowest.append(refresh(daemon)["models"]))
        t.start()
        while t.is_alive():
            started = time.monotonic()
            c.call("sys.ping")
            slowest.append(time.monotonic() - started)
        t.join()
    assert 800 in slowest
    slowest.remove(800)
    assert max(slowest) < figure(0.1, 1.0), max(slowest)


# ---- lists that are none ----

@pytest.mark.parametrize("what, steps, code", [
    ("wrong JSON", reply(200, '{"data":['), "upstream_error"),
    ("a page", reply(200, "<html>Welcome to the hotel</html>", "text/html"), "upstream_error"),
    ("nothing", reply(200, ""), "upstream_error"),
    ("another JSON", reply(200, {"prices": []}), "upstream_error"),
    ("an error inside of a 200", reply(200, {"error": {"message": "no", "code": 500}}), "upstream_error"),
    ("no models", reply(200, {"data": []}), "upstream_error"),
    ("models without a price", reply(200, {"data": [model("a/b", "-1", "-1"), model("a/c", "NaN", "NaN"), {"id": "a/d"}]}),
     "upstream_error"),
    ("only prices that cannot be", reply(200, {"data": [model("a/b", "1e999", "-5"), model("a/c", "0.1", "0.1")]}), "upstream_error"),
    ("a price file", reply(200, {"prices": [{"provider": "openai", "model": "m", "input": "1", "output": "1"}]}), "upstream_error"),
    ("401", reply(401, {"error": {"message": "No auth"}}), "upstream_error"),
    ("404", reply(404, {}), "not_found"),
    ("500", reply(500, "x" * 100000), "upstream_error"),
    ("cut off", [head(200, "application/json", 5000) + b'{"data":[', Close()], None),
    ("a reset", [head(200, "application/json", 5000) + b'{"data":[', Reset()], None),
    ("hung up at once", [Close()], None),
    ("not HTTP", [b"220 mail.example ESMTP\r\n", Close()], None),
])
def test_what_is_no_list_changes_nothing(daemon, lab, what, steps, code):
    refresh(daemon)
    lab.models = lambda r: steps
    e = refused(daemon)
    assert code is None or e.code == code, e.error
    assert lab.url in e.message
    lab.models = LIST
    assert refresh(daemon)["changed"] == 0


def test_a_redirect_is_not_followed(daemon, lab):
    other = Provider()
    other.models = LIST
    lab.models = lambda r: [head(302, None, 0, extra=[("Location", other.url + "/models")])]
    refused(daemon)
    assert other.requests == []
    other.close()


def test_an_answer_without_end_is_given_up(daemon, lab):
    """200 MB: in one piece, in chunks and as an endless line."""
    memory = daemon.rss_kib()
    for steps in ([head(200, "application/json", 200 << 20), Forever(b" " * 65536, limit=200 << 20)],
                  [head(200, "application/json", chunked=True), Forever(chunk(b'{"data":[' + b"[" * 65536), limit=200 << 20)],
                  [head(200, "application/json"), Forever(b'"' + b"x" * 65536, limit=200 << 20)]):
        lab.models = lambda r: steps
        e = refused(daemon)
        assert e.code in ("too_large", "upstream_error"), e.error
    assert daemon.rss_kib() - memory < figure(40 << 10, 200 << 10)


def test_more_than_a_list_may_have(daemon, lab):
    lab.models = {"data": [model("a/b", "0", "0")], "x": "y" * (9 << 20)}
    assert refused(daemon).code == "too_large"
    lab.models = {"data": [model(f"a/{i}", "0", "0") for i in range(9000)]}
    assert refused(daemon).code == "too_large"


def test_a_list_of_nests_and_of_doubles(daemon, lab):
    lab.models = lambda r: reply(200, '{"data":' + "[" * 100000 + "]" * 100000 + "}")
    refused(daemon)
    lab.models = {"data": [model("a/b", "0.000001", "0.000001"), model("a/b", "0.000002", "0.000002")]}
    refused(daemon)


def test_one_that_says_nothing_is_given_up():
    p = Provider()
    d = Daemon("--test-timeouts", "300")
    try:
        d.mpc("provider", "set", "openrouter", "type=local", "auth_type=none", f"base_url={p.url}", check=0)
        p.models = LIST
        refresh(d)
        for steps in ([Hang()], [head(200, "application/json", 500) + b'{"data"', Hang()]):
            p.models = lambda r: steps
            assert refused(d).code == "timeout"
    finally:
        d.close()
        p.close()


def test_a_list_that_shrank_wants_a_word(daemon, lab):
    refresh(daemon)
    lab.models = {"data": [model("maker/m1", "0.0000004", "0.0000016")]}
    e = refused(daemon)
    assert e.code == "conflict" and "1 models, the present list of 5" in e.message and "--force" in e.error["hint"]
    assert refresh(daemon, force=True)["models"] == 1


def test_a_disabled_provider_is_not_asked(daemon, lab):
    daemon.mpc("provider", "disable", "openrouter", check=0)
    count = len(lab.requests)
    assert refused(daemon).code == "invalid_state"
    assert len(lab.requests) == count


# ---- two at once, and one that nobody wants any more ----

def test_a_second_one_is_told_that_one_runs(daemon, lab):
    gate = threading.Event()
    lab.models = lambda r: [Wait(gate)] + reply(200, LIST)
    with daemon.rpc(timeout=60) as c:
        first = c.send("catalog.refresh")
        while not any(r.path == "/v1/models" for r in lab.requests):
            time.sleep(0.01)
        with pytest.raises(RpcError) as e:
            refresh(daemon, text="{}")
        assert e.value.code == "busy"
        gate.set()
        assert c.wait(first)["models"] == 5


def test_whoever_leaves_takes_his_refresh_along(daemon, lab):
    lab.models = lambda r: [head(200, "application/json", 500) + b'{"data"', Hang()]
    c = daemon.rpc()
    c.send("catalog.refresh")
    while not any(r.path == "/v1/models" for r in lab.requests):
        time.sleep(0.01)
    c.close()
    deadline = time.monotonic() + 5
    while not lab.gone and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lab.gone
    lab.models = LIST
    assert refresh(daemon)["models"] == 5


# ---- a text ----

FILE = {"prices": [{"provider": "openai", "model": "gpt-x", "input": "1.25", "output": "10", "cache_read": "0.125"},
                   {"provider": "openrouter", "model": "maker/m1", "input": "2", "output": "4"}]}


def test_a_price_file(daemon, lab):
    done = refresh(daemon, source="prices.json", text=json.dumps(FILE))
    assert (done["source"], done["from"], done["models"], done["added"]) == ("file", "prices.json", 2, 2)
    assert cost(daemon, lab) == (2000 + 800, "list")
    assert lab.requests[0].path != "/v1/models"


def test_openrouters_list_from_a_file(daemon):
    assert refresh(daemon, source="models.json", text=json.dumps(LIST))["source"] == "openrouter"


def test_every_mistake_of_a_file_comes_back(daemon):
    text = '{"prices": [\n  {"provider": "openai", "model": "m", "input": 1, "output": "1", "unit": "USD"},\n  {"provider": "nobody"}\n]}'
    e = refused(daemon, source="prices.json", text=text)
    assert e.code == "invalid_params" and e.message.startswith("prices.json is no price list: prices[0]")
    problems = e.error["data"]["problems"]
    assert [(p["line"], p["message"].split(":")[0]) for p in problems] == [
        (2, "prices[0]"), (2, "prices[0].input"), (3, "prices[1].provider"), (3, "prices[1].model"), (3, "prices[1].input"),
        (3, "prices[1].output")]


def test_the_daemon_reads_no_files(daemon):
    secret = daemon.root / "prices.json"
    secret.write_text(json.dumps(FILE))
    assert refused(daemon, source=str(secret)).code == "invalid_params"


def test_a_text_that_is_too_large_or_empty(daemon):
    assert refused(daemon, text="").code == "invalid_params"
    assert refused(daemon, text=" " * ((8 << 20) + 1)).code == "too_large"


# ---- what is kept ----

def test_it_is_there_after_a_restart_and_a_crash(daemon, lab):
    refresh(daemon)
    before = info(daemon)
    daemon.restart()
    assert info(daemon) == before
    assert cost(daemon, lab) == (630, "list")
    daemon.kill()
    daemon.start()
    assert info(daemon) == before
    lab.models = {"data": LIST["data"] + [model("maker/m2", "0", "0")]}
    assert (refresh(daemon)["added"], info(daemon)["models"]) == (1, 6)


@pytest.mark.parametrize("damage", ["a digit", "half", "nothing", "newer", "foreign", "large", "a pipe", "a link", "a folder"])
def test_what_cannot_be_used_is_left_alone(daemon, lab, damage):
    refresh(daemon)
    daemon.stop()
    path = snapshot(daemon)
    text = path.read_text()
    path.unlink()
    if damage == "a pipe":
        os.mkfifo(path)
    elif damage == "a link":
        path.symlink_to("/dev/zero")
    elif damage == "a folder":
        path.mkdir()
    else:
        path.write_text({"a digit": text.replace('"0.40"', '"0.30"').replace('"0.4"', '"0.3"'), "half": text[:len(text) // 2], "nothing": "",
                         "newer": '{"modelpd_prices":2,"rows":"x"}', "foreign": json.dumps(LIST), "large": " " * (3 << 20)}[damage])
    daemon.start()
    said = info(daemon)
    assert said["source"] == "catalogue" and said["problem"] and said["counts"]["refreshed"] == 0
    assert "price list that was kept is not used" in daemon.log()
    assert cost(daemon, lab) == (0, "free")
    if damage == "a folder":
        assert refused(daemon).code == "storage"
        return
    refresh(daemon)
    assert "problem" not in info(daemon)


def test_a_cache_that_takes_nothing(daemon, lab):
    cache = snapshot(daemon).parent
    cache.mkdir(mode=0o755, parents=True)
    cache.chmod(0o755)
    e = refused(daemon)
    assert e.code == "not_permitted"
    cache.chmod(0o700)
    assert refresh(daemon)["models"] == 5


def test_killed_while_it_is_kept_it_is_the_old_or_the_new_one(daemon, lab):
    """Many times at many moments; what was acknowledged is never lost."""
    refresh(daemon)
    many = [model(f"maker/filler-{i}", "0.000001", "0.000001") for i in range(2000)]
    sizes = {5: 5, 2005: 2005}
    known = 5
    for i in range(12):
        lab.models = {"data": LIST["data"] + (many if known == 5 else [])}
        wanted = 2005 if known == 5 else 5
        c = daemon.rpc(timeout=20)
        c.send("catalog.refresh", {"force": True})
        time.sleep(0.004 * i)
        daemon.kill()
        c.close()
        daemon.start()
        said = info(daemon)
        assert said["models"] in sizes and "problem" not in said, said
        assert said["models"] in (known, wanted)
        known = said["models"]


# ---- mpc ----

def test_mpc_says_what_became_of_it(daemon, lab):
    assert "none yet: mpc catalog refresh" in daemon.mpc("catalog", check=0).out
    out = daemon.mpc("catalog", "refresh", check=0)
    assert f"Prices of 5 models of providers, from {lab.url}/models." in out.out
    assert "1 changed (1 dearer, 0 cheaper), 3 new, 0 gone" in out.out and "1 more have no price per token" in out.out
    assert "1 were left out" in out.err
    assert "none of them is another one" in daemon.mpc("catalog", "refresh", check=0).out
    assert f"just now, from {lab.url}/models" in daemon.mpc("catalog", check=0).out
    assert daemon.mpc("catalog", "refresh", "--plain", check=0).out == "5\t0\t0\t0\t0\t0\n"
    assert json.loads(daemon.mpc("catalog", "refresh", "--json", check=0).out)["models"] == 5
    assert "refreshed" in daemon.mpc("catalog", "show", "openrouter:maker/m1", check=0).out
    assert '"openrouter" is from just now' in daemon.mpc("doctor").out


def test_mpc_sends_a_file(daemon, lab):
    path = daemon.home / "prices.json"
    path.write_text(json.dumps(FILE))
    assert "Prices of 2 models of providers, from prices.json." in daemon.mpc("catalog", "refresh", "prices.json", check=0).out
    assert "from stdin" in daemon.mpc("catalog", "refresh", "-", input=json.dumps(LIST).encode(), check=0).out
    said = daemon.mpc("catalog", "refresh", "-", input=b'{"prices": [\n {"provider": "openai"}]}', check=2)
    assert "stdin:2:2: prices[0].model: is missing" in said.err and "nothing was changed" in said.err
    assert "cannot open nowhere.json" in daemon.mpc("catalog", "refresh", "nowhere.json", check=2).err
    path.write_bytes(b" " * ((8 << 20) + 1))
    assert "at most 8 MiB" in daemon.mpc("catalog", "refresh", "prices.json", check=1).err
    path.write_text(json.dumps({"prices": FILE["prices"][:1]}) + " " * (7 << 20))
    assert "present list of 5" in daemon.mpc("catalog", "refresh", "prices.json", check=9).err
    daemon.mpc("catalog", "refresh", "prices.json", "--force", check=0)
    assert not any(r.path == "/v1/models" for r in lab.requests)


def test_mpc_doctor_says_that_what_was_kept_is_damaged(daemon, lab):
    refresh(daemon)
    daemon.stop()
    snapshot(daemon).write_text("{")
    daemon.start()
    out = daemon.mpc("doctor").out
    assert "the list that was kept is not used: it is damaged" in out and "fix: mpc catalog refresh" in out
    assert "not used: it is damaged" in daemon.mpc("catalog", check=0).out


# ---- whose word counts ----

def test_what_the_user_set_is_above_any_list(daemon, lab):
    daemon.mpc("catalog", "set", "openrouter:maker/m1", "--input", "100", "--output", "100", check=0)
    refresh(daemon)
    assert cost(daemon, lab) == (120000, "own")
    daemon.mpc("catalog", "unset", "openrouter:maker/m1", check=0)
    assert cost(daemon, lab) == (630, "list")
