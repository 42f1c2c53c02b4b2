"""The routes of the API as somebody asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from uuid import UUID

from server_beta.http.route import Route

_NAMED: Mapping[str, str] = {"adapter": "claude-code", "event": "UserPromptSubmit"}
NOBODYS = UUID(int=1)


def concrete_path(route: Route, **values: object) -> str:
    """Fill the route's path: ids that are not given name nothing."""
    taken = route.shape().path

    def fill(match: re.Match[str]) -> str:
        name = match[1]
        return str(values.get(name, NOBODYS if taken[name] is UUID else _NAMED.get(name, "x")))

    return re.sub(r"\{(\w+)(?::[^/]*)?\}", fill, route.path)
