"""What can be wrong with the database, said to people."""


class DatabaseTrouble(Exception):  # noqa: N818 -- named by what people have
    """The database cannot be used. `says` is a whole sentence with what to do."""

    def __init__(self, says: str) -> None:
        super().__init__(says)
        self.says = says
