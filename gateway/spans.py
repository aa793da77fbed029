"""Spans: has a process record its steps for a collector, if one is set and the package is there.

A process that cannot record works as well without: a missing package is told once, and nothing else follows.
"""

import logging
import os
from importlib.metadata import PackageNotFoundError, version
from uuid import uuid4

from gateway.tracing_settings import TracingSettings
from kernel import tracing
from kernel.settings import is_site

log = logging.getLogger(__name__)

ELSEWHERE = "OTEL_EXPORTER_OTLP_ENDPOINT"


def endpoint_of(settings: TracingSettings) -> str | None:
    """Name the collector: ours, or what other programs on this machine are told."""
    return settings.otlp_endpoint or os.environ.get(ELSEWHERE) or None


def start_tracing(settings: TracingSettings, role: str) -> None:
    """Record from here on, where a collector is set."""
    endpoint = endpoint_of(settings)
    if endpoint is None:
        return
    if not is_site(endpoint):
        log.warning("nothing is recorded: the collector's address is none", extra={"variable": ELSEWHERE})
        return
    try:
        from kernel.otlp import Otlp  # noqa: PLC0415 (large, and mostly not there)
    except ModuleNotFoundError as error:
        log.warning("nothing is recorded: install waitroom[otel]", extra={"package": error.name})
        return
    recorder = Otlp(endpoint, f"waitroom-{role}", release(), uuid4().hex)
    tracing.install(recorder, tracing.Sampling(settings.trace_ratio, settings.trace_always))


def stop_tracing() -> None:
    """Hand over what is left; some seconds at most."""
    tracing.close()


def release() -> str:
    """Name the version that is installed."""
    try:
        return version("waitroom")
    except PackageNotFoundError:
        return "unknown"
