import pytest

from store.clusters import forget


@pytest.fixture
def new_home(tmp_path):
    """Return a home without a cluster."""
    yield tmp_path / "home"
    forget(tmp_path / "home")
