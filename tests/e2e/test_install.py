"""What `cmake --install` puts where, and what it says about another mpd or mpc (UX.md section 1)."""
import os
import pathlib
import shutil
import subprocess

import pytest

from harness.daemon import BIN

SOURCE = pathlib.Path(os.environ.get("MPD_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
BUILD = BIN.resolve().parent
PROGRAMS = {"bin/modelpd", "bin/modelpc"}
MANUALS = {"share/man/man1/modelpd.1", "share/man/man1/modelpc.1", "share/man/man5/modelpd-config.5",
           "share/man/man7/modelpd-protocol.7"}
NAMES = {"bin/mpd", "bin/mpc", "share/man/man1/mpd.1", "share/man/man1/mpc.1"}


def configure(folder, *options, env=None):
    """A build folder of its own that has the programs of this build: nothing is compiled twice."""
    r = subprocess.run(["cmake", "-S", str(SOURCE), "-B", str(folder), "-G", "Ninja", "-DCMAKE_INSTALL_PREFIX=/usr",
                        *options], capture_output=True, text=True, env=env)
    assert r.returncode == 0, r.stderr
    shutil.copytree(BIN, folder / "bin", symlinks=True, dirs_exist_ok=True)
    shutil.copytree(BUILD / "man", folder / "man", dirs_exist_ok=True)
    return r.stderr


def install(folder, to):
    return subprocess.run(["cmake", "--install", str(folder)], env=dict(os.environ, DESTDIR=str(to)),
                          capture_output=True, text=True, check=True)


def files(root):
    return {str(p.relative_to(root / "usr")) for p in root.rglob("*") if p.is_symlink() or p.is_file()}


def test_install_gives_programs_names_and_manuals_and_nothing_else(tmp_path):
    configure(tmp_path / "build", "-DMPD_NAMES=ON")
    install(tmp_path / "build", tmp_path / "dest")
    assert files(tmp_path / "dest") == PROGRAMS | MANUALS | NAMES
    assert os.readlink(tmp_path / "dest/usr/bin/mpc") == "modelpc"
    assert os.readlink(tmp_path / "dest/usr/bin/mpd") == "modelpd"
    assert os.readlink(tmp_path / "dest/usr/share/man/man1/mpc.1") == "modelpc.1"
    r = subprocess.run([tmp_path / "dest/usr/bin/mpc", "--version"], capture_output=True, text=True, check=True)
    assert r.stdout == "mpc (model provider client) 0.1.0, protocol 1.0\n"


def test_install_without_the_short_names(tmp_path):
    said = configure(tmp_path / "build", "-DMPD_NAMES=OFF")
    install(tmp_path / "build", tmp_path / "dest")
    assert files(tmp_path / "dest") == PROGRAMS | MANUALS
    assert "another program" not in said


def test_another_mpd_is_named_and_never_overwritten(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for name in ("mpd", "mpc"):
        (other / name).write_text("#!/bin/sh\necho music\n")
        (other / name).chmod(0o755)
    said = configure(tmp_path / "build", "-DMPD_NAMES=ON", env=dict(os.environ, PATH=f"{other}:{os.environ['PATH']}"))
    said = " ".join(said.split())  # CMake wraps its lines
    assert f"{other}/mpd is another program called mpd" in said and f"{other}/mpc is another program called mpc" in said
    assert "-DMPD_NAMES=OFF" in said
    there = tmp_path / "dest/usr/bin"
    there.mkdir(parents=True)
    shutil.copy(other / "mpc", there / "mpc")
    r = install(tmp_path / "build", tmp_path / "dest")
    assert "is another program; it is left alone" in r.stderr
    assert (there / "mpc").read_text() == "#!/bin/sh\necho music\n" and os.readlink(there / "mpd") == "modelpd"


@pytest.mark.parametrize("page", sorted(MANUALS))
def test_manuals_show_without_a_complaint(page):
    source = BUILD / "man" / pathlib.Path(page).name
    text = source.read_text()
    assert '.TH "' in text and ".SH NAME" in text and ".SH SEE ALSO" in text
    if not shutil.which("man"):
        return  # a small system: nobody to show it
    r = subprocess.run(["man", "--warnings", "-l", str(source)], capture_output=True, text=True,
                       env=dict(os.environ, LC_ALL="C.UTF-8", MANWIDTH="80", PAGER="cat", MANPAGER="cat"))
    assert r.returncode == 0 and r.stdout and not r.stderr, r.stderr
