"""check_text: small habits of the tree. Long lines and files, trailing blanks, words of unfinished work, the fixed
top level, headers without a guard or an opening comment, and libraries that mpc must not link."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
mpc = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
problems = []
TOP = {"server", "client", "protocol", "tests", "contrib", "CMakeLists.txt", "README.md", "LICENSE", "CHANGELOG.md",
       "CMakePresets.json", "build"}

for entry in root.iterdir():
    if entry.name not in TOP and not entry.name.startswith(".") and not entry.name.startswith("build"):
        problems.append(f"{entry.name}: not in the layout of the top level")

sources = [p for top in ("protocol", "server", "client", "tests") for p in sorted((root / top).rglob("*"))
           if p.suffix in (".c", ".h", ".def", ".py")]
for path in sources:
    name = path.relative_to(root).as_posix()
    text = path.read_text()
    lines = text.split("\n")
    if path.suffix in (".c", ".h") and not name.startswith("tests/") and len(lines) > 501:
        problems.append(f"{name}: {len(lines) - 1} lines; is there a second noun in it?")
    for number, line in enumerate(lines, 1):
        if path.suffix in (".c", ".h") and not name.startswith("tests/bench/") and len(line.replace("\t", "        ")) > 110 and "http" not in line:
            problems.append(f"{name}:{number}: a long line")
        if line != line.rstrip():
            problems.append(f"{name}:{number}: blanks at the end")
        if re.search(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b", line):
            problems.append(f"{name}:{number}: a word of unfinished work")
    if text and not text.endswith("\n"):
        problems.append(f"{name}: no newline at the end")
    if path.suffix == ".h":
        if not text.startswith("/*"):
            problems.append(f"{name}: a header opens with what the thing is for")
        if not re.search(r"#ifndef \w+_H\n#define \w+_H\n", text):
            problems.append(f"{name}: no include guard")

if mpc is not None:
    linked = subprocess.run(["ldd", str(mpc)], capture_output=True, text=True, check=True).stdout
    for library in ("libcurl", "libssl", "libgnutls", "libevent", "libsqlite3", "libncurses", "libedit"):
        if library in linked:
            problems.append(f"mpc links {library}")

for p in problems:
    print(p)
print(f"{len(sources)} files, {len(problems)} findings")
sys.exit(1 if problems or not sources else 0)
