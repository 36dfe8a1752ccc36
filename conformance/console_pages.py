"""Visits the pages of the console in Chromium, in a desktop window and in a phone window.

The script signs in with a link and follows every link of every page. It passes if every page answers with status 200,
fits the width of both windows and causes no warning in the browser, and if the light and the dark theme differ.
"""

import os
from urllib.parse import urldefrag, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

PAGES_MAX = 80
WINDOWS = {"desktop": (1280, 900, False), "phone": (390, 844, True)}
SECTIONS = set(os.environ["SECTIONS"].split())
HOST = os.environ["MLFLOW_TRACKING_URI"]


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ["CHROMIUM"]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(os.environ["CHROMEDRIVER"]))


def resize(driver, name):
    width, height, mobile = WINDOWS[name]
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def text_colour(driver, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(HOST)
    return driver.execute_script("return getComputedStyle(document.body).color")


def sign_in(driver):
    driver.get(os.environ["LINK"])
    if "/login" in driver.current_url:
        driver.find_element(By.CSS_SELECTOR, "main form button").click()
    assert "/login" not in driver.current_url, driver.current_url


def check(driver, page):
    status = driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus")
    assert status == 200, f"{page} has status {status}"
    assert driver.title, f"{page} has no title"
    for name in WINDOWS:
        resize(driver, name)
        width, window = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert width <= window, f"{page} is {width} pixels wide in the {name} window of {window}"
    messages = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not messages, f"{page}: {messages}"


def links(driver):
    for link in driver.find_elements(By.CSS_SELECTOR, "a[href]:not([download])"):
        address = urldefrag(link.get_attribute("href")).url
        if address.startswith(HOST) and urlsplit(address).path.startswith("/p/") and "/plots/" not in address:
            yield address


def main():
    driver = browser()
    try:
        sign_in(driver)
        assert text_colour(driver, "light") != text_colour(driver, "dark"), "the light and the dark theme have the same text colour"
        queue, visited = [HOST + "/"], set()
        while queue and len(visited) < PAGES_MAX:
            page = queue.pop(0)
            if page in visited:
                continue
            visited.add(page)
            driver.get(page)
            check(driver, page)
            # Breadth first, so that every section is visited before the items of a long list.
            queue += sorted(set(links(driver)) - visited - set(queue))
        found = {part for page in visited for part in urlsplit(page).path.split("/")[3:4]}
        assert SECTIONS <= found, f"not visited: {sorted(SECTIONS - found)}"
        print(f"passed: {len(visited)} pages, sections {sorted(found)}")
    finally:
        driver.quit()


main()
