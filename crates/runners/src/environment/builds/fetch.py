"""Downloads source packages from package indexes. Runs no code of them.

Arguments: a file with the request as JSON (`sources`, each with `name` and `version` or `url`; `options` of the
requirements), and a folder for the files, in which `result.json` lists their names.
"""

import base64
import configparser
import hashlib
import html.parser
import json
import netrc
import os
import re
import ssl
import sys
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, Request, build_opener

DEFAULT_INDEX = "https://pypi.org/simple"
ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
INDEX_FORMATS = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
PAGE_MAX_BYTES = 64 << 20
ARCHIVE_MAX_BYTES = 1 << 30
TIMEOUT_SECONDS = 60


class Links(html.parser.HTMLParser):
    """The links of an index in HTML."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        href = dict(attributes).get("href")
        if tag == "a" and href:
            self.found.append(href)


def normalized(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def setting(name):
    """A setting of pip, from its files; later files take precedence."""
    home = os.path.expanduser("~")
    files = ["/etc/xdg/pip/pip.conf", "/etc/pip.conf", f"{home}/.pip/pip.conf", f"{home}/.config/pip/pip.conf"]
    parser = configparser.RawConfigParser()
    parser.read([*files, os.environ.get("PIP_CONFIG_FILE", "")])
    return parser.get("global", name, fallback="")


def indexes(options):
    """The addresses of the indexes."""
    first, further = None, []
    words = iter(word for line in options for word in line.replace("=", " ", 1).split())
    for word in words:
        if word == "--no-index":
            raise ValueError("a source package is downloaded from an index, which `--no-index` excludes")
        if word in ("-i", "--index-url"):
            first = next(words, None)
        elif word == "--extra-index-url":
            further.append(next(words, ""))
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        first = first or os.environ.get(name)
    for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        further += os.environ.get(name, "").split()
    further += setting("extra-index-url").split()
    named = [first or setting("index-url") or DEFAULT_INDEX, *further]
    # `uv` permits a name before an address.
    return [re.sub(r"^[\w-]+=(?=https?:)", "", address) for address in named if address]


def credentials(parts):
    """User and password for an address, from itself or from `.netrc`."""
    if parts.username is not None:
        return unquote(parts.username), unquote(parts.password or "")
    try:
        found = netrc.netrc().authenticators(parts.hostname)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2]) if found else None


def read(address, formats, max_bytes):
    """The content of an address, and the address after redirects."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"`{parts.scheme}` is not a scheme of a package's address")
    host = parts.netloc.rpartition("@")[2]
    request = Request(urlunsplit((*parts[:1], host, *parts[2:4], "")), headers={"Accept": formats})
    known = credentials(parts)
    if known:
        text = base64.b64encode(":".join(known).encode()).decode()
        # Not given to another host.
        request.add_unredirected_header("Authorization", f"Basic {text}")
    variables = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    authorities = next(filter(None, map(os.environ.get, variables)), None)
    context = ssl.create_default_context(cafile=authorities)
    with build_opener(HTTPSHandler(context=context)).open(request, timeout=TIMEOUT_SECONDS) as response:
        content = response.read(max_bytes + 1)
        if len(content) > max_bytes:
            raise ValueError(f"it is larger than {max_bytes >> 20} MiB")
        return content, response.headers.get_content_type(), response.url


def files(index, name):
    """Names, addresses and digests of the files of a package in an index."""
    content, kind, base = read(f"{index.rstrip('/')}/{normalized(name)}/", INDEX_FORMATS, PAGE_MAX_BYTES)
    if kind.endswith("+json") or kind == "application/json":
        for file in json.loads(content)["files"]:
            yield file["filename"], urljoin(base, file["url"]), file.get("hashes", {}).get("sha256")
        return
    links = Links()
    links.feed(content.decode(errors="replace"))
    for link in links.found:
        address, _, digest = urljoin(base, link).partition("#")
        yield unquote(address.rsplit("/", 1)[-1]), address, digest.removeprefix("sha256=") or None


def find(options, name, version):
    """The address and digest of the source package in the first index that has it."""
    failures = []
    for index in indexes(options):
        try:
            for file, address, digest in files(index, name):
                ending = next((ending for ending in ARCHIVES if file.endswith(ending)), None)
                if ending is None:
                    continue
                stem, _, of = file[: -len(ending)].rpartition("-")
                if normalized(stem) == normalized(name) and of == version:
                    # The credentials of the index are those of its files on the same host.
                    known = urlsplit(index)
                    if "@" in known.netloc and urlsplit(address).hostname == known.hostname:
                        address = address.replace("://", f"://{known.netloc.rpartition('@')[0]}@", 1)
                    return address, digest
        except OSError as error:
            failures.append(str(error))
    reasons = f" ({'; '.join(failures)})" if failures else ""
    raise ValueError(f"no index has a source package of version `{version}`{reasons}")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    result = []
    for number, source in enumerate(request["sources"]):
        try:
            if source.get("url"):
                address, _, fragment = source["url"].partition("#")
                digest = next((part[7:] for part in fragment.split("&") if part.startswith("sha256=")), None)
            else:
                address, digest = find(request["options"], source["name"], source["version"])
            content, _, _ = read(address, "*/*", ARCHIVE_MAX_BYTES)
            actual = hashlib.sha256(content).hexdigest()
            if digest and actual != digest:
                raise ValueError(f"it has digest {actual}, expected {digest}")
            ending = next(ending for ending in ARCHIVES if address.endswith(ending))
        except (OSError, ValueError, KeyError) as error:
            sys.exit(f"source package `{source['name']}` cannot be downloaded: {error}")
        name = f"{number}{ending}"
        with open(os.path.join(sys.argv[2], name), "wb") as file:
            file.write(content)
        result.append(name)
    with open(os.path.join(sys.argv[2], "result.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)


main()
