"""check_includes: every #include against DESIGN.md section 2. A folder includes only from itself and from folders
below it; each library only where it belongs. `--self-test` proves that a wrong include is caught."""
import pathlib
import re
import sys
import tempfile

# From the roof down. A folder may include from itself and from the folders named with it.
BASE = {"protocol", "protocol/base", "server/base", "server/model"}
ALLOWED = {
    "protocol/base": set(),
    "protocol": {"protocol/base"},
    "server/base": {"protocol", "protocol/base"},
    "server/model": {"protocol", "protocol/base"},
    "server/upstream": BASE,
    "server/dialect": BASE - {"server/base"},
    "server/store": BASE,
    "server/usage": BASE | {"server/store"},
    "server/vault": BASE | {"server/store"},
    "server/state": BASE | {"server/store", "server/vault"},
    "server/call": BASE | {"server/store", "server/vault", "server/state", "server/usage", "server/dialect",
                           "server/upstream"},
    "server/document": BASE | {"server/store", "server/vault", "server/state", "server/dialect"},
    "server/rpc": BASE | {"server/store", "server/vault", "server/state", "server/usage", "server/call", "server/dialect",
                          "server/upstream", "server/document"},
    "server": BASE | {"server/store", "server/vault", "server/state", "server/usage", "server/call", "server/dialect",
                      "server/upstream", "server/document", "server/rpc"},
    "client": {"protocol", "protocol/base"},
}
# A library's headers and the only places that may see them.
LIBRARIES = [
    (r"msgpack", ["protocol/"]),
    (r"curl/", ["server/upstream/http"]),
    (r"sqlite3", ["server/store/"]),
    (r"yaml", ["server/document/reader_yaml.c"]),
    (r"sodium", ["server/vault/", "protocol/base/secret.c"]),
    (r"event2?/|event\.h", ["server/base/loop.c"]),
    (r"libsmartcols", ["client/"]),
    (r"n?curses|histedit|editline", ["client/screen", "client/cmd/chat"]),
    (r"jansson|cmocka", []),
]
GENERATED = {"mpd_version.h"}


def folder_of(path):
    """The folder of DESIGN.md that a file belongs to."""
    parent = str(pathlib.PurePosixPath(path).parent)
    if parent.startswith("client"):
        return "client"
    if parent.startswith("server/rpc"):
        return "server/rpc"
    return parent


def check_file(root, path):
    here = folder_of(path)
    problems = []
    for number, line in enumerate((root / path).read_text().split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
        if not m:
            continue
        name = m[2]
        where = f"{path}:{number}: {name}"
        for pattern, places in LIBRARIES:
            if m[1] == "<" and re.match(pattern, name) and not any(path.startswith(p) for p in places):
                problems.append(f"{where}: this library belongs to {', '.join(places) or 'the tests'} only")
        if m[1] == '"' and name not in GENERATED:
            if "/" not in name or not (root / name).exists():
                problems.append(f"{where}: include paths start at the top of the tree")
                continue
            there = folder_of(name)
            if there != here and there not in ALLOWED.get(here, set()):
                problems.append(f"{where}: {here}/ may not include from {there}/")
    return problems


def check(root):
    problems, files = [], 0
    for top in ("protocol", "server", "client"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".c", ".h", ".def"):
                files += 1
                problems += check_file(root, path.relative_to(root).as_posix())
    return problems, files


def self_test():
    wrong = {
        "server/dialect/a.c": '#include "server/upstream/b.h"\n',
        "server/upstream/b.h": "#include <curl/curl.h>\n",
        "client/cmd/c.c": '#include "server/model/d.h"\n',
        "server/model/d.h": "#include <sodium.h>\n",
        "protocol/base/e.h": '#include "protocol/f.h"\n',
        "protocol/f.h": '#include "e.h"\n',
        "server/rpc/methods/g.c": "#include <sqlite3.h>\n",
    }
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        for name, text in wrong.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        problems, _ = check(root)
    caught = {p.split(":")[0] for p in problems}
    missed = set(wrong) - caught
    if missed:
        sys.exit(f"self-test: not caught: {', '.join(sorted(missed))}")


self_test()
problems, files = check(pathlib.Path(sys.argv[1]))
for p in problems:
    print(p)
print(f"{files} files, {len(problems)} wrong includes")
sys.exit(1 if problems or not files else 0)
