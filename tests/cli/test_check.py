import json

from typer.testing import CliRunner

from cl_engine.cli.app import app


def test_a_check_counts_what_the_stream_delivers_and_not_what_the_data_has():
    arguments = ["check", "quickstart", "--set", "stream.without.classes=[3]", "--json"]
    facts = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert facts["classes"] == 9
    assert facts["notes"] == [f"{1442 - facts['samples']} of 1442 deliveries left out as asked"]
