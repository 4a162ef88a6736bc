"""mpc top: pictures of a real terminal, which tmux holds (UX.md section 10)."""
import contextlib
import re
import signal
import subprocess
import threading
import time

import pytest

from harness.daemon import BIN
from harness.provider import Provider, Wait, chunk, head, piece, reply, stream


class Screen:
    """A program in a terminal of its own. A tmux server of our own, which reads nobody's configuration."""

    def __init__(self, daemon, *args, width=100, height=30, env=None):
        self.daemon = daemon
        self.socket = str(daemon.root / "tmux")
        self.env = {**daemon.env, "TERM": "xterm-256color", "SHELL": "/bin/sh", **(env or {})}
        self.status = daemon.root / "exit"
        self.tmux("-u", "new-session", "-d", "-x", str(width), "-y", str(height),
                  f"trap : INT; '{BIN}/mpc' {' '.join(args)}; echo $? >'{self.status}'; sleep 60")

    def tmux(self, *args):
        r = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *args], env=self.env, capture_output=True,
                           text=True, timeout=20)
        assert r.returncode == 0, r.stderr
        return r.stdout

    def text(self, colors=False):
        return self.tmux("capture-pane", "-p", *(["-e"] if colors else []))

    def expect(self, pattern, timeout=15):
        end = time.monotonic() + timeout
        while True:
            now = self.text()
            found = re.search(pattern, now, re.M)
            if found or time.monotonic() > end:
                assert found, f"{pattern!r} does not come:\n{now}"
                return now
            time.sleep(0.05)

    def expect_gone(self, pattern, timeout=15):
        end = time.monotonic() + timeout
        while re.search(pattern, self.text(), re.M):
            assert time.monotonic() < end, self.text()
            time.sleep(0.05)

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def exit_code(self, timeout=15):
        end = time.monotonic() + timeout
        while not self.status.exists() or not self.status.read_text().strip():
            assert time.monotonic() < end, self.text()
            time.sleep(0.02)
        return int(self.status.read_text())

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.env, capture_output=True, timeout=20)


@pytest.fixture
def screen(daemon):
    with contextlib.ExitStack() as stack:
        def start(*args, **kw):
            s = Screen(daemon, *args, **kw)
            stack.callback(s.close)
            return s
        yield start


@pytest.fixture
def lab(daemon):
    p = Provider()
    daemon.add_provider(p, "lab")
    daemon.mpc("switch", "echo:echo", check=0)
    yield p
    p.close()


def held(event, *texts):
    """An answer that goes on when the test lets it."""
    steps = [head(chunked=True)] + [chunk(piece({"content": t})) for t in texts]
    return steps + [Wait(event), chunk(piece({}, "stop")), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]


def test_a_switch_elsewhere_is_on_the_screen_at_once(daemon, screen):
    s = screen("top")
    s.expect(r"^active +echo:echo")
    began = time.monotonic()
    daemon.mpc("switch", "echo:other", check=0)
    now = s.expect(r"^active +echo:other +chosen everywhere")
    assert time.monotonic() - began < 5
    assert re.search(r"^\d\d:\d\d:\d\d  route +echo:other +\(route.set by", now, re.M)
    lines = now.split("\n")
    assert lines[0].startswith("modelpd 0.1.0, up ") and re.search(r" \d\d:\d\d:\d\d$", lines[0])
    assert lines[29].startswith("s switch  t test  k cancel  p pause  / filter  q quit")
    s.keys("q")
    assert s.exit_code() == 0
    assert "active" not in s.text()  # the terminal is as it was


def test_countdowns_of_overrides_and_tests(daemon, screen):
    daemon.mpc("switch", "echo:a", check=0)
    daemon.mpc("switch", "echo:b", "--scope", "work", "--for", "2h", check=0)
    s = screen("top")
    s.expect(r"^scope +echo:b +temporary in scope work, (2 h|1 h 59 min) left")
    daemon.mpc("test", "echo", "echo", "27", check=0)
    s.expect(r"^active +echo:echo +test, 27 min left → echo:a$")
    s.expect(r"^● echo +active, test 27 min left")


