"""The one room that speaks the marketplace's language, both ways; the rest of licsrv never sees its spelling."""
