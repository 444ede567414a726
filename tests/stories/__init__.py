"""Whole lives of licenses, told with the real server and the marketplace emulator under every fault."""

import pytest

pytest.register_assert_rewrite("tests.stories.world")
