"""OpenTelemetry, which the framework turns on where the standard variables name an endpoint.

What it would tell of queries and of paths does not leave the service: names are in them.
"""

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

# Metrics and the log have ways of their own, and spans within a request would take longer than it.
TELEMETRY = TelemetryConfig(auto_configure=True, operation_spans=False, metrics=False, logs=False)
HIDDEN = ("url.query", "url.path")


def hide_names() -> None:
    """Leave out of every span what may be names, if there are spans."""
    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return
    from opentelemetry.sdk.trace import Span, SpanProcessor  # there are spans, so this is there

    class Hiding(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            told = span.attributes or {}
            span.set_attributes({name: "" for name in HIDDEN if name in told})

    provider.add_span_processor(Hiding())
