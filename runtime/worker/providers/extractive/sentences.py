"""An agent's prose taken apart: plain sentences, and what each of them is for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from ...domain.text import cap, one_line

MAX_TITLE = 100
_MAX_PROSE = 20_000
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*)$")
_BOLD_LINE = re.compile(r"^\s*\*\*([^*]{1,80})\*\*:?\s*$")
_LABEL_LINE = re.compile(r"^\s*([A-Z][A-Za-z '-]{2,40}):\s*$")
_BULLET = re.compile(r"^\s*(?:[-*+•]|\d{1,2}[.)])\s+(?:\[[ xX]\]\s+)?")
_RULE_CHARACTERS = frozenset(" \t|:-=_*")
_LINK = re.compile(r"\[([^\]]{1,200})\]\([^)\s]{1,500}\)")
_EMPHASIS = re.compile(r"\*\*([^*]{1,300})\*\*|__([^_]{1,300})__")
_BOUNDARY = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=[\"'(\[`*_]?[A-Z0-9À-ÞЀ-Я`])|(?<=[。！？])")
# What ends with a dot and does not end a sentence.
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|approx|fig|resp|incl)\.|\b[A-Z]\.)$", re.IGNORECASE)
_CHAT = re.compile(
    r"^(?:(?:all )?(?:done|set|good|fixed|finished)|ok(?:ay)?|sure|great|perfect|thanks?|thank you|you(?:'re|"
    r" are) (?:very )?welcome|"
    r"got it|yes|no|absolutely|certainly|of course|good (?:question|point|catch)|happy to help|here(?:'s| is|"
    r" are) (?:a|the|what)\b.*|"
    r"let me .*|i(?:'ll| will) .*|now (?:let me|i).*|let's .*|if you(?:'d| would)? (?:like|want).*|would you like.*|"
    r"(?:please )?let me know .*|feel free .*|want me to .*|shall i .*|summary|in summary)[.!:,?]*$",
    re.IGNORECASE | re.DOTALL,
)


class Role(Enum):
    """What a sentence tells the next reader."""

    DECISION = "decision"
    CAUSE = "cause"
    OPEN = "open"
    GOTCHA = "gotcha"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence without Markdown, and its role."""

    text: str
    role: Role


_DECISION = re.compile(
    r"\b(?:I|we|you|team)(?:'ve| have| both)? (?:\w+ )?(?:decided|chose|opted|agreed|settled|picked)\b|"
    r"^decision\b|\bdecided (?:to|against|on|that|for)\b|"
    r"\bwent with\b|\bchose\b.{1,120}\b(?:over|because|instead|rather)\b|\bchosen\b.{1,80}\bbecause\b|"
    r"\bdeliberately\b|\bon purpose\b|\bthe decision (?:is|was)\b",
    re.IGNORECASE,
)
_SPEAKER = re.compile(
    r"^(?:(?:so|therefore|then),? )?(?:I|we)(?:'ve| have)? (?:therefore |deliberately )?(?:decided to |opted to |"
    r"(?=\w))",
    re.IGNORECASE,
)
_ANSWERS_A_QUESTION = re.compile(
    r"^(?:in|at|by|with|from|to|on|because|inside|before|after|through|via|when|only)\b", re.IGNORECASE
)
_POINTS_BACK = re.compile(r"^(?:it|this|that|they|these|those|both|there)\b", re.IGNORECASE)
_OPEN = re.compile(
    r"(?-i:\bTODO\b)|\bto-do\b|\b(?:next (?:steps?|up)\b|remaining\b|remains (?:to|open|unfixed|broken)|(?:not|"
    r"n't) (?:done |fixed |implemented |tested )?yet\b|"
    r"still (?:needs?|fails?|failing|has|have|missing|open|to do|broken|unresolved)|follow-?ups?\b|left (?:to do|"
    r"for later|undone|open)|"
    r"should (?:be|become|also|run|then)\b.{0,120}\b(?:later|next|at most)|(?:I|we) (?:have not|haven't|did not|"
    r"didn't|could not|couldn't|was unable|were unable)\b|"
    r"out of scope|open question|needs? (?:to be|a follow|your|more)|blocked (?:by|on)|tell me (?:to|whether|"
    r"if)\b|known (?:issue|limitation))",
    re.IGNORECASE,
)
_CAUSE = re.compile(
    r"\b(?:root cause|the cause\b|caused by|culprit|turn(?:s|ed) out|the (?:actual |real |"
    r"underlying )?(?:problem|issue|bug|reason|failure|leak|error) (?:was|is|came|comes)\b|"
    r"because of|due to\b|reason(?: is| was|:)|this (?:happens|happened|fails|failed) (?:when|because)|(?:fail|"
    r"broke|break|crash|wrong|leak|grow|slow)\w*\b.{0,80}\bbecause\b)",
    re.IGNORECASE,
)
_GOTCHA = re.compile(
    r"\b(?:gotchas?|beware|caveat|pitfall|watch out|be careful|careful:|note that|warning:|heads[- ]up|one catch|"
    r"important:|surprising(?:ly)?|"
    r"only works|does not work|must not|never call|silently)\b",
    re.IGNORECASE,
)
_ROLE_OF_HEADING = (
    (re.compile(r"next|to-?do|remain|open|left|follow|not done|pending|outstanding", re.IGNORECASE), Role.OPEN),
    (re.compile(r"decision|trade-?off|choice|why (?:this|not|i|we)", re.IGNORECASE), Role.DECISION),
    (re.compile(r"cause|diagnos|what went wrong|problem", re.IGNORECASE), Role.CAUSE),
    (re.compile(r"gotcha|caveat|warning|note", re.IGNORECASE), Role.GOTCHA),
)


