"""What can be wrong with the database, said to people."""

from psycopg import OperationalError
from psycopg.errors import DiskFull
from psycopg_pool import PoolTimeout


class DatabaseTrouble(Exception):  # noqa: N818 -- named by what people have
    """The database cannot be used. `says` is a whole sentence with what to do."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says


def says_of(error: BaseException) -> str:
    """Return a sentence about a database that cannot do now what was asked, "" for all else.

    What was done before it is kept, and nothing of what failed is; several errors of one kind
    that come together are one.
    """
    if isinstance(error, BaseExceptionGroup):
        told = [says_of(one) for one in error.exceptions]
        return told[0] if all(told) else ""
    if isinstance(error, DiskFull):
        return (
            "The database has no room left on its disk, so nothing new is taken on; what was taken"
            " on before is kept. Make room, and it goes on."
        )
    if isinstance(error, OperationalError | PoolTimeout):
        return (
            "The database does not answer just now; what was done is kept. Try again in a moment."
        )
    return ""
