"""Who acts: a person in a browser, a program with a token, or an administrator at the server's terminal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from licsrv.audit import Cause
from licsrv.errors import ForbiddenError, StepUpRequiredError
from licsrv.people.roles import GRANTABLE, OF_EVERY_PERSON, Permission, Permissions

_CLAIM = " ("


class Via(StrEnum):
    """How an actor came in."""

    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - a word, no secret
    TERMINAL = "terminal"
    ANONYMOUS = "anonymous"


class Step(StrEnum):
    """What a person has to do before anything else."""

    PASSWORD = "password"  # noqa: S105 - a word, no secret
    SECOND_FACTOR = "second_factor"


@dataclass(frozen=True)
class Actor:
    """A known caller, and what they may do at this moment.

    Args:
        name: How the audit names them: ``staff:<account>``, ``token:<name>#<end of its id>``,
            ``terminal:<uid> (<claimed name>)``, or ``anonymous``.
        permissions: What they may do now.
        account: The account that acts, or that the token belongs to; empty at the terminal.
        credential: The id of the session or the token.
        steps_due: What has to be done first; until then a session may only do that.
        has_factor: Whether the person has a second factor.
        proved_at: When the person of a session last proved the second factor, or the password where there is none.
        approver_since: When the account became able to approve, or was given new credentials by another person.
    """

    name: str
    permissions: Permissions
    via: Via
    account: str = ""
    credential: str = ""
    steps_due: tuple[Step, ...] = ()
    has_factor: bool = False
    proved_at: datetime | None = None
    approver_since: datetime | None = None

    @property
    def principal(self) -> str:
        """Who it is whatever credential they use at the moment: limits and repeated calls are counted by it."""
        return f"account:{self.account}" if self.via is Via.SESSION else f"{self.via}:{self.credential}"

    @property
    def person(self) -> str:
        """The person behind an actor: the account, or the user id of the terminal, whatever name it claims.

        So no person approves their own work, or works beyond a limit, through a token or under another name.
        """
        return (self.account or self.name.partition(_CLAIM)[0]).casefold()

    @property
    def claimed(self) -> str:
        """The name claimed at the terminal; empty elsewhere."""
        return claimed_in(self.name)

    def may(self, permission: Permission) -> bool:
        """Whether the actor holds a permission."""
        return permission in self.permissions

    def require(self, permission: Permission) -> None:
        """Let the actor through, or refuse with the reason.

        Raises:
            ForbiddenError: The actor lacks the permission, or has to do something else first.
        """
        if self.may(permission):
            return
        if self.steps_due:
            raise ForbiddenError(
                "Finish your account first.",
                action=_FIRST[self.steps_due[0]],
                steps_due=[str(step) for step in self.steps_due],
            )
        raise ForbiddenError(
            "You may not do this.", action="Ask an operator for a role that may.", permission=str(permission)
        )

    def require_all(self, permissions: Permissions, what: str) -> None:
        """Refuse to hand out, or to touch, more than the actor holds: no detour to more permissions.

        Raises:
            ForbiddenError: Something of it is not the actor's.
        """
        missing = sorted(permissions - self.permissions)
        if missing:
            raise ForbiddenError(f"{what} may do what you may not.", permissions=missing)

    def require_proof(self, within: timedelta, *, now: datetime) -> None:
        """Refuse a session whose person last proved who they are too long ago; tokens and commands have no factor.

        Raises:
            StepUpRequiredError: The last proof is older, or there is none.
        """
        is_fresh = self.proved_at is not None and abs(now - self.proved_at) < within
        if self.via is Via.SESSION and not is_fresh:
            proof = "code" if self.has_factor else "password"
            raise StepUpRequiredError("Prove again that it is you.", action=_PROVE[proof], proof=proof)

    def require_seasoned(self, wait: timedelta, *, now: datetime) -> None:
        """Refuse an account that approves since a short while only: an operator may have made it for that.

        Raises:
            ForbiddenError: The waiting period is not over.
        """
        if self.approver_since is not None and now < self.approver_since + wait:
            raise ForbiddenError(
                "This account became able to approve, or got new credentials, a short while ago.",
                action="Ask another person who may approve bulk jobs, or wait.",
                approves_from=(self.approver_since + wait).isoformat(),
            )

    def require_person(self) -> None:
        """Refuse to let a token give access that has no end.

        Raises:
            ForbiddenError: The actor is a program.
        """
        if self.via is Via.TOKEN:
            raise ForbiddenError(
                "A token cannot give access that outlives it.", action="Let a person do it, in a session of their own."
            )

    def cause(self, request_id: str = "", reason: str = "") -> Cause:
        """Return who did something and why, as the audit records it."""
        return Cause(self.name, request_id, reason)


_FIRST = {
    Step.PASSWORD: "Choose a password of your own.",
    Step.SECOND_FACTOR: "Set up your second factor (an authenticator app).",
}
_PROVE = {
    "code": "Enter a new code of your authenticator app, or a recovery code.",
    "password": "Enter your password.",
}
ANONYMOUS = Actor("anonymous", frozenset({Permission.SIGN_IN}), Via.ANONYMOUS)


def claimed_in(name: str) -> str:
    """Return the name claimed at the terminal in how the audit names an actor; empty for others."""
    is_terminal = name.startswith(f"{Via.TERMINAL}:")
    return name.partition(_CLAIM)[2].removesuffix(")").casefold() if is_terminal else ""


def at_the_terminal(name: str) -> Actor:
    """Return the actor of a command on the server itself: shell access to it permits everything anyway."""
    return Actor(name, GRANTABLE | OF_EVERY_PERSON, Via.TERMINAL)
