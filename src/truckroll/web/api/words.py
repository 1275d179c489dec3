"""Words of calls with their limits."""

from typing import Annotated

from litestar.params import PathParameter, QueryParameter
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=1000)]
InPath = Annotated[str, PathParameter(max_length=200)]
Number = Annotated[int, PathParameter(ge=1, le=2**53)]
RecipeName = Annotated[
    str, QueryParameter(name="recipe", max_length=200, description="where several are installed")
]
