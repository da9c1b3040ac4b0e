"""This package, with one account in each tab."""

from benchmarks.contenders.ours import *  # noqa: F403
from benchmarks.contenders.ours import MIDDLEWARE, MULTISESSION

MIDDLEWARE = ["multisession.paths.AccountPathMiddleware", *MIDDLEWARE]
MULTISESSION = {**MULTISESSION, "ACCOUNT_PATHS": True}
