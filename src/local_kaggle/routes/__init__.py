"""Kaggle's API methods, each a function from the SDK's request type to the SDK's answer type.

HTTP, authentication, links' bytes and streams are the business of handler.py.
"""

from kagglesdk.kaggle_object import KaggleObject
from kagglesdk.security.types.oauth_service import IntrospectTokenRequest, IntrospectTokenResponse

from local_kaggle.routes import competition, datasets, kernels
from local_kaggle.routes.answers import Answer, Json, Routes, fill, payload, typed
from local_kaggle.sessions import Sessions
from local_kaggle.state import Refused, State


def introspect_token(state: State, _: Sessions, request: KaggleObject) -> KaggleObject:
    active = request.token == state.settings.token
    return fill(IntrospectTokenResponse(), active=active, username=state.settings.user if active else None)


ROUTES: Routes = {
    **kernels.ROUTES,
    **competition.ROUTES,
    **datasets.ROUTES,
    "security.OAuthService/IntrospectToken": (IntrospectTokenRequest, introspect_token),
}
"""Every API method that is answered, by service and name, with its request type."""


def answer(key: str, state: State, sessions: Sessions, asked: Json) -> Answer:
    """Do what one request asks for; raises Refused."""
    request_type, handle = ROUTES[key]
    request, slug = typed(request_type, asked), state.settings.slug
    if getattr(request, "competition_name", slug) != slug:
        raise Refused(404, f"Competition {request.competition_name!r} was not found")
    result = handle(state, sessions, request)
    return payload(result, state) if isinstance(result, KaggleObject) else result
