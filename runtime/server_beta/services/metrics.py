"""What is counted as it happens, in this process: requests, events, generation. No label says whose they are."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, disable_created_metrics

# One more series for each of ours, of use to nobody here.
disable_created_metrics()  # type: ignore[no-untyped-call]

# What others invent is one label: the set of series must not grow with what is sent.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_GENERATION_SECONDS = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120)


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "claude_mem_http_requests",
            "Requests answered, by route template; 499 is a client that did not wait.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "claude_mem_http_request_duration_seconds",
            "How long answers took; that of a stream is how long it lasted.",
            ("method", "route"),
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        self._events = Counter(
            "claude_mem_events",
            "Events that were received, by outcome: `stored`, or `replayed` where they were stored before.",
            ("outcome",),
            registry=self.registry,
        )
        self._generations = Counter(
            "claude_mem_generations",
            "Answers of the provider, by task and outcome.",
            ("task", "outcome"),
            registry=self.registry,
        )
        self._generation_seconds = Histogram(
            "claude_mem_generation_duration_seconds",
            "How long the provider took, by task.",
            ("task",),
            buckets=_GENERATION_SECONDS,
            registry=self.registry,
        )
        self._tokens = Counter(
            "claude_mem_tokens", "Tokens that the provider reported as spent.", ("direction",), registry=self.registry
        )
        for outcome in ("stored", "replayed"):
            self._events.labels(outcome)
        for direction in ("input", "output"):
            self._tokens.labels(direction)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is a template of the API, never a path that somebody sent."""
        known = method if method in _METHODS else "OTHER"
        self._requests.labels(known, route, str(status)).inc()
        self._request_seconds.labels(known, route).observe(seconds)

    def received(self, *, stored: int, replayed: int) -> None:
        """Count events."""
        self._events.labels("stored").inc(stored)
        self._events.labels("replayed").inc(replayed)

    def generated(self, task: str, outcome: str, seconds: float) -> None:
        """Count an answer of the provider."""
        self._generations.labels(task, outcome).inc()
        self._generation_seconds.labels(task).observe(seconds)

    def spent(self, input_tokens: int, output_tokens: int) -> None:
        """Count tokens."""
        self._tokens.labels("input").inc(input_tokens)
        self._tokens.labels("output").inc(output_tokens)
