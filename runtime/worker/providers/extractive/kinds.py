"""Which kind of observation the evidence supports, and the concepts it belongs to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from .commands import Work
from .edits import is_test_file
from .evidence import Turn
from .outcomes import Outcomes
from .sentences import Role, Sentence

_WORDS = {
    "bugfix": re.compile(
        r"\b(?:fix(?:e[sd])?|bug|broken|breaks?|regression|crash(?:e[sd])?|fail(?:s|ed|ing)?|"
        r"wrong|incorrect|leak(?:s|ed)?|hang(?:s)?|repair(?:ed)?|corrected|debug|"
        r"not work(?:ing)?|doesn't work|error)\b",
        re.IGNORECASE,
    ),
    "feature": re.compile(
        r"\b(?:add(?:s|ed)?|implement(?:s|ed)?|introduce[sd]?|create[sd]?|new|"
        r"support(?:s)? for|feature|build|allow(?:s)?|configurable|"
        r"make it possible)\b",
        re.IGNORECASE,
    ),
    "refactor": re.compile(
        r"\b(?:refactor(?:ed|ing|s)?|renam(?:e[sd]?|ing)|extract(?:ed|s)?|mov(?:e[sd]?|ing)|"
        r"split|simplif(?:y|ied|ies)|clean(?:ed)? ?up|restructur(?:e[sd]?|ing)|dedup\w*|tidy|"
        r"reorganis\w*|reorganiz\w*|inlin(?:e[sd]?|ing)|behaviou?r must not change|"
        r"no functional change)\b",
        re.IGNORECASE,
    ),
    "security": re.compile(
        r"\b(?:security|vulnerab\w+|CVE-\d{4}-\d+|XSS|CSRF|SSRF|RCE|(?:sql|command|prompt|"
        r"template|code) injection|path traversal|privilege escalation|auth(?:entication|"
        r"orization)? bypass|hard-?coded (?:secret|password|key|credential)s?|timing attack|"
        r"insecure)\b",
        re.IGNORECASE,
    ),
}
_QUESTION_OF_CHOICE = re.compile(
    r"\b(?:should (?:we|I|it)|which (?:one|of|is better)|decide|choose|what would you (?:use|pick)|trade-?offs?|"
    r"pros and cons|better to)\b",
    re.IGNORECASE,
)
_DOCUMENTS = (".md", ".rst", ".txt", ".adoc")


def speaks_of_security(text: str) -> bool:
    """Whether the text is about a weakness that somebody could use."""
    return _WORDS["security"].search(text) is not None


def kind_of(turn: Turn, lead: str, sentences: Sequence[Sentence], outcomes: Outcomes) -> str:
    """Choose the kind by what was done first, and by what was said of it second."""
    if not turn.changes and not _changed_by_command(turn):
        decided = any(sentence.role is Role.DECISION for sentence in sentences)
        if speaks_of_security(turn.prompt) or speaks_of_security(lead):
            return "security"
        return "decision" if decided and _QUESTION_OF_CHOICE.search(turn.prompt) else "discovery"
    if speaks_of_security(turn.prompt) or speaks_of_security(lead):
        return "security"
    if turn.changes and all(path.lower().endswith(_DOCUMENTS) for path in turn.changes):
        return "change"
    scores: Counter[str] = Counter()
    for kind, words in _WORDS.items():
        if kind == "security":
            continue
        for text, weight in ((turn.prompt, 2), (lead, 2)):
            match = words.search(text)
            if match:
                # What is asked first is what is asked for; the rest of a prompt explains.
                scores[kind] += weight + (2 if match.start() < 40 else 0)
    if outcomes.was_fixed:
        scores["bugfix"] += 2
    elif outcomes.failing:
        del scores["bugfix"]
    if any(change.is_new and not is_test_file(path) for path, change in turn.changes.items()):
        scores["feature"] += 1
    if not scores:
        return "change"
    order = ("refactor", "bugfix", "feature")
    return max(order, key=lambda kind: (scores[kind], -order.index(kind)))


def concepts_of(kind: str, turn: Turn, sentences: Sequence[Sentence], was_fixed: bool) -> tuple[str, ...]:
    """Name what the observation is about: words of a small fixed list, then the definitions that were changed."""
    roles = {sentence.role for sentence in sentences}
    work = {run.command.work for run in turn.runs}
    named = {
        "problem-solution": was_fixed or (kind == "bugfix" and Role.CAUSE in roles),
        "what-changed": bool(turn.changes),
        "how-it-works": kind == "discovery" and bool(turn.files_read or turn.reports),
        "why-it-exists": Role.CAUSE in roles and kind != "bugfix",
        "decision": kind == "decision" or Role.DECISION in roles,
        "gotcha": Role.GOTCHA in roles,
        "open-question": Role.OPEN in roles,
        "security": kind == "security",
        "testing": Work.TEST in work or any(map(is_test_file, turn.changes)),
        "build": Work.BUILD in work,
        "dependencies": Work.INSTALL in work,
        "documentation": any(path.lower().endswith(_DOCUMENTS) for path in turn.changes),
    }
    symbols = [symbol for path, change in turn.changes.items() if not is_test_file(path) for symbol in change.symbols]
    identifiers = dict.fromkeys(symbol for symbol in symbols if " " not in symbol and len(symbol) <= 60)
    return (*(concept for concept, holds in named.items() if holds), *list(identifiers)[:6])


def _changed_by_command(turn: Turn) -> bool:
    return any(
        run.command.work in {Work.CHANGE, Work.INSTALL, Work.COMMIT} and run.failure is None for run in turn.runs
    )
