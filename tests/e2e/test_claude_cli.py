"""The provider that is a program: scripted `claude` programs, run by the real daemon (FAULTS.md section 7)."""
import json
import os
import pathlib
import stat
import time

import pytest

from harness.program import DONE, INIT, Fake, alive, children, said
from harness.rpc import RpcError

PATIENCE_S = 2
FAST = ["--test-timeouts", str(PATIENCE_S * 1000)]
SAMPLES = pathlib.Path(__file__).resolve().parent.parent / "transcripts" / "claude-cli"
@pytest.fixture
def fake(make_daemon):
    return Fake(make_daemon(*FAST))


def ask(fake, text="hi", **params):
    with fake.daemon.rpc() as c:
        return c.prompt(text, ref="claude-max:sonnet", **params).check_grammar()


def rooms(fake):
    return [p for p in fake.daemon.run.iterdir() if p.name.startswith("modelpd-child-")]


def no_rooms(fake):
    deadline = time.monotonic() + 6
    while rooms(fake):
        assert time.monotonic() < deadline, rooms(fake)
        time.sleep(0.02)


# ---- an answer ----

def test_an_answer_with_usage_and_windows(fake):
    fake.answers(*(SAMPLES / "stream-plain.ndjson").read_text().splitlines()).use()
    a = ask(fake)
    assert a.ok and a.text == "Hello" and a.last["stop"] == "end" and not a.warnings
    u = a.last["usage"]
    assert (u["input_tokens"], u["output_tokens"], u["cache_read_tokens"]) == (102, 7, 56)
    assert (u["cost_microusd"], u["plan_microusd"]) == (0, 185)
    with fake.daemon.rpc() as c:
        [row] = c.call("usage.export")["rows"]
        assert (row["cost_kind"], row["cost_microusd"]) == ("plan", 185)
        total = c.call("usage.query")["total"]
        assert (total["cost_microusd"], total["plan_microusd"], total["unpriced"]) == (0, 185, 0)
    assert json.loads(fake.note("stdin"))["message"]["content"] == [{"type": "text", "text": "hi"}]
    with fake.daemon.rpc() as c:
        p = c.call("provider.get", name="claude-max")
        assert p["status"] in ("available", "active")
        assert "5h" in json.dumps(p)
    fake.gone_within(6)
    no_rooms(fake)


def test_pieces_come_as_they_are_written(fake):
    event = '{"type":"stream_event","event":%s,"parent_tool_use_id":null}'
    start = event % '{"type":"message_start","message":{"id":"m","model":"x"}}'
    block = event % '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
    piece = event % '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}'
    fake.py(f"out(INIT, {start!r}, {block!r}, {piece % 'one'!r})\ntime.sleep(0.7)\n"
            f"out({piece % 'two'!r}, DONE)").use()
    with fake.daemon.rpc() as c:
        s = c.call("prompt.start", text="hi", ref="claude-max:sonnet")["stream"]
        c.event("prompt.event", type="delta", text="one")
        first = time.monotonic()
        c.event("prompt.event", type="delta", text="two")
        assert time.monotonic() - first > 0.4
        c.event("prompt.event", type="done", stream=s)


def test_counts_that_were_told_before_a_cancel_are_kept(fake):
    event = '{"type":"stream_event","event":%s,"parent_tool_use_id":null}'
    start = event % ('{"type":"message_start","message":{"id":"m","model":"x","usage":{"input_tokens":3,'
                     '"cache_read_input_tokens":50,"output_tokens":1}}}')
    block = event % '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"one two."}}'
    fake.py(f"out(INIT, {start!r}, {block!r})\ntime.sleep(20)").use()
    with fake.daemon.rpc() as c:
        s = c.call("prompt.start", text="hi", ref="claude-max:sonnet")["stream"]
        c.event("prompt.event", type="delta", text="one two.")
        c.call("prompt.cancel", stream=s)
        assert c.collect(s).last["usage"]["input_tokens"] == 53
        deadline = time.monotonic() + 5
        while not (rows := c.call("usage.export")["rows"]) and time.monotonic() < deadline:
            time.sleep(0.02)
    [row] = rows
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (53, 50, 2)
    assert (row["outcome"], row["counts"], row["cost_kind"]) == ("cancelled", "output_estimated", "plan")


