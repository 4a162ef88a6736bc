"""Starting, stopping, and everything that can be wrong before the first answer."""
import concurrent.futures
import hashlib
import os
import pathlib
import signal
import socket
import sqlite3
import stat
import subprocess
import time

import pytest

from harness.daemon import BIN, Daemon, figure
from harness.provider import Provider, certificate


def run_daemon(home, *args, env=None, timeout=10, **kw):
    """modelpd that is expected to end by itself."""
    e = dict(home.env)
    e.update(env or {})
    r = subprocess.run([str(BIN / "modelpd"), *map(str, args)], env=e, stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=timeout, **kw)
    r.err = r.stderr.decode("utf-8", "replace")
    assert "Sanitizer" not in r.err, r.err
    return r


def tree_hash(folder):
    h = hashlib.sha256()
    for p in sorted(pathlib.Path(folder).rglob("*")):
        h.update(str(p.relative_to(folder)).encode())
        if p.is_file() and not p.is_symlink():
            h.update(p.read_bytes())
    return h.hexdigest()


def test_ready_line_and_version(daemon):
    assert f"modelpd 0.1.0 ready on {daemon.socket}" in daemon.log()
    r = run_daemon(daemon, "--version")
    assert r.returncode == 0 and b"0.1.0" in r.stdout


def test_files_are_private(daemon):
    with daemon.rpc() as c:
        c.call("key.set", provider="openai", secret="sk-000000000000000000000001")
    for p in [daemon.socket.parent, daemon.data, *daemon.data.rglob("*"), daemon.socket, daemon.socket.parent / "lock",
              daemon.socket.parent / "pid"]:
        assert stat.S_IMODE(p.lstat().st_mode) & 0o077 == 0, p


def test_F05_stale_socket_and_lock_are_replaced(daemon):
    daemon.kill()
    assert daemon.socket.exists()
    t = time.monotonic()
    daemon.start()
    with daemon.rpc() as c:
        c.call("sys.ping")
    assert time.monotonic() - t <= figure(0.1, 2.0)


def test_F16_read_only_data_folder(home):
    home.data.mkdir(parents=True, mode=0o700)
    mount = ["unshare", "-m", "sh", "-c", f"mount -t tmpfs -o ro,mode=0700 none {home.data} && exec \"$@\"", "sh"]
    t = time.monotonic()
    r = subprocess.run([*mount, str(BIN / "modelpd")], env=home.env, capture_output=True, timeout=10)
    took = time.monotonic() - t
    err = r.stderr.decode()
    if r.returncode == 1 and ("unshare" in err or "mount" in err):
        pytest.skip(f"cannot mount a read-only tmpfs here: {err.strip()}")
    assert r.returncode == 74 and took <= figure(1.0, 3.0), (err, took)
    assert str(home.data) in err and "Read-only" in err


@pytest.mark.parametrize("what", ["database", "folder", "runtime folder"])
def test_F17_open_modes_are_refused_and_never_changed(home, what):
    Daemon.start(d := _on(home)).stop()
    path = {"database": home.data / "state.db", "folder": home.data, "runtime folder": home.socket.parent}[what]
    mode = 0o644 if path.is_file() else 0o755
    path.chmod(mode)
    r = run_daemon(home)
    assert r.returncode == 78, r.err
    assert "chmod" in r.err and str(path) in r.err
    assert stat.S_IMODE(path.stat().st_mode) == mode


def _on(home):
    """A Daemon on the folders of an existing home."""
    d = Daemon.__new__(Daemon)
    d.__dict__.update(home.__dict__)
    d.args, d.process, d.logfile = [], None, home.root / "log"
    return d


def test_F17_foreign_owner_is_refused(home):
    _on(home).start().stop()
    os.chown(home.data / "state.db", 12345, 12345)
    r = run_daemon(home)
    assert r.returncode == 78 and "state.db" in r.err


