"""A first start on a fifth of one core, as on a machine ten times slower: `make test-slow-start` (half an hour)."""

import time
from pathlib import Path

import psycopg

from deploy.local.trial import trial_network
from services.cli import demo_command
from tests.system.throttling import throttled

SHARE = 0.2


def test_a_network_comes_up_and_has_its_demo(tmp_path: Path) -> None:
    with (
        throttled(SHARE),
        trial_network(tmp_path / "network", KODAMA_BROKER="rabbitmq", KODAMA_DEMO="1") as trial,
        psycopg.connect(trial.settings.database_url, autocommit=True) as conn,
    ):
        posted = demo_command.STATUSES + demo_command.REPLIES
        assert conn.execute("SELECT count(*) FROM status.statuses").fetchone() == (posted,)
        assert conn.execute("SELECT count(*) FROM blog.blog_entries").fetchone() == (demo_command.ENTRIES,)
        while conn.execute("SELECT FROM social_graph.ledger WHERE task LIKE 'suggestions.%'").fetchone():
            time.sleep(1)
        said = (tmp_path / "network" / "log" / "worker-suggestions-live.log").read_text()
        assert "time limit" not in said.lower()
        assert "TimeoutError" not in said
