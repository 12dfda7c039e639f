"""`whatsapp …`: what one does outside Airflow's UI. Errors are one sentence and exit code 1; nothing is
half-done.
"""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from include.database import (
    DatabaseUnavailable,
    SchemaOutOfDate,
    connect,
    dsn_from_environment,
    require_current,
)
from include.database import migrate as migrate_schema
from include.database import status as schema_status
from include.entities import EntityProblems, entity_names, load_entity
from include.simulator.gateway import simulator

T = TypeVar("T")
app = typer.Typer(no_args_is_help=True, help="WhatsApp campaigns on Airflow.", pretty_exceptions_enable=False)
db = typer.Typer(no_args_is_help=True, help="The project's own database.")
campaign = typer.Typer(no_args_is_help=True, help="Pause, resume or cancel a campaign.")
app.add_typer(db, name="db")
app.add_typer(campaign, name="campaign")
rates = typer.Typer(no_args_is_help=True, help="What a delivered message costs, by country and category.")
app.add_typer(rates, name="rates")
subscriptions = typer.Typer(no_args_is_help=True, help="The table of people and their consent.")
app.add_typer(subscriptions, name="subscriptions")
optouts = typer.Typer(no_args_is_help=True, help="Word of opt-outs on its way back to the sources.")
app.add_typer(optouts, name="optouts")
app.command()(simulator)


@app.command()
def check(
    entities: Annotated[list[str] | None, typer.Argument(help="Entities; all when left out.")] = None,
) -> None:
    """Check the entities' files: every mistake with file, line and remedy. Exit code 1 when there is one."""
    names = entities or entity_names()
    if not names:
        _fail("There is no entity. Copy include/entities/acme, or set WHATSAPP_ENTITIES to their folder.")
    wrong = 0
    for name in names:
        try:
            entity = load_entity(name)
        except EntityProblems as problems:
            wrong += len(problems.problems)
            for problem in problems.problems:
                typer.echo(str(problem), err=True)
        else:
            typer.echo(
                f"{name}: {len(entity.sources)} source(s), {len(entity.templates)} template(s), "
                f"{len(entity.segments)} segment(s), {len(entity.campaigns)} campaign(s). All right."
            )
    if wrong:
        _fail(f"{wrong} problem(s).")


@db.command("migrate")
def db_migrate() -> None:
    """Bring the database to this code's schema; safe to run at any time, and twice at once."""
    before = _or_fail(lambda: migrate_schema(dsn_from_environment()))
    if before.is_current:
        typer.echo(f"The database is at {before.head}; there was nothing to do.")
    else:
        typer.echo(
            f"Migrated from {before.current or 'empty'} to {before.head}: {', '.join(before.pending)}."
        )


@db.command("status")
def db_status() -> None:
    """Say where the schema stands. Exit code 1 when a migration is pending."""
    found = _or_fail(lambda: schema_status(dsn_from_environment()))
    typer.echo(f"database: {found.current or 'empty'}, this code: {found.head}")
    if not found.is_current:
        pending = f"Pending: {', '.join(found.pending)}. Run `whatsapp db migrate`."
        _fail(pending if found.pending else "The database is newer than this code: install the newest code.")


@app.command()
def webhook(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8088,
) -> None:
    """Take CM.com's status reports and replies, on a port of its own."""
    from include.subscriptions import SuppressionKeyProblem
    from include.webhooks import SettingsProblem, serve

    try:
        serve(dsn=_or_fail(dsn_from_environment), host=host, port=port)
    except (SettingsProblem, SuppressionKeyProblem) as problem:
        _fail(str(problem))


@app.command()
def report(
    campaign_id: Annotated[int, typer.Argument(metavar="CAMPAIGN", help="The campaign's number.")],
    csv: Annotated[Path | None, typer.Option(help="Write one row per person to this file.")] = None,
    phones: Annotated[bool, typer.Option(help="With --csv: full phone numbers.")] = False,  # noqa: FBT002
) -> None:
    """Print a campaign's funnel, counted from its ledger rows; with --csv also every person's row."""
    from include.reports import CampaignUnknown, funnel, report_text, write_csv

    def show() -> None:
        with connect(dsn_from_environment(), application="whatsapp report") as conn:
            require_current(conn)
            typer.echo(report_text(funnel(conn, campaign_id, live=True), now=datetime.now(UTC)))
            if csv is not None:
                with csv.open("wb") as file:
                    write_csv(conn, campaign_id, file, phones=phones)
                typer.echo(f"Every person's row is in {csv}.")

    try:
        _or_fail(show)
    except CampaignUnknown as unknown:
        _fail(str(unknown))
    except OSError as error:
        _fail(f"{csv}: {error.strerror}.")


