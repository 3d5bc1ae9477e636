"""Write kit.toml and kernel-metadata.json for a competition, from what its files show."""

import re
import sys

from kit.command import Arguments, verb
from kit.errors import InputInvalid, KitError


@verb("competition")
def main(arguments: Arguments) -> None:
    address = arguments.competition
    match = re.fullmatch(r"(?:.*kaggle\.com/)?(?:(?:competitions|c)/)?([A-Za-z0-9-]+)(?:[/?#].*)?", address)
    if match is None:
        raise InputInvalid(f"{address!r} names no competition", hint="make init COMPETITION=<slug>")
    slug = match[1]

    from kit import config
    from kit.bundle import metadata
    from kit.fetch import inputs
    from kit.remote.joining import data, init
    from kit.remote.wire import client

    folder = inputs.SAMPLE if slug == inputs.SAMPLE_SLUG else config.PROJECT_ROOT / "data" / slug
    metric = words = kind = ""
    settings = config.PROJECT_ROOT / "kit.toml"
    lacking = not all((folder / name).is_file() for name in data.NEEDED)
    # Files may be here because an earlier init brought them and ended before it wrote what Kaggle told.
    if lacking or (folder != inputs.SAMPLE and not init.decided(settings, slug)):
        try:
            kaggle = client.connect()
            if lacking:
                data.fetch(kaggle, slug, folder)
            metric, words, kind = data.told(kaggle, slug)
        except KitError:
            if lacking:
                raise
    decided = init.decided(settings, slug) | ({"metric": metric} if metric else {})
    suggestion = init.suggest(folder, slug, decided)
    init.write_settings(suggestion, settings, metric=metric, kind=kind)
    init.write_metadata(config.resolve("t4x2"), metadata.TEMPLATE)
    print(f"{settings.name} and {metadata.TEMPLATE.name} now describe {slug}; the files in {folder} show:")
    init.show(suggestion, is_terminal=sys.stdout.isatty())
    here = config.resolve("t4x2").competition.metric
    if metric:
        print(f"metric: {here}, for Kaggle ranks by {words!r}")
    elif words:
        print(f"look: Kaggle ranks by {words!r}, which this kit does not compute; here {here} ranks: metric")
    else:
        print(f"look: Kaggle did not tell what it ranks by; {here} ranks: metric")
    print("each look names the setting in kit.toml, [competition]; next: make rehearse, make doctor")
