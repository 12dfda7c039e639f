"""A person with a browser: logs in to Airflow, opens the report from the menu, sees the figures; others do not."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from tests.support.airflow import AirflowServer

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
OURS = "/whatsapp/static/"
PATIENCE = 60_000  # milliseconds; the first page after the server's start waits for its imports

expect.set_options(timeout=PATIENCE)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.airflow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not CHROMIUM, reason="no chromium: apt-get install chromium, or name one in CHROMIUM"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start as root in a container.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new session; the test fails on a script error of our pages or a violation of their content policy."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    context.set_default_timeout(PATIENCE)
    found = context.new_page()
    problems: list[str] = []
    # Airflow's own login page throws one (3.3.2: "Cannot read properties of undefined (reading 'tz')").
    found.on("pageerror", lambda error: problems.append(str(error)) if OURS in str(error.stack) else None)
    found.on("console", lambda line: problems.append(line.text) if "Content Security" in line.text else None)
    yield found
    context.close()
    assert problems == []


def log_in(page: Page, server: AirflowServer, user: str) -> None:
    page.goto(server.url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(server.password)
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_role("link", name="WhatsApp").first).to_be_visible()


def open_report(page: Page) -> FrameLocator:
    page.get_by_role("link", name="WhatsApp").first.click()
    return page.frame_locator('iframe[title="WhatsApp"]')


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_an_analyst_opens_the_report_from_the_menu(page: Page, airflow_server: AirflowServer) -> None:
    log_in(page, airflow_server, "analyst")
    report = open_report(page)
    expect(report.get_by_role("heading", name="Campaigns")).to_be_visible()
    expect(report.get_by_text("Stripes")).to_have_count(0)
    shoot(page, "campaigns")

    report.get_by_role("link", name="Spring sale").click()
    for figure, value in (
        ("target", "25"),
        ("accepted", "17"),
        ("delivered", "12"),
        ("read", "8"),
        ("replied", "2"),
        ("opted_out", "1"),
        ("balance", "0"),
    ):
        expect(report.locator(f'[data-figure="{figure}"]')).to_have_text(value)
    expect(report.get_by_role("cell", name="Undeliverable", exact=True)).to_be_visible()
    for chart in ("waterfall", "hours", "heat", "countries"):
        expect(report.locator(f'[data-chart="{chart}"][data-drawn] svg')).to_be_visible()
    shoot(page, "campaign")

    with page.expect_download() as download:
        report.get_by_role("link", name="Download CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 25
    assert {row["phone"] for row in rows} == {""}

    report.locator("tr", has_text="Undeliverable").get_by_role("link", name="2").click()
    expect(report.get_by_role("heading", name="Failed")).to_be_visible()
    expect(report.get_by_text("+32*****", exact=False)).to_have_count(2)
    report.locator("tbody a").first.click()
    expect(report.get_by_role("heading", name="The consent behind it")).to_be_visible()
    expect(report.get_by_text("signup-2026-01")).to_be_visible()
    shoot(page, "person")


def test_the_report_follows_airflows_dark_mode(page: Page, airflow_server: AirflowServer) -> None:
    log_in(page, airflow_server, "analyst")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.goto(f"{airflow_server.url}/plugin/whatsapp")
    report = page.frame_locator('iframe[title="WhatsApp"]')
    report.get_by_role("link", name="Spring sale").click()
    expect(report.locator("html")).to_have_attribute("data-theme", "dark")
    expect(report.locator('[data-chart="waterfall"][data-drawn] svg')).to_be_visible()
    shoot(page, "campaign-dark")


def test_a_reader_of_another_entity_sees_nothing_of_it(page: Page, airflow_server: AirflowServer) -> None:
    log_in(page, airflow_server, "stranger")
    report = open_report(page)
    expect(report.get_by_role("link", name="Stripes")).to_be_visible()
    expect(report.get_by_text("Spring sale")).to_have_count(0)
    answer = page.goto(f"{airflow_server.url}/whatsapp/campaigns/{airflow_server.campaigns['acme']}")
    assert answer is not None
    assert answer.status == 403
    expect(page.get_by_text("You may not read this.")).to_be_visible()
    expect(page.get_by_text("Spring sale")).to_have_count(0)


def test_nobody_reads_anything_without_a_login(page: Page, airflow_server: AirflowServer) -> None:
    answer = page.goto(f"{airflow_server.url}/whatsapp/campaigns/{airflow_server.campaigns['acme']}")
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_text("needs a login to Airflow")).to_be_visible()
    page.goto(f"{airflow_server.url}/plugin/whatsapp")
    expect(page.locator("input[name=username]")).to_be_visible()


def test_the_connection_form_has_cm_coms_fields(page: Page, airflow_server: AirflowServer) -> None:
    log_in(page, airflow_server, "admin")
    page.goto(f"{airflow_server.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("combobox").fill("cm_com")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Product token")).to_be_visible()
    expect(dialog.locator("input[name=password]")).to_have_attribute("type", "password")
    dialog.get_by_role("button", name="Extra Fields", exact=True).click()
    for label in ("Account id", "Channel id", "Sender number", "Messages per second"):
        expect(dialog.get_by_text(label, exact=True)).to_be_visible()
    expect(dialog.locator("input[name=element_messages_per_second]")).to_have_value("80")
    shoot(page, "connection-form")