@app.command()
def log(
    entity: Annotated[str, typer.Argument(help="The entity's name.")],
    day: Annotated[
        str, typer.Option(help="The day (UTC), such as 2026-11-22; yesterday when left out.")
    ] = "",
    csv: Annotated[
        Path | None, typer.Option(help="Write every difference to this file, a message each.")
    ] = None,
) -> None:
    """Compare a day of our messages with CM.com's log as it was pulled: what either side lacks, and the cost."""
    from include.message_log.compare import compare_day, difference_csv, text

    try:
        chosen = date.fromisoformat(day) if day else datetime.now(UTC).date() - timedelta(days=1)
    except ValueError:
        _fail(f"{day!r} is no day such as 2026-11-22.")

    def show() -> None:
        with connect(dsn_from_environment(), application="whatsapp log") as conn:
            require_current(conn)
            typer.echo(text(compare_day(conn, entity, chosen)))
            if csv is not None:
                with csv.open("wb") as file:
                    file.writelines(difference_csv(conn, entity, chosen))
                typer.echo(f"Every difference is in {csv}.")

    try:
        _or_fail(show)
    except OSError as error:
        _fail(f"{csv}: {error.strerror}.")


@campaign.command("pause")
def campaign_pause(
    campaign_id: int, reason: Annotated[str, typer.Option(help="Shown in the report.")] = "paused by hand"
) -> None:
    """Stop sending within a second; `resume` goes on where it stopped."""
    _change("pause", campaign_id, reason=reason)


@campaign.command("resume")
def campaign_resume(
    campaign_id: int, reason: Annotated[str, typer.Option(help="For the history on the page.")] = ""
) -> None:
    """Let a paused campaign go on. If its Dag run has ended, clear it from `send` on (the page does that itself)."""
    _change("resume", campaign_id, reason=reason)


@campaign.command("cancel")
def campaign_cancel(
    campaign_id: int, reason: Annotated[str, typer.Option(help="Shown in the report.")] = "cancelled by hand"
) -> None:
    """End a campaign for good; what has left stays counted."""
    _change("cancel", campaign_id, reason=reason)


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(help="One of the names that `whatsapp bench list` prints, or `all`.")
    ],
) -> None:
    """Measure against a peer or a floor in the same run, and write the entry into build/bench.json."""
    from include.bench import BENCHMARKS, run_benchmarks

    if name == "list":
        typer.echo("\n".join(BENCHMARKS))
    elif name != "all" and name not in BENCHMARKS:
        _fail(f"There is no benchmark {name!r}. There are: {', '.join(BENCHMARKS)}.")
    else:
        run_benchmarks(list(BENCHMARKS) if name == "all" else [name], echo=typer.echo)


@campaign.command("release-uncertain")
def campaign_release_uncertain(
    campaign_id: int,
    older_than_hours: Annotated[int, typer.Option(min=1, help="Only messages that left so long ago.")] = 24,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,  # noqa: FBT002
) -> None:
    """Send messages of unknown fate again. Whoever did get the first one gets a second one."""
    from include.campaigns.errors import CampaignNotReady
    from include.campaigns.states import release_uncertain

    if not yes:
        typer.confirm(
            "Nobody knows whether these messages arrived. Whoever got the first one will get it a second time, and may "
            "block the sender for it. Pull the message log first. Send them again?",
            abort=True,
        )
    try:
        released = _or_fail(
            lambda: release_uncertain(
                dsn=dsn_from_environment(),
                campaign_id=campaign_id,
                older_than=timedelta(hours=older_than_hours),
                now=datetime.now(UTC),
                by=_who(),
            )
        )
    except CampaignNotReady as problem:
        _fail(str(problem))
    typer.echo(
        f"{released} message(s) of campaign {campaign_id} are planned again. Clear its Dag run from `send` on."
    )


@app.command("number-quality")
def number_quality(
    connection: Annotated[
        str, typer.Argument(help="The CM.com connection of the number, such as cm_com_acme.")
    ],
    quality: Annotated[str, typer.Argument(help="GREEN, YELLOW, RED or UNKNOWN, as Meta's tools show it.")],
) -> None:
    """Say what Meta thinks of a number: YELLOW halves its rate, RED pauses its marketing, both within seconds."""
    from include.campaigns.states import set_number_quality

    names = {load_entity(name).settings.connection for name in entity_names()}
    if connection not in names:
        _fail(f"No entity has the connection {connection!r}; there are {', '.join(sorted(names))}.")
    if quality.upper() not in ("GREEN", "YELLOW", "RED", "UNKNOWN"):
        _fail(f"{quality!r} is none of GREEN, YELLOW, RED, UNKNOWN.")
    _or_fail(
        lambda: set_number_quality(
            dsn=dsn_from_environment(), connection_id=connection, quality=quality.upper(), by=_who()
        )
    )
    typer.echo(f"{connection}: {quality.upper()}.")


@rates.command("load")
def rates_load(
    file: Annotated[Path, typer.Argument(help="CSV: effective_from,country,category,price,currency")],
) -> None:
    """Load prices from a CSV: all of it, or nothing and every wrong line with its reason."""
    from include.campaigns.rates import RatesInvalid, load_rates

    try:
        counts = _or_fail(lambda: load_rates(file, dsn=dsn_from_environment(), now=datetime.now(UTC)))
    except RatesInvalid as problem:
        _fail(str(problem))
    except OSError as error:
        _fail(f"{file}: {error.strerror}.")
    typer.echo(
        f"{counts['new']} new rate(s), {counts['changed']} changed, {counts['same']} the same as before."
    )


