"""Chromium signs in: from the URL of ``accounts.login.start`` over the login page to the page at the end."""

import os
import shutil
from contextlib import contextmanager
from functools import partial

import pytest
import trio
from support.harness import start_daemon

from codexd.web.server import bind

pytestmark = pytest.mark.client

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def import_selenium():
    """Selenium's parts, or a skip where the machine can't run this; in CI that is a failure."""
    missing = [name for name, path in (("chromium", CHROMIUM), ("chromedriver", DRIVER)) if path is None]
    try:
        from selenium import webdriver
        from selenium.webdriver.support.wait import WebDriverWait
    except ImportError:
        missing.append("selenium")
    if not missing:
        return webdriver, WebDriverWait
    reason = f"not installed: {', '.join(missing)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def chromium(profile):
    webdriver, _ = import_selenium()
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


def drive(url, press, profile, *, shots=None):
    """Open ``url``, press a button of the login page; gives what the browser then shows and its complaints."""
    _, wait_for = import_selenium()
    with chromium(profile) as driver:
        driver.get(url)
        if shots:
            driver.save_screenshot(f"{shots}/login.png")
        driver.find_element("id", press).click()
        heading = wait_for(driver, 20).until(lambda found: found.find_element("css selector", "main.good, main.bad"))
        if shots:
            driver.save_screenshot(f"{shots}/{press}.png")
        return driver.current_url, heading.text, [entry["message"] for entry in driver.get_log("browser")]


def is_free(port):
    try:
        bind("127.0.0.1", port).close()
    except OSError:
        return False
    return True


@pytest.fixture(autouse=True)
def _needs_a_browser():
    import_selenium()


@pytest.fixture
async def running(nursery, tmp_path):
    return await start_daemon(nursery, tmp_path / "home")


async def sign_in(running, tmp_path, press):
    """One browser flow; gives the flow, the port, and what ``drive`` saw."""
    flow = await running.call("accounts.login.start")
    port = 1455 if "localhost%3A1455" in flow["url"] else 1457
    assert not is_free(port)
    seen = await trio.to_thread.run_sync(
        partial(drive, flow["url"], press, tmp_path / "profile", shots=os.environ.get("CODEXD_TEST_SHOTS"))
    )
    return flow["flow"], port, seen


async def port_is_given_up(port):
    with trio.fail_after(5):
        while not is_free(port):
            await trio.sleep(0.01)


async def test_allow(running, tmp_path):
    flow, port, (url, text, complaints) = await sign_in(running, tmp_path, "allow")
    assert url == f"http://localhost:{port}/auth/callback"  # the code has left the address bar
    assert text.startswith("Signed in as simulated@example.com\n")
    assert "You can close this page." in text
    assert "Simulated:" in text
    assert complaints == []  # of the Content-Security-Policy, or a missing icon
    await port_is_given_up(port)
    signed_in = await running.call("accounts.login.wait", flow=flow)
    listed = await running.call("accounts.list")
    assert signed_in["account"]["id"] in [account["id"] for account in listed["accounts"]]
    for secret in running.simulator.oauth.all_tokens():
        assert secret not in running.log_text()


async def test_deny(running, tmp_path):
    _, port, (url, text, _) = await sign_in(running, tmp_path, "deny")
    assert url == f"http://localhost:{port}/auth/callback"
    assert text.startswith("Not signed in\n")
    assert "denied on the sign-in page" in text
    await port_is_given_up(port)
    assert len((await running.call("accounts.list"))["accounts"]) == 1
