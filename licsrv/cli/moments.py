"""Moments and spans as commands write them: those of the whole house."""

from __future__ import annotations

from licsrv.platform.moments import both, full, relative, rfc3339, short, span

__all__ = ["both", "full", "relative", "rfc3339", "short", "span"]
