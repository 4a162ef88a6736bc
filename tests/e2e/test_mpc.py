"""mpc as UX.md says: commands, output, exit codes, errors."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

import msgpack
import pytest

from harness.daemon import BIN
from harness.provider import Hang, Reset, chunk, head, piece, reply, stream


def test_version_as_scripts_test_it(home):
    r = home.mpc("--version", check=0)
    assert r.out == "mpc (model provider client) 0.1.0, protocol 1.0\n"


def test_help_fits_a_screen_and_names_the_essentials(home):
    r = home.mpc("--help", check=0)
    assert len(r.out.splitlines()) <= 24 and all(len(l) <= 80 for l in r.out.splitlines())
    for word in ("switch", "prompt", "status", "key"):
        assert word in r.out
    for cmd in ("switch", "prompt", "key", "provider", "watch", "daemon", "add", "list", "check", "rpc", "doctor", "which", "nick", "remove"):
        r = home.mpc(cmd, "-h", check=0)
        assert cmd in r.out and "mpc" in r.out
        assert home.mpc("help", cmd, check=0).out == r.out


@pytest.mark.parametrize("verb", ["play", "pause", "toggle", "next", "prev", "volume", "seek", "current", "queued", "playlist", "ls", "load", "shuffle",
                                  "random", "repeat", "single", "idle", "update"])
def test_music_commands_are_recognised(home, verb):
    r = home.mpc(verb)
    assert r.returncode == 2
    assert f'"{verb}" is a Music Player Daemon command' in r.err
    assert "fix:" in r.err


def test_mpc_add_needs_two_words(daemon):
    assert daemon.mpc("add", "song.ogg").returncode == 2


def test_unknown_commands_and_flags_suggest(home):
    r = home.mpc("swich", "x")
    assert r.returncode == 2 and "switch" in r.err
    r = home.mpc("switch", "--tmep", "x")
    assert r.returncode == 2 and "--temp" in r.err
    assert home.mpc("swi", "echo").returncode == 2, "prefixes are not commands"


def test_a_music_daemon_on_the_socket_is_named(home):
    home.socket.parent.mkdir(mode=0o700)
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(home.socket))
    home.socket.chmod(0o600)
    s.listen(4)

    def greet():
        c, _ = s.accept()
        c.sendall(b"OK MPD 0.23.12\n")
        c.recv(4096)
        time.sleep(1)
        c.close()

    threading.Thread(target=greet, daemon=True).start()
    r = home.mpc("status")
    assert r.returncode == 10 and "Music Player Daemon" in r.err
    s.close()


def test_status_which_and_switch_tell_the_story(daemon):
    r = daemon.mpc("switch", "openrouter:claude-sonnet-4", check=0)
    assert "Now using openrouter:claude-sonnet-4" in r.out
    assert "echo:echo" in r.out + r.err
    r = daemon.mpc(check=0)
    assert "openrouter:claude-sonnet-4" in r.out and "daemon" in r.out and "0.1.0" in r.out
    assert daemon.mpc("status", check=0).out.split("daemon")[0] == r.out.split("daemon")[0]
    r = daemon.mpc("switch", "echo:short", "--for", "2h", check=0)
    assert "2 h" in r.out or "until" in r.out
    r = daemon.mpc("which", check=0)
    lines = r.out.splitlines()
    assert "echo:short" in lines[0]
    assert any("openrouter:claude-sonnet-4" in l for l in lines[1:])
    daemon.mpc("switch", "-", check=0)
    assert "openrouter:claude-sonnet-4" in daemon.mpc("which", check=0).out.splitlines()[0]
    daemon.mpc("switch", "--clear", check=0)
    assert "echo:echo" in daemon.mpc("which", check=0).out.splitlines()[0]
    assert daemon.mpc("switch").returncode == 2


def test_model_group_is_the_same_tree(daemon):
    daemon.mpc("model", "switch", "echo:grouped", check=0)
    assert "echo:grouped" in daemon.mpc("model", "which", check=0).out


def test_scopes_by_flag_and_by_environment(daemon):
    daemon.mpc("switch", "echo:ground", check=0)
    daemon.mpc("switch", "echo:mine", "--scope", "s1", check=0)
    assert "echo:ground" in daemon.mpc("which", check=0).out.splitlines()[0]
    assert "echo:mine" in daemon.mpc("which", "--scope", "s1", check=0).out.splitlines()[0]
    assert "echo:mine" in daemon.mpc("which", env={"MODELPD_SCOPE": "s1"}, check=0).out.splitlines()[0]
    a = daemon.mpc("prompt", "hi", "--json", env={"MODELPD_SCOPE": "s1"}, check=0)
    assert '"echo:mine"' in a.out
    daemon.mpc("switch", "--clear", "--scope", "s1", check=0)
    assert "echo:ground" in daemon.mpc("which", "--scope", "s1", check=0).out.splitlines()[0]


def test_project_scope_is_the_repository(daemon):
    repo = daemon.home / "repo" / "deep" / "down"
    repo.mkdir(parents=True)
    (daemon.home / "repo" / ".git").mkdir()

    def mpc(*args, cwd):
        return subprocess.run([str(BIN / "modelpc"), *args], env=dict(daemon.env, MODELPD_NO_SPAWN="1"), cwd=cwd, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30)

    r = mpc("switch", "echo:project", "--project", cwd=repo)
    assert r.returncode == 0, r.stderr
    assert "echo:project" in mpc("which", cwd=daemon.home / "repo").stdout.splitlines()[0]
    assert "echo:echo" in mpc("which", cwd=daemon.home).stdout.splitlines()[0]
    assert sorted(p.name for p in (daemon.home / "repo").iterdir()) == [".git", "deep"], "a file was written into the repository"


EXITS = [
    (["switch", "no-such-model"], 3), (["switch", "nope:gpt-5"], 3), (["which", "no-such-nick"], 3), (["remove", "echo:never-added", "--yes"], 3),
    (["provider", "show", "nope"], 3), (["prompt", "-m", "openai:gpt-5", "hi"], 4), (["rpc", "no.such"], 2), (["rpc", "route.set", "{\"ref\":5}"], 2),
    (["rpc", "route.set", "{bad"], 2), (["provider", "add", "echo", "--url", "http://127.0.0.1:1/v1"], 9), (["provider", "add", "Bad Name", "--url", "x"], 2),
    (["nick", "echo:echo", "openai"], 9), (["switch", "@coding"], 3), (["key", "delete", "openai", "--yes"], 3),
]


@pytest.mark.parametrize("args,code", EXITS)
def test_exit_codes_and_three_part_messages(daemon, args, code):
    r = daemon.mpc(*args)
    assert r.returncode == code, (args, r.err)
    first = r.err.splitlines()[0]
    assert first.startswith("mpc: ") and len(first) <= 100
    assert r.out == ""
    r = daemon.mpc(*args, "--json")
    e = json.loads(r.err)["error"]
    assert r.returncode == code and e["code"] and e["message"]


def test_suggestions(daemon):
    r = daemon.mpc("switch", "opnrouter:claude-sonnet-4")
    assert r.returncode == 3 and "openrouter" in r.err
    daemon.mpc("nick", "openrouter:claude-sonnet-4", "sonnet", check=0)
    r = daemon.mpc("switch", "sonet")
    assert r.returncode == 3
    assert "did you mean: sonnet (openrouter:claude-sonnet-4)?" in r.err


PROVIDER_FAILURES = [(401, 4), (403, 4), (404, 3), (429, 7), (402, 7), (500, 6), (503, 6), (400, 1), (504, 8)]


@pytest.mark.parametrize("status,code", PROVIDER_FAILURES)
def test_provider_failures_have_their_exit_codes(daemon, provider, status, code):
    daemon.add_provider(provider, key="sk-0123456789abcdefghijklmn")
    provider.script(reply(status, {"error": {"message": "No."}}))
    r = daemon.mpc("prompt", "hi")
    assert r.returncode == code, r.err
    assert r.err.startswith("mpc: cannot use scripted:m1: ")
    assert "fix:" in r.err or status in (400, 429)
    if status == 401:
        assert "rejected the key (HTTP 401)" in r.err and "mpc key set scripted" in r.err


def test_a_provider_that_is_down(daemon, provider):
    ref = daemon.add_provider(provider)
    provider.close()
    r = daemon.mpc("prompt", "hi")
    assert r.returncode == 6 and ref in r.err and "running" in r.err


def test_a_broken_stream_gives_what_came_then_the_error(daemon, provider):
    daemon.add_provider(provider)
    provider.script([head(chunked=True), chunk(piece({"content": "partial answer"})), Reset()])
    r = daemon.mpc("prompt", "hi")
    assert r.out.startswith("partial answer") and r.returncode in (1, 6)
    assert "mpc: " in r.err


def test_json_is_the_rpc_result(daemon):
    with daemon.rpc() as c:
        for args, method, params in [(["providers"], "provider.list", {}), (["which"], "route.get", {}), (["key"], "key.status", {}),
                                     (["provider", "show", "openai"], "provider.get", {"name": "openai"})]:
            shown = json.loads(daemon.mpc(*args, "--json", check=0).out)
            assert shown == c.call(method, **params), args
    out = daemon.mpc("providers", "--json", check=0).out
    assert len(out.splitlines()) == 1


def test_plain_is_tabs_without_a_header(daemon):
    out = daemon.mpc("providers", "--plain", check=0).out
    rows = [l.split("\t") for l in out.splitlines()]
    assert len({len(r) for r in rows}) == 1 and len(rows[0]) >= 6
    assert any("openrouter" in r for r in rows)
    assert out == daemon.mpc("providers", "--plain", env={"COLUMNS": "20", "LC_ALL": "C"}, check=0).out


def test_tables_are_cut_on_a_terminal_only(daemon):
    with daemon.rpc() as c:
        c.call("model.add", provider="openrouter", model="vendor/" + "m" * 100)
    assert "m" * 100 in daemon.mpc("list", check=0).out
    t = daemon.mpc_tty("list", columns=60, env={"NO_COLOR": "1"})
    assert t.wait() == 0
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", l).rstrip("\r") for l in t.output.decode().split("\n")]
    assert all(len(l) <= 60 for l in lines), lines
    assert any("…" in l for l in lines)


def test_colour_only_on_a_terminal(daemon):
    assert "\x1b" not in daemon.mpc("status", check=0).out
    t = daemon.mpc_tty("providers", env={"NO_COLOR": "1"})
    assert t.wait() == 0 and b"\x1b[" not in t.output
    assert "\x1b[" in daemon.mpc("status", "--color=always", check=0).out


def test_list_add_remove_nick(daemon):
    daemon.mpc("add", "openrouter", "gpt-4", "--nick", "four", "--switch", check=0)
    out = daemon.mpc("list", check=0).out
    assert "four" in out and "openrouter" in out
    assert "openrouter:gpt-4" in daemon.mpc("which", check=0).out
    assert "gpt-5" in daemon.mpc("list", "gpt-5", "--all", check=0).out
    assert daemon.mpc("remove", "four").returncode == 2, "destructive without --yes"
    daemon.mpc("remove", "four", "--yes", check=0)
    assert "four" not in daemon.mpc("list", check=0).out
    daemon.mpc("add", "echo", "soon-gone", "--for", "1m", check=0)
    assert "soon-gone" in daemon.mpc("list", check=0).out


def test_provider_group(daemon):
    daemon.mpc("provider", "add", "lab", "--url", "http://127.0.0.1:9/v1", "--type", "local", check=0)
    assert "lab" in daemon.mpc("provider", check=0).out
    daemon.mpc("provider", "set", "lab", "display_name=The lab", "base_url=http://127.0.0.1:10/v1", check=0)
    assert "http://127.0.0.1:10/v1" in daemon.mpc("provider", "show", "lab", check=0).out
    daemon.mpc("provider", "rename", "lab", "cellar", check=0)
    daemon.mpc("provider", "disable", "cellar", check=0)
    assert "disabled" in daemon.mpc("providers", check=0).out
    daemon.mpc("provider", "enable", "cellar", check=0)
    daemon.mpc("provider", "remove", "cellar", "--yes", check=0)
    assert daemon.mpc("provider", "show", "cellar").returncode == 3
    assert daemon.mpc("provider", "set", "openai", "bas_url=x").returncode == 2


# ---- prompts ----

def test_prompt_text_from_words_stdin_and_both(daemon, provider):
    daemon.add_provider(provider)
    for args, data, want in [(["a", "b"], None, "a b"), ([], b"from a pipe\n", "from a pipe"), (["explain"], b"the pipe\n", "explain\n\nthe pipe"),
                             (["before", "-", "after"], b"PIPE", "before PIPE after")]:
        r = daemon.mpc("p", *args, input=data if data is not None else None, check=0)
        assert r.out == "Hello from the provider.\n"
        assert r.err == ""
        got = provider.chats[-1].json["messages"][-1]["content"]
        assert got.rstrip("\n") == want, (args, got)


def test_prompt_without_words_on_a_terminal_never_hangs(daemon):
    t = daemon.mpc_tty("prompt")
    assert t.wait() == 2


def test_prompt_files_options_system(daemon, provider):
    daemon.add_provider(provider)
    (daemon.home / "a.c").write_text("int main;")
    (daemon.home / "shot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    daemon.mpc("p", "-f", "a.c", "-f", "shot.png", "-s", "Be kind.", "-o", "temperature=0.2", "-o", "max_tokens=5", "-o", 'stop=["X"]', "explain", check=0)
    sent = provider.chats[-1].json
    assert sent["temperature"] == 0.2 and sent["max_tokens"] == 5 and sent["stop"] == ["X"]
    assert sent["messages"][0] == {"role": "system", "content": "Be kind."}
    text = json.dumps(sent["messages"][1])
    assert "int main;" in text and "a.c" in text and "data:image/png;base64," in text
    r = daemon.mpc("p", "-f", "missing.txt", "x")
    assert r.returncode in (1, 2) and "missing.txt" in r.err


def test_prompt_template_is_a_file(daemon, provider):
    daemon.add_provider(provider)
    templates = daemon.home / ".config" / "modelpd" / "templates"
    templates.mkdir(parents=True)
    (templates / "terse.md").write_text("Answer in one word.\n")
    daemon.mpc("p", "-t", "terse", "x", check=0)
    assert provider.chats[-1].json["messages"][0] == {"role": "system", "content": "Answer in one word."}
    daemon.mpc("p", "-t", "terse", "-s", "In Latin.", "x", check=0)
    assert provider.chats[-1].json["messages"][0]["content"] == "Answer in one word.\n\nIn Latin."
    r = daemon.mpc("p", "-t", "missing", "x")
    assert r.returncode == 3 and "templates" in r.err
    assert daemon.mpc("p", "-t", "../../etc/passwd", "x").returncode == 2


def test_prompt_streams_as_it_comes(daemon, provider):
    gate = threading.Event()
    from harness.provider import Wait
    daemon.add_provider(provider)
    provider.script([head(chunked=True), chunk(piece({"content": "first"})), Wait(gate), chunk(piece({"content": " second"})), chunk(piece({}, "stop")),
                     chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"])
    p = subprocess.Popen([str(BIN / "modelpc"), "p", "x"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert p.stdout.read(5) == b"first"
    gate.set()
    assert p.stdout.read() == b" second\n"
    assert p.wait(10) == 0


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_keeps_what_came_and_cancels_upstream(daemon, provider, sig):
    daemon.add_provider(provider)
    provider.script([head(chunked=True), chunk(piece({"content": "some"})), Hang()])
    gone = len(provider.gone)
    p = subprocess.Popen([str(BIN / "modelpc"), "p", "x"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         stdin=subprocess.DEVNULL)
    assert p.stdout.read(4) == b"some"
    p.send_signal(sig)
    p.communicate(timeout=10)
    assert p.returncode in (128 + sig, -sig)
    deadline = time.monotonic() + 2
    while len(provider.gone) == gone and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(provider.gone) > gone


def test_F85_escapes_from_a_model_never_reach_the_terminal(daemon, provider):
    # and a message of our own protocol, that would tell of another end
    message = msgpack.packb([2, "prompt.event", [{"type": "done", "stream": 1}]]).decode("latin-1")
    evil = f"a\x1b]52;c;ZXZpbA==\x07b\x1b[2Jc\u202ed\u009be\rf\x08g{message}"
    daemon.add_provider(provider)
    provider.default = stream(evil)
    never = (b"\x1b]", b"\x1b[2J", "\u202e".encode(), b"\xc2\x9b", b"\x07", b"\x08", b"\x02", b"\xc2\x93")
    t = daemon.mpc_tty("p", "x", "--raw", env={"NO_COLOR": "1"})
    assert t.wait() == 0
    for bad in never:
        assert bad not in t.output, (bad, t.output)
    t = daemon.mpc_tty("p", "x", env={"NO_COLOR": "1"})
    assert t.wait() == 0
    for bad in never:
        assert bad not in t.output, (bad, t.output)
    with daemon.rpc() as c:
        assert c.prompt("x").check_grammar().text == evil, "the wire is no terminal"
        assert c.call("prompt.run", text="x")["text"] == evil
    assert daemon.mpc("p", "x", check=0).out == evil + "\n", "nor is a pipe"


def test_usage_line_on_a_terminal_only(daemon, provider):
    daemon.add_provider(provider)
    t = daemon.mpc_tty("p", "x")
    assert t.wait() == 0
    assert b"scripted:m1" in t.output and b"7 in" in t.output and b"3 out" in t.output


def test_reasoning_is_shown_only_when_wanted(daemon, provider):
    daemon.add_provider(provider)
    provider.default = [head(chunked=True), chunk(piece({"reasoning_content": "thinking hard"})), chunk(piece({"content": "Yes."})), chunk(piece({}, "stop")),
                        chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n"]
    assert "thinking" not in daemon.mpc("p", "x", check=0).out
    assert "thinking hard" in daemon.mpc("p", "x", "--reasoning=show", check=0).err
    t = daemon.mpc_tty("p", "x")
    assert t.wait() == 0 and b"thinking hard" in t.output


def test_markdown_loses_no_word(daemon, provider):
    text = "# Title\n\nSome **bold** and `code`.\n\n```c\nint main(void);\n```\n\n- one\n- two\n\nThe end"
    daemon.add_provider(provider)
    provider.default = stream(*[text[i:i + 3] for i in range(0, len(text), 3)])
    t = daemon.mpc_tty("p", "x", env={"NO_COLOR": "1"})
    assert t.wait() == 0
    shown = re.sub(r"\x1b\[[0-9;]*m", "", t.output.decode())
    at = -1
    for word in ("Title", "Some", "bold", "code", "int main(void);", "one", "two", "The end"):
        assert shown.find(word) > at, (word, shown)
        at = shown.find(word)
    assert daemon.mpc("p", "x", check=0).out == text + "\n"


# ---- keys ----

def test_key_set_on_a_terminal_without_echo(daemon):
    t = daemon.mpc_tty("key", "set", "openai", "--no-check")
    t.expect("Key for openai: ")
    time.sleep(0.2)
    t.type("sk-typed-0123456789abcdef\n")
    assert t.wait() == 0
    assert b"sk-typed" not in t.output and b"cdef" in t.output and b"25" in t.output
    assert "openai" in daemon.mpc("key", check=0).out
    t = daemon.mpc_tty("key", "set", "openai", "--no-check")
    t.expect("openai")
    time.sleep(0.3)
    t.type("\x03")
    t.wait()
    assert "cdef" in daemon.mpc("key", "--json", check=0).out, "an interrupted replacement changed the key"


@pytest.mark.parametrize("key", ["\x03", "\x1c"] * 5)
def test_F118_echo_is_restored_when_interrupted(daemon, key):
    import pty
    import termios
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)[3]
    pid = os.fork()
    if pid == 0:
        os.setsid()
        import fcntl
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.execve(str(BIN / "modelpc"), ["modelpc", "key", "set", "openai"], dict(daemon.env, MODELPD_NO_SPAWN="1"))
    deadline = time.monotonic() + 5
    while termios.tcgetattr(slave)[3] & termios.ECHO and time.monotonic() < deadline:
        time.sleep(0)
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    # at once, so that it comes before the wait for a line has begun, or just after
    os.write(master, key.encode())
    ended = 0
    while ended == 0 and time.monotonic() < deadline:
        ended, _ = os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)
    if ended == 0:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert ended == pid, "the key was not noticed"
    assert termios.tcgetattr(slave)[3] == before
    os.close(master)
    os.close(slave)


def test_key_set_checks_the_key(daemon, provider):
    daemon.add_provider(provider, key="sk-the-first-one-0123456789")
    r = daemon.mpc("key", "set", "scripted", "--stdin", input=b"sk-0123456789abcdefghij\n", check=0)
    assert provider.requests[-1].path == "/v1/models" and provider.requests[-1].header("authorization") == "Bearer sk-0123456789abcdefghij"
    provider.models = lambda req: reply(401, {"error": {"message": "no"}})
    r = daemon.mpc("key", "set", "scripted", "--stdin", input=b"sk-wrong-0123456789abcd\n")
    assert "reject" in r.out + r.err
    r, w = os.pipe()
    os.write(w, b"sk-by-fd-0123456789abcdef")
    os.close(w)
    p = subprocess.run([str(BIN / "modelpc"), "key", "set", "scripted", "--fd", str(r), "--no-check"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"),
                       pass_fds=[r], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    os.close(r)
    assert p.returncode == 0, p.stderr


def test_check_command(daemon, provider):
    ref = daemon.add_provider(provider)
    r = daemon.mpc("check", "scripted", check=0)
    assert "scripted" in r.out and "ms" in r.out
    r = daemon.mpc("check", "openai")
    assert r.returncode == 4
    r = daemon.mpc("check", check=0)
    assert ref.split(":")[0] in r.out


# ---- watch, daemon, doctor, rpc ----

class Lines:
    def __init__(self, d, *args):
        self.p = subprocess.Popen([str(BIN / "modelpc"), *args], env=dict(d.env, MODELPD_NO_SPAWN="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  stdin=subprocess.DEVNULL, text=True)
        self.lines = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.p.stdout:
            self.lines.append(line.rstrip("\n"))

    def until(self, text, timeout=10):
        deadline = time.monotonic() + timeout
        while not any(text in l for l in self.lines):
            assert time.monotonic() < deadline, (text, self.lines)
            time.sleep(0.01)

    def close(self):
        self.p.terminate()
        self.p.wait(10)


def test_watch_follows_and_reconnects(daemon):
    w = Lines(daemon, "watch", "--format", "{active.nick|active.ref}")
    w.until("echo:echo")
    daemon.mpc("switch", "echo:one", check=0)
    w.until("echo:one")
    daemon.kill()
    deadline = time.monotonic() + 5
    while w.lines[-1] != "-" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert w.lines[-1] == "-"
    daemon.start()
    deadline = time.monotonic() + 15
    while w.lines[-1] != "echo:one" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert w.lines[-1] == "echo:one"
    w.close()


def test_watch_json_gives_one_object_per_line(daemon):
    w = Lines(daemon, "watch", "--json", "route")
    deadline = time.monotonic() + 5
    while not w.lines and time.monotonic() < deadline:
        time.sleep(0.02)
    daemon.mpc("switch", "echo:two", check=0)
    w.until("echo:two")
    for line in w.lines:
        json.loads(line)
    w.close()


def test_daemon_group(daemon):
    assert str(daemon.pid) in daemon.mpc("daemon", check=0).out
    daemon.mpc("daemon", "reload", check=0)
    assert "ready" in daemon.mpc("daemon", "log", check=0).out or daemon.mpc("daemon", "log", check=0).out
    r = daemon.mpc("daemon", "start")
    assert r.returncode in (0, 9)


def test_doctor(daemon):
    r = daemon.mpc("doctor")
    assert r.returncode in (0, 1)
    states = [l.split()[0] for l in r.out.splitlines() if l and not l.startswith(" ")]
    assert "ok" in states and set(states) <= {"ok", "warn", "FAIL"}
    d = json.loads(daemon.mpc("doctor", "--json").out)
    assert str(daemon.home) not in json.dumps(d)
    daemon.socket.parent.chmod(0o755)
    r = daemon.mpc("doctor")
    assert r.returncode == 1 and "FAIL" in r.out and "chmod" in r.out
    daemon.socket.parent.chmod(0o700)


def test_rpc_command(daemon):
    assert "now_ms" in json.loads(daemon.mpc("rpc", "sys.ping", check=0).out)
    assert json.loads(daemon.mpc("rpc", "route.set", '{"ref":"echo:rpc"}', check=0).out)["active"]["ref"] == "echo:rpc"
    assert json.loads(daemon.mpc("rpc", "route.get", "-", input=b"{}", check=0).out)["active"]["ref"] == "echo:rpc"
    events = [json.loads(l) for l in daemon.mpc("rpc", "prompt.start", '{"text":"streamed"}', check=0).out.splitlines()]
    assert events[-1]["type"] == "done"


def test_the_daemon_dies_during_a_prompt(daemon, provider):
    daemon.add_provider(provider)
    provider.script([head(chunked=True), chunk(piece({"content": "some"})), Hang()])
    p = subprocess.Popen([str(BIN / "modelpc"), "p", "x"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         stdin=subprocess.DEVNULL, text=True)
    assert p.stdout.read(4) == "some"
    t = time.monotonic()
    daemon.kill()
    _, err = p.communicate(timeout=10)
    assert time.monotonic() - t < 1.5
    assert p.returncode in (1, 5, 6) and err.startswith("mpc: ")
    daemon.start()
