"""Up and down as whoever runs the tests: root, or an ordinary user without any rights."""

import os
from collections.abc import Iterator

import pytest

from cluster.home import HomeUnusable, prepare_home, prepare_ray_folder
from tests.product import Product, await_gone, await_true

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture
def prepared() -> Iterator[Product]:
    """Lend a product that has not started."""
    lent = Product.prepare(http_replicas="1", hosts_count="1")
    yield lent
    lent.stop()


def is_well(product: Product) -> bool:
    status = product.look()
    return status.state == "running" and {part.health for part in status.parts} == {"healthy"}


def test_up_and_down_work_for_this_user(prepared: Product):
    prepared.up()
    await_true(lambda: is_well(prepared), "the product runs, and all of it is well")
    status = prepared.status()
    assert [row["name"] for row in status["parts"] if row["name"].startswith("host-")] == ["host-0"]
    everything = prepared.list_processes()
    assert prepared.run("down").returncode == 0
    assert await_gone(everything) == []


def test_a_folder_of_somebody_else_is_refused(prepared: Product):
    place = prepared.place
    prepare_home(place)
    place.short_folder.symlink_to("/")
    try:
        with pytest.raises(HomeUnusable, match="not ours alone"):
            prepare_ray_folder(place)
    finally:
        place.short_folder.unlink()


def test_an_open_short_folder_is_emptied_before_use(prepared: Product):
    place = prepared.place
    prepare_home(place)
    place.short_folder.mkdir()
    place.short_folder.chmod(0o777)
    (place.short_folder / "planted").touch()
    prepare_ray_folder(place)
    assert [path.name for path in place.short_folder.iterdir()] == ["r"]
    assert place.short_folder.stat().st_mode & 0o777 == 0o700
    assert place.short_folder.stat().st_uid == os.geteuid()
