"""Build a simulated CM.com from its settings and serve it until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from include.simulator.gateway.accounts import Accounts
from include.simulator.gateway.app import App
from include.simulator.gateway.control import Control
from include.simulator.gateway.courier import Courier
from include.simulator.gateway.faults import Fault, Faults
from include.simulator.gateway.gateway import Gateway
from include.simulator.gateway.journal import Journal
from include.simulator.gateway.judge import Judge
from include.simulator.gateway.listener import Listener
from include.simulator.gateway.people import People
from include.simulator.gateway.population import Population
from include.simulator.gateway.settings import Account, Settings
from include.simulator.gateway.templates import TemplateRegistry

_MAX_BODY = 64 * 1024 * 1024


def serve(
    *,
    settings: Settings,
    accounts: list[Account],
    population: Population,
    db: Path | None,
    faults: list[Fault],
    host: str,
    port: int,
    started: Callable[[str], None],
) -> None:
    """Serve on `host`:`port` until SIGINT or SIGTERM.

    `started` is called with the URL once connections are taken. Raises OSError when the port is taken and
    sqlite3.DatabaseError when `db` is not a journal.
    """
    uvloop.run(_serve(settings, accounts, population, db, faults, host, port, started))


async def _serve(
    settings: Settings,
    accounts: list[Account],
    population: Population,
    db: Path | None,
    faults_set: list[Fault],
    host: str,
    port: int,
    started: Callable[[str], None],
) -> None:
    faults = Faults(settings.seed)
    faults.add(faults_set)
    templates = TemplateRegistry(settings)
    for account in accounts:
        for template in account.templates:
            templates.register(account, template)
    journal = Journal(db)
    journal.open()
    gateway = Gateway(
        settings=settings,
        accounts=Accounts(accounts),
        templates=templates,
        population=population,
        journal=journal,
        judge=Judge(),
    )
    gateway.load()
    people = People(gateway)
    people.load()
    courier = Courier(gateway=gateway, people=people, faults=faults)
    courier.resume()
    gateway.on_messages = courier.watch
    control = Control(gateway=gateway, people=people, courier=courier, faults=faults)
    app = App(gateway=gateway, control=control, faults=faults)
    server = web.Server(app, request_factory=_request, access_log=None, read_bufsize=1 << 20)
    listener = Listener(server, host, port)
    control.refuse = listener.refuse
    url = await listener.open()
    # What exists now lives as long as the process: the collector need not look at it again.
    gc.freeze()
    pushing = asyncio.create_task(courier.run())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    for fault in faults_set:
        if fault.kind == "refuse_connections":
            listener.refuse(fault.seconds)
    started(url)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({pushing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    await server.shutdown(1.0)
    pushing.cancel()
    await asyncio.gather(pushing, return_exceptions=True)
    journal.close()
    if not stop.is_set():
        pushing.result()


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, asyncio.get_running_loop(), client_max_size=_MAX_BODY
    )
