"""This package, reading from Redis."""

from benchmarks.contenders.ours import *  # noqa: F403

SESSION_ENGINE = "multisession.backends.cached_db"
