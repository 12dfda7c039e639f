"""Processes of the tests' own, forked from one that has imported the product: 20 ms each instead of seconds."""

from __future__ import annotations

import multiprocessing

# One server for all tests of a worker: it preloads what was named before its first process, and nothing later.
FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(
    [
        "cm_com.messenger",
        "include.campaigns.sender",
        "include.optins.sources.file",
        "include.phone.bulk",
        "include.simulator.gateway.serve",
        "include.subscriptions",
        "pytest",
        "tests.support.campaigns",
    ]
)
