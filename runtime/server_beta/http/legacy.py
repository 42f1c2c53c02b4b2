"""`/api/sessions`: what clients of the TypeScript worker send, under the member names that they send it with."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..domain.legacy import NO_TEXT, LegacyAnswer, LegacyRequest
from ..domain.records import Transport
from .exchange import Answer, Exchange
from .fields import ExternalId, Word

# As long as a hook may name these, and not blank.
HookId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S", description="must not be blank")]
OptionalId = Annotated[str, Meta(max_length=200)]
Folder = Annotated[str, Meta(max_length=4096)]


class InitBody(Struct, frozen=True):
    """A prompt, and with the first one the session."""

    content_session_id: HookId = field(name="contentSessionId")
    project: ExternalId | None = None
    prompt: str | None = None
    cwd: Folder | None = None
    platform_source: Word | None = field(name="platformSource", default=None)

    def to_domain(self) -> LegacyRequest:
        """Make the prompt that begins a turn."""
        return LegacyRequest(
            self.content_session_id,
            self.project,
            self.cwd,
            self.platform_source,
            said={"prompt": self.prompt or NO_TEXT},
        )


class ToolBody(Struct, frozen=True):
    """A tool that was used."""

    tool_name: HookId
    content_session_id: HookId = field(name="contentSessionId")
    tool_input: object = None
    tool_response: object = None
    project: ExternalId | None = None
    cwd: Folder | None = None
    agent_id: OptionalId | None = field(name="agentId", default=None)
    agent_type: OptionalId | None = field(name="agentType", default=None)
    platform_source: Word | None = field(name="platformSource", default=None)
    tool_use_id: OptionalId | None = None
    other_tool_use_id: OptionalId | None = field(name="toolUseId", default=None)

    def to_domain(self) -> LegacyRequest:
        """Make the tool use."""
        said = {
            "tool_name": self.tool_name,
            "tool_input": self.tool_input,
            "tool_response": self.tool_response,
            "agent_id": self.agent_id,
            "agent_type": self.agent_type,
            "tool_use_id": self.tool_use_id or self.other_tool_use_id,
        }
        return LegacyRequest(
            self.content_session_id,
            self.project,
            self.cwd,
            self.platform_source,
            self.tool_use_id or self.other_tool_use_id or None,
            {name: value for name, value in said.items() if value is not None},
        )


class SummarizeBody(Struct, frozen=True):
    """The end of a turn."""

    content_session_id: HookId = field(name="contentSessionId")
    last_assistant_message: str | None = None
    project: ExternalId | None = None
    cwd: Folder | None = None
    agent_id: OptionalId | None = field(name="agentId", default=None)
    platform_source: Word | None = field(name="platformSource", default=None)

    def to_domain(self) -> LegacyRequest:
        """Make the end of a turn."""
        message = self.last_assistant_message
        return LegacyRequest(
            self.content_session_id,
            self.project,
            self.cwd,
            self.platform_source,
            said={} if message is None else {"last_assistant_message": message},
        )


class InitReply(Struct, rename="camel"):
    """Which prompt of which session it was. `sessionDbId` is for clients that read on only behind a number."""

    session_db_id: int | None
    server_session_id: UUID | None
    prompt_number: int
    skipped: bool
    status: str
    reason: str | UnsetType = UNSET
    context_injected: bool = False


class TakenReply(Struct, rename="camel", omit_defaults=True):
    """What became of a tool use or of the end of a turn: `queued`, or `skipped` with the reason."""

    status: str
    reason: str | UnsetType = UNSET
    session_id: UUID | UnsetType = UNSET
    server_session_id: UUID | UnsetType = UNSET
    event_id: UUID | UnsetType = UNSET
    generation_job_id: UUID | UnsetType | None = UNSET
    transport: Transport | UnsetType = UNSET
    observation_count: int | UnsetType = UNSET


async def init(exchange: Exchange, body: InitBody) -> Answer[InitReply]:
    """Begin a session, or its next turn, with a prompt."""
    begun = await exchange.services.legacy.begin(exchange.principal, body.to_domain(), exchange.request_id)
    return Answer(
        InitReply(
            session_db_id=None if begun.session_id is None else _number(begun.session_id),
            server_session_id=begun.session_id,
            prompt_number=begun.prompt_number,
            skipped=begun.skipped is not None,
            status="initialized" if begun.skipped is None else "skipped",
            reason=UNSET if begun.skipped is None else begun.skipped.value,
        )
    )


async def observe(exchange: Exchange, body: ToolBody) -> Answer[TakenReply]:
    """Record a tool use; what is learned from it comes with the rest of its turn."""
    taken = await exchange.services.legacy.happened(
        exchange.principal, "PostToolUse", body.to_domain(), exchange.request_id
    )
    return Answer(_taken(taken, observation_count=1))


async def summarize(exchange: Exchange, body: SummarizeBody) -> Answer[TakenReply]:
    """End a turn: observations are generated from it, and the summary of its session after them."""
    if body.agent_id:
        return Answer(TakenReply("skipped", "subagent_context"))
    taken = await exchange.services.legacy.happened(exchange.principal, "Stop", body.to_domain(), exchange.request_id)
    return Answer(_taken(taken))


def _number(session_id: UUID) -> int:
    """Make a number of an id: the same each time, never 0, and exact in JavaScript."""
    return (session_id.int & (2**51 - 1)) | 2**51


def _taken(answer: LegacyAnswer, observation_count: int | UnsetType = UNSET) -> TakenReply:
    if answer.skipped is not None or answer.ingested is None or answer.session_id is None:
        return TakenReply("skipped", answer.skipped.value if answer.skipped else UNSET)
    job = answer.ingested.job
    return TakenReply(
        status="queued",
        session_id=answer.session_id,
        server_session_id=answer.session_id,
        event_id=answer.ingested.event.id,
        generation_job_id=job.id if job else None,
        transport=answer.ingested.transport,
        observation_count=observation_count,
    )
