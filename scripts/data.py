"""Fetch the competition's train.csv, test.csv and sample submission into data/<slug>/."""

from kit.command import options, run


def main() -> None:
    options(__doc__).parse_args()

    from kit import config
    from kit.remote.joining import data
    from kit.remote.wire import client

    slug = config.resolve("t4x2").competition.slug
    for path in data.fetch(client.connect(), slug, config.PROJECT_ROOT / "data" / slug):
        print(f"{path.relative_to(config.PROJECT_ROOT)}  {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    run(main)
