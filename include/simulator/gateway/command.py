"""The options of `whatsapp simulator`."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from include.simulator.gateway.faults import read
from include.simulator.gateway.population import Population
from include.simulator.gateway.settings import (
    DEFAULT_TOKEN,
    Account,
    Configuration,
    ConfigurationError,
    Settings,
    Template,
    convert,
    load,
)


def simulator(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    db: Annotated[Path | None, typer.Option(help="Remember every message in this SQLite file.")] = None,
    rate: Annotated[
        int | None, typer.Option(help="Messages per second above which the answer is 429.")
    ] = None,
    faults: Annotated[Path | None, typer.Option(help="Faults to start with, YAML or JSON.")] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Where statuses and replies are posted.")] = None,
    mo_url: Annotated[str | None, typer.Option(help="Where replies are posted, if elsewhere.")] = None,
    token: Annotated[list[str] | None, typer.Option(help="A product token; one account for each.")] = None,
    templates: Annotated[Path | None, typer.Option(help="Templates of every account, YAML or JSON.")] = None,
    population: Annotated[Path | None, typer.Option(help="What people do, YAML or JSON lines.")] = None,
    config: Annotated[Path | None, typer.Option(help="Accounts and settings, YAML or JSON.")] = None,
    seed: Annotated[int | None, typer.Option(help="From which all behaviour follows.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds per second.")] = None,
) -> None:
    """Run a CM.com on this machine: it takes messages, reports statuses, and its people answer."""
    try:
        run(
            port=port,
            host=host,
            db=db,
            rate=rate,
            faults=faults,
            webhook_url=webhook_url,
            mo_url=mo_url,
            tokens=token,
            templates=templates,
            population=population,
            config=config,
            seed=seed,
            speed=speed,
        )
    except (ConfigurationError, OSError) as error:
        typer.echo(f"simulator: {error}", err=True)
        raise typer.Exit(1) from error
    except sqlite3.DatabaseError as error:
        typer.echo(f"simulator: {db}: {error}. Give another file to --db.", err=True)
        raise typer.Exit(1) from error


def run(
    *,
    port: int,
    host: str = "127.0.0.1",
    db: Path | None = None,
    rate: int | None = None,
    faults: Path | None = None,
    webhook_url: str | None = None,
    mo_url: str | None = None,
    tokens: list[str] | None = None,
    templates: Path | None = None,
    population: Path | None = None,
    config: Path | None = None,
    seed: int | None = None,
    speed: float | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; prints one line with the URL once it listens.

    Options given here go before those of the configuration file. Raises ConfigurationError, OSError or
    sqlite3.DatabaseError when something given cannot be used.
    """
    # Imported here because `whatsapp --help` should not wait for aiohttp and numpy.
    from include.simulator.gateway.serve import serve

    given: Configuration = load(config, Configuration) if config else Configuration()
    named = {"rate": rate, "seed": seed, "speed": speed}
    chosen = given.settings | {key: value for key, value in named.items() if value is not None}
    settings: Settings = convert(chosen, Settings, where=f"{config}: settings" if config else "options")
    if settings.speed <= 0:
        raise ConfigurationError("speed is greater than 0")
    accounts = given.accounts + _accounts(tokens or ([] if given.accounts else [DEFAULT_TOKEN]))
    extra: list[Template] = load(templates, list[Template]) if templates else []
    for account in accounts:
        account.webhook_url = account.webhook_url or webhook_url
        account.mo_url = account.mo_url or mo_url
        account.templates = (*account.templates, *extra)
    serve(
        settings=settings,
        accounts=accounts,
        population=Population.load(population, settings.seed) if population else Population(settings.seed),
        db=db,
        faults=read(load(faults, Any), where=str(faults)) if faults else [],
        host=host,
        port=port,
        started=lambda url: typer.echo(f"CM.com simulator listening on {url}"),
    )


def _accounts(tokens: list[str]) -> list[Account]:
    """An account per token, with ids of their own: 1111… for the first, 2222… for the second."""
    ids = (f"{number}" * 32 if number < 10 else f"{number:032d}" for number in range(1, len(tokens) + 1))
    return [Account(token=token, account=str(UUID(each))) for token, each in zip(tokens, ids, strict=True)]
