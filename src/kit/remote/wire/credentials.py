"""Find who asks Kaggle, in the order of Kaggle's own command; no value of a secret is ever quoted."""

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests
from requests.auth import HTTPBasicAuth

from kit import environment
from kit.remote.wire.transport import CredentialsInvalid

TOKEN_PAGE = "https://www.kaggle.com/settings/api"  # noqa: S105 - a page, not a token
LONGEST = 4096  # of a key, a token or a user's name; Kaggle's are much shorter
_AROUND = " \t\r\n\v\f\u00a0\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))


@dataclass(frozen=True)
class Credentials:
    """Who asks. `origin` and `user` may be shown, nothing else may."""

    origin: str
    user: str = ""  # empty for a token: Kaggle knows whose it is
    key: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    renewal: str = field(default="", repr=False)  # what gets another token for a browser's log-in
    expires_at: float = math.inf  # when the token ends by its own file, in seconds since 1970

    def sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Put these credentials on a request."""
        if not self.token:
            HTTPBasicAuth(self.user, self.key)(request)
        else:
            request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def candidates(*, local: bool = False) -> Iterator[Credentials]:
    """Yield credentials in the order of Kaggle's command; a `local` server is shown one, and no log-in."""
    fault = CredentialsInvalid(
        "no Kaggle credentials: set KAGGLE_API_TOKEN, or save the token as ~/.kaggle/access_token",
        hint=f"{TOKEN_PAGE} for a token, or make rehearse, which needs none",
    )
    origin, text = _token()
    if is_token := bool(text.strip()):
        yield Credentials(origin, token=clean(text, origin))
    path = environment.kaggle_config_dir() / "kaggle.json"
    try:
        stored = _object(path)
    except CredentialsInvalid as error:  # Kaggle's command goes on as well
        stored, fault = {}, error
    pair, names = environment.kaggle_user_and_key(), ("KAGGLE_USERNAME", "KAGGLE_KEY")
    user, key = (value or stored.get(name) for value, name in zip(pair, ("username", "key"), strict=True))
    is_pair = bool(user and key) and not (local and is_token)
    if is_pair:
        origins = [name if value else _shown(path) for name, value in zip(names, pair, strict=True)]
        origin = " and ".join(dict.fromkeys(origins))
        user, key = clean(user, f"the user's name in {origins[0]}"), clean(key, f"the key in {origins[1]}")
        yield Credentials(origin, token=key) if key.startswith("KGAT") else Credentials(origin, user, key)
    login = None if local else _browser_login()
    if login:
        yield login
    if not (is_token or is_pair or login):
        raise fault


def _token() -> tuple[str, str]:
    """Return where an access token is, and the token; empty where there is none."""
    value = environment.kaggle_api_token()
    if value:
        return "KAGGLE_API_TOKEN", _read(Path(value)) if os.path.exists(value) else value  # noqa: PTH110 - bears any value
    for path in (Path.home() / ".kaggle" / name for name in ("access_token", "access_token.txt")):
        if text := _read(path).strip():
            return _shown(path), text
    return "", ""


def _browser_login() -> Credentials | None:
    """Return what `kaggle auth login` left, expired or not."""
    path = Path.home() / ".kaggle" / "credentials.json"
    stored = _object(path)
    if not stored.get("refresh_token"):
        return None
    token, expires_at = stored.get("access_token") or "", 0.0
    with suppress(ValueError, OverflowError):
        expiry = datetime.fromisoformat(str(stored.get("access_token_expiration")))
        expires_at = (expiry if expiry.tzinfo else expiry.replace(tzinfo=UTC)).timestamp()
    return Credentials(
        "kaggle auth login",
        token=clean(token, f"the token in {_shown(path)}") if token else "",
        renewal=clean(stored["refresh_token"], f"the refresh token in {_shown(path)}"),
        expires_at=expires_at if token else 0.0,
    )


def _object(path: Path) -> dict[str, object]:
    """Return the JSON object in a file, empty where there is no file."""
    text = _read(path).strip()
    with suppress(ValueError, RecursionError):  # the error's own text may quote the key
        if isinstance(stored := json.loads(text or "{}"), dict):
            return stored
    raise invalid(f"{_shown(path)} holds no JSON object")


def _read(path: Path) -> str:
    """Return a file's text, none where there is no file."""
    if path.exists() and not path.is_file():
        raise invalid(f"{_shown(path)} is no file")
    try:
        with path.open("rb") as file:
            data = file.read(16 * LONGEST)
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise invalid(f"{_shown(path)} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise invalid(f"{_shown(path)} is neither UTF-8 nor UTF-16") from None


def clean(value: object, origin: str) -> str:
    """Return a value without what copying left around it; raises CredentialsInvalid for what is no key."""
    if not isinstance(value, str):
        raise invalid(f"{origin} is no text but {type(value).__name__}")
    text = value.translate(_INVISIBLE).strip(_AROUND)
    if not text:
        raise invalid(f"{origin} is empty")
    if len(text) > LONGEST:
        raise invalid(f"{origin} has {len(text):,} characters, more than any key")
    for odd in re.findall(r"[^!-~]", text)[:1]:
        raise invalid(f"{origin} holds {'a blank or a line end' if odd.isspace() else f'U+{ord(odd):04X}'}")
    return text


def invalid(text: str) -> CredentialsInvalid:
    """Return the refusal of credentials, with the page for others."""
    return CredentialsInvalid(text, hint=f"a new one from {TOKEN_PAGE}")


def rejected(origin: str) -> CredentialsInvalid:
    """Return the refusal of credentials that Kaggle does not know."""
    return invalid(f"Kaggle rejects the credentials of {origin}")


def _shown(path: Path) -> str:
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)
