import pytest

from sim.discovery import SPECS, Judge, document
from sim.google_world import GoogleWorld, in_process, served


@pytest.fixture(scope="session")
def google_judge():
    return Judge(document("google-calendar"), document("google-workspace"))


@pytest.fixture(scope="session", params=["in process", "served"])
def google_address(request):
    with (in_process if request.param == "in process" else served)() as address:
        yield address


@pytest.fixture
def google(google_address, google_judge):
    """Return a simulated Google, empty but for a company of an office and three technicians."""
    world = GoogleWorld(google_address, google_judge)
    world.begin()
    yield world
    world.close()


def pytest_collection_modifyitems(items):
    if not SPECS.is_dir():
        for item in items:
            if item.get_closest_marker("shared"):
                item.add_marker(pytest.mark.skip(reason="the shared material is not here"))
