"""Kaggle's API methods, each a function from the SDK's request type to the SDK's answer type.

HTTP, authentication, links' bytes and streams are the business of requests.py and links.py.
"""

from __future__ import annotations

import json
from typing import Any

from kagglesdk.security.types.oauth_service import IntrospectTokenRequest, IntrospectTokenResponse

from local_kaggle.routes import competition, datasets, kernels
from local_kaggle.routes.answers import Answer, Handler, LogOf, Redirect
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State

__all__ = ["ROUTES", "Answer", "LogOf", "Redirect", "read", "typed"]


def introspect_token(state: State, _: Sessions, request: Any) -> Any:
    response = IntrospectTokenResponse()
    response.active = request.token == state.settings.token
    if response.active:
        response.username = state.settings.user
    return response


ROUTES: dict[str, tuple[Any, Handler]] = {
    **kernels.ROUTES,
    **competition.ROUTES,
    **datasets.ROUTES,
    "security.OAuthService/IntrospectToken": (IntrospectTokenRequest, introspect_token),
}
"""Every API method that is answered, by service and name, with its request type."""


def read(body: bytes) -> dict[str, Any]:
    """Read a request's JSON object; raises Refused for anything else."""
    try:
        asked = json.loads(body or b"{}")
        # A lone surrogate is a letter of no file name and no log.
        json.dumps(asked, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(400, "Invalid JSON payload received.") from error
    if not isinstance(asked, dict):
        raise Refused(400, "The JSON payload is not an object.")
    return asked


def typed(request_type: Any, asked: dict[str, Any]) -> Any:
    """Fill the SDK's request; raises Refused for a field of another type, which the SDK would take."""
    for field in request_type._fields:
        if asked.get(field.json_name) is None:
            asked.pop(field.json_name, None)
        elif field.field_type in (str, int, bool):
            value = asked[field.json_name]
            values = value if isinstance(field.default_value, list) else [value]
            if not isinstance(values, list) or any(
                type(item) is not field.field_type or (type(item) is int and abs(item) >= 1 << 63)
                for item in values
            ):
                raise Refused(400, f"Invalid value for {field.json_name!r}.")
    try:
        return request_type.from_dict(asked)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(400, "Invalid JSON payload received.") from error
