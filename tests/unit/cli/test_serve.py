"""What `kodama serve` refuses before anything starts."""

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        (["gateway", "status"], "a process of its own"),
        (["status", "gateway"], "a process of its own"),
        (["status", "nonsense"], "there is no service 'nonsense'"),
    ],
)
def test_what_cannot_be_served_together_is_refused_with_a_sentence(services: list[str], sentence: str) -> None:
    done = CliRunner().invoke(app, ["serve", *services], env={"COLUMNS": "200"})
    assert done.exit_code != 0
    assert sentence in " ".join(done.output.split())
