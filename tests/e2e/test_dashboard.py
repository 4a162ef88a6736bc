"""What one sees at a glance: `mpc`, `mpc providers` and the line of a status bar (UX.md sections 5 and 10)."""
import re
import time

import pytest

from harness.provider import reply

MINUTE = 60_000


@pytest.fixture
def lab(make_daemon, make_provider):
    """Two providers: "plan" is the choice, "gate" has a key."""
    d = make_daemon(start=False)
    d.clock
    d.start()
    d.plan, d.gate = make_provider(), make_provider()
    with d.rpc() as c:
        c.call("provider.add", name="plan", base_url=d.plan.url, dialect="openai-chat", type="local", auth_type="none")
        c.call("provider.add", name="gate", base_url=d.gate.url, dialect="openai-chat", type="local",
               auth_type="api-key")
        c.call("key.set", provider="gate", secret="sk-gate-00000000000000000f3a9")
        c.call("route.set", ref="plan:sonnet")
    return d


def table(d):
    """mpc providers: name -> the other columns, in the order of the lines."""
    lines = d.mpc("providers", check=0).out.splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == ["NAME", "TYPE", "AUTH", "MODELS", "LAST USE", "P50", "STATUS"]
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]
    return {(row[1] if row[0] in "●*" else row[0]): row for row in rows}


def test_the_table_of_providers(lab):
    rows = table(lab)
    assert list(rows)[0] == "plan" and list(rows)[1:] == sorted(list(rows)[1:])
    assert rows["plan"][0] == "●" and rows["plan"][-1] == "active"
    assert rows["gate"] == ["gate", "local", "key …f3a9", "0", "-", "-", "available"]
    assert rows["gemini"][2] == "no key" and rows["gemini"][-1] == "no-credential"
    assert rows["claude-max"][1:3] == ["plan", "login"]
    with lab.rpc() as c:
        assert c.prompt("x").ok
        c.call("session.start", provider="gate", model="gpt-4", check=False, duration_ms=27 * MINUTE)
        assert c.prompt("x").ok
    rows = table(lab)
    # the one that is tested is the active one now, and stands on top
    assert list(rows)[0] == "gate" and rows["gate"][-1] == "active, test 27 min left"
    assert rows["gate"][5] == "now" and re.fullmatch(r"\d+ms", rows["gate"][6])
    assert rows["plan"][4] == "now" and rows["plan"][-1] == "available"
    lab.clock.sleep(28 * 60)
    rows = table(lab)
    assert list(rows)[0] == "plan" and rows["plan"][-1] == "active"
    lab.gate.script(reply(401, {"error": {"message": "no such key"}}))
    with lab.rpc() as c:
        assert c.prompt("x", ref="gate:gpt-4").code == "auth_rejected"
    assert table(lab)["gate"][-1].startswith("error: ") and "401" in table(lab)["gate"][-1]


def test_mpc_alone_says_what_is_active_and_what_comes_after(lab):
    with lab.rpc() as c:
        c.call("session.start", provider="gate", model="gpt-4", check=False, duration_ms=27 * MINUTE)
    lines = lab.mpc(check=0).out.splitlines()
    assert re.fullmatch(r"active  gate:gpt-4 +test, 27 min left → plan:sonnet", lines[0])
    assert re.fullmatch(r"daemon  0\.\d+\.\d+, up .*, \d+ clients?.*", lines[-1])


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_status_bar_sees_tests_come_and_the_daemon_go(lab, end):
    bar = lab.mpc_tty("watch", "--format", "{active.nick|active.ref} {session.left}")
    bar.expect("plan:sonnet ")
    with lab.rpc() as c:
        c.call("model.nick", ref="gate:gpt-4", nick="four")
        c.call("session.start", provider="gate", model="gpt-4", check=False, duration_ms=27 * MINUTE)
    bar.expect("four 27 min")
    seen = len(bar.output)
    getattr(lab, end)()
    bar.expect("\n-\r\n")
    lab.start()
    deadline = time.monotonic() + 20
    while b"four 27 min" not in bar.output[seen:]:
        assert time.monotonic() < deadline, bar.output
        bar.read()
    bar.type("\x03")
    assert bar.wait() == 130
