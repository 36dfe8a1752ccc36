"""The phases of a build of a source package (PEP 517), each in a process without network.

    unpack ARCHIVE FOLDER     unpacks the package; the result describes its build
    requires FOLDER           what the build needs beside what the package declares
    wheel FOLDER TARGET       builds the wheel into a folder

The last argument is the file for the result, which is JSON.
"""

import importlib
import json
import os
import sys
import tarfile
import zipfile

FILES_MAX = 100_000
CONTENT_MAX_BYTES = 4 << 30

# What a package without `[build-system]` needs.
DEFAULT = {"requires": ["setuptools>=40.8.0"], "build-backend": "setuptools.build_meta:__legacy__", "backend-path": []}


def unpack(archive, folder):
    """Unpacks the archive and describes the build of the package in it."""
    if archive.endswith(".zip"):
        with zipfile.ZipFile(archive) as files:
            check([entry.file_size for entry in files.infolist()])
            files.extractall(folder)
    else:
        with tarfile.open(archive) as files:
            check([entry.size for entry in files])
            # Versions of Python without the filter are confined by the sandbox alone.
            options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            files.extractall(folder, **options)
    return describe(root(folder))


def check(sizes):
    if len(sizes) > FILES_MAX or sum(sizes) > CONTENT_MAX_BYTES:
        sys.exit(f"the package has more than {FILES_MAX} files or {CONTENT_MAX_BYTES >> 30} GiB")


def root(folder):
    """The only folder of the unpacked archive."""
    names = [name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name))]
    if len(names) != 1:
        sys.exit(f"a source package has one folder, this archive has {len(names)}")
    return os.path.join(folder, names[0])


def describe(place):
    path = os.path.join(place, "pyproject.toml")
    if not os.path.exists(path):
        return DEFAULT
    try:
        import tomllib
    except ImportError:
        from pip._vendor import tomli as tomllib
    with open(path, "rb") as file:
        declared = tomllib.load(file).get("build-system", {})
    return {**DEFAULT, **{name: declared[name] for name in DEFAULT if name in declared}}


def backend(place):
    """The package's build backend; the working folder becomes the package's."""
    description = describe(place)
    os.chdir(place)
    sys.path[:0] = [os.path.join(place, path) for path in description["backend-path"]]
    module, _, attribute = description["build-backend"].partition(":")
    found = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found


def requires(folder):
    hook = getattr(backend(root(folder)), "get_requires_for_build_wheel", None)
    return list(hook()) if hook else []


def wheel(folder, target):
    return backend(root(folder)).build_wheel(target)


def main():
    phase, *arguments, result = sys.argv[1:]
    # Build backends read the arguments of the process.
    sys.argv[1:] = []
    value = {"unpack": unpack, "requires": requires, "wheel": wheel}[phase](*arguments)
    with open(result, "w", encoding="utf-8") as file:
        json.dump(value, file)


main()
