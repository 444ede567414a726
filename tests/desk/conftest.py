"""A process with its desk, and a marketplace to buy from."""

from tests.sales import desk
from tests.staff import house

__all__ = ["desk", "house"]