def test_requests_in_flight_are_shown_and_cancelled(daemon, lab, screen):
    done = threading.Event()
    lab.script(held(done, "word " * 40), held(done, "two"))
    a = subprocess.Popen([BIN / "mpc", "p", "-m", "lab:m1", "long"], env=daemon.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    s = screen("top")
    s.expect(r"^IN FLIGHT 1 +TARGET +STATE +TOKENS +TOK/S +AGE +COST$")
    s.expect(r"^modelpc +lab:m1 +streaming +~50 +\d+ +[1-9]\d* s +\$0\.00")
    b = subprocess.Popen([BIN / "mpc", "p", "-m", "lab:m2", "other"], env=daemon.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    s.expect(r"^IN FLIGHT 2")
    s.keys("k")
    s.expect("which one\\? the arrow keys choose it")
    s.keys("Down")
    s.keys("k")
    s.expect(r"^cancel this request\? \[y/n\]")
    s.keys("n")
    s.expect_gone(r"cancel this request")
    s.expect(r"^IN FLIGHT 2")
    s.keys("k")
    s.keys("y")
    s.expect("^Cancelled.")
    s.expect(r"^IN FLIGHT 1")
    # the daemon has forgotten the request before its client has ended
    until = time.monotonic() + 10
    while a.poll() is None and b.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    ended = b if b.poll() is not None else a
    other = a if ended is b else b
    assert ended.wait(10) == 130
    assert other.poll() is None
    done.set()
    assert other.wait(10) == 0
    s.expect(r"^IN FLIGHT 0")
    s.expect(r"^nothing$")
    for p in (a, b):
        p.communicate()


def test_providers_with_latency_errors_limits_and_the_half_hour(daemon, lab, screen):
    lab.script(stream("ok"), reply(500, b'{"error":{"message":"boom"}}'),
               [head(chunked=True, extra=[("x-ratelimit-limit-requests", "60"), ("x-ratelimit-remaining-requests", "59"),
                                          ("x-ratelimit-reset-requests", "6m0s")]),
                chunk(piece({"content": "x"}, "stop")), chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"])
    for _ in range(3):
        daemon.mpc("p", "-m", "lab:m1", "hi")
    with daemon.rpc() as c:
        p = c.call("provider.get", name="lab")
    assert p["activity"]["requests"] == sum(p["activity"]["minutes"]) and p["activity"]["errors"] >= 1
    assert len(p["activity"]["minutes"]) == 30 and p["latency_p95_ms"] >= p["latency_p50_ms"]
    s = screen("top", width=120)
    now = s.expect(r"^  lab +available +\d+ms +\d+ms +\d+ % +59/60 +\S*█\S*$")
    assert re.search(r"^  PROVIDER +STATUS +P50 +P95 +ERR +LEFT 30 MIN$", now, re.M)
    s.resize(80, 24)
    now = s.expect(r"^  lab +available +\d+ms +\d+ms +\d+ % +59/60 .{9}█?$")
    assert max(len(line) for line in now.split("\n")) <= 80
    s.resize(60, 15)
    now = s.expect(r"^  PROVIDER +STATUS +P50 +ERR +LEFT 30 MIN$")  # no P95 where there is no room
    assert re.search(r"^EVENTS$", now, re.M) and "q quit" in now
    s.resize(59, 15)
    s.expect("^this needs 60 x 15$")
    s.resize(100, 30)
    s.expect(r"^  lab +available")


def test_today_and_the_budgets(daemon, lab, screen):
    s = screen("top")
    s.expect(r"^active +echo:echo")
    assert not re.search(r"^today", s.text(), re.M)
    daemon.mpc("p", "-m", "lab:m1", "hi", check=0)
    s.expect(r"^today +1 request  ")
    daemon.mpc("budget", "set", "10", "--per", "day", check=0)
    now = s.expect(r"^budget +▕ {10}▏ \$0\.00 of \$10\.00 a day  0 %$")
    assert re.search(r"^\d\d:\d\d:\d\d  budget ", now, re.M)
    assert re.search(r"^budget +\[ {10}\] ", daemon.mpc("top", "--once", check=0, env={"LC_ALL": "C"}).out, re.M)


def test_switch_and_test_from_inside(daemon, lab, screen):
    s = screen("top")
    s.expect(r"^active +echo:echo")
    s.keys("s")
    s.type("lab:m1x")
    s.expect(r"^switch to: lab:m1x$")
    s.keys("BSpace", "Enter")
    s.expect("^Now using lab:m1 everywhere.$")
    s.expect(r"^active +lab:m1")
    s.keys("s")
    s.type("no-such-thing")
    s.keys("Enter")
    s.expect('^unknown model "no-such-thing"')
    s.keys("s")
    s.type("half")
    s.keys("Escape")
    s.expect("^s switch  t test")
    s.keys("t")
    s.type("lab m2 27")
    s.keys("Enter")
    s.expect("^Testing lab:m2. mpc test keep or mpc test stop.")
    s.expect(r"^active +lab:m2 +test, 27 min left → lab:m1")
    s.keys("t")
    s.type("lab")
    s.keys("Enter")
    s.expect("^it takes a provider, a model")
    with daemon.rpc() as c:
        assert [x["ref"] for x in c.call("session.list")["sessions"]] == ["lab:m2"]
    s.keys("q")
    assert s.exit_code() == 0


def test_filter_and_pause(daemon, lab, screen):
    s = screen("top")
    s.expect(r"^  lab +available")
    s.keys("/")
    s.type("LAB")
    s.keys("Enter")
    now = s.expect("filter: LAB$")
    s.expect_gone(r"^. echo ")
    s.expect(r"^  lab +available")
    s.keys("Escape")
    s.expect(r"^. echo ")
    s.keys("p")
    s.expect(r"^paused \(p goes on\)")
    daemon.mpc("switch", "lab:m1", check=0)
    s.expect(r"route +lab:m1")  # events are kept
    time.sleep(1.2)
    assert re.search(r"^active +echo:echo", s.text(), re.M)
    s.keys("p")
    s.expect(r"^active +lab:m1")
    assert now


def test_the_daemon_may_go_and_come(daemon, screen):
    daemon.mpc("switch", "echo:kept", check=0)
    s = screen("top")
    s.expect(r"^active +echo:kept")
    daemon.kill()
    s.expect("^the daemon is away, waiting for it")
    s.keys("s")
    s.type("echo:x")
    s.keys("Enter")
    s.expect("^the daemon is away")
    daemon.start()
    s.expect("^modelpd 0.1.0, up ")
    s.expect(r"^active +echo:kept")
    daemon.mpc("switch", "echo:after", check=0)
    s.expect(r"^active +echo:after")


def test_foreign_text_cannot_draw(daemon, lab, screen):
    with daemon.rpc(client={"name": "evil\x1b]0;x\x07\x1b[31m", "version": "1"}) as c:
        done = threading.Event()
        lab.script(held(done, "x"))
        c.call("prompt.start", ref="lab:m1", text="x", tag="t")
        s = screen("top")
        now = s.expect(r"^evil.*lab:m1")
        assert "\\x1b" in now or "\\e" in now or "^[" in now, now
        done.set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
def test_signals_give_the_terminal_back(daemon, screen, number):
    s = screen("top")
    s.expect(r"^active")
    if number == signal.SIGINT:
        s.keys("C-c")
    else:
        with daemon.rpc() as c:
            pid = next(x["pid"] for x in c.call("sys.clients")["clients"] if x["name"] == "modelpc")
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
    assert s.exit_code() == 128 + number
    assert "active" not in s.text()


def test_once_is_one_picture_for_a_file(daemon, lab):
    r = daemon.mpc("top", "--once", check=0)
    assert re.search(r"^active +echo:echo", r.out, re.M) and "\x1b" not in r.out
    assert re.search(r"^  lab +available", r.out, re.M) and "q quit" not in r.out
    assert max(len(line) for line in r.out.split("\n")) <= 80
    assert "\x1b[" in daemon.mpc("top", "--once", "--color=always", check=0).out


def test_without_a_terminal_it_says_what_to_use(daemon):
    for args in (["top"], ["top", "--json"], ["top", "--once", "--plain"]):
        r = daemon.mpc(*args)
        assert r.returncode == 2 and "mpc watch --json" in r.err
    t = daemon.mpc_tty("top", env={"TERM": "no-such-terminal"})
    assert t.wait() != 0 and "TERM is no-such-terminal" in t.output.decode()


def test_ascii_where_the_locale_has_no_more(daemon, lab, screen):
    daemon.mpc("p", "-m", "lab:m1", "hi", check=0)
    s = screen("top", env={"LC_ALL": "C"})
    now = s.expect(r"^  lab +available")
    assert re.search(r"^\* echo", now, re.M) and now.isascii()