def test_an_earlier_conversation_becomes_a_document(fake):
    fake.answers(INIT, said("ok"), DONE).use()
    with fake.daemon.rpc() as c:
        a = c.prompt(ref="claude-max:sonnet", messages=[
            {"role": "user", "content": "one"}, {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"}])
    assert a.ok, a.last
    text = json.loads(fake.note("stdin"))["message"]["content"][0]["text"]
    assert text.endswith("[User]\n\none\n\n[Assistant]\n\ntwo\n\n[User]\n\nthree")


def test_tools_and_stop_are_refused_and_sampling_is_left_out(fake):
    fake.answers(INIT, said("ok"), DONE).use()
    with fake.daemon.rpc() as c:
        for params, field in (({"tools": [{"name": "f", "parameters": {"type": "object"}}]}, "tools"),
                              ({"options": {"stop": ["x"]}}, "stop")):
            try:
                a = c.prompt("hi", ref="claude-max:sonnet", **params)
                code, message = a.code, a.last["message"]
            except RpcError as e:
                code, message = e.code, e.message
            assert code == "invalid_params" and "claude-cli" in message, (field, code, message)
        assert not fake.pids()
        a = c.prompt("hi", ref="claude-max:sonnet", options={"temperature": 0.5, "max_tokens": 9})
    assert a.ok and "temperature, max_tokens left out" in a.warnings[0]["message"]


def test_a_key_that_the_program_found_is_told(fake):
    fake.answers(INIT.replace("none", "apiKeyHelper"), said("ok"), DONE).use()
    a = ask(fake)
    assert a.ok and "billed per token" in a.warnings[0]["message"]
    assert "usage" not in a.last or "cost_microusd" not in a.last["usage"]


def test_a_used_up_window_says_when_it_is_empty_again(fake):
    at = int(time.time()) + 3600
    lines = (SAMPLES / "stream-limit-reached.ndjson").read_text().replace("1795334969", str(at)).splitlines()
    fake.answers(*lines, end="exit 1").use()
    a = ask(fake)
    assert a.code == "quota_exceeded" and not a.last["partial"]
    assert 3500_000 < a.last["retry_after_ms"] <= 3600_000
    with fake.daemon.rpc() as c:
        assert c.call("provider.get", name="claude-max")["status"] == "rate-limited"


def test_four_run_and_others_wait(fake):
    fake.py("open(N + f'/run.{os.getpid()}', 'w')\n"
            "open(N + '/seen', 'a').write(f'{len([f for f in os.listdir(N) if f.startswith(\"run.\")])}\\n')\n"
            "sys.stdin.readline()\ntime.sleep(0.3)\nos.unlink(N + f'/run.{os.getpid()}')\n"
            f"out(INIT, {said('ok')!r}, DONE)").use()
    with fake.daemon.rpc() as c:
        streams = [c.call("prompt.start", text="hi", ref="claude-max:sonnet")["stream"] for _ in range(9)]
        assert all(c.collect(s).ok for s in streams)
    assert max(map(int, fake.note("seen").split())) == 4
    assert len(fake.pids()) == 9


# ---- turning it on, and the login ----

def test_off_until_it_is_enabled_and_the_terms_are_told(fake):
    fake.answers(INIT, said("ok"), DONE)
    fake.daemon.mpc("provider", "set", "claude-max", f"program={fake.path}", check=0)
    with fake.daemon.rpc() as c:
        p = c.call("provider.get", name="claude-max")
        assert p["status"] == "disabled" and "terms" in p["terms"]
        with pytest.raises(RpcError) as e:
            c.call("prompt.run", text="hi", ref="claude-max:sonnet")
        assert "enable" in json.dumps(e.value.error)
        assert not fake.pids()
        told = c.call("provider.update", name="claude-max", set={"enabled": True})["warnings"]
        assert len(told) == 1 and "login" in told[0]
        assert "warnings" not in c.call("provider.update", name="claude-max", set={"enabled": True})
        assert c.call("prompt.run", text="hi", ref="claude-max:sonnet")["text"] == "ok"


def test_mpc_names_the_terms_when_it_is_enabled(fake):
    r = fake.daemon.mpc("provider", "enable", "claude-max", check=0)
    assert "your own login" in r.err
    assert "your own login" not in fake.daemon.mpc("provider", "disable", "claude-max", check=0).err
    t = fake.daemon.mpc_tty("provider", "enable", "claude-max")
    t.expect("your own login")
    t.type("n\n")
    assert t.wait() != 0
    with fake.daemon.rpc() as c:
        assert c.call("provider.get", name="claude-max")["enabled"] is False
    t = fake.daemon.mpc_tty("provider", "enable", "claude-max")
    t.expect("your own login")
    t.type("y\n")
    assert t.wait() == 0
    assert t.output.count(b"your own login") == 1
    with fake.daemon.rpc() as c:
        assert c.call("provider.get", name="claude-max")["enabled"] is True


def test_the_check_asks_for_the_login(fake):
    for sample, code in (("auth-status-logged-in", 0), ("auth-status-logged-out", 1)):
        (fake.notes / "status").write_text((SAMPLES / f"{sample}.json").read_text())
        fake.sh(f'echo "$@" > $N/argv\ncat $N/status\nexit {code}').use()
        with fake.daemon.rpc() as c:
            r = c.call("provider.check", name="claude-max")
        assert fake.note("argv") == b"auth status\n"
        assert r["ok"] is (code == 0), r
        if code:
            assert r["code"] == "auth_rejected" and r["hint"] == "log in with: claude auth login"
    fake.sh("echo something broke >&2\nexit 3").use()
    with fake.daemon.rpc() as c:
        r = c.call("provider.check", name="claude-max")
    assert not r["ok"] and "code 3: something broke" in r["message"]


def test_not_logged_in_names_the_command(fake):
    fake.answers(*(SAMPLES / "stream-not-logged-in.ndjson").read_text().splitlines(), end="exit 1").use()
    a = ask(fake)
    assert a.code == "auth_rejected" and a.last["hint"] == "log in with: claude auth login"
    # somebody logs in; a check is enough to see it
    (fake.notes / "status").write_text((SAMPLES / "auth-status-logged-in.json").read_text())
    fake.sh("cat $N/status")
    with fake.daemon.rpc() as c:
        assert c.call("provider.get", name="claude-max")["status"] == "error"
        assert c.call("provider.check", name="claude-max")["ok"]
        assert c.call("provider.get", name="claude-max")["status"] in ("available", "active")


def test_another_login_is_one_command(fake):
    fake.answers(INIT, said("mine"), DONE)
    r = fake.daemon.mpc("provider", "add", "mine", "--dialect", "claude-cli", check=0)
    assert "your own login" in r.err
    fake.daemon.mpc("provider", "set", "mine", f"program={fake.path}", check=0)
    with fake.daemon.rpc() as c:
        p = c.call("provider.get", name="mine")
        assert (p["type"], p["auth_type"], p["program"]) == ("plan-based", "oauth-personal", str(fake.path))
        assert c.call("prompt.run", text="hi", ref="mine:sonnet")["text"] == "mine"


# ---- F99 ----

def test_F99_missing(fake):
    fake.use()
    a = ask(fake)
    assert a.code == "provider_unavailable" and "cannot be used: No such file" in a.last["message"]
    assert "program=" in a.last["hint"]


def test_F99_not_installed(make_daemon):
    d = make_daemon(*FAST)
    if any(pathlib.Path(p, "claude").exists() for p in ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")):
        pytest.skip("a claude is installed on this machine")
    d.mpc("provider", "enable", "claude-max", check=0)
    with d.rpc() as c:
        a = c.prompt("hi", ref="claude-max:sonnet")
    assert a.code == "provider_unavailable" and "not installed" in a.last["message"]


def test_F99_found_below_home(make_daemon):
    d = make_daemon(*FAST)
    f = Fake(d)
    f.answers(INIT, said("found"), DONE)
    place = d.home / ".local" / "bin"
    place.mkdir(parents=True, mode=0o755)
    (place / "claude").symlink_to(f.path)
    d.mpc("provider", "enable", "claude-max", check=0)
    assert ask(f).text == "found"


@pytest.mark.parametrize("what", ["plain file", "folder", "world-writable", "group-writable folder", "foreign owner"])
def test_F99_not_to_be_trusted(fake, what):
    fake.answers(INIT, said("ok"), DONE)
    words = "others can change"
    if what == "plain file":
        fake.path.chmod(0o600)
        words = "not an executable file"
    elif what == "folder":
        fake.path.unlink()
        fake.path.mkdir()
        words = "not an executable file"
    elif what == "world-writable":
        fake.path.chmod(0o777)
    elif what == "group-writable folder":
        fake.folder.chmod(0o775)
    elif os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    else:
        os.chown(fake.path, 65534, 65534)
    fake.use()
    a = ask(fake)
    assert a.code == "provider_unavailable" and words in a.last["message"], a.last
    assert not fake.pids()


@pytest.mark.parametrize("end, words", [
    ("exit 0", "before its answer was whole"),
    ("echo the disk is full >&2; exit 0", "before its answer was whole: the disk is full"),
    ("exit 7", "ended with code 7"),
    ("echo first >&2; echo no such option >&2; exit 1", "code 1: no such option"),
    ("kill -9 $$", "ended by signal 9"),
    ("echo sk-ant-api03-0123456789abcdefghijklmnop is bad >&2; exit 1", "is bad"),
])
def test_F99_exits_at_once(fake, end, words):
    fake.sh(end).use()
    a = ask(fake)
    assert a.code == "upstream_error" and words in a.last["message"], a.last
    assert not a.last["partial"] and "sk-ant-api03" not in a.last["message"] + fake.daemon.log()


def test_F99_exits_after_output(fake):
    fake.answers(INIT, said("half"), end="echo gone >&2; exit 1").use()
    a = ask(fake)
    assert a.text == "half" and a.last["partial"] and "code 1: gone" in a.last["message"]
    assert len(fake.pids()) == 1


def test_F99_no_interpreter(fake):
    fake.path.write_text("#!/no/such/interpreter\n")
    fake.path.chmod(0o700)
    fake.use()
    assert "cannot be started" in ask(fake).last["message"]


# ---- F100 ----

def timed(fake, **kw):
    start = time.monotonic()
    a = ask(fake, **kw)
    return a, time.monotonic() - start


def test_F100_never_reads_its_input(fake):
    fake.py("time.sleep(60)").use()
    a, took = timed(fake, text="x" * 1_000_000)
    assert a.code == "timeout" and "wrote nothing" in a.last["message"]
    assert PATIENCE_S * 0.8 < took / max(1, len(fake.pids())) < PATIENCE_S * 1.5 + 1
    fake.gone_within(6)


def test_F100_never_writes(fake):
    fake.sh("cat > /dev/null\nexec sleep 60").use()
    a, took = timed(fake)
    assert a.code == "timeout"
    fake.gone_within(6)
    no_rooms(fake)


def test_F100_stops_in_the_middle(fake):
    fake.py(f"out(INIT, {said('one')!r})\ntime.sleep(60)").use()
    a, _ = timed(fake)
    assert a.text == "one" and a.code == "timeout" and "nothing more" in a.last["message"] and a.last["partial"]
    fake.gone_within(6)


def test_F100_floods_its_output(fake):
    fake.py("line = json.dumps({'type': 'noise', 'x': 'y' * 60000})\nwhile True: out(line)").use()
    before = fake.daemon.rss_kib()
    a = ask(fake, timeout=60)
    assert a.code == "upstream_error" and "more than 32 MiB" in a.last["message"]
    fake.gone_within(6)
    assert fake.daemon.rss_kib() - before < 64 * 1024


def test_F100_floods_its_complaints(fake):
    fake.py("while True: os.write(2, b'complaint ' * 6000)").use()
    a = ask(fake, timeout=60)
    assert a.code in ("upstream_error", "timeout")
    fake.gone_within(6)


def test_F100_ignores_SIGTERM(fake):
    fake.py("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"out(INIT, {said('one')!r})\ntime.sleep(60)").use()
    with fake.daemon.rpc() as c:
        s = c.call("prompt.start", text="hi", ref="claude-max:sonnet")["stream"]
        c.event("prompt.event", type="delta")
        c.call("prompt.cancel", stream=s)
        time.sleep(1)
        assert alive(fake.pids()[0])
        fake.gone_within(6)


@pytest.mark.parametrize("leave", ["", "os.setsid()\n"])
def test_F100_forks_twice(fake, leave):
    fake.py("if os.fork() == 0:\n"
            f"    {leave.strip() or 'pass'}\n"
            "    if os.fork() == 0:\n"
            "        open(N + '/pids', 'a').write(f'{os.getpid()}\\n')\n"
            "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            "        time.sleep(60)\n"
            "    os._exit(0)\n"
            "os.wait()\n"
            "while len(open(N + '/pids').read().split()) < 2: time.sleep(0.01)\n"
            f"out(INIT, {said('ok')!r}, DONE)").use()
    assert ask(fake).text == "ok"
    assert len(fake.pids()) == 2
    fake.gone_within(6)
    no_rooms(fake)
    # nobody is left uncollected
    deadline = time.monotonic() + 5
    while children(fake.daemon.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_F100_none_left_after_the_daemon(fake):
    fake.py("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
            f"out(INIT, {said('one')!r})\ntime.sleep(60)").use()
    with fake.daemon.rpc() as c:
        c.call("prompt.start", text="hi", ref="claude-max:sonnet")
        c.event("prompt.event", type="delta")
        c.call("sys.shutdown", grace_ms=0)
        assert fake.daemon.wait_exit() == 0
    fake.gone_within(1)
    assert not rooms(fake)


def test_F100_descriptors_come_back(fake):
    fake.answers(INIT, said("ok"), DONE).use()
    assert ask(fake).ok
    fake.gone_within(6)
    before = fake.daemon.fds()
    for _ in range(10):
        assert ask(fake).ok
    fake.gone_within(6)
    deadline = time.monotonic() + 5
    while fake.daemon.fds() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fake.daemon.fds() <= before


# ---- F101 ----

def test_F101_a_partial_line(fake):
    fake.answers(INIT, said("half")).use()
    (fake.notes / "lines").write_text(INIT + "\n" + said("half") + '\n{"type":"resu')
    a = ask(fake)
    assert a.text == "half" and a.code == "upstream_error" and a.last["partial"]


def test_F101_a_last_line_without_its_end(fake):
    fake.answers(INIT).use()
    (fake.notes / "lines").write_text(INIT + "\n" + said("whole") + "\n" + DONE)
    assert ask(fake).text == "whole"


@pytest.mark.parametrize("over", [0, 1])
def test_F101_a_line_of_1_MiB(fake, over):
    line = '{"type":"noise","x":"' + "y" * ((1 << 20) - 23 + over) + '"}'
    assert len(line) == (1 << 20) + over
    fake.answers(INIT, line, said("ok"), DONE).use()
    a = ask(fake)
    if over:
        assert a.code == "upstream_error" and "over 1 MiB" in a.last["message"]
    else:
        assert a.text == "ok"


@pytest.mark.parametrize("line", ["nonsense", "[1]", '{"type":', "null"])
def test_F101_no_JSON(fake, line):
    fake.answers(INIT, line, said("ok"), DONE).use()
    a = ask(fake)
    assert a.code == "upstream_error" and a.text == ""


def test_F101_broken_UTF_8(fake):
    fake.answers(INIT).use()
    (fake.notes / "lines").write_bytes(INIT.encode() + b"\n" + said("a@b").encode().replace(b"@", b"\xff") + b"\n" +
                                       DONE.encode() + b"\n")
    a = ask(fake)
    assert a.ok and a.text == "a�b" and len(a.warnings) == 1


def test_F101_what_nobody_knows_is_skipped(fake):
    fake.answers(INIT, '{"type":"new"}', '{"type":"system","subtype":"new"}', "{}", '{"type":7}', "",
                 '{"type":"stream_event","event":{"type":"new"}}', '{"type":"stream_event"}',
                 '{"type":"assistant","message":{"content":[{"type":"new"},7]}}', said("ok"), DONE).use()
    a = ask(fake)
    assert a.ok and a.text == "ok"


# ---- F102 ----

def test_F102_what_it_sees(make_daemon):
    hostile = {"ANTHROPIC_API_KEY": "canary", "ANTHROPIC_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_AUTH_TOKEN": "t",
               "ANTHROPIC_MODEL": "m", "OPENAI_API_KEY": "k", "CLAUDE_CODE_USE_BEDROCK": "1", "LD_PRELOAD": "/no.so",
               "NODE_OPTIONS": "--inspect", "HTTPS_PROXY": "http://127.0.0.1:9", "BASH_ENV": "/x", "PYTHONPATH": "/x",
               "TZ": "UTC", "LC_TIME": "C", "TMPDIR": "/tmp", "USER": "someone"}
    d = make_daemon(*FAST, env=hostile)
    f = Fake(d)
    # dash keeps what it was given: the first words are the program's own; it reads its status itself, since it blocks
    # every signal while it waits for a program
    f.sh("while IFS= read -r l; do printf '%s\\n' \"$l\"; done < /proc/$$/status > $N/status\n"
         "cat /proc/$$/environ > $N/environ\ncat /proc/$$/cmdline > $N/argv\n"
         f"head -n 1 > $N/stdin\nprintf '%s\\n' '{INIT}' '{said('ok')}' '{DONE}'").use()
    with d.rpc() as c:
        assert c.call("prompt.run", text="secret words", system="secret rules", ref="claude-max:sonnet")["text"] == "ok"
    environ = dict(v.split("=", 1) for v in f.note("environ").decode().split("\0") if v)
    wanted = {k: v for k, v in d.env.items() if k in ("HOME", "USER", "LANG", "TZ", "TMPDIR") or
              k.startswith(("LC_", "XDG_"))}
    wanted.update(PATH=f"{f.folder}:/usr/local/bin:/usr/bin:/bin", DISABLE_AUTOUPDATER="1", DISABLE_TELEMETRY="1",
                  DISABLE_ERROR_REPORTING="1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1", CLAUDE_CODE_MAX_RETRIES="1")
    assert environ == wanted
    status = dict(line.split(":\t", 1) for line in f.note("status").decode().splitlines() if ":\t" in line)
    assert int(status["SigIgn"], 16) == 0 and int(status["SigBlk"], 16) == 0
    assert status["Umask"].strip() == "0077"
    argv = f.note("argv").decode().split("\0")[:-1]
    room = argv[-1].rsplit("/", 1)[0]
    assert argv == ["/bin/sh", str(f.path), "-p", "--output-format", "stream-json", "--verbose",
                    "--include-partial-messages", "--input-format", "stream-json", "--tools", "",
                    "--no-session-persistence", "--setting-sources", "", "--strict-mcp-config",
                    "--disable-slash-commands", "--model", "sonnet", "--system-prompt-file", f"{room}/text"]
    assert room.startswith(str(d.run)) and "secret" not in " ".join(argv)


def test_F102_descriptors_folder_and_group(fake):
    fake.py("fds = {}\n"
            "for n in os.listdir('/proc/self/fd'):\n"
            "    try: fds[n] = os.readlink('/proc/self/fd/' + n).split(':')[0]\n"
            "    except OSError: pass\n"
            "import resource, stat\n"
            "p = sys.argv[sys.argv.index('--system-prompt-file') + 1]\n"
            "json.dump({'fds': fds, 'cwd': os.getcwd(), 'files': os.listdir('.'),\n"
            "  'modes': [stat.S_IMODE(os.stat(x).st_mode) for x in ('.', '..', p)], 'text': open(p).read(),\n"
            "  'leader': os.getpgid(0) == os.getpid(), 'nofile': resource.getrlimit(resource.RLIMIT_NOFILE)[0]},\n"
            "  open(N + '/seen.json', 'w'))\n"
            f"sys.stdin.readline()\nout(INIT, {said('ok')!r}, DONE)")
    fake.use()
    with fake.daemon.rpc() as c:
        c.call("prompt.run", text="hi", system="rules\0with NUL", ref="claude-max:sonnet")
    seen = json.loads(fake.note("seen.json"))
    assert seen["fds"] == {"0": "pipe", "1": "pipe", "2": "pipe"}
    assert seen["files"] == [] and seen["modes"] == [0o700, 0o700, 0o600]
    assert seen["cwd"].startswith(str(fake.daemon.run)) and seen["leader"]
    assert seen["text"] == "rules\0with NUL"
    import resource
    assert seen["nofile"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    no_rooms(fake)


# ---- F103 ----

@pytest.mark.parametrize("text", ["$(touch /tmp/x) `id`; rm -rf ~ | cat > x && \"'\\", "--model x", "-p", "/login",
                                  "a\0b", "line\nline\r\n{\"type\":\"user\"}\n", "\u2028 end"])
def test_F103_a_prompt_is_data(fake, text):
    fake.answers(INIT, said("ok"), DONE).use()
    assert ask(fake, text=text).ok
    lines = fake.note("stdin").split(b"\n")
    assert len(lines) == 2 and lines[1] == b""
    assert json.loads(lines[0])["message"]["content"] == [{"type": "text", "text": text}]


def test_F103_10_MiB(fake):
    fake.answers(INIT, said("ok"), DONE).use()
    text = "0123456789abcdef" * (10 << 16)
    assert ask(fake, text=text, timeout=60).ok
    assert json.loads(fake.note("stdin"))["message"]["content"][0]["text"] == text


@pytest.mark.parametrize("model", ["--dangerously-skip-permissions", "-p"])
def test_F103_a_model_is_no_option(fake, model):
    fake.answers(INIT, said("ok"), DONE).use()
    with fake.daemon.rpc() as c:
        try:
            a = c.prompt("hi", ref=f"claude-max:{model}")
            assert a.code == "invalid_params", a.last
        except RpcError as e:
            assert e.code == "invalid_params"
    assert not fake.pids()


def test_the_folder_of_a_killed_daemon_is_private(fake):
    fake.py(f"out(INIT, {said('one')!r})\nsys.stdin.read()\ntime.sleep(60)").use()
    with fake.daemon.rpc() as c:
        c.call("prompt.start", text="hi", ref="claude-max:sonnet")
        c.event("prompt.event", type="delta")
    for room in rooms(fake):
        assert stat.S_IMODE(room.stat().st_mode) == 0o700
    fake.daemon.stop()
    fake.gone_within(6)
