"""Telemetry: the log, the Prometheus metrics and the OpenTelemetry traces."""