@pytest.mark.parametrize("kind", ["symlink", "fifo", "directory"])
@pytest.mark.parametrize("what", ["state.db", "lock"])
def test_F18_links_fifos_and_folders_are_refused(home, kind, what):
    _on(home).start().stop()
    path = home.data / "state.db" if what == "state.db" else home.socket.parent / "lock"
    for extra in ("", "-wal", "-shm"):
        p = pathlib.Path(str(path) + extra)
        if p.exists():
            p.unlink()
    target = home.root / "elsewhere"
    if kind == "symlink":
        path.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    else:
        path.mkdir(mode=0o700)
    r = run_daemon(home)
    assert r.returncode in (74, 78), r.err
    assert not target.exists(), "a link was followed"
    kinds = {"symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO, "directory": stat.S_ISDIR}
    assert kinds[kind](path.lstat().st_mode), "something was replaced"


def test_F19_two_daemons_on_one_database(daemon):
    r = run_daemon(daemon)
    assert r.returncode == 75
    assert str(daemon.pid) in r.err
    other = daemon.root / "other"
    other.mkdir(mode=0o700)
    r = run_daemon(daemon, env={"MODELPD_SOCKET": str(other / "rpc.sock"), "MODELPD_DATA_DIR": str(daemon.data)})
    assert r.returncode in (74, 75), r.err
    with daemon.rpc() as c:
        c.call("sys.ping")


def test_F19_50_simultaneous_starts_give_one_daemon(home):
    start = time.monotonic()
    procs = [subprocess.Popen([str(BIN / "modelpd")], env=home.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) for _ in range(50)]
    deadline = start + 60
    while sum(p.poll() is None for p in procs) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    took = time.monotonic() - start
    running = [p for p in procs if p.poll() is None]
    assert len(running) == 1
    assert took <= figure(2, 15), took
    assert sorted({p.returncode for p in procs if p is not running[0]}) == [75]
    assert home.mpc("status").returncode == 0
    running[0].terminate()
    assert running[0].wait(10) == 0


def test_F120_50_simultaneous_first_commands_give_one_daemon(home):
    env = {"MODELPD_NO_SPAWN": None}
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        results = list(pool.map(lambda _: home.mpc("rpc", "sys.info", "--json", env=env, timeout=60), range(50)))
    assert [r.returncode for r in results] == [0] * 50, {r.err for r in results}
    import json
    assert len({json.loads(r.out)["pid"] for r in results}) == 1


def test_F120_the_daemon_does_not_inherit_the_shell(home):
    gone = home.root / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && umask 000 && exec 9</etc/passwd && exec {BIN}/modelpc -q status"
    env = dict(home.env, OPENAI_API_KEY="sk-canary-in-the-environment", LD_BIND_NOW="1", FOO="bar")
    subprocess.run(["sh", "-c", script], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    pid = int((home.socket.parent / "pid").read_text())
    proc = pathlib.Path(f"/proc/{pid}")
    assert os.readlink(proc / "cwd") == "/"
    environ = (proc / "environ").read_bytes()
    assert b"canary" not in environ and b"FOO" not in environ and b"LD_BIND" not in environ
    assert not [f for f in os.listdir(proc / "fd") if os.readlink(proc / "fd" / f) == "/etc/passwd"]
    status = (proc / "status").read_text()
    assert "Umask:\t0077" in status
    stat_fields = (proc / "stat").read_text().rsplit(")", 1)[1].split()
    assert int(stat_fields[3]) == pid or int(stat_fields[3]) != os.getsid(0), "still in our session"


def test_F41_a_hostile_environment_is_dropped(home):
    hostile = {"SSLKEYLOGFILE": str(home.root / "keylog"), "OPENAI_API_KEY": "sk-canary-1", "SOME_API_KEY": "sk-canary-2",
               "https_proxy": "http://canary-3", "HTTPS_PROXY": "http://canary-3", "ALL_PROXY": "http://canary-3",
               "LD_BIND_NOW": "canary-4", "MALLOC_CANARY": "canary-5"}
    d = _on(home)
    d.env = dict(home.env, HARMLESS="yes", **hostile)
    d.start()
    environ = pathlib.Path(f"/proc/{d.pid}/environ").read_bytes()
    assert b"HARMLESS=yes" in environ
    assert not [name for name in hostile if f"\0{name}=".encode() in b"\0" + environ]
    assert b"canary" not in environ
    server = Provider(tls=certificate(home.root))
    with d.rpc() as c:
        # an answer comes over TLS, by none of the proxies, and the connection's secrets are written nowhere
        c.call("provider.add", name="far", base_url=server.url, type="local", dialect="openai-chat", ca_file=str(home.root / "cert.pem"))
        assert c.prompt("x", ref="far:m").ok
    d.stop()
    server.close()
    assert len(server.chats) == 1
    assert not (home.root / "keylog").exists()


def test_no_spawn_says_so_and_exits_5(home):
    r = home.mpc("status")
    assert r.returncode == 5
    assert r.err.startswith("mpc: ")
    assert not home.socket.exists()


def test_first_command_starts_the_daemon(home):
    r = home.mpc("status", env={"MODELPD_NO_SPAWN": None}, check=0)
    assert "echo" in r.out
    r = home.mpc("daemon", "status", check=0)


@pytest.mark.parametrize("why", ["newer", "not ours"])
def test_F23_a_database_that_is_not_for_us_is_refused_untouched(home, why):
    _on(home).start().stop()
    db = sqlite3.connect(home.data / "state.db")
    db.execute("PRAGMA journal_mode=DELETE")
    db.execute("PRAGMA user_version=999999" if why == "newer" else "PRAGMA application_id=12345")
    db.commit()
    db.close()
    before = hashlib.sha256((home.data / "state.db").read_bytes()).hexdigest()
    r = run_daemon(home)
    assert r.returncode in (74, 78), r.err
    assert "state.db" in r.err
    assert hashlib.sha256((home.data / "state.db").read_bytes()).hexdigest() == before


def test_F21_a_damaged_database_is_kept_and_explained(home, rng):
    _on(home).start().stop()
    path = home.data / "state.db"
    good = path.read_bytes()
    for _ in range(20):
        bad = bytearray(good)
        for _ in range(200):
            bad[rng.randrange(100, len(bad))] ^= 1 << rng.randrange(8)
        path.write_bytes(bad)
        d = _on(home)
        d.start(wait=False)
        deadline = time.monotonic() + 10
        while d.process.poll() is None and time.monotonic() < deadline:
            try:
                socket.socket(socket.AF_UNIX).connect(str(home.socket))
                break
            except OSError:
                time.sleep(0.01)
        if d.process.poll() is None:
            d.stop()  # damage in unused bytes
        else:
            assert d.wait_exit() == 74
            assert path.read_bytes() == bytes(bad), "the evidence was changed"
    assert "state.db" in (home.root / "log").read_text()


def test_F40_closed_standard_descriptors(home):
    d = _on(home)
    d.process = subprocess.Popen([str(BIN / "modelpd")], env=home.env, close_fds=True,
                                 preexec_fn=lambda: os.closerange(0, 3))
    d.wait_ready()
    fds = {n: os.readlink(f"/proc/{d.pid}/fd/{n}") for n in ("0", "1", "2")}
    assert set(fds.values()) == {"/dev/null"}, fds
    with d.rpc() as c:
        c.call("route.set", ref="echo:x")
    d.stop()
    db = sqlite3.connect(home.data / "state.db")
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("case", ["0755", "0777", "foreign", "symlinked", "socket symlinked", "regular file", "108 bytes"])
def test_F44_unsafe_runtime_paths_are_refused(home, case):
    run = home.socket.parent
    if case == "108 bytes":
        long = home.root / ("x" * (108 - len(str(home.root)) - len("/rpc.sock") - 1))
        path = str(long / "rpc.sock")
        assert len(path) == 108
        r = run_daemon(home, env={"MODELPD_SOCKET": path})
        assert r.returncode in (64, 78), r.err
        assert not long.exists()
        return
    run.mkdir(mode=0o700)
    if case in ("0755", "0777"):
        run.chmod(int(case, 8))
    elif case == "foreign":
        os.chown(run, 12345, 12345)
    elif case == "symlinked":
        run.rmdir()
        real = home.root / "real"
        real.mkdir(mode=0o700)
        run.symlink_to(real)
    elif case == "socket symlinked":
        (home.root / "target").touch()
        home.socket.symlink_to(home.root / "target")
    else:
        home.socket.write_text("precious")
    r = run_daemon(home)
    assert r.returncode == 78, r.err
    assert r.err.strip()
    if case == "socket symlinked":
        assert home.socket.is_symlink()
    if case == "regular file":
        assert home.socket.read_text() == "precious"
    if case in ("0755", "0777"):
        assert stat.S_IMODE(run.stat().st_mode) == int(case, 8)


@pytest.mark.parametrize("args", [["--systemd"], ["--no-daemon"], ["/etc/mpd.conf"], ["--kill"]])
def test_music_player_daemon_is_recognised(home, args):
    r = run_daemon(home, *args)
    assert r.returncode == 64
    if args != ["--kill"]:
        assert "Music Player Daemon" in r.err


def test_detach_answers_at_once_and_leaves_no_zombie(home):
    r = run_daemon(home, "--detach")
    assert r.returncode == 0, r.err
    home.mpc("rpc", "sys.ping", check=0)
    r = run_daemon(home, "--detach")
    assert r.returncode == 75
    home.mpc("daemon", "stop", check=0)
    assert not home.socket.exists()


def test_socket_activation(home):
    run = home.socket.parent
    run.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home.socket))
    home.socket.chmod(0o600)
    listener.listen(16)
    env = dict(home.env, LISTEN_FDS="1", LISTEN_FDNAMES="rpc")
    # LISTEN_PID must be the daemon's own pid: exec keeps it
    p = subprocess.Popen(["sh", "-c", f"LISTEN_PID=$$ exec {BIN}/modelpd"], env=env, stderr=subprocess.DEVNULL,
                         pass_fds=[], preexec_fn=lambda: os.dup2(listener.fileno(), 3), close_fds=False)
    try:
        home.mpc("rpc", "sys.ping", check=0)
    finally:
        p.terminate()
        assert p.wait(10) == 0
    assert home.socket.exists(), "a socket that is not ours to remove"
    listener.close()


def test_readiness_notification(home):
    path = home.root / "notify"
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(path))
    s.settimeout(10)
    home.env["NOTIFY_SOCKET"] = str(path)
    d = _on(home).start()
    assert b"READY=1" in s.recv(4096)
    d.signal(signal.SIGHUP)
    assert b"RELOADING=1" in s.recv(4096)
    assert b"READY=1" in s.recv(4096)
    d.stop()
    assert b"STOPPING=1" in s.recv(4096)
