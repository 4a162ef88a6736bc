"""A program that has answered waits for the next turn of its conversation (FAULTS.md section 7 holds for it, too)."""
import os
import signal
import threading
import time

import pytest

from harness.daemon import figure
from harness.program import INIT, Fake, alive, children, said

PATIENCE_S = 2
FAST = ["--test-timeouts", str(PATIENCE_S * 1000)]
REF = "claude-max:sonnet"


@pytest.fixture
def fake(make_daemon):
    return Fake(make_daemon(*FAST))


class Talk:
    """One conversation, as an editor keeps it."""

    def __init__(self, fake, system=None):
        self.daemon = fake.daemon
        self.messages = [{"role": "system", "content": system}] if system else []

    def say(self, text, **params):
        self.messages.append({"role": "user", "content": text})
        with self.daemon.rpc() as c:
            a = c.prompt(ref=REF, messages=self.messages, **params).check_grammar()
        if a.ok:
            self.messages.append({"role": "assistant", "content": a.text})
        return a


def turns(fake):
    return [(a["pid"], a["turn"]) for a in fake.asked()]


def one_pid(fake):
    assert len(fake.pids()) == 1, fake.pids()
    return fake.pids()[0]


# ---- the conversation ----

def test_a_second_turn_goes_to_the_program_that_knows_the_first(fake):
    fake.talks().use()
    t = Talk(fake, system="rules")
    answers = [t.say(text) for text in ("one", "two", "three")]
    assert [a.text for a in answers] == ["answer 1 to one", "answer 2 to two", "answer 3 to three"]
    pid = one_pid(fake)
    assert turns(fake) == [(pid, 1), (pid, 2), (pid, 3)]
    # usage is each turn's own, and a plan pays nothing
    assert [a.last["usage"]["input_tokens"] for a in answers] == [10, 20, 30]
    assert all(a.last["usage"]["cost_microusd"] == 0 for a in answers)


def test_each_turn_costs_its_own_where_a_key_pays(fake):
    fake.talks("INIT = INIT.replace('none', 'apiKeyHelper')\nanswer('x')").use()
    t = Talk(fake)
    assert [t.say(text).last["usage"]["cost_microusd"] for text in ("one", "two", "three")] == [250_000] * 3
    with fake.daemon.rpc() as c:  # money, though the provider has a plan
        assert {row["cost_kind"] for row in c.call("usage.export")["rows"]} == {"reported"}
        total = c.call("usage.query")["total"]
        assert (total["cost_microusd"], total["plan_microusd"]) == (750_000, 0)
    one_pid(fake)


def test_two_conversations_are_never_mixed(fake):
    fake.talks().use()
    talks = [Talk(fake), Talk(fake), Talk(fake, system="others"), Talk(fake, system="rules")]
    for i, t in enumerate(talks[1:]):
        t.say(f"first of {i}")
    talks[0].say("first of 0")  # the same words as another one: either program knows them, and only them
    for _ in range(2):
        for i, t in enumerate(talks):
            assert t.say(f"more of {i}").ok
    known = {}
    for a in fake.asked():
        if a["turn"] == 1:
            known[a["pid"]] = a["text"]
            continue
        assert a["text"].startswith("more of"), a
    # four conversations and three places: who came back too late told its program everything anew
    for pid, text in known.items():
        others = {a["text"][-1] for a in fake.asked() if a["pid"] == pid and a["turn"] > 1}
        assert len(others) <= 1, (text, others)


def test_whatever_differs_starts_anew(fake):
    fake.talks().use()
    for change in ("user", "answer", "system", "model", "effort"):
        t = Talk(fake, system="rules")
        t.say("one")
        before = len(fake.pids())
        params = {}
        if change in ("user", "answer", "system"):
            i = {"system": 0, "user": 1, "answer": 2}[change]
            t.messages[i]["content"] += "!"
        elif change == "effort":
            params["options"] = {"reasoning_effort": "high"}
        t.messages.append({"role": "user", "content": "two"})
        with fake.daemon.rpc() as c:
            ref = "claude-max:opus" if change == "model" else REF
            assert c.prompt(ref=ref, messages=t.messages, **params).ok
        assert len(fake.pids()) == before + 1, change
        assert "oldest message first" in fake.asked()[-1]["text"]


def test_only_what_was_told_is_taken_for_known(fake):
    fake.talks("answer('told', result='said otherwise')").use()
    t = Talk(fake)
    t.say("one")
    fake.gone_within(6)
    t.say("two")
    assert [n for _, n in turns(fake)] == [1, 1]


def test_an_answer_in_pieces_is_known_as_a_whole(fake):
    fake.talks("answer('told')").use()
    t = Talk(fake)
    t.say("one")
    t.messages[-1]["content"] = [{"type": "text", "text": "to"}, {"type": "text", "text": "ld"}]
    t.say("two")
    assert [n for _, n in turns(fake)] == [1, 2]


