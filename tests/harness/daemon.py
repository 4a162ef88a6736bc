"""A real modelpd on private paths, and mpc beside it."""
import contextlib
import functools
import os
import pathlib
import pty
import select
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import tempfile
import time

from .rpc import Rpc

BIN = pathlib.Path(os.environ.get("MPD_BIN_DIR", "build/dev/bin"))


@functools.lru_cache(maxsize=None)
def sanitized():
    """Whether the programs carry sanitizers: their time and memory get slack, which each test states."""
    return b"__asan_init" in (BIN / "modelpd").read_bytes()


def figure(release, with_sanitizers):
    """A figure of FAULTS.md, and what is allowed instead when the build carries sanitizers."""
    return with_sanitizers if sanitized() else release


# Values of the machine that would leak into the tests.
SCRUB = ("MODELPD_", "XDG_", "OPENAI_", "ANTHROPIC_", "OPENROUTER_", "GEMINI_", "DASHSCOPE_", "MPD_HOST", "NO_COLOR",
         "CLICOLOR", "NOTIFY_SOCKET", "LISTEN_", "JOURNAL_STREAM", "http_proxy", "https_proxy", "HTTP_PROXY",
         "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY")


class Home:
    """A person's private folders and environment: HOME, runtime folder, data."""

    def __init__(self):
        # short: a socket path has 107 bytes
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="mpd-", dir="/tmp"))
        self.run = self.root / "run"
        self.run.mkdir(mode=0o700)
        self.home = self.root / "home"
        self.home.mkdir(mode=0o700)
        self.socket = self.run / "modelpd" / "rpc.sock"
        self.data = self.home / ".local" / "share" / "modelpd"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(SCRUB)}
        self.env.update(HOME=str(self.home), XDG_RUNTIME_DIR=str(self.run), LC_ALL="C.UTF-8", TERM="dumb")
        # a leak report must fail the test that caused it
        self.env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99")
        self.env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")

    def remove(self):
        shutil.rmtree(self.root, ignore_errors=True)

    # ---- mpc ----

    def mpc(self, *args, input=None, check=None, timeout=30, env=None, stdin=None):
        """Runs mpc without a terminal; check=N asserts the exit code."""
        e = dict(self.env, MODELPD_NO_SPAWN="1")
        e.update(env or {})
        e = {k: v for k, v in e.items() if v is not None}
        if input is None and stdin is None:
            stdin = subprocess.DEVNULL
        kw = {"input": input} if input is not None else {"stdin": stdin}
        r = subprocess.run([str(BIN / "modelpc"), *map(str, args)], env=e, capture_output=True, timeout=timeout,
                           cwd=str(self.home), **kw)
        r.out = r.stdout.decode("utf-8", "replace")
        r.err = r.stderr.decode("utf-8", "replace")
        assert "Sanitizer" not in r.err and "runtime error" not in r.err, r.err
        if check is not None:
            assert r.returncode == check, f"mpc {args}: exit {r.returncode}, wanted {check}\n{r.out}\n{r.err}"
        return r

    def mpc_tty(self, *args, env=None, type=None, columns=80, cwd=None):
        """mpc on a pseudo-terminal; returns a Terminal."""
        e = dict(self.env, MODELPD_NO_SPAWN="1", TERM="xterm-256color", COLUMNS=str(columns))
        e.update(env or {})
        e = {k: v for k, v in e.items() if v is not None}
        return Terminal([str(BIN / "modelpc"), *map(str, args)], e, cwd or str(self.home), type)


def session_of(pid):
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[3]) if fields[0] != "Z" else None
    return None


class Terminal:
    """A program on a pseudo-terminal of its own."""

    def __init__(self, argv, env, cwd, text=None):
        self.output = b""
        self.seen = 0  # of the output, by expect
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execve(argv[0], argv, env)
        if text:
            self.type(text)

    def type(self, text):
        os.write(self.fd, text.encode() if isinstance(text, str) else text)

    def read(self, timeout=0.2):
        if select.select([self.fd], [], [], timeout)[0]:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            self.output += data
            return data
        return None

    def expect(self, text, timeout=15):
        """Waits for a text behind those that were expected before."""
        want = text.encode() if isinstance(text, str) else text
        deadline = time.monotonic() + timeout
        while (at := self.output.find(want, self.seen)) < 0:
            assert time.monotonic() < deadline, f"never saw {want!r} in {self.output[self.seen:]!r}"
            if self.read() == b"" and want not in self.output[self.seen:]:
                raise AssertionError(f"ended without {want!r}: {self.output[self.seen:]!r}")
        self.seen = at + len(want)

    def forget(self):
        self.output, self.seen = b"", 0

    def wait(self, timeout=15):
        """Reads to the end; the exit code (128 + N for a signal)."""
        deadline = time.monotonic() + timeout
        while True:
            assert time.monotonic() < deadline, f"still running: {self.output!r}"
            if self.read() == b"":
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


