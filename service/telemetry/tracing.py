"""OpenTelemetry traces, enabled by the standard environment variables of an endpoint.

Spans have neither queries nor paths, because they contain names.
"""

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace

# The service has its own metrics and log. Spans within a request would take longer than its work.
TELEMETRY = TelemetryConfig(auto_configure=True, operation_spans=False, metrics=False, logs=False)
HIDDEN = ("url.query", "url.path")


def hide_names() -> None:
    """Remove the attributes that may contain names from every span, if there are spans."""
    provider = trace.get_tracer_provider()
    if not hasattr(provider, "add_span_processor"):
        return
    from opentelemetry.sdk.trace import Span, SpanProcessor  # an optional dependency

    class HidingProcessor(SpanProcessor):
        def on_start(self, span: Span, parent_context: object = None) -> None:
            attributes = span.attributes or {}
            span.set_attributes({name: "" for name in HIDDEN if name in attributes})

    provider.add_span_processor(HidingProcessor())
