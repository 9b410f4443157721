"""Service errors: each class is a kind of RFC 9457 problem, explained in docs/errors.md.

A message names the invalid field and its limit. It never repeats the values that a client sent.
"""

import math
import random
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from pydantic import BaseModel, Field

from models.errors import MonikerError

CLIENT_CLOSED_REQUEST = 499  # only in logs and metrics: no client receives it


class FieldProblem(BaseModel):
    """What is wrong with a field."""

    field: str = Field(
        description="name of the field; a dot leads into a list, as in names.3",
        examples=["temperature"],
    )
    detail: str = Field(
        description="what the field must be",
        examples=["Input should be greater than or equal to 0.05"],
    )


class ServiceError(MonikerError):
    """An error that becomes a problem response. The docstring of a subclass says when it occurs.

    status: HTTP status
    slug: last segment of the problem's `type`, which is /errors/<slug>
    title: the kind of problem in words
    remedy: what the client can do
    detail: what is wrong with this request
    errors: the invalid fields
    headers: of the response
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    remedy: ClassVar[str]

    def __init__(
        self,
        detail: str,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail, self.errors, self.headers = detail, errors, headers

    @classmethod
    def of_fields(cls, errors: Sequence[FieldProblem], omitted: int = 0) -> Self:
        """Return the error of these fields and of `omitted` others; its detail is the first."""
        more = len(errors) - 1 + omitted
        detail = f"{errors[0].field}: {errors[0].detail}" + (f" (and {more} more)" if more else "")
        return cls(detail, errors)


class MalformedHttpError(ServiceError):
    """The request is not valid HTTP/1.1, or its Host header is missing or repeated."""

    status, slug, title = 400, "malformed-http", "Malformed HTTP"
    remedy = "Use an HTTP/1.1 client, and check the proxies in front of the service."


class MalformedJsonError(ServiceError):
    """The body is not JSON in UTF-8."""

    status, slug, title = 400, "malformed-json", "Malformed JSON"
    remedy = "Correct the body; `errors` says at which line and column it is malformed."


class MalformedGzipError(ServiceError):
    """The body has Content-Encoding: gzip but is not a complete gzip stream."""

    status, slug, title = 400, "malformed-gzip", "Malformed gzip"
    remedy = "Compress the body again, or send it without Content-Encoding."


class UnexpectedBodyError(ServiceError):
    """A GET or HEAD request has a body."""

    status, slug, title = 400, "unexpected-body", "Unexpected body"
    remedy = "Send the fields in the query, or use POST."


class RequestRejectedError(ServiceError):
    """The service does not allow the request, such as a preflight request of another origin."""

    status, slug, title = 400, "request-rejected", "Request rejected"
    remedy = "Correct the request. For a page, ask the operator to set MONIKER_CORS_ORIGINS."


class UnauthenticatedError(ServiceError):
    """The service requires an API key, and the request has none or an unknown one."""

    status, slug, title = 401, "unauthenticated", "Unauthenticated"
    remedy = "Send the header `Authorization: Bearer <key>` with a key from the operator."


class NotFoundError(ServiceError):
    """The service has nothing at this path."""

    status, slug, title = 404, "not-found", "Not found"
    remedy = "Look up the path at /docs; paths have no slash at the end."


class NoSuchModelError(ServiceError):
    """The service has no model with the requested name."""

    status, slug, title = 404, "no-such-model", "No such model"
    remedy = "Use one of the names at /models."

    def __init__(self) -> None:
        detail = "There is no such model; /models lists them."
        super().__init__(detail, [FieldProblem(field="model", detail=detail)])


class NoReportError(ServiceError):
    """The model has no evaluation report."""

    status, slug, title = 404, "no-report", "No report"
    remedy = "Train the model with --evaluate, and keep report.html beside the checkpoints."


class MethodNotAllowedError(ServiceError):
    """The path does not support the method of the request."""

    status, slug, title = 405, "method-not-allowed", "Method not allowed"
    remedy = "Use one of the methods in the Allow header of the response."


class NotAcceptableError(ServiceError):
    """The Accept header allows none of the media types that the path can send."""

    status, slug, title = 406, "not-acceptable", "Not acceptable"
    remedy = "Accept one of the media types in `detail`."


class RequestTimeoutError(ServiceError):
    """The headers or the body did not arrive within the time limit."""

    status, slug, title = 408, "timeout", "Request timeout"
    remedy = "Send the request again on a new connection, without pauses."


class ContentTooLargeError(ServiceError):
    """The body is longer than the limit of the path, compressed or after decompression."""

    status, slug, title = 413, "content-too-large", "Content too large"
    remedy = "Split the request. To score more names, send them as lines to /score."


class UnsupportedMediaTypeError(ServiceError):
    """The path does not accept the media type, character set or content coding of the body."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"
    remedy = "Send the body with the Content-Type in `detail`, in UTF-8, as it is or as gzip."


