"""`mpc metrics`: what Prometheus reads, checked by a strict reader of the format and by Prometheus's own."""
import re
import time

import pytest
from harness.provider import reply, stream
from harness.rpc import RpcError

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
LINE = re.compile(rf'({NAME})(?:\{{((?:{LABEL.pattern})(?:,{LABEL.pattern})*)\}})? ([-+0-9.e]+|NaN)$')
KEY = "sk-metrics-0123456789abcdef"


def read(text):
    """{family: (type, {(name, labels): value})}; anything that is not right is an error."""
    families, name = {}, None
    assert text.endswith("\n") and "# EOF" not in text
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in families and line.split(" ", 3)[3]
        elif line.startswith("# TYPE "):
            _, _, same, kind = line.split(" ")
            assert same == name and kind in ("counter", "gauge", "histogram")
            families[name] = (kind, {})
        else:
            m = LINE.match(line)
            assert m, line
            kind, samples = families[name]
            assert m[1] == name or (kind == "histogram" and m[1] in {name + s for s in ("_bucket", "_sum", "_count")}), line
            assert kind != "counter" or name.endswith("_total")
            key = (m[1], tuple(LABEL.findall(m[2] or "")))
            assert key not in samples, line
            samples[key] = float(m[m.lastindex])
    return families


def metrics(daemon):
    text = daemon.mpc("metrics", check=0).out
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        pass
    else:
        assert list(text_string_to_metric_families(text))
    return read(text)


def value(families, name, **labels):
    found = [v for (n, ls), v in next(f for k, f in families.items() if name.startswith(k) and any(s[0] == name for s in f[1]))[1].items()
             if n == name and labels.items() <= dict(ls).items()]
    assert len(found) == 1, (name, labels, found)
    return found[0]


def check_histograms(families):
    for name, (kind, samples) in families.items():
        if kind != "histogram":
            continue
        series = {}
        for (n, labels), v in samples.items():
            series.setdefault(tuple(l for l in labels if l[0] != "le"), []).append((n, dict(labels).get("le"), v))
        for lines in series.values():
            buckets = [(float(le), v) for n, le, v in lines if n.endswith("_bucket")]
            assert buckets == sorted(buckets) and [v for _, v in buckets] == sorted(v for _, v in buckets)
            assert buckets[-1][0] == float("inf") and buckets[-1][1] == [v for n, _, v in lines if n.endswith("_count")][0]


@pytest.fixture
def asked(daemon, provider):
    daemon.add_provider(provider, key=KEY)
    provider.script(stream("ok"), stream("ok"), reply(429, {"error": {"message": "slow down"}}, extra=[("retry-after", "30")]))
    with daemon.rpc() as c:
        for _ in range(3):
            try:
                c.call("prompt.run", text="hi", ref="scripted:m1")
            except RpcError:
                pass
        c.call("usage.record", ref="openai:gpt-4o", usage={"input_tokens": 1000, "output_tokens": 200, "cost_microusd": 2500},
               request_key="k")
        c.call("budget.set", limit_microusd=10_000_000, period="day")
        yield c


def test_what_happened_is_in_it(daemon, asked):
    f = metrics(daemon)
    check_histograms(f)
    assert value(f, "modelpd_requests_total", provider="scripted", model="m1", outcome="done") == 2
    assert value(f, "modelpd_requests_total", outcome="rate_limit") == 1
    of = dict(gen_ai_provider_name="scripted", gen_ai_request_model="m1", gen_ai_operation_name="chat")
    assert value(f, "gen_ai_client_token_usage_sum", gen_ai_token_type="input", **of) == 14
    assert value(f, "gen_ai_client_token_usage_count", gen_ai_token_type="output", **of) == 2
    assert value(f, "gen_ai_client_token_usage_bucket", gen_ai_token_type="input", le="16", **of) == 2
    assert value(f, "gen_ai_client_token_usage_bucket", gen_ai_token_type="input", le="4", **of) == 0
    assert value(f, "gen_ai_client_operation_duration_seconds_count", error_type="rate_limit", **of) == 1
    assert value(f, "modelpd_cost_usd_total", provider="openai") == 0.0025
    assert value(f, "modelpd_budget_limit_usd", period="day") == 10
    assert value(f, "modelpd_budget_spent_usd", period="day") == 0.0025
    assert value(f, "modelpd_provider_up", provider="scripted") == 0
    assert 0 < value(f, "modelpd_provider_cooldown_seconds", provider="scripted") <= 30
    assert value(f, "modelpd_calls_in_flight") == 0 and value(f, "modelpd_clients") == 2
    assert value(f, "process_resident_memory_bytes") > 1 << 20
    assert abs(value(f, "process_start_time_seconds") - time.time()) < 60
    assert value(f, "modelpd_ledger_lost_total") == 0
    assert KEY not in daemon.mpc("metrics", check=0).out


def test_counters_only_grow_and_begin_anew_with_the_daemon(daemon, asked, provider):
    before = metrics(daemon)
    provider.script(stream("ok"))
    asked.call("prompt.run", text="hi", ref="scripted:m1")
    after = metrics(daemon)
    for name, (kind, samples) in before.items():
        for key, v in samples.items():
            assert kind == "gauge" or after[name][1][key] >= v
    assert value(after, "modelpd_requests_total", model="m1", outcome="done") == 3
    daemon.restart()
    assert metrics(daemon)["modelpd_requests_total"][1] == {}


def test_odd_names_and_many_of_them(daemon, asked):
    odd = 'a"b\\c'
    asked.call("usage.record", ref=f"scripted:{odd}", usage={"input_tokens": 1, "output_tokens": 1}, request_key="odd")
    f = metrics(daemon)
    assert value(f, "modelpd_requests_total", model='a\\"b\\\\c') == 1
    for i in range(300):
        asked.call("usage.record", ref=f"scripted:many-{i}", usage={"input_tokens": 1, "output_tokens": 1}, request_key=f"m{i}")
    f = metrics(daemon)
    check_histograms(f)
    assert len(f["modelpd_requests_total"][1]) <= 204
    assert value(f, "modelpd_requests_total", model="_other") == 300 - (200 - 3)
