"""Tracing's settings: where recorded steps go, and how many are recorded.

Part of ``settings.Settings``, which says how a setting is given and is the only one to ask.
"""

from dataclasses import dataclass

from kernel.settings import env, is_site, setting


@dataclass(frozen=True, slots=True)
class TracingSettings:
    """Settings of traces."""

    otlp_endpoint: str | None = setting(
        default=None,
        help="OpenTelemetry collector that takes OTLP over HTTP, as http://127.0.0.1:4318; empty: what "
        "OTEL_EXPORTER_OTLP_ENDPOINT says, else nothing is recorded",
    )
    trace_ratio: float = setting(
        default=0.01, minimum=0.0, maximum=1.0, help="share of the traces beginning here that are recorded"
    )
    trace_always: tuple[str, ...] = setting(
        default=("/order", "/hooks/"),
        help="what changes something below addresses with one of these words is always recorded",
    )

    def tracing_faults(self) -> list[str]:
        """Tell what is no address."""
        if self.otlp_endpoint is None or is_site(self.otlp_endpoint):
            return []
        return [
            f"{env('otlp_endpoint')}: {self.otlp_endpoint!r} is not an address such as http://127.0.0.1:4318."
        ]
