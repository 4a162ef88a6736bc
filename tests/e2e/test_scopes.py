"""Scopes: a terminal, a repository or a name can have a choice of its own, with an end of its own.

    mpc switch REF                 everywhere
    mpc switch REF --here          this terminal, until it is gone
    mpc switch REF --project       everything below this repository's root
    mpc switch REF --scope NAME    whoever says that name (MODELPD_SCOPE=NAME, or in the protocol)
"""
import os
import subprocess
import time

import pytest

from harness.daemon import BIN, Terminal

MPC = str(BIN.resolve() / "modelpc")


class Shell(Terminal):
    """A terminal with a shell in it, as a window or a pane of tmux is."""

    def __init__(self, d, cwd=None):
        env = dict(d.env, MODELPD_NO_SPAWN="1", PS1="", NO_COLOR="1", COLUMNS="200", ENV="", TERM="dumb")
        super().__init__(["/bin/sh"], env, str(cwd or d.home))
        self.type("stty -echo; PS1=; echo rea''dy\n")
        self.expect("ready\r\n")
        self.count = 0

    def mpc(self, *args):
        """Output and exit code of one command."""
        self.count += 1
        mark = f"end-{self.count}-"
        before = len(self.output)
        words = " ".join("'" + str(a).replace("'", "'\\''") + "'" for a in (MPC, *args))
        self.type(f"{words} 2>&1; echo {mark[:-1]}'-'$?\n")
        deadline = time.monotonic() + 15
        while mark.encode() not in self.output[before:] or not self.output.endswith(b"\n"):
            assert time.monotonic() < deadline, self.output[before:]
            self.read()
        out, _, code = self.output[before:].decode().replace("\r\n", "\n").partition(mark)
        return out, int(code)

    def ref(self):
        return self.mpc("which", "--plain")[0].split("active\t")[1].split("\t")[2].split("\n")[0]

    def close(self):
        self.type("exit\n")
        self.wait()


@pytest.fixture
def shells(daemon):
    made = []

    def make(cwd=None):
        made.append(Shell(daemon, cwd))
        return made[-1]

    daemon.mpc("switch", "echo:everywhere", check=0)
    yield make
    for s in made:
        if s.pid:
            s.close()


def repository(d, name, file=False):
    root = d.home / name
    root.mkdir(parents=True)
    if file:
        (root / ".git").write_text("gitdir: /elsewhere\n")
    else:
        (root / ".git").mkdir()
    return root


