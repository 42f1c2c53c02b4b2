"""Shell commands and what they said: what kind of work it was, whether it failed, and the line that tells why."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from ...domain.projects import relative_to_root
from ...domain.text import cap, one_line

_MAX_COMMAND = 4000
_MAX_OUTPUT = 40_000


class Work(Enum):
    """What a command is run for."""

    TEST = "test"
    CHECK = "check"
    BUILD = "build"
    INSTALL = "install"
    COMMIT = "commit"
    CHANGE = "change"
    RUN = "run"
    LOOK = "look"


@dataclass(frozen=True, slots=True)
class Command:
    """The part of a command line that matters, and the family of runs that it can be compared with."""

    label: str
    work: Work
    family: str
    targets: frozenset[str]

    def covers(self, other: Command) -> bool:
        """Whether this run says something about what the other one ran: the same thing, or more."""
        return self.family == other.family and (not self.targets or bool(self.targets & other.targets))


_TESTS = re.compile(
    r"\b(?:pytest|py\.test|unittest|tox|nox|vitest|jest|mocha|ava|rspec|phpunit|ctest|behave|playwright test|"
    r"cypress run)\b|"
    r"\b(?:npm|pnpm|yarn|bun|deno|go|cargo|make|just|mvn|gradlew?|dotnet|mix|swift|flutter|sbt|zig build|node|"
    r"rails|bazel)\b.*?[ :-](?:test|tests|check|verify|nextest)\b"
)
_CHECKS = re.compile(
    r"\b(?:mypy|pyright|pyre|tsc|ruff|flake8|pylint|eslint|prettier|biome|black|isort|clippy|golangci-lint|"
    r"staticcheck|shellcheck|hadolint|rubocop|"
    r"go vet|cargo (?:check|fmt)|terraform validate|import-linter|lint-imports|(?:run )?(?:lint|typecheck|"
    r"type-check|format))\b"
)
_BUILDS = re.compile(
    r"^(?:make|ninja|cmake|gcc|g\+\+|cc|clang|javac|msbuild|xcodebuild|shiv|rustc)\b|"
    r"\b(?:npm|pnpm|yarn|bun|cargo|go|dotnet|docker|mvn|gradlew?|python3? -m|vite|next|webpack|rollup|esbuild|"
    r"swift|zig|bazel|poetry|uv|hatch)\b.*?[ :-](?:build|compile|package|bundle|compileall)\b|"
    r"^(?:webpack|rollup|esbuild)\b"
)
_INSTALLS = re.compile(
    r"\b(?:pip3?|uv pip|pipx|apt|apt-get|brew|gem|composer|conda|dnf|apk) (?:-\S+ )*install\b|\b(?:npm|pnpm|yarn|"
    r"bun) (?:install|i|add|ci)\b|"
    r"\b(?:poetry|uv|cargo|dotnet|mix deps|flutter pub) (?:add|remove|get)\b|\bgo get\b|\bbundle install\b"
)
_CHANGES = re.compile(
    r"\bgit (?:push|merge|rebase|revert|cherry-pick|tag|reset|stash|switch -c|checkout -b|mv|rm)\b|\b(?:alembic|"
    r"manage\.py|prisma|knex|rails db:|dbmate|flyway|sqlx)\b.*\bmigrat|"
    r"\b(?:kubectl (?:apply|delete|rollout)|terraform (?:apply|destroy)|helm (?:install|upgrade)|docker (?:push|"
    r"compose up|run)|npm publish|twine upload|gh (?:pr|release|issue) (?:create|merge|close))\b|"
    r"^(?:mv|rm|cp|mkdir|chmod|patch|sed -i|perl -\S*i)\b"
)
_LOOKS = frozenset(
    "ls cat bat cd pwd echo printf head tail grep egrep fgrep rg ag find fd wc which whereis type tree less more "
    "awk stat ps top sleep true "
    "false date env printenv file du df jq yq cut sort uniq tr diff cmp test [ [[ exit set export source . pushd "
    "popd hostname whoami id uname man "
    "column nl od xxd hexdump strings readlink realpath basename dirname lsof netstat ss ping curl wget history "
    "wait kill for while if do done".split()
)
_GIT_LOOKS = re.compile(
    r"^git (?:-\S+ \S+ )*(?:status|diff|log|show|branch|remote|blame|ls-files|rev-parse|config|fetch|add|grep|"
    r"describe|reflog|shortlog|init)\b"
)
_WRAPPERS = frozenset({"sudo", "time", "nohup", "exec", "command", "env", "npx", "bunx", "uvx", "xvfb-run"})
_RUNNERS = re.compile(r"^(?:uv|poetry|pdm|pipenv|hatch|rye|bundle|pnpm|yarn) (?:run|exec) ")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_REDIRECTION = re.compile(r"\s*(?:\d?>&\d|&?\d?>>?\s*\S+|<\s*\S+)")
_PYTHON = re.compile(r"^\S*?python[\d.]*(?= )")


def read_command(line: str) -> Command:
    """Find what a command line is for, past `cd`, assignments, pipes and wrappers."""
    parts = [part for part in map(_bare, _simple_commands(cap(line, _MAX_COMMAND))) if part]
    ranked = [(part, _work_of(part)) for part in parts]
    for work in (Work.COMMIT, Work.TEST, Work.BUILD, Work.CHECK, Work.INSTALL, Work.CHANGE, Work.RUN):
        for part, found in ranked:
            if found is work:
                return _command(part, work)
    return _command(parts[0] if parts else one_line(line, 80), Work.LOOK)


def _command(part: str, work: Work) -> Command:
    words = part.split()
    arguments = [word.strip("'\"") for word in words[1:] if not word.startswith("-")]
    targets = frozenset(word.partition("::")[0] for word in arguments if "/" in word or "." in word)
    program = _PYTHON.sub("python", part).removeprefix("python -m ").split()[:1]
    names = [word for word in arguments if word not in targets and word.replace(":", "").replace("-", "").isalnum()]
    family = " ".join([*program, *(names[:2] if work is not Work.COMMIT else [])])
    if work is Work.TEST and (runner := re.search(r"pytest|unittest|jest|vitest|tox|rspec", part)):
        family = runner[0]
    return Command(one_line(part, 90), work, family, targets)


def _work_of(part: str) -> Work:
    first = part.split(None, 1)[0]
    if re.match(r"git (?:-\S+ \S+ )*commit\b", part):
        return Work.COMMIT
    if (first in _LOOKS and not part.startswith(("test ", "["))) or _GIT_LOOKS.match(part):
        return Work.LOOK
    for pattern, work in (
        (_INSTALLS, Work.INSTALL),
        (_TESTS, Work.TEST),
        (_CHECKS, Work.CHECK),
        (_BUILDS, Work.BUILD),
        (_CHANGES, Work.CHANGE),
    ):
        if pattern.search(part):
            return work
    return Work.LOOK if first in _LOOKS or part.endswith((" --version", " -V", " --help")) else Work.RUN


def _simple_commands(line: str) -> list[str]:
    """Split a command line at its operators, outside quotes; a here-document counts for nothing."""
    parts, current, quote = [], "", ""
    line = re.split(r"<<-?\s*['\"]?\w+", line, maxsplit=1)[0]
    for character, following in zip(line, line[1:] + " ", strict=True):
        if quote:
            quote = "" if character == quote else quote
            current += character
        elif character in "'\"":
            quote = character
            current += character
        elif character in ";|\n" or (character == "&" and (following == "&" or current.endswith("\0"))):
            parts.append(current.strip("\0"))
            current = "\0" if character == "&" else ""
        else:
            current += character
    return [*parts, current.strip("\0")]


def _bare(part: str) -> str:
    """Take assignments, wrappers and redirections away from a simple command."""
    words = _REDIRECTION.sub("", " ".join(part.split())).strip(" (){}&").split(" ")
    while words and words[0] and (_ASSIGNMENT.match(words[0]) or words[0] in _WRAPPERS or words[0] == "timeout"):
        words = words[2:] if words[0] == "timeout" else words[1:]
    return _RUNNERS.sub("", " ".join(words))


def commit_message(line: str) -> str:
    """Find the subject of a `git commit` command line; empty when it is not on it."""
    heredoc = re.search(r"<<-?\s*['\"]?\w+['\"]?\n\s*(.+)", line)
    if heredoc:
        return one_line(heredoc[1], 120)
    try:
        words = shlex.split(cap(line, _MAX_COMMAND))
    except ValueError:
        return ""
    for flag, message in pairwise(words):
        if flag == "--message" or re.fullmatch(r"-[a-z]*m", flag):
            return one_line(message.splitlines()[0] if message.strip() else "", 120)
    return ""


_PASSES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r"\bRan (\d+) tests? in [\d.]+s\s+OK"), lambda match: f"{match[1]} tests"),
    (re.compile(r"\b(\d+) passed\b"), lambda match: f"{match[1]} tests"),
    (re.compile(r"^Tests:\s+(?:.*, )?(\d+) passed", re.MULTILINE), lambda match: f"{match[1]} tests"),
    (re.compile(r"^[ \t]*(\d+) passing\b", re.MULTILINE), lambda match: f"{match[1]} tests"),
    (re.compile(r"\btest result: ok\. (\d+) passed"), lambda match: f"{match[1]} tests"),
    (re.compile(r"\b(\d+) examples?, 0 failures"), lambda match: f"{match[1]} examples"),
)
_HIDDEN_FAILURE = re.compile(
    r"^(?:=+ .*)?\b[1-9]\d* (?:failed|failures?|failing)\b|^FAILED\b|^Tests:\s.*\b[1-9]\d* failed|\berror TS\d+|"
    r"^error(?:\[E\d+\])?: |^make(?:\[\d+\])?: \*\*\*|^FAIL\b|"
    r"^Found [1-9]\d* errors?\b|\b[1-9]\d* errors? generated|^npm ERR!|test result: FAILED",
    re.MULTILINE,
)


def tests_passed(output: str) -> str:
    """Say how many tests passed, where the output tells."""
    text = cap(output, _MAX_OUTPUT)
    return next((say(match) for pattern, say in _PASSES if (match := pattern.search(text))), "")


def hides_failure(command: Command, output: str) -> bool:
    """Whether a test, check or build says that it failed although its exit code was lost, as in a pipe."""
    return (
        command.work in {Work.TEST, Work.CHECK, Work.BUILD}
        and _HIDDEN_FAILURE.search(cap(output, _MAX_OUTPUT)) is not None
    )


_FAILED_TEST = re.compile(
    r"^(?:FAIL|ERROR): (\w+) \(|^FAILED ([\w./-]\S*?)(?: - .*)?$|^[ \t]*--- FAIL: (\S+)|^test (\S+) \.\.\. FAILED|"
    r"^[ \t]*● (.{1,80}?)\s*$|^[ \t]*(?:✕|✗|×) (.{1,80}?)(?: \(\d+ m?s\))?$",
    re.MULTILINE,
)
# From the line that tells most to the one that tells least.
_ERROR_LINES = tuple(
    re.compile(pattern)
    for pattern in (
        r"^E\s+((?:\w+\.)*\w*(?:Error|Exception|Exit|Warning)\b.*)",
        r"^((?:\w+\.)*(?:\w+(?:Error|Exception|Interrupt|Warning)|Exception|panic|thread '.*' panicked)\b(?::.*|"
        r".* at .*)?)$",
        r"^E\s+(assert .*|.+)",
        r"^(.+?\(\d+,\d+\): error TS\d+: .*|.+?:\d+:\d+ - error TS\d+: .*)",
        r"^(.+?:\d+(?::\d+)?: (?:fatal )?error:? .*)",
        r"^(error(?:\[E\d+\])?: .*)",
        r"(undefined reference to .*|undefined symbol: .*|symbol\(s\) not found.*)",
        r"^(?:npm ERR!|ERROR:?|Error:|fatal:|FATAL:?|panic:)\s*(.{4,})",
        r"^((?:bash|sh|zsh|/bin/sh): .*)",
        r"^(\S+:\d+:(?:\d+:)? .*)",
        r"((?:command )?not found.*|No such file or directory.*|Permission denied.*|permission denied.*|"
        r"Connection refused.*|timed out.*|Killed.*)",
        r"(.*\b(?:[Ee]rror|[Ff]ailed|[Ff]ailure|FAILED|[Cc]annot|[Cc]ould not|[Uu]nable)\b.*)",
    )
)
_EXIT_CODE = re.compile(r"^Exit code (\d+)\s*")
_TRACEBACK_FILE = re.compile(r'^[ \t]*File "([^"]{1,300})", line (\d+)', re.MULTILINE)
_PYTEST_FILE = re.compile(r"^([\w./-]{1,200}\.py):(\d+): \w*(?:Error|Exception)\b", re.MULTILINE)


def failure_of(output: str, project_root: str | None) -> str:
    """Say in a line why a command failed: the telling error, then the test or place where it happened."""
    text = cap(output, _MAX_OUTPUT)
    code = _EXIT_CODE.match(text)
    text = text[code.end() :] if code else text
    if project_root:
        text = text.replace(project_root.rstrip("/") + "/", "")
    lines = [line.rstrip()[:400] for line in text.splitlines() if line.strip()]
    error = _error_line(lines)
    tests = list(dict.fromkeys(next(name for name in match.groups() if name) for match in _FAILED_TEST.finditer(text)))
    places = [
        f"{relative_to_root(match[1], project_root)}:{match[2]}"
        for match in (*_TRACEBACK_FILE.finditer(text), *_PYTEST_FILE.finditer(text))
        if project_root is None or relative_to_root(match[1], project_root)[:1] not in "/\\"
    ]
    where = [*tests[:2], *([f"{len(tests) - 2} more tests"] if len(tests) > 2 else []), *places[-1:]]
    said = one_line(error or (lines[-1] if lines else f"exit code {code[1] if code else 'unknown'}"), 170)
    return f"{said} ({one_line(', '.join(where), 120)})" if where else said


def _error_line(lines: list[str]) -> str:
    for pattern in _ERROR_LINES:
        matches = [match for line in lines if (match := pattern.search(line))]
        if matches:
            # An exception's last line is what ended it; a compiler's first error causes the others.
            is_exception = pattern in _ERROR_LINES[1:2]
            chosen = matches[-1] if is_exception else matches[0]
            return next(group for group in chosen.groups() if group).strip()
    return ""
