"""Walks the pages of the console in Chromium, at the width of a desk and of a phone.

Signs in by a link, follows every link of every page, and holds when each answers, fits its window and
leaves the browser nothing to complain of, and when light and dark look different.
"""

import os
from urllib.parse import urldefrag, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

PAGES_MAX = 80
WINDOWS = {"desk": (1280, 900, False), "phone": (390, 844, True)}
SECTIONS = set(os.environ["SECTIONS"].split())
HOST = os.environ["MLFLOW_TRACKING_URI"]


def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = os.environ["CHROMIUM"]
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service(os.environ["CHROMEDRIVER"]))


def shape(driver, name):
    width, height, mobile = WINDOWS[name]
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def paint(driver, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    driver.get(HOST)
    return driver.execute_script("return getComputedStyle(document.body).color")


def sign_in(driver):
    driver.get(os.environ["LINK"])
    if "/login" in driver.current_url:
        driver.find_element(By.CSS_SELECTOR, "main form button").click()
    assert "/login" not in driver.current_url, driver.current_url


def judge(driver, page):
    status = driver.execute_script("return performance.getEntriesByType('navigation')[0].responseStatus")
    assert status == 200, f"{page} answers {status}"
    assert driver.title, f"{page} has no title"
    for name in WINDOWS:
        shape(driver, name)
        wide, room = driver.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
        assert wide <= room, f"{page} is {wide} wide at the {name}, of {room}"
    said = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert not said, f"{page}: {said}"


def links(driver):
    for link in driver.find_elements(By.CSS_SELECTOR, "a[href]:not([download])"):
        address = urldefrag(link.get_attribute("href")).url
        if address.startswith(HOST) and urlsplit(address).path.startswith("/p/") and "/plots/" not in address:
            yield address


def main():
    driver = browser()
    try:
        sign_in(driver)
        assert paint(driver, "light") != paint(driver, "dark"), "light and dark look the same"
        waiting, seen = [HOST + "/"], set()
        while waiting and len(seen) < PAGES_MAX:
            page = waiting.pop(0)
            if page in seen:
                continue
            seen.add(page)
            driver.get(page)
            judge(driver, page)
            # One of each kind of page first: what is linked from a list comes in its turn.
            waiting += sorted(set(links(driver)) - seen - set(waiting))
        found = {part for page in seen for part in urlsplit(page).path.split("/")[3:4]}
        assert SECTIONS <= found, f"never seen: {sorted(SECTIONS - found)}"
        print(f"held: {len(seen)} pages, sections {sorted(found)}")
    finally:
        driver.quit()


main()
