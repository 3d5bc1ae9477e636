"""Print which credentials Kaggle's own command, or the kit, takes in each of the environments on stdin.

Run as a child process. Tokens that begin with `dead` are unknown to Kaggle; a renewed one is `renewed`.
"""

import importlib
import json
import os
import sys
import time

Secret = str | list[str] | None


def by_kaggle() -> Secret:
    sys.argv = ["python"]  # help would need no credentials
    from kaggle.api import kaggle_api_extended
    from kagglesdk import KaggleCredentials

    KaggleCredentials.refresh_access_token = lambda self: setattr(self, "_access_token", "renewed")
    module = importlib.reload(kaggle_api_extended)  # its folder is chosen at import
    command = module.KaggleApi()
    command._introspect_token = lambda token: None if token.startswith("dead") else "owner"
    try:
        command.authenticate()
    except SystemExit:
        return None
    values = command.config_values
    is_key = values["auth_method"] == "LEGACY_API_KEY"
    return [values["username"], values["key"]] if is_key else values["token"]


def by_kit() -> Secret:
    from kit.errors import KitError
    from kit.remote.wire import credentials

    try:
        for found in credentials.candidates():
            if found.expires_at < time.time():
                return "renewed"
            if not found.token:
                return [found.user, found.key]
            if not found.token.startswith("dead"):
                return found.token
    except KitError:
        pass
    return None


if __name__ == "__main__":
    who = {"kaggle": by_kaggle, "kit": by_kit}[sys.argv[1]]
    out, sys.stdout = sys.stdout, sys.stderr
    results = []
    for environment in json.load(sys.stdin):
        for name in [name for name in os.environ if name.startswith(("KAGGLE_", "XDG_"))]:
            del os.environ[name]
        os.environ.update(environment)
        results.append(who())
    json.dump(results, out)