class InvalidFieldsError(ServiceError):
    """A field is unknown, repeated, missing or outside its limits."""

    status, slug, title = 422, "invalid-fields", "Invalid fields"
    remedy = "Correct the fields in `errors`; /docs and /models list the limits."


class UnsatisfiableConstraintsError(ServiceError):
    """No name satisfies all constraints: the model gives each of them probability 0."""

    status, slug, title = 422, "unsatisfiable", "Unsatisfiable constraints"
    remedy = "Relax a constraint, for example the pattern or the length."


class TooComplexConstraintsError(ServiceError):
    """The constraints need more states or more memory than the limit in `detail`."""

    status, slug, title = 422, "too-complex", "Constraints too complex"
    remedy = "Shorten the pattern, use fewer `*` and `?`, or exclude fewer substrings."


class HeadersTooLargeError(ServiceError):
    """The request line and the headers are longer than the limit in `detail`."""

    status, slug, title = 431, "headers-too-large", "Headers too large"
    remedy = "Send the fields in the body of a POST request."


class ClientDisconnectedError(ServiceError):
    """The client disconnected before the response. Only logs and metrics contain this status."""

    status, slug, title = CLIENT_CLOSED_REQUEST, "client-disconnected", "Client disconnected"
    remedy = "Increase the timeout of the client or of the proxy."

    def __init__(self) -> None:
        super().__init__("The client disconnected before the response.")


class InternalError(ServiceError):
    """The service failed; its log contains the traceback."""

    status, slug, title = 500, "internal-error", "Internal error"
    remedy = "Report the error to the operator with the X-Request-ID of the response."


class OverloadError(ServiceError):
    """The request would wait longer than MONIKER_MAX_WAIT_SECONDS."""

    # The operator may choose 429 instead, with MONIKER_SHED_STATUS.
    status, slug, title = 503, "overloaded", "Overloaded"
    remedy = "Send the request again after the seconds in the Retry-After header."

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(f"The estimated wait for {reason} is {seconds:.1f} s.")
        self.reason, self.seconds = reason, seconds  # the reason is a label of the metric

    @property
    def retry_after(self) -> int:
        """The estimated wait in whole seconds, at least 1, plus up to half of it at random.

        The jitter keeps clients that were rejected together from returning together.
        """
        jitter = random.uniform(1.0, 1.5)  # noqa: S311 - no secret
        return max(1, math.ceil(self.seconds * jitter))


class ModelNotLoadedError(ServiceError):
    """The checkpoint of the model cannot be loaded."""

    status, slug, title = 503, "model-not-loaded", "Model not loaded"
    remedy = "Use another model. The operator finds the reason at /readyz."

    def __init__(self) -> None:
        super().__init__("This model could not be loaded; /readyz says why.")


class NotReadyError(ServiceError):
    """The default model is not loaded, or the service is about to stop. Only /readyz sends it."""

    status, slug, title = 503, "not-ready", "Not ready"
    remedy = "Send requests to another instance until /readyz responds with 200."


PROBLEMS = {kind.slug: kind for kind in ServiceError.__subclasses__()}
