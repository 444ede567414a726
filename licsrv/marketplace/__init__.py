"""The one room that speaks the marketplace's language, both ways; the rest of licsrv never sees its spelling."""

from licsrv.marketplace import origins as _origins  # registers where our licenses come from  # noqa: F401
