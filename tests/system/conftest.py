"""A whole network as `make up` runs it: its own PostgreSQL, RabbitMQ and every process, in a folder of its own."""

from collections.abc import Iterator

import psycopg
import pytest

from deploy.local.trial import Trial, trial_network


class TrialNetwork:
    """A network that runs, and its database, as the truth that answers are held against."""

    def __init__(self, trial: Trial) -> None:
        self.address = trial.address
        self.settings = trial.settings
        self.kodama = trial.kodama
        self.find_processes = trial.find_processes

    def query(self, text: str, *parameters: object) -> list[tuple[object, ...]]:
        """Ask the database itself, as its administrator."""
        with psycopg.connect(self.settings.database_url, autocommit=True) as conn:
            return conn.execute(text.encode(), parameters).fetchall()


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialNetwork]:
    """Start `kodama up`, lend the network, stop it with Ctrl-C, and see that nothing is left."""
    with trial_network(tmp_path_factory.mktemp("state") / "network", KODAMA_BROKER="rabbitmq") as trial:
        yield TrialNetwork(trial)
