"""What a person did wrong, or what a person must do: a whole sentence, never a class name."""


class TroubleError(Exception):
    """A use case cannot go on. `says` is for people; `usage` says that the call itself was off."""

    def __init__(self, says: str, *, usage: bool = False) -> None:
        super().__init__(says)
        self.says = says
        self.usage = usage


class OvertakenError(TroubleError):
    """Somebody else was first: what the call was made on has changed meanwhile."""


class BusyError(TroubleError):
    """Another run of the recipe is at work; the same call may go later."""


def mended_by_sign_in(says: str, account: str) -> str:
    """Return what a system said about a sign-in, with the command that mends it."""
    return f"{says}  truckroll account sign-in {account}"


def known(word: str, words: list[str], what: str) -> TroubleError:
    """Return the trouble of an unknown name, with the names there are."""
    there = ", ".join(sorted(words)) or "none yet"
    return TroubleError(f'there is no {what} "{word}"; there are: {there}', usage=True)
