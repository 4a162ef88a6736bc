"""Settings and the configuration document, by mpc and over the socket."""
import json
import sqlite3
import subprocess

import pytest
from harness.daemon import BIN
from harness.rpc import RpcError


# ---- settings ----

def show_config(daemon):
    r = subprocess.run([str(BIN / "modelpd"), "--show-config"], env=daemon.env, capture_output=True, text=True,
                       timeout=30, cwd=str(daemon.home))
    assert "Sanitizer" not in r.stderr, r.stderr
    assert r.returncode == 0, r.stderr
    return dict(line.split(" ", 1) for line in r.stdout.splitlines())


def test_settings_are_set_read_and_kept(daemon):
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "30m\n"
    said = daemon.mpc("config", "set", "session_duration", "90", check=0).out
    assert said.startswith("session_duration is 1h30m now (was 30m).\n")
    assert "mpc config set session_duration 30m" in said
    assert "already" in daemon.mpc("config", "set", "session_duration", "1h30m", check=0).out
    daemon.kill()
    daemon.start()
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "1h30m\n"
    daemon.mpc("config", "unset", "session_duration", check=0)
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "30m\n"


def test_settings_for_scripts(daemon):
    daemon.mpc("config", "set", "lock_idle", "never", check=0)
    rows = [line.split("\t") for line in daemon.mpc("config", "get", "--plain", check=0).out.splitlines()]
    assert ["lock_idle", "never", "4h"] == [r for r in rows if r[0] == "lock_idle"][0][:3]
    by_name = {s["name"]: s for s in json.loads(daemon.mpc("config", "get", "--json", check=0).out)["settings"]}
    assert by_name["lock_idle"]["value_ms"] == 0 and by_name["lock_idle"]["is_default"] is False
    assert by_name["session_duration"]["value_ms"] == 1800000
    one = json.loads(daemon.mpc("config", "set", "lock_idle", "1h", "--json", check=0).out)
    assert (one["value"], one["previous"], one["value_ms"]) == ("1h", "never", 3600000)


@pytest.mark.parametrize("args, code, words", [
    (("set", "session_duration", "25h"), 2, "1m to 1d"),
    (("set", "session_duration", "soon"), 2, "30m"),
    (("set", "sesion_duration", "1h"), 3, "did you mean: session_duration"),
    (("get", "lock"), 3, "lock_idle"),
    (("set", "lock_idle"), 2, "value"),
    (("unset",), 2, "name"),
    (("frob",), 2, "knows"),
    (("get", "a", "b"), 2, "too many"),
])
def test_mistakes_about_settings(daemon, args, code, words):
    r = daemon.mpc("config", *args, check=code)
    assert words in r.err
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "30m\n"


def test_settings_over_the_socket(daemon):
    with daemon.rpc() as c, daemon.rpc() as watcher:
        snapshot = watcher.call("state.subscribe", topics=["settings"])["snapshot"]["settings"]
        assert [s["name"] for s in snapshot][:1] == ["session_duration"]
        rev = c.call("settings.set", name="lock_after", value="1d")["rev"]
        event = watcher.event()
        assert (event["topic"], event["key"], event["value"]["value"], event["rev"]) == ("settings", "lock_after",
                                                                                         "1d", rev)
        # what is so already writes nothing
        assert c.call("settings.set", name="lock_after", value="24h")["rev"] == rev
        for value in (5, True, 1.5, "1h\0", [], {}, b"1h"):
            with pytest.raises(RpcError) as e:
                c.call("settings.set", name="lock_after", value=value)
            assert e.value.code == "invalid_params"
        assert c.call("settings.set", name="lock_after")["value"] == "12h"


def test_show_config_with_and_without_a_daemon(daemon):
    daemon.mpc("config", "set", "session_duration", "2h", check=0)
    running = show_config(daemon)
    assert running["session_duration"] == "2h" and running["lock_after"] == "12h"
    assert running["socket"] == str(daemon.socket)
    daemon.stop()
    assert show_config(daemon) == running
    (daemon.data / "state.db").unlink()
    assert show_config(daemon)["session_duration"] == "30m"
    assert not (daemon.data / "state.db").exists()  # looking makes nothing


def test_show_config_names_a_damaged_database(daemon):
    daemon.stop()
    (daemon.data / "state.db").write_bytes(b"\0" * 4096)
    r = subprocess.run([str(BIN / "modelpd"), "--show-config"], env=daemon.env, capture_output=True, text=True,
                       timeout=30)
    assert r.returncode in (74, 78) and r.stdout == "" and str(daemon.data / "state.db") in r.stderr
    (daemon.data / "state.db").unlink()


def test_a_stored_setting_that_does_not_fit_is_its_default(daemon):
    """A row that no longer fits its range counts as unset; nothing breaks."""
    daemon.stop()
    db = sqlite3.connect(daemon.data / "state.db")
    db.execute("INSERT INTO settings VALUES ('session_duration', '400d', 1)")
    db.commit()
    db.close()
    daemon.start()
    assert daemon.mpc("config", "get", "session_duration", check=0).out == "30m\n"
    assert "not valid" in daemon.log()