# ---- places ----

def test_a_new_conversation_does_not_wait_for_old_ones(fake):
    fake.talks("time.sleep(0.2)\nanswer('x')").use()
    for i in range(6):
        assert Talk(fake).say(f"conversation {i}").ok
        assert sum(alive(p) for p in fake.pids()) <= 4
    deadline = time.monotonic() + 6
    while sum(alive(p) for p in fake.pids()) > 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_four_at_once_take_the_places_of_those_that_wait(fake):
    fake.talks("time.sleep(0.3)\nanswer('x')").use()
    for i in range(3):
        Talk(fake).say(f"old {i}")
    most = 0
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(Talk(fake).say(f"new {i}").ok)) for i in range(6)]
    for t in threads:
        t.start()
    while any(t.is_alive() for t in threads):
        most = max(most, sum(alive(p) for p in fake.pids()))
        time.sleep(0.01)
    assert results == [True] * 6 and most <= 4


# ---- ends ----

def test_nobody_comes(fake):
    fake.talks().use()
    Talk(fake).say("one")
    assert alive(one_pid(fake))
    fake.gone_within(3 * PATIENCE_S + 6)


@pytest.mark.parametrize("how", ["disable", "set", "remove", "reload", "SIGHUP"])
def test_it_ends_with_what_it_belongs_to(make_daemon, how):
    fake = Fake(make_daemon("--test-timeouts", "60000"))
    fake.talks().use()
    Talk(fake).say("one")
    pid = one_pid(fake)
    time.sleep(0.2)
    assert alive(pid)
    if how == "reload":
        fake.daemon.mpc("daemon", "reload", check=0)
    elif how == "SIGHUP":
        fake.daemon.signal(signal.SIGHUP)
    else:
        words = {"disable": ["disable", "claude-max"], "remove": ["remove", "claude-max", "--yes"],
                 "set": ["set", "claude-max", "proxy=http://127.0.0.1:9"]}[how]
        fake.daemon.mpc("provider", *words, check=0)
    fake.gone_within(6)


def test_news_of_a_provider_does_not_end_it(fake):
    fake.talks().use()
    t = Talk(fake)
    t.say("one")
    fake.daemon.mpc("switch", REF, check=0)
    fake.daemon.mpc("provider", "disable", "openai", check=0)
    t.say("two")
    one_pid(fake)


def test_a_provider_that_changes_in_the_middle_is_not_asked_again(fake):
    fake.talks("out(INIT)\ntime.sleep(0.6)\nanswer('x')").use()
    t = Talk(fake)
    thread = threading.Thread(target=t.say, args=("one",))
    thread.start()
    deadline = time.monotonic() + 10
    while not fake.pids():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    fake.daemon.mpc("provider", "set", "claude-max", "display_name=Mine", check=0)
    thread.join()
    fake.gone_within(6)


