"""The observations of a turn: what a colleague would want to know of it, and nothing for a turn that taught nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...domain.observations import KINDS, Draft
from ...domain.text import one_line
from ...domain.turns import Material
from .commands import Work
from .evidence import Turn, merged, turns_of
from .kinds import concepts_of, kind_of, speaks_of_security
from .notes import Note
from .outcomes import Outcomes, outcomes_of
from .sentences import (
    Role,
    Sentence,
    decision_title,
    headline,
    joined,
    main_clause,
    sentences_of,
    split_sentences,
    title_of,
    with_role,
)

_MAX_FACTS = 14
_MAX_FILES = 30
_MAX_NARRATIVE = 1200
_MAX_FACT = 320
# An answer shorter than this, with nothing done and nothing read, is conversation.
_TELLING_ANSWER = 280
_TELLING_ANSWER_AFTER_READING = 40
_LABELLED = re.compile(
    r"(?:the |one )?(?:root )?(?:cause|reason|note|open|next|remaining|to-?do|not done|gotcha|caveat|warning|"
    r"decision)\b",
    re.IGNORECASE,
)


def observe(material: Material) -> tuple[Draft, ...]:
    """Make the observations of a turn or of a single event: usually one, more where a decision stands apart."""
    turn = merged(turns_of(material))
    drafts: list[Draft] = []
    if _is_worth_keeping(turn):
        sentences = _said(turn)
        main = _main_draft(turn, sentences)
        drafts = [main, *_apart(turn, sentences, main)]
    return tuple(_once(drafts + [_note_draft(note) for note in turn.notes]))


def _said(turn: Turn) -> tuple[Sentence, ...]:
    """The agent's last words; without any, what its subagents reported or what compaction kept."""
    spoken = sentences_of(turn.answer)
    return spoken or sentences_of("\n\n".join(report.text for report in turn.reports))


def _is_worth_keeping(turn: Turn) -> bool:
    worked = any(run.command.work is not Work.LOOK for run in turn.runs)
    if turn.changes or turn.reports or turn.external or worked:
        return True
    answer = sum(len(sentence.text) for sentence in sentences_of(turn.answer))
    looked = bool(turn.files_read or turn.searches or turn.web)
    return answer >= (_TELLING_ANSWER_AFTER_READING if looked else _TELLING_ANSWER)


def _main_draft(turn: Turn, sentences: Sequence[Sentence]) -> Draft:
    outcomes = outcomes_of(turn.runs)
    lead = sentences[0].text if sentences else ""
    kind = kind_of(turn, lead, sentences, outcomes)
    title = headline(sentences, _question(turn)) if lead else _title_from_work(turn, outcomes)
    promoted = {sentence.text for sentence in sentences if sentence.role is not Role.PLAIN}
    plain = [sentence.text for sentence in sentences if sentence.text not in promoted]
    # A lead that the title holds whole need not be said twice.
    narrative = joined(
        [text for text in plain if title_of(text) != title or len(text) > len(title) + 4], _MAX_NARRATIVE
    )
    return Draft(
        kind=kind,
        title=title,
        subtitle=_request(turn),
        narrative=narrative or lead or _work_in_words(turn),
        facts=_facts(turn, sentences, outcomes, title, kind),
        concepts=concepts_of(kind, turn, sentences, outcomes.was_fixed),
        files_read=tuple(path for path in turn.files_read if path not in turn.changes)[:_MAX_FILES],
        files_modified=turn.files_modified[:_MAX_FILES],
    )


def _question(turn: Turn) -> str:
    asked = [part for part in split_sentences(one_line(turn.prompt)) if part.endswith("?")]
    return asked[-1] if asked else ""


def _request(turn: Turn) -> str:
    return joined(split_sentences(one_line(turn.prompt)), 200) if turn.prompt else ""


def _facts(turn: Turn, sentences: Sequence[Sentence], outcomes: Outcomes, title: str, kind: str) -> tuple[str, ...]:
    def labelled(label: str, role: Role) -> list[str]:
        told = [text for text in with_role(sentences, role) if title_of(text) != title or len(text) > len(title) + 4]
        return [text if _LABELLED.match(text) else f"{label}: {text}" for text in told]

    reports = [
        f"Subagent {f'“{report.task}”' if report.task else report.agent_type} reported: "
        f"{joined(split_sentences(one_line(report.text)), 240)}"
        for report in turn.reports
        if report.text
    ]
    facts = [
        *labelled("Cause", Role.CAUSE)[:3],
        *(change.gist() for change in turn.changes.values() if change.added or change.removed),
        *(
            f"{change.path}: changed by a command"
            for change in turn.changes.values()
            if not (change.added or change.removed)
        ),
        *outcomes.mended,
        *outcomes.failing,
        *outcomes.passing,
        *outcomes.done,
        *(labelled("Decision", Role.DECISION)[:3] if kind == "decision" else []),
        *labelled("Note", Role.GOTCHA)[:3],
        *labelled("Open", Role.OPEN)[:4],
        *reports[:4],
        *([f"Consulted: {', '.join(turn.web[:4])}"] if turn.web else []),
        *turn.external[:3],
    ]
    if len(facts) > _MAX_FACTS:
        facts = _without_middle_files(facts, turn)
    return tuple(dict.fromkeys(one_line(fact, _MAX_FACT) for fact in facts))[:_MAX_FACTS]


