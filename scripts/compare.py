"""Put two runs side by side: figures, settings, and what differs on the rows that both held out."""

from kit.command import Arguments, tell, verb


@verb("runs")
def main(arguments: Arguments) -> None:
    from kit.errors import KitError
    from kit.fetch import inputs
    from kit.remote import runs
    from kit.review import baselines, compare, results

    if (count := len(arguments.runs)) != 2:
        raise KitError(f"two runs are compared, {count} are named", hint='make compare RUNS="v1 v2"')
    first, second = (results.read(runs.folder_of(name)) for name in arguments.runs)
    compared = compare.compare(first, second)
    differences = {name: one._asdict() for name, one in compared.differences.items()}
    tell(runs=arguments.runs, rows=compared.rows, differences=differences, test_rows=compared.test_rows)
    tell(held_out_changed=len(compared.changed), test_changed=compared.test_changed)
    data = results.data_folder(first.run.test_sha256, inputs.places(first.competition.slug))
    rivals, text_by_id = {}, {}
    if data is not None and compared.rows:
        train = results.training_rows(first, data)
        rivals = baselines.held_out_baselines(train, results.shared_held_out([first, second])[0])
        text_by_id = dict(zip(train["id"], train["text"], strict=True))
    compare.show(first, second, compared, baselines=rivals, text_by_id=text_by_id)