def test_a_cancelled_turn_is_the_last(fake):
    fake.talks("if turn == 2: time.sleep(60)\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    t.messages.append({"role": "user", "content": "two"})
    with fake.daemon.rpc() as c:
        s = c.call("prompt.start", ref=REF, messages=t.messages)["stream"]
        deadline = time.monotonic() + 10
        while len(turns(fake)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        c.call("prompt.cancel", stream=s)
        assert c.collect(s).last["stop"] == "cancelled"
    fake.gone_within(6)
    del t.messages[-1]
    t.say("again")
    assert [n for _, n in turns(fake)] == [1, 2, 1]


def test_F99_dies_while_it_waits(fake):
    fake.talks().use()
    t = Talk(fake)
    t.say("one")
    os.kill(one_pid(fake), signal.SIGKILL)
    fake.gone_within(6)
    assert t.say("two").ok
    assert [n for _, n in turns(fake)] == [1, 1]


@pytest.mark.parametrize("end", ["sys.exit(0)", "sys.exit(3)", "os.kill(os.getpid(), 9)", "os.close(1)\ntime.sleep(60)"])
def test_F99_dies_when_it_is_asked_again(fake, end):
    """It took nothing of the turn: a new one is asked, and nobody notices."""
    fake.talks("if turn == 2:\n" + "".join(f"    {line}\n" for line in end.splitlines()) + "answer('x')").use()
    t = Talk(fake)
    t.say("one")
    a = t.say("two")
    assert a.ok and a.text == "x" and len([e for e in a.events if e["type"] == "start"]) == 1
    assert [n for _, n in turns(fake)] == [1, 2, 1]
    assert "oldest message first" in fake.asked()[-1]["text"]


def test_F99_dies_in_the_middle_of_the_second_turn(fake):
    fake.talks("if turn == 2:\n    out(INIT, " + repr(said("half")) + ")\n    sys.exit(7)\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    a = t.say("two")
    assert a.text == "half" and a.last["partial"] and "code 7" in a.last["message"]
    assert len(fake.pids()) == 1


def test_an_error_is_the_end_of_it(fake):
    fake.talks("if turn == 2:\n    out('{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":529,"
               "\"result\":\"API Error: 529 Overloaded\"}')\n    continue\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    a = t.say("two")
    assert not a.ok and "Overloaded" in a.last["message"]
    fake.gone_within(6)


def test_F100_floods_while_it_waits(fake):
    fake.talks("answer('x')\ntime.sleep(0.3)\nwhile True: out('{\"type\":\"noise\"}' * 1000)").use()
    before = fake.daemon.rss_kib()
    t = Talk(fake)
    t.say("one")
    fake.gone_within(6)
    assert t.say("two").ok
    assert fake.daemon.rss_kib() - before < figure(16, 64) * 1024


def test_F100_floods_in_the_second_turn(fake):
    fake.talks("line = json.dumps({'type': 'noise', 'x': 'y' * 60000})\nwhile turn == 2: out(line)\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    a = t.say("two", timeout=60)
    assert a.code == "upstream_error" and "more than 32 MiB" in a.last["message"]
    fake.gone_within(6)


def test_F100_silent_in_the_second_turn(fake):
    fake.talks("if turn == 2: time.sleep(60)\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    start = time.monotonic()
    a = t.say("two")
    assert a.code == "timeout" and time.monotonic() - start < PATIENCE_S * 1.5 + 1
    fake.gone_within(6)


@pytest.mark.parametrize("leave", ["pass", "os.setsid()"])
def test_F100_forks_twice_and_waits(fake, leave):
    fake.talks("if turn == 1 and os.fork() == 0:\n"
               f"    {leave}\n"
               "    if os.fork() == 0:\n"
               "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
               "        open(N + '/pids', 'a').write(f'{os.getpid()}\\n')\n"
               "        time.sleep(60)\n"
               "    os._exit(0)\n"
               "if turn == 1:\n"
               "    os.wait()\n"
               "    while len(open(N + '/pids').read().split()) < 2: time.sleep(0.01)\n"
               "answer('x')").use()
    t = Talk(fake)
    t.say("one")
    t.say("two")
    assert [n for _, n in turns(fake)] == [1, 2]
    fake.daemon.mpc("provider", "disable", "claude-max", check=0)
    fake.gone_within(6)
    deadline = time.monotonic() + 5
    while children(fake.daemon.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("deaf", [False, True])
def test_F100_none_left_after_the_daemon(fake, deaf):
    fake.talks(("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if deaf else "") + "answer('x')").use()
    for i in range(3):
        Talk(fake).say(f"conversation {i}")
    assert len(fake.pids()) == 3 and all(alive(p) for p in fake.pids())
    start = time.monotonic()
    fake.daemon.mpc("daemon", "stop", check=0)
    assert fake.daemon.wait_exit() == 0
    fake.gone_within(1)
    assert time.monotonic() - start < figure(6, 8)
    assert not [p for p in fake.daemon.run.iterdir() if p.name.startswith("modelpd-child-")]


def test_F100_descriptors_come_back(fake):
    fake.talks().use()
    Talk(fake).say("warm up")
    fake.daemon.mpc("daemon", "reload", check=0)
    fake.gone_within(6)
    before = fake.daemon.fds()
    for i in range(5):
        t = Talk(fake)
        for _ in range(3):
            t.say(f"conversation {i}")
    fake.daemon.mpc("daemon", "reload", check=0)
    fake.gone_within(6)
    deadline = time.monotonic() + 5
    while fake.daemon.fds() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fake.daemon.fds() <= before


@pytest.mark.parametrize("line, code", [("nonsense", "upstream_error"), ('{"type":"new"}', None),
                                        ('{"type":"noise","x":"' + "y" * (1 << 20) + '"}', "upstream_error")],
                         ids=["no JSON", "a new kind", "too long"])
def test_F101_odd_lines_in_the_second_turn(fake, line, code):
    (fake.notes / "line").write_text(line)
    fake.talks("if turn == 2: out(open(N + '/line').read())\nanswer('x')").use()
    t = Talk(fake)
    t.say("one")
    a = t.say("two")
    assert (a.code if not a.ok else None) == code
    if code:
        fake.gone_within(6)


def test_F103_the_second_turn_is_data(fake):
    fake.talks().use()
    t = Talk(fake)
    t.say("one")
    text = "$(id)\n{\"type\":\"user\"}\n\0 --model x \u2028" + "x" * 1_000_000
    assert t.say(text).ok
    assert fake.asked()[-1]["text"] == text and len(fake.asked()) == 2