@rates.command("show")
def rates_show() -> None:
    """Print the rates that are valid today."""
    from include.campaigns.rates import current_rates

    rows = _or_fail(lambda: current_rates(dsn_from_environment(), datetime.now(UTC).date()))
    for row in rows:
        price = f"{row['price']:>9f} {row['currency']}"
        typer.echo(f"{row['country']}  {row['category']:<14}  {price}  since {row['effective_from']}")
    if not rows:
        typer.echo("No rate is loaded: see `whatsapp rates load --help`.")


@app.command("optin-link")
def optin_link_command(
    entity: str,
    code: Annotated[
        Path | None, typer.Option(help="Write the QR code to this file: .svg for print, .png for the web.")
    ] = None,
) -> None:
    """Print the link by which people opt in: it opens WhatsApp with a START word, and as a QR code for the screen."""
    from include.inbound.link import NoOptInLink, optin_link, start_word, terminal_code, write_code

    def make() -> tuple[str, str]:
        chosen = load_entity(entity)
        link = optin_link(chosen, others=[load_entity(name) for name in entity_names()])
        if code is not None:
            write_code(link, code)
        return link, start_word(chosen)

    try:
        link, word = _or_fail(make)
    except NoOptInLink as problem:
        _fail(str(problem))
    except OSError as error:
        _fail(f"{code}: {error.strerror}.")
    typer.echo(f"{link}\n")
    typer.echo(terminal_code(link))
    typer.echo(f"Whoever sends “{word}” opts in to {entity}, also from a number that is not known yet.")
    if code is not None:
        typer.echo(f"The QR code is in {code}.")


@subscriptions.command("rebuild")
def subscriptions_rebuild(
    entity: str,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only.")] = False,  # noqa: FBT002
) -> None:
    """Compute everybody's state anew from the consent ledger; nobody differs unless somebody wrote past it."""
    from include.subscriptions import rebuild

    def compute() -> int:
        with connect(dsn_from_environment(), application="whatsapp rebuild") as conn:
            require_current(conn)
            differed = rebuild(conn, load_entity(entity), now=datetime.now(UTC))
            if dry_run:
                conn.rollback()
            return differed

    differed = _or_fail(compute)
    done = "would be brought in line" if dry_run else "are brought in line"
    typer.echo(
        f"{entity}: {differed} people differ from the ledger and {done}."
        if differed
        else f"{entity}: the table is what the ledger says."
    )


@optouts.command("status")
def optouts_status(entity: str) -> None:
    """Print how many opt-outs each source has still to hear of, and since when. Exit code 1 when one was given up."""
    from include.subscriptions import backlog

    def read() -> list[dict[str, Any]]:
        with connect(dsn_from_environment(), application="whatsapp optouts") as conn:
            require_current(conn)
            return backlog(conn, entity, now=datetime.now(UTC))

    rows = _or_fail(read)
    if not rows:
        typer.echo("Every source knows of every opt-out.")
    for row in rows:
        since = f" since {row['oldest']:%Y-%m-%d %H:%M} UTC" if row["oldest"] else ""
        problem = f"; last problem: {row['problem']}" if row["problem"] else ""
        typer.echo(
            f"{row['source']}: {row['due']} waiting{since}, {row['given_up']} given up, {row['told']} told in 24 hours"
            f"{problem}"
        )
    if any(row["given_up"] for row in rows):
        _fail(f"Remove the cause, then: whatsapp optouts retry {entity}")


@optouts.command("retry")
def optouts_retry(
    entity: str, source: Annotated[str | None, typer.Option(help="One source; all when left out.")] = None
) -> None:
    """Tell again what was given up, with the next run of propagate_optouts."""
    from include.subscriptions import retry

    taken_up = _or_fail(
        lambda: retry(entity, source=source, dsn=dsn_from_environment(), now=datetime.now(UTC))
    )
    typer.echo(f"{taken_up} opt-out(s) are due again.")


def _change(verb: str, campaign_id: int, **options: Any) -> None:
    from include.campaigns import states

    change = getattr(states, verb)
    moved = _or_fail(
        lambda: change(
            dsn=dsn_from_environment(), campaign_id=campaign_id, now=datetime.now(UTC), by=_who(), **options
        )
    )
    if not moved:
        _fail(f"Campaign {campaign_id} cannot do that: there is no such campaign, or its state forbids it.")
    typer.echo(f"Campaign {campaign_id}: {verb} done.")


def _who() -> str:
    """The user of this machine, for the campaign's history."""
    try:
        return f"{getpass.getuser()} (command line)"
    except OSError:  # a container's user without a name
        return "command line"


def _or_fail(action: Callable[[], T]) -> T:
    try:
        return action()
    except (DatabaseUnavailable, SchemaOutOfDate, EntityProblems) as problem:
        _fail(str(problem))


def _fail(sentence: str) -> NoReturn:
    typer.echo(sentence, err=True)
    sys.exit(1)
