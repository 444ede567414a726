"""Staff actions: one module for each, named as the action is. A page, the API, the command line and bulk use the same.

An action is a module here and a paragraph in :mod:`licsrv.words.actions`; nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from licsrv.desk.licenses.actions.staff_action import StaffAction
from licsrv.words import actions as words

ACTIONS: Mapping[str, StaffAction] = {name: import_module(f"{__name__}.{name}").ACTION for name in words.ACTIONS}
