"""Every fuzz test has bounded memory."""

import resource
from collections.abc import Iterator

import pytest

MEMORY = 3 << 30
"""Bytes of address space. An input that wants more is a MemoryError, and with it a failed test."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)
