"""analyse: clang-tidy (rules: .clang-tidy) or cppcheck over every source of protocol/, server/ and client/.

    analyse.py tidy|cppcheck SOURCE_DIR BUILD_DIR

Any finding fails, and so does a tool that is missing or that does not see a planted mistake. The files are
taken from the build folder's compile_commands.json, stripped to what both tools understand whatever the
compiler is, and without the mark of a sanitizer: the code that ships is what is looked at.

clang-tidy takes a minute of two cores for everything, so BUILD_DIR/lint remembers what was clean: the hash of
a source with every header it includes, its flags, the rules, the tool and this script."""
import concurrent.futures
import functools
import hashlib
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

FOLDERS = ("protocol", "server", "client")
JOBS = 2
FINDING = re.compile(r"(warning|error|portability|performance): ")
COUNT = re.compile(r"^\d+ warnings? generated\.\n", re.M)  # of system headers, too: says nothing
# One mistake that each tool must see, or its silence means nothing.
PLANTED = """
int planted(int n);
int
planted(int n)
{
	int numbers[2] = { 0, 1 };
	int *none = 0;

	if (n > 1)
		return *none;
	return numbers[2];
}
"""


def plain_commands(build, source):
    """One entry per file of ours: language standard, include folders and definitions."""
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(source) and path.relative_to(source).parts[0] in FOLDERS:
            entries[path] = command_of(path, entry["directory"], shlex.split(entry["command"]))
    return entries


def command_of(path, directory, words):
    kept, words = ["cc"], iter(words)
    for word in words:
        if word == "-isystem":
            kept += [word, next(words)]
        elif word.startswith(("-I", "-D", "-std=")) and not word.startswith("-DMPD_SANITIZED"):
            kept.append(word)
    return {"directory": directory, "file": str(path), "arguments": kept + ["-c", str(path)],
            "command": shlex.join(kept + ["-c", str(path)])}


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode != 0 or FINDING.search(done.stdout) is not None, COUNT.sub("", done.stdout)


@functools.cache
def content(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).digest()


def state_of(entry, common):
    """The hash of everything the verdict on a source depends on; None when it cannot be said."""
    arguments = entry["arguments"]
    listed = subprocess.run([*arguments[:-2], "-M", arguments[-1]], stdout=subprocess.PIPE, text=True,
                            cwd=entry["directory"], check=False)
    if listed.returncode != 0:
        return None
    state = hashlib.sha256(common + shlex.join(arguments).encode())
    for path in shlex.split(listed.stdout.replace("\\\n", " "))[1:]:
        state.update(content(str(pathlib.Path(entry["directory"], path))))
    return state.hexdigest()


def tidy(program, source, folder, entries, clean):
    rules = source / ".clang-tidy"
    common = content(str(rules)) + content(__file__) + run([program, "--version"])[1].encode()

    def one(entry):
        state = state_of(entry, common)
        if state is not None and (clean / state).exists():
            return False, ""
        bad, text = run([program, f"--config-file={rules}", "--quiet", "-p", str(folder), entry["file"]])
        if not bad and state is not None:
            (clean / state).touch()
        return bad, text

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = list(pool.map(one, entries))
    return any(bad for bad, _ in results), "".join(text for bad, text in results if bad)


def cppcheck(program, _source, folder, _entries, _clean):
    return run([program, f"--project={folder / 'compile_commands.json'}", "--std=c11", "-q", f"-j{JOBS}",
                "--enable=warning,performance,portability", "--suppress=missingIncludeSystem",
                "--error-exitcode=3"])


TOOLS = {"tidy": ("clang-tidy", tidy), "cppcheck": ("cppcheck", cppcheck)}


def analyse(tool, program, source, entries, clean):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "compile_commands.json").write_text(json.dumps(entries))
        return tool(program, source, folder, entries, clean)


def sees_planted(tool, program, source):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "planted.c")
        path.write_text(PLANTED)
        return analyse(tool, program, source, [command_of(path, folder, ["cc", "-std=c17"])],
                       pathlib.Path(folder))[0]


def main():
    name, tool = TOOLS[sys.argv[1]]
    source, build = (pathlib.Path(word).resolve() for word in sys.argv[2:4])
    program = shutil.which(name)
    if program is None:
        return f"{name} is not installed (apt install {name})"
    entries = plain_commands(build, source)
    unseen = [path for folder in FOLDERS for path in sorted((source / folder).rglob("*.c"))
              if path not in entries]
    if unseen:
        return "not part of the build, so not looked at: " + " ".join(map(str, unseen))
    if not sees_planted(tool, program, source):
        return f"{name} does not see a planted mistake"
    clean = build / "lint"
    clean.mkdir(exist_ok=True)
    bad, text = analyse(tool, program, source, list(entries.values()), clean)
    print(text, end="")
    print(f"{name}: {len(entries)} files{', with findings' if bad else ''}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
