"""Errors that are the user's to mend: one line each, with the next command to try.

Anything else that is raised is a programming error and keeps its traceback.
"""


class KitError(Exception):
    """Say what happened and where (`message`), and what to run next (`hint`)."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} (try: {self.hint})" if self.hint else self.message


class SettingInvalid(KitError):
    """A setting has an unknown name or a value of the wrong type."""


class InputInvalid(KitError):
    """A file that the user brought is missing or malformed."""


class NotYet(KitError):
    """What was asked for is not there yet; the same command finds it later."""


class HardwareUnfit(KitError):
    """The machine is not the one that the preset asks for."""