def seen_from(d, cwd, **env):
    r = subprocess.run([MPC, "which", "--plain"], env=dict(d.env, MODELPD_NO_SPAWN="1", **env), cwd=cwd,
                       capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    return next(l.split("\t")[3] for l in r.stdout.split("\n") if l.startswith("active"))


def mpc_in(d, cwd, *args, check=0, **env):
    r = subprocess.run([MPC, *map(str, args)], env=dict(d.env, MODELPD_NO_SPAWN="1", **env), cwd=cwd, capture_output=True,
                       text=True, stdin=subprocess.DEVNULL)
    assert r.returncode == check, (r.stdout, r.stderr)
    return r


# ---- this terminal ----

def test_here_is_one_terminal(daemon, shells):
    left, right = shells(), shells()
    out, code = left.mpc("switch", "echo:left", "--here")
    assert code == 0 and out.startswith("Now using echo:left in this terminal (was echo:everywhere).\n")
    assert "undo: mpc switch - --here" in out
    assert (left.ref(), right.ref()) == ("echo:left", "echo:everywhere")
    # a program that asks from there asks as that terminal does
    assert left.mpc("p", "--json", "hi")[0].count('"echo:left"') > 0
    assert right.mpc("p", "--json", "hi")[0].count('"echo:left"') == 0
    right.mpc("switch", "echo:right", "--here")
    assert (left.ref(), right.ref()) == ("echo:left", "echo:right")
    assert left.mpc("switch", "-", "--here")[1] == 0
    assert left.ref() == "echo:everywhere"
    assert left.mpc("switch", "--clear", "--here")[1] == 3  # nothing left to clear


def test_here_needs_a_terminal(daemon):
    assert "--here needs a terminal" in daemon.mpc("switch", "echo:x", "--here", check=2).err


def test_a_terminal_that_is_gone_is_no_news(daemon, shells):
    shell = shells()
    shell.mpc("switch", "echo:gone", "--here")
    assert "stays in scope tty:" in daemon.mpc("switch", "echo:a", check=0).err
    shell.close()
    shell.pid = 0
    assert daemon.mpc("switch", "echo:b", check=0).err == ""
    assert "echo:gone" not in daemon.mpc("-v", check=0).out


def test_the_choice_of_a_terminal_does_not_outlive_a_reboot(make_daemon):
    """Terminals and processes get the same numbers again after a reboot."""
    d = make_daemon(env={"MODELPD_TEST_BOOT_ID": "one"})
    shell = Shell(d)
    shell.mpc("switch", "echo:old", "--here")
    with d.rpc() as c:
        scope = next(o["scope"] for o in c.call("state.get")["snapshot"]["overrides"] if o["scope"].startswith("tty:"))
        assert c.call("route.get", scope=scope)["active"]["ref"] == "echo:old"
    shell.close()
    d.restart()
    with d.rpc() as c:
        assert c.call("route.get", scope=scope)["active"]["ref"] == "echo:old"
    d.stop()
    d.env["MODELPD_TEST_BOOT_ID"] = "two"
    d.start()
    with d.rpc() as c:
        assert c.call("route.get", scope=scope)["active"]["ref"] == "echo:echo"


# ---- this repository ----

def test_project_is_everything_below_the_nearest_root(daemon):
    d = daemon
    d.mpc("switch", "echo:everywhere", check=0)
    outer, inner = repository(d, "outer"), repository(d, "outer/lib/inner")
    tree, deep = repository(d, "tree", file=True), outer / "src" / "deep"
    deep.mkdir(parents=True)
    mpc_in(d, deep, "switch", "echo:outer", "--project")
    mpc_in(d, tree, "switch", "echo:tree", "--project")
    assert seen_from(d, outer) == seen_from(d, deep) == "echo:outer"
    assert seen_from(d, inner) == "echo:everywhere", "a repository inside is another one"
    mpc_in(d, inner, "switch", "echo:inner", "--project")
    assert (seen_from(d, inner), seen_from(d, outer)) == ("echo:inner", "echo:outer")
    assert seen_from(d, tree) == "echo:tree", "a worktree has a file for .git"
    assert seen_from(d, d.home) == "echo:everywhere"
    # the same place by another way
    os.symlink(outer, d.home / "way")
    assert seen_from(d, d.home / "way" / "src") == "echo:outer"
    assert list(outer.glob(".git/*")) == [], "nothing is written into a repository"
    assert "--project needs a repository" in mpc_in(d, d.home, "switch", "echo:x", "--project", check=2).stderr


@pytest.mark.parametrize("name", [b"b\xffad", b"new\nline", "ü".encode() * 100, b"it's \"odd\" $x", b"x" * 250])
def test_any_path_can_be_a_project(daemon, name):
    root = os.fsencode(daemon.home) + b"/" + name
    os.makedirs(root + b"/.git")
    os.makedirs(root + b"2/.git")
    daemon.mpc("switch", "echo:everywhere", check=0)
    mpc_in(daemon, root, "switch", "echo:own", "--project")
    assert seen_from(daemon, root) == "echo:own"
    assert seen_from(daemon, root + b"2") == "echo:everywhere"


# ---- a name ----

@pytest.mark.parametrize("name", ["work", "it's \"odd\" $x `y`", "ünï çödé", "-x", " ", "x" * 256, "tty:not really"])
def test_a_scope_may_have_almost_any_name(daemon, name):
    daemon.mpc("switch", "echo:everywhere", check=0)
    daemon.mpc("switch", "echo:own", "--scope", name, check=0)
    assert seen_from(daemon, daemon.home, MODELPD_SCOPE=name) == "echo:own"
    assert daemon.mpc("which", "--scope", name, "--plain", check=0).out.count("echo:own") == 1
    assert seen_from(daemon, daemon.home) == "echo:everywhere"
    # what the note says to type works in a shell
    note = daemon.mpc("switch", "echo:other", check=0).err
    command = note[note.index("(mpc ") + 5:note.rindex(")")]
    subprocess.run(["/bin/sh", "-c", f"'{MPC}' {command}"], env=dict(daemon.env, MODELPD_NO_SPAWN="1"), check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)
    assert seen_from(daemon, daemon.home, MODELPD_SCOPE=name) == "echo:other"


@pytest.mark.parametrize("name", ["", "a\nb", "a\x7f", "x" * 257, "\udcff"])
def test_names_that_are_none(daemon, name):
    for args in (("--scope", name), ("--clear", "--scope", name)):
        r = daemon.mpc("switch", *(() if args[0] == "--clear" else ("echo:x",)), *args, check=2)
        assert r.err.startswith("mpc: a scope "), r.err
    if name:
        r = daemon.mpc(env={"MODELPD_SCOPE": name}, check=2)
        assert r.err.startswith("mpc: the name in MODELPD_SCOPE "), r.err


def test_the_environment_names_the_scope_of_a_program(daemon):
    daemon.mpc("switch", "echo:everywhere", check=0)
    env = {"MODELPD_SCOPE": "work"}
    # there "here" is that name
    out = daemon.mpc("switch", "echo:work", "--here", env=env, check=0).out
    assert out.startswith("Now using echo:work in scope work ")
    assert daemon.mpc("p", "--json", "hi", env=env, check=0).out.count('"echo:work"') > 0
    assert daemon.mpc("--plain", env=env, check=0).out.startswith("active\techo:work\t\tpersistent\twork\n")
    assert daemon.mpc("--plain", check=0).out.startswith("active\techo:everywhere\t")
    # a switch without a scope goes everywhere all the same
    assert daemon.mpc("switch", "echo:new", env=env, check=0).out.startswith("Now using echo:new everywhere")


# ---- with an end of its own ----

def test_each_scope_ends_by_itself(daemon):
    with daemon.rpc() as everywhere, daemon.rpc(scope="a") as a, daemon.rpc(scope="b") as b:
        everywhere.call("route.set", ref="echo:everywhere")
        everywhere.call("route.set", ref="echo:a", scope="a", ttl_ms=600)
        everywhere.call("route.set", ref="echo:b", scope="b", ttl_ms=60_000)
        for c in (everywhere, a, b):
            c.call("state.subscribe", topics=["route"], snapshot=False)
        assert a.event("state.event", topic="route", timeout=5)["value"]["ref"] == "echo:everywhere"
        assert b.call("route.get")["active"]["ref"] == "echo:b"
        for c in (everywhere, b):
            assert [e for n, e in c.events if n == "state.event"] == [], "told of what concerns somebody else"
    daemon.mpc("switch", "echo:a", "--scope", "a", "--for", "2h", check=0)
    assert "temporary, in scope a          echo:a, just now, 2 h left" in daemon.mpc("which", "--scope", "a", check=0).out


# ---- which one won, and who keeps what ----

def test_which_shows_every_layer(daemon, shells):
    shell = shells()
    shell.mpc("switch", "echo:here", "--here")
    daemon.mpc("test", "echo", "tested", "30", check=0)
    out, _ = shell.mpc("which")
    assert [l.split()[0] + " " + l.split(",")[0].strip("● ").split("  ")[0] for l in out.strip().split("\n")][0].startswith("echo:here")
    lines = out.strip().split("\n")[1:]
    assert lines[0].startswith("● temporary, in this terminal    echo:here, just now") and lines[0].endswith("(active)")
    assert lines[1] == "  persistent, in this terminal   —"
    assert lines[2].startswith("  test session, everywhere       echo:tested, just now, 30 min left")
    assert lines[3] == "  temporary, everywhere          —"
    assert lines[4].startswith("  persistent, everywhere         echo:everywhere, just now")
    assert lines[5] == "  built-in default               echo:echo"


def test_a_global_switch_names_who_keeps_a_choice(daemon, shells):
    shell = shells()
    shell.mpc("switch", "echo:here", "--here")
    root = repository(daemon, "thing")
    mpc_in(daemon, root, "switch", "echo:thing", "--project")
    daemon.mpc("switch", "echo:named", "--scope", "named", check=0)
    out, _ = shell.mpc("switch", "echo:new")
    assert "note: echo:here stays in this terminal (mpc switch --clear --here)\n" in out
    assert f"note: echo:thing stays in scope project:{root} (mpc switch --clear --scope 'project:{root}')\n" in out
    assert "note: echo:named stays in scope named (mpc switch --clear --scope 'named')\n" in out
    assert "stays in this project (mpc switch --clear --project)" in mpc_in(daemon, root, "switch", "echo:newer").stderr
    # many of them are counted
    for n in range(10):
        daemon.mpc("switch", f"echo:{n}", "--scope", f"s{n}", check=0)
    err = daemon.mpc("switch", "echo:newest", check=0).err
    assert err.count(" stays in ") == 5
    assert err.endswith("note: 8 more scopes keep a choice of their own (mpc -v)\n")
    assert daemon.mpc("-v", check=0).out.count("scope ") >= 13