class Clock:
    """Moves the clocks of the daemons that get its environment, while they run."""

    def __init__(self, folder):
        self.path = folder / "clock"
        self.wall = self.boot = 0.0
        self.path.write_bytes(struct.pack("=qq", 0, 0))
        self.env = {"MODELPD_TEST_CLOCK": str(self.path)}

    def set(self, wall=None, boot=None):
        """Seconds the clocks are off the machine's: wall is what people set, boot counts suspend."""
        self.wall = self.wall if wall is None else wall
        self.boot = self.boot if boot is None else boot
        with open(self.path, "r+b") as f:
            f.write(struct.pack("=qq", int(self.wall * 1000), int(self.boot * 1000)))

    def sleep(self, seconds):
        """The machine was suspended for so long: time-outs stood still, these did not."""
        self.set(self.wall + seconds, self.boot + seconds)


class Daemon(Home):
    """modelpd in the foreground on a Home. stop() asserts a clean end."""

    program = BIN / "modelpd"
    sessions = ()  # each start has a session of its own, with the daemon's pid

    def __init__(self, *args, start=True, env=None):
        super().__init__()
        self.args = list(args)
        self.env.update(env or {})
        self.process = None
        self.logfile = self.root / "log"
        if start:
            self.start()

    def start(self, *args, wait=True, preexec=None):
        assert self.process is None
        log = open(self.logfile, "ab")
        self.process = subprocess.Popen([str(self.program), *self.args, *map(str, args)], env=self.env,
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=str(self.home),
                                        start_new_session=True, preexec_fn=preexec)
        log.close()
        self.sessions = (*self.sessions, self.process.pid)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            assert self.process.poll() is None, f"modelpd ended ({self.process.returncode}): {self.log()}"
            with contextlib.suppress(OSError):
                s = socket.socket(socket.AF_UNIX)
                s.connect(str(self.socket))
                s.close()
                return
            assert time.monotonic() < deadline, f"modelpd is not ready: {self.log()}"
            time.sleep(0.005)

    @property
    def clock(self):
        """The clocks of this daemon; made before its first start."""
        if not hasattr(self, "_clock"):
            self._clock = Clock(self.root)
            self.env.update(self._clock.env)
        return self._clock

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.logfile.read_text(errors="replace") if self.logfile.exists() else ""

    def signal(self, sig):
        self.process.send_signal(sig)

    def wait_exit(self, timeout=20):
        code = self.process.wait(timeout)
        self.process = None
        text = self.log()
        assert "Sanitizer" not in text and "runtime error" not in text, text
        return code

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self):
        """SIGTERM; a clean end with exit code 0, no sanitizer report."""
        if self.process is None:
            return
        self.signal(signal.SIGTERM)
        code = self.wait_exit()
        assert code == 0, f"exit {code}: {self.log()}"

    def restart(self):
        self.stop()
        return self.start()

    def rpc(self, **kw):
        return Rpc(self.socket, **kw)

    def close(self):
        """End of the test: stop cleanly if it still runs, remove the folders."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            elif self.process is not None:
                raise AssertionError(f"modelpd died ({self.process.returncode}): {self.log()}")
        finally:
            if self.process is not None:
                self.process.kill()
                self.process.wait()
            try:
                self.check_what_is_left()
            finally:
                self.remove()

    def check_what_is_left(self):
        """FAULTS.md R5: a whole database, and no process of any daemon that ran here."""
        left = [p for p in map(int, filter(str.isdigit, os.listdir("/proc"))) if session_of(p) in self.sessions]
        assert left == [], f"processes of the daemon are left: {left}"
        if (self.data / "state.db").exists():
            with contextlib.closing(sqlite3.connect(self.data / "state.db")) as db:
                assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]

    # ---- facts ----

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_kib(self):
        for line in open(f"/proc/{self.pid}/status"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")

    # ---- common steps ----

    def add_provider(self, provider, name="scripted", key=None, model="m1"):
        """Configures the scripted provider by mpc alone and switches to it."""
        self.mpc("provider", "add", name, "--url", provider.url, "--type", "local", "--auth",
                 "optional-key" if key else "none", "--dialect", "openai-chat", check=0)
        if key:
            self.mpc("key", "set", name, "--stdin", "--no-check", input=(key + "\n").encode(), check=0)
        self.mpc("switch", f"{name}:{model}", check=0)
        return f"{name}:{model}"
