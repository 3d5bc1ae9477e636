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
    beside = baselines.Beside()
    if compared.rows:
        beside = baselines.beside(first, results.shared_held_out([first, second])[0], inputs.places)
    compare.show(first, second, compared, beside)
