"""A process with its desk."""

from tests.staff import house

__all__ = ["house"]
