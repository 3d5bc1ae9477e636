"""Fetch the competition's train.csv, test.csv and sample submission into data/<slug>/."""

from kit.command import Arguments, verb


@verb()
def main(_: Arguments) -> None:
    from kit import config
    from kit.remote.joining import data
    from kit.remote.wire import client

    slug = config.resolve("t4x2").competition.slug
    for path in data.fetch(client.connect(), slug, config.PROJECT_ROOT / "data" / slug):
        print(f"{path.relative_to(config.PROJECT_ROOT)}  {path.stat().st_size:,} bytes")