def sentences_of(message: str) -> tuple[Sentence, ...]:
    """Take a message in Markdown apart into sentences, in order, without code blocks, tables, chat and repetitions."""
    found: dict[str, Sentence] = {}
    under: Role | None = None
    for line, is_heading in _prose_lines(cap(message, _MAX_PROSE)):
        if is_heading:
            under = next((role for pattern, role in _ROLE_OF_HEADING if pattern.search(line)), None)
            continue
        for text in split_sentences(line):
            if not is_chat(text):
                found.setdefault(text.lower(), Sentence(text, role_of(text, under)))
    return tuple(found.values())


def role_of(text: str, under: Role | None = None) -> Role:
    """Say what a sentence tells: by its own words, else by the heading above it."""
    for pattern, role in ((_DECISION, Role.DECISION), (_OPEN, Role.OPEN), (_CAUSE, Role.CAUSE), (_GOTCHA, Role.GOTCHA)):
        if pattern.search(text):
            return role
    return under or Role.PLAIN


def is_chat(text: str) -> bool:
    """Whether the sentence is only talk, or too short to inform."""
    bare = text.strip(" .!:,?`*")
    is_short = (len(bare) < 12 and bare.isascii()) or len(bare) < 4
    return is_short or _CHAT.match(text.strip()) is not None


def split_sentences(line: str) -> list[str]:
    """Split a line of plain text at the ends of its sentences."""
    parts: list[str] = []
    for piece in _BOUNDARY.split(line):
        if parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] = f"{parts[-1]} {piece.strip()}"
        elif piece.strip():
            parts.append(piece.strip())
    return parts


def title_of(text: str, limit: int = MAX_TITLE) -> str:
    """Make a title of a sentence: one line, no Markdown, cut at a clause where it is too long."""
    line = one_line(text.replace("`", "")).rstrip(".。 ")
    if len(line) <= limit:
        return line
    for mark in (
        ": ",
        "; ",
        " — ",
        " – ",
        ". ",
        ", because ",
        " because ",
        ", so ",
        ", but ",
        ", and ",
        ", which ",
        ", ",
    ):
        at = line.rfind(mark, 35, limit)
        if at > 0:
            return line[:at].rstrip(" .,")
    return one_line(line, limit)


def headline(sentences: Sequence[Sentence], question: str) -> str:
    """Make a title of what was said first; complete it by the question or the next sentence where it needs them."""
    lead = sentences[0].text
    if _ANSWERS_A_QUESTION.match(lead) and question.endswith("?") and len(question) <= 75:
        return title_of(f"{question} {lead}")
    if (len(lead) <= 45 or _POINTS_BACK.match(lead)) and len(lead) <= 70 and len(sentences) > 1:
        return title_of(f"{lead} {sentences[1].text}")
    return title_of(lead)


def main_clause(prompt: str) -> str:
    """Pick the sentence of a prompt that says most in one line: the first that is more than an opening."""
    parts = split_sentences(one_line(prompt))
    return next((part for part in parts if len(part) >= 30), parts[0] if parts else "")


def decision_title(text: str) -> str:
    """Make a title of a decision: what was decided, not who speaks."""
    said = _SPEAKER.sub("", text).partition(" because ")[0].rstrip(",")
    return title_of(said[:1].upper() + said[1:])


def joined(texts: Iterable[str], limit: int) -> str:
    """Join sentences into a paragraph of at most `limit` characters, leaving out whole sentences that do not fit."""
    paragraph = ""
    for text in texts:
        sentence = text if text.endswith((".", "!", "?", "…", "。", ":")) else f"{text}."
        longer = f"{paragraph} {sentence}".strip()
        if len(longer) > limit:
            return paragraph or one_line(sentence, limit)
        paragraph = longer
    return paragraph


def with_role(sentences: Sequence[Sentence], role: Role) -> list[str]:
    """Pick the sentences of one role."""
    return [sentence.text for sentence in sentences if sentence.role is role]


def _prose_lines(message: str) -> Iterable[tuple[str, bool]]:
    """Give lines of running text (wrapped lines joined) and headings, the latter marked."""
    paragraph: list[str] = []
    in_code = False
    for line in [*message.splitlines(), ""]:
        if _FENCE.match(line):
            in_code = not in_code
            continue
        heading = _HEADING.match(line) or _BOLD_LINE.match(line) or _LABEL_LINE.match(line)
        starts_anew = heading or _BULLET.match(line) or not line.strip() or line.lstrip().startswith(("|", ">"))
        if (starts_anew or in_code) and paragraph:
            yield _plain(" ".join(paragraph)), False
            paragraph = []
        if in_code or not line.strip() or line.lstrip().startswith("|") or _RULE_CHARACTERS.issuperset(line):
            continue
        if heading:
            yield _plain(heading[1].rstrip("# ")), True
        else:
            paragraph.append(_BULLET.sub("", line).lstrip("> ").strip())


def _plain(text: str) -> str:
    text = _LINK.sub(r"\1", text)
    return one_line(_EMPHASIS.sub(lambda match: match[1] or match[2] or "", text))
