"""The summary of a session: what was wanted, looked at, learned and done, and what is left."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from ...domain.observations import Draft, Summary, summary_draft
from ...domain.text import one_line
from ...domain.turns import Material
from .evidence import Turn, merged, turns_of
from .outcomes import Outcomes, outcomes_of
from .sentences import Role, Sentence, is_chat, joined, main_clause, sentences_of, split_sentences, title_of, with_role

_MAX_REQUEST = 480
_MAX_FIELD = 800
_MAX_FILES = 40
_SECTION = re.compile(r"^[ \t]*(?:\d+\.|#{1,4})[ \t]*\**([A-Z][^:\n]{3,60}?)\**:?[ \t]*$", re.MULTILINE)
_WORTH = {Role.CAUSE: 0, Role.GOTCHA: 2, Role.DECISION: 3}
_MARKUP = re.compile(r"</?(?:summary|analysis)>")


def summarise(material: Material) -> Draft | None:
    """Summarise a session from all its turns; None when nothing happened in it."""
    turns = turns_of(material)
    whole = merged(turns)
    said = [sentences_of(turn.answer) for turn in turns]
    outcomes = outcomes_of(whole.runs)
    kept = _sections(whole.compaction)
    summary = Summary(
        request=_request(turns) or joined(kept.get("request", ()), _MAX_REQUEST),
        investigated=_investigated(whole),
        learned=_learned(turns, said, whole, kept),
        completed=_completed(turns, said, outcomes),
        next_steps=_next_steps(turns, said, whole, outcomes, kept),
        files_modified=whole.files_modified[:_MAX_FILES],
    )
    happened = summary.completed or summary.learned or summary.investigated or summary.next_steps or whole.notes
    if not happened:
        return None
    if whole.notes and not summary.completed:
        told = joined((note.heading or one_line(note.text, 160) for note in whole.notes), _MAX_FIELD)
        summary = replace(summary, learned=summary.learned or told)
    draft = summary_draft(summary)
    return replace(draft, title=title_of(main_clause(draft.title)) or "Session")


def _request(turns: Sequence[Turn]) -> str:
    asked = [
        joined(split_sentences(one_line(turn.prompt)), 240)
        for turn in turns
        if turn.prompt and not is_chat(turn.prompt)
    ]
    return joined([asked[0], *(f"Then: {prompt}" for prompt in asked[1:])], _MAX_REQUEST) if asked else ""


def _investigated(whole: Turn) -> str:
    told: list[str] = []
    if whole.files_read:
        named = ", ".join(whole.files_read[:6])
        more = f" and {len(whole.files_read) - 6} more" if len(whole.files_read) > 6 else ""
        told.append(f"Read {named}{more}")
    if whole.searches:
        told.append(f"Searched for {', '.join(f'`{pattern}`' for pattern in whole.searches[:4])}")
    if whole.web:
        told.append(f"Consulted {', '.join(whole.web[:3])}")
    if tasks := [report.task for report in whole.reports if report.task]:
        told.append(f"Subagents: {'; '.join(tasks[:4])}")
    return joined(told, 500)


def _learned(turns: Sequence[Turn], said: Sequence[Sequence[Sentence]], whole: Turn, kept: dict[str, list[str]]) -> str:
    """Choose by worth (causes, findings, traps, decisions), tell in the order in which it was said."""
    candidates: list[tuple[int, str]] = []
    for turn, sentences in zip(turns, said, strict=True):
        looked = not turn.changes and bool(turn.files_read or turn.reports or turn.runs or turn.web)
        findings = [sentence.text for sentence in sentences if sentence.role is Role.PLAIN][:4] if looked else []
        for sentence in sentences:
            worth = 1 if sentence.text in findings else _WORTH.get(sentence.role)
            if worth is not None:
                candidates.append((worth, sentence.text))
    if not candidates:
        candidates += [(2, text) for report in whole.reports for text in split_sentences(one_line(report.text))[:1]]
    candidates += [(4, text) for text in kept.get("learned", ())]
    chosen: set[str] = set()
    for _, text in sorted(candidates, key=lambda candidate: candidate[0]):
        if sum(map(len, chosen)) + len(text) <= _MAX_FIELD:
            chosen.add(text)
    return joined(dict.fromkeys(text for _, text in candidates if text in chosen), _MAX_FIELD + 100)


def _completed(turns: Sequence[Turn], said: Sequence[Sequence[Sentence]], outcomes: Outcomes) -> str:
    told: list[str] = []
    for turn, sentences in zip(turns, said, strict=True):
        if not turn.changes:
            continue
        plain = [sentence.text for sentence in sentences if sentence.role is Role.PLAIN] or [
            sentence.text for sentence in sentences
        ]
        told.append(plain[0] if plain else f"Changed {', '.join(turn.files_modified[:5])}")
    mended = outcomes.mended[:2] if outcomes.was_fixed else outcomes.verified[:2]
    return joined([*told, *outcomes.done, *mended], _MAX_FIELD)


def _next_steps(
    turns: Sequence[Turn],
    said: Sequence[Sequence[Sentence]],
    whole: Turn,
    outcomes: Outcomes,
    kept: dict[str, list[str]],
) -> str:
    # What an early turn left open was often done by a later one; what the last working turns left open was not.
    open_ended = [text for sentences in [s for s in said if s][-2:] for text in with_role(sentences, Role.OPEN)]
    planned = [f"Planned: {item}" for item, status in whole.plan if status in {"pending", "in_progress"} and item]
    has_gone_on = bool(turns) and bool(turns[-1].prompt)
    pending = [] if has_gone_on and whole.changes else kept.get("open", [])
    return joined(dict.fromkeys([*outcomes.failing, *open_ended, *planned, *pending]), _MAX_FIELD)


def _sections(compaction: str) -> dict[str, list[str]]:
    """Pick what a compaction summary says of the request, of findings and of what is pending."""
    text = _MARKUP.sub("\n", compaction.partition("<summary>")[2] or compaction)
    sections: dict[str, list[str]] = {}
    headings = list(_SECTION.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=False):
        name = _section_name(heading[1].lower())
        body = text[heading.end() : end]
        if name:
            sections.setdefault(name, []).extend(_lines(body))
    if not headings and text.strip():
        sections["learned"] = _lines(text)
    return sections


def _section_name(heading: str) -> str:
    for word, name in (
        ("request", "request"),
        ("pending", "open"),
        ("next step", "open"),
        ("current", "learned"),
        ("error", "learned"),
        ("problem", "learned"),
        ("finding", "learned"),
    ):
        if word in heading:
            return name
    return ""


def _lines(body: str) -> list[str]:
    return [sentence.text for sentence in sentences_of(body)]
