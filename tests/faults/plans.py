"""The runs that there are: a smoke of some minutes, and a campaign as long as one likes."""

from tests.faults.campaign import Campaign
from tests.faults.load import Rates
from tests.faults.nemeses import NEMESES
from tests.faults.network import Plan
from tests.faults.report import Floors

SMOKE_SINGLES = (
    ("kill gateway", 0.0),
    ("kill services", 0.0),
    ("kill a PostgreSQL backend", 0.0),
    ("kill PostgreSQL", 0.0),
    ("kill all workers", 0.0),
    ("blackhole services-postgres", 4.0),
)
SMOKE_STORM = (
    "kill relay",
    "kill worker-timeline.live",
    "kill worker-timeline.bulk",
    "kill worker-housekeeping",
    "kill gateway",
    "kill media",
    "kill relay",
    "kill worker-suggestions.live",
    "kill a PostgreSQL backend",
    "kill gateway",
    "stop relay",
    "stop services",
    "stop worker-timeline.live",
    "terminate sessions",
    "blackhole relays-broker",
    "reset workers-broker",
    "cut gateways-services",
    "delay services-postgres",
)


def smoke(seed: int, command: str) -> Campaign:
    """Return a run of at most three minutes: many kinds of faults, once each."""
    return Campaign(
        seed=seed,
        command=command,
        members=40,
        friends=12,
        rates=Rates(posts=6, reads=4, others=3),
        singles=SMOKE_SINGLES,
        broker_away_seconds=10,
        storm=SMOKE_STORM,
        storm_seconds=35,
        strike_every_seconds=1.4,
        longest_seconds=6,
        streams=10,
        floors=Floors(acknowledged=300, kills=14, kinds=6, checked=3000, stream_events=300),
        patience_seconds=120,
    )


def full(seed: int, minutes: float, command: str) -> Campaign:
    """Return a run of so many minutes of faults."""
    share = minutes / 30
    singles = [(name, 15.0) for name, nemesis in NEMESES.items() if nemesis.is_single and name != "RabbitMQ away"]
    return Campaign(
        seed=seed,
        command=command,
        members=500,
        friends=40,
        rates=Rates(posts=32, reads=8, others=4),
        singles=singles,
        broker_away_seconds=600 * share,
        storm=[name for name in NEMESES if name not in ("RabbitMQ away",)],
        storm_seconds=720 * share,
        strike_every_seconds=1.6,
        longest_seconds=30,
        streams=60,
        is_timed=True,
        crowd_streams=2000,
        crowd_connects=10_000,
        plan=Plan(with_clock=True),
        floors=Floors(
            acknowledged=int(50_000 * share),
            kills=int(500 * share),
            kinds=12,
            checked=int(2_000_000 * share * share),
            stream_events=int(10_000 * share),
        ),
    )
