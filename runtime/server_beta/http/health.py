"""The open routes: is it alive, is it ready, what is it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ..domain.records import HealthReport
from .exchange import Answer, Exchange


class Alive(Struct):
    """The process answers."""

    status: Literal["ok"] = "ok"
    runtime: Literal["server-beta"] = "server-beta"


class VersionReply(Struct):
    """The version alone."""

    version: str


async def alive(_exchange: Exchange) -> Answer[Alive]:
    """Answer as long as the process does; asks no dependency."""
    return Answer(Alive())


async def readiness(exchange: Exchange) -> Answer[dict[str, object]]:
    """Tell whether every dependency that a request needs answers."""
    return _reported(await exchange.services.health.readiness())


async def health(exchange: Exchange) -> Answer[dict[str, object]]:
    """Tell the state of every part, from probes."""
    return _reported(await exchange.services.health.report())


async def info(exchange: Exchange) -> Answer[dict[str, object]]:
    """Tell what runs here and how it is set up."""
    return Answer(await exchange.services.health.info())


async def version(exchange: Exchange) -> Answer[VersionReply]:
    """Tell the version alone."""
    return Answer(VersionReply(exchange.services.health.version))


def _reported(report: HealthReport) -> Answer[dict[str, object]]:
    return Answer(report.body, 200 if report.ok else 503)