def _without_middle_files(facts: list[str], turn: Turn) -> list[str]:
    """Name fewer changed files where a turn changed so many that nothing else would be told."""
    gists = [fact for fact in facts if fact.partition(": ")[0] in turn.changes]
    kept = gists[: max(3, _MAX_FACTS - (len(facts) - len(gists)) - 1)]
    left_out = len(gists) - len(kept)
    at = facts.index(gists[0]) if gists else 0
    others = [fact for fact in facts if fact not in gists]
    more = [f"{left_out} more files changed in the same way or beside these."] if left_out else []
    return [*others[:at], *kept, *more, *others[at:]]


def _title_from_work(turn: Turn, outcomes: Outcomes) -> str:
    """Name the turn by what was done, where the agent said nothing of use."""
    if turn.prompt:
        return title_of(main_clause(turn.prompt))
    if turn.changes:
        first = next(iter(turn.changes.values()))
        names = f": {', '.join(first.symbols[:3])}" if first.symbols else ""
        more = f" and {len(turn.changes) - 1} more" if len(turn.changes) > 1 else ""
        return title_of(f"{'Add' if first.is_new else 'Edit'} {first.path}{names}{more}")
    for told in (*outcomes.failing, *outcomes.mended, *outcomes.done, *outcomes.passing):
        return title_of(told)
    if turn.runs:
        return title_of(f"Ran {turn.runs[0].command.label}")
    if turn.external:
        return title_of(turn.external[0])
    return title_of(turn.reports[0].task) if turn.reports and turn.reports[0].task else "Work without a description"


def _work_in_words(turn: Turn) -> str:
    done = [
        f"Changed {', '.join(turn.files_modified[:6])}" if turn.changes else "",
        f"Read {', '.join(turn.files_read[:6])}" if turn.files_read else "",
        f"Ran {', '.join(dict.fromkeys(f'`{run.command.label}`' for run in turn.runs[:4]))}" if turn.runs else "",
    ]
    return joined(filter(None, done), _MAX_NARRATIVE)


def _apart(turn: Turn, sentences: Sequence[Sentence], main: Draft) -> Iterable[Draft]:
    """Give a decision or a weakness, found beside other work, an observation of its own."""
    for kind, chosen in (
        ("decision", with_role(sentences, Role.DECISION)),
        ("security", [sentence.text for sentence in sentences if speaks_of_security(sentence.text)]),
    ):
        if not chosen or main.kind == kind:
            continue
        title = decision_title(chosen[0]) if kind == "decision" else title_of(chosen[0])
        yield Draft(
            kind=kind,
            title=title,
            subtitle=main.subtitle,
            narrative=joined(
                [*chosen, f"Decided during: {main.title}" if kind == "decision" else f"Found during: {main.title}"], 800
            ),
            concepts=(kind, *(("trade-off",) if kind == "decision" else ())),
            files_read=() if turn.changes else main.files_read,
            files_modified=main.files_modified,
        )


def _note_draft(note: Note) -> Draft:
    sentences = sentences_of(note.text)
    first = note.heading or (sentences[0].text if sentences else one_line(note.text, 200)) or ", ".join(note.files)
    labels = [f"{note.label}: " if note.label and not note.heading and len(note.label) <= 30 else ""]
    kind = (
        note.kind
        if note.kind in KINDS
        else kind_of(Turn(prompt=note.heading, answer=note.text), first, sentences, Outcomes())
    )
    return Draft(
        kind=kind,
        title=title_of(labels[0] + first),
        narrative=joined((sentence.text for sentence in sentences), _MAX_NARRATIVE)
        or one_line(note.text, _MAX_NARRATIVE),
        facts=tuple(one_line(told, _MAX_FACT) for told in note.fields),
        concepts=concepts_of(kind, Turn(), sentences, was_fixed=False),
        files_read=note.files,
    )


def _once(drafts: Iterable[Draft]) -> Iterable[Draft]:
    seen: set[tuple[str, str]] = set()
    for draft in drafts:
        if (draft.title, draft.narrative) not in seen:
            seen.add((draft.title, draft.narrative))
            yield draft
