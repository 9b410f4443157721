"""What all endpoints share: routes, request and response fields, the OpenAPI document."""
