"""Members of a request, checked one by one; every issue is found, not the first alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from multidict import MultiMapping

from ..domain.errors import InvalidInput, Issue
from ..domain.instants import MAX_EPOCH_MS, from_milliseconds
from ..domain.text import scrub


class Members:
    """Reads the members of a JSON object or a query string; `check` raises what was wrong with any of them."""

    def __init__(self, values: Mapping[str, object], *, are_texts: bool) -> None:
        self._values = values
        self._are_texts = are_texts
        self._issues: list[Issue] = []

    @classmethod
    def of_query(cls, query: MultiMapping[str], known: Iterable[str]) -> Members:
        """Read query parameters; a name that is unknown or given twice is an issue too."""
        members = cls({name: scrub(value) for name, value in query.items()}, are_texts=True)
        names = set(known)
        for name in dict.fromkeys(query):
            if name not in names:
                members.wrong(name, "is not known here", "unknown")
            elif len(query.getall(name)) > 1:
                members.wrong(name, "must be given once", "repeated")
        return members

    @classmethod
    def of_body(cls, body: Mapping[str, object]) -> Members:
        """Read a JSON object; members that are unknown are left to later versions."""
        return cls(body, are_texts=False)

    def wrong(self, name: str, message: str, code: str) -> None:
        """Note an issue with a member."""
        self._issues.append(Issue(f"$.{name}", f"{name} {message}", code))

    def check(self) -> None:
        """Raise InvalidInput when there was an issue."""
        if self._issues:
            raise InvalidInput(f"The request is not valid: {self._issues[0].message}.", self._issues)

    def has(self, name: str) -> bool:
        """Tell whether the member is there and not null."""
        return self._values.get(name) is not None

    def text(self, name: str, longest: int) -> str | None:
        """Read a text of 1 to `longest` characters."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(name, "must be a string", "invalid_type")
        elif not 1 <= len(value) <= longest:
            self.wrong(name, f"must have 1 to {longest} characters", "invalid_value")
        else:
            return value
        return None

    def uuid(self, name: str) -> UUID | None:
        """Read an id."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            return UUID(value if isinstance(value, str) else "")
        except ValueError:
            self.wrong(name, "must be a UUID", "invalid_value")
            return None

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number within bounds."""
        value = self._values.get(name)
        if value is None:
            return default
        number = self._number(value)
        if number is None or not low <= number <= high:
            self.wrong(name, f"must be a whole number from {low} to {high}", "invalid_value")
            return default
        return number

    def instant(self, name: str) -> datetime | None:
        """Read milliseconds since the epoch, or an ISO 8601 instant with its offset."""
        value = self._values.get(name)
        if value is None:
            return None
        number = self._number(value)
        if number is not None and 0 <= number <= MAX_EPOCH_MS:
            return from_milliseconds(number)
        if number is None and isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC)
            except (ValueError, OverflowError):
                pass
        self.wrong(name, "must be milliseconds since 1970 or an ISO 8601 instant with an offset", "invalid_value")
        return None

    def words(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """Read a list of texts."""
        value = self._values.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > most:
            self.wrong(name, f"must be a list of at most {most} strings", "invalid_type")
            return ()
        words = tuple(word for word in value if isinstance(word, str) and 1 <= len(word) <= longest)
        if len(words) != len(value):
            self.wrong(name, f"must hold strings of 1 to {longest} characters", "invalid_value")
        return words

    def _number(self, value: object) -> int | None:
        if self._are_texts and isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
            return int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None
