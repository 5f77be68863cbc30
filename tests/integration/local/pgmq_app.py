"""A Celery application on pgmq, for tests. Its tasks write what they do into the file TRACE."""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery
from kombu import Exchange, Queue

from deploy.local.broker import PGMQ_TRANSPORT_OPTIONS

VISIBILITY_SECONDS = 2
LIKE_A_QUORUM_QUEUE = {"x-queue-type": "quorum", "x-delivery-limit": 5, "x-dead-letter-exchange": "dead"}

app = Celery("pgmq", broker=os.environ.get("KODAMA_BROKER_URL"))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_acks_on_failure=False,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={**PGMQ_TRANSPORT_OPTIONS, "visibility_timeout": VISIBILITY_SECONDS},
    task_queues=[Queue("work.live", Exchange("work"), routing_key="work.live", queue_arguments=LIKE_A_QUORUM_QUEUE)],
    task_default_queue="work.live",
    task_create_missing_queues=False,
)


@app.task(name="work.note")  # type: ignore[untyped-decorator]  # Celery is untyped
def note(text: str, seconds: float = 0) -> None:
    trace = Path(os.environ["TRACE"])
    with trace.open("a") as file:
        file.write(f"began {text}\n")
    time.sleep(seconds)
    if text == "broken":
        raise ValueError(text)
    with trace.open("a") as file:
        file.write(f"ended {text}\n")
