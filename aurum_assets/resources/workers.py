"""What ``make setup``, the launcher and the workers agree on: Dagster's file, queues, heartbeats.

With ``AURUM_WORKERS=celery`` a run goes through Redis to a worker that is already there; without
it, Dagster starts a process for each run.

    python -m aurum_assets.resources.workers FOLDER    writes FOLDER/dagster.yaml

Not here: anything of Dagster or Celery.
"""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aurum_assets.model.errors import AurumError, ConfigError
from aurum_assets.model.finding import Finding, broken
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.redaction import masked
from aurum_assets.resources.redis import redis_url
from aurum_assets.resources.settings import Settings, refuse_half_a_profile

if TYPE_CHECKING:
    from redis import Redis

# In this order a worker takes runs. What names no queue is a backfill.
TICKS, BACKFILLS, REPLAYS = QUEUES = ("ticks", "backfills", "replays")
QUEUE_TAG = "dagster-celery/queue"
WORKER_TAG = "aurum/worker"  # of a run: the process that executes it, by host and number

BEAT_SECONDS = 2.0
SILENT_SECONDS = 10  # after which a worker that did not beat is taken for dead
LOST_ONCE_SECONDS = 60  # for so long a run that one worker found lost is no other's
PATIENCE = 2.0  # for an answer of Redis

_POLL_SECONDS = 2
_OTHER_RUNS = 20  # beside backfills: the workers bound them, this only what waits in the broker
_CLASS = "WorkerLauncher"


def dagster_config(settings: Settings) -> dict[str, Any]:
    """``dagster.yaml`` of the project, with what the environment changes of it.

    Raises ``ConfigError`` where a variable of the profile is missing.
    """
    import yaml

    refuse_half_a_profile(settings)
    found: dict[str, Any] = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    runs = found["concurrency"]["runs"]
    (backfills,) = runs["tag_concurrency_limits"]
    backfills["limit"] = settings.backfill_runs
    if settings.dagster_postgres_url.get_secret_value():
        url = {"env": "AURUM_DAGSTER_POSTGRES_URL"}
        found["storage"] = {"postgres": {"postgres_url": url}}
    if settings.workers == "celery":
        found["run_launcher"] = {"module": "aurum_assets.graph.launcher", "class": _CLASS}
        interval = found.pop("run_queue")
        found["run_coordinator"] = {
            "module": "aurum_assets.graph.launcher",
            "class": "WorkerCoordinator",
            "config": interval,
        }
        # Nobody would find them on the machine of the UI; what is logged is an event as well.
        found["compute_logs"] = {
            "module": "dagster.core.storage.noop_compute_log_manager",
            "class": "NoOpComputeLogManager",
        }
        monitoring = found["run_monitoring"]
        monitoring["poll_interval_seconds"] = _POLL_SECONDS
        # A run may wait in the broker for as long as the longest one takes.
        monitoring["start_timeout_seconds"] = monitoring["max_runtime_seconds"]
        runs["max_concurrent_runs"] = settings.backfill_runs + _OTHER_RUNS
    return found


def write_dagster_yaml(folder: Path, settings: Settings) -> None:
    """Write ``dagster.yaml`` into ``folder``, in one step. Raises ``ConfigError``."""
    import yaml

    text = yaml.safe_dump(dagster_config(settings), sort_keys=False)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / "dagster.yaml.new"
    draft.write_text(f"# Made by `make setup` from the project's dagster.yaml.\n{text}")
    draft.replace(folder / "dagster.yaml")


def dagster_folder(home: Path, settings: Settings) -> Path:
    """The folder of Dagster's storage in ``home``, made with its configuration if need be."""
    folder = (home / "dagster").resolve()
    if not (folder / "dagster.yaml").exists():
        write_dagster_yaml(folder, settings)
    return folder


def refuse_another_launcher(folder: Path, settings: Settings) -> None:
    """Raise ``ConfigError`` where ``dagster.yaml`` in ``folder`` is for other workers."""
    file = folder / "dagster.yaml"
    if not file.exists():
        msg = f"DAGSTER_HOME: there is no {file}; `make setup` writes it"
        raise ConfigError(msg)
    if (settings.workers == "celery") != (_CLASS in file.read_text()):
        found, wanted = "another launcher", f"AURUM_WORKERS={settings.workers}"
        msg = f"{file} has {found} than {wanted} asks for: `make setup` writes it anew"
        raise ConfigError(msg)


def storage_url(settings: Settings) -> str:
    """Where Dagster's storage is, by the driver that is there.

    SQLAlchemy reads ``postgresql://`` as psycopg 3.
    """
    url = settings.dagster_postgres_url.get_secret_value()
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}" if scheme in {"postgres", "postgresql"} else url


def broker_url(settings: Settings) -> str:
    """The Redis of the environment, as Celery has it. Raises ``ConfigError``."""
    url = redis_url(
        settings.redis_url.get_secret_value(),
        settings.redis_host,
        settings.redis_port,
        settings.redis_db,
    )
    scheme, _, rest = url.partition("://")
    return f"redis+socket://{rest}" if scheme == "unix" else url


def celery_config(settings: Settings) -> Mapping[str, Any]:
    """Settings of Celery, for the launcher and for workers.

    A run's result is in Dagster: Celery keeps none. A message is acknowledged when a worker takes
    it, so that a run which kills its worker does not go round; Dagster retries it.
    """
    secure = urlsplit(broker_url(settings)).scheme == "rediss"
    return {
        **({"broker_use_ssl": {"ssl_cert_reqs": "required"}} if secure else {}),
        "broker_transport_options": {
            "global_keyprefix": f"{key_prefix(settings)}celery:",
            "queue_order_strategy": "priority",  # the first queue that holds a message
            "priority_steps": [0],
            "visibility_timeout": 60,  # of what a worker took and did not live to acknowledge
            "socket_connect_timeout": PATIENCE,
            "socket_keepalive": True,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_create_missing_queues": True,
        "task_default_queue": BACKFILLS,
        "task_ignore_result": True,
        # While Redis is away runs wait here, in order, and none is marked as failed.
        "task_publish_retry_policy": {"max_retries": 600, "interval_step": 0.2, "interval_max": 1},
        "worker_enable_remote_control": False,
        "worker_hijack_root_logger": False,
        "worker_prefetch_multiplier": 1,
        "worker_redirect_stdouts": False,
    }


def key_prefix(settings: Settings) -> str:
    """How keys of workers begin in Redis."""
    return f"aurum:{settings.environment}:"


def run_key(settings: Settings, run_id: str) -> str:
    """The key that is there while a worker lives that has the run."""
    return f"{key_prefix(settings)}run:{run_id}"


def cancel_key(settings: Settings, run_id: str) -> str:
    """The key that asks the worker that has the run to interrupt it."""
    return f"{key_prefix(settings)}cancel:{run_id}"


def lost_key(settings: Settings, run_id: str) -> str:
    """The key that the worker sets that fails a lost run."""
    return f"{key_prefix(settings)}lost:{run_id}"


def waiting(settings: Settings, redis: "Redis") -> str:
    """The messages that wait for a worker, with the ids of their runs; the launcher bounds them."""
    prefix = f"{key_prefix(settings)}celery:"
    with redis.pipeline(transaction=True) as asked:
        for queue in QUEUES:
            asked.lrange(f"{prefix}{queue}", 0, -1)
        asked.hvals(f"{prefix}unacked")
        return "\n".join(message for found in asked.execute() for message in found)


def workers_key(settings: Settings) -> str:
    """The sorted set of workers, each with the instant until which it is taken for alive."""
    return f"{key_prefix(settings)}workers"


def redis_of(settings: Settings) -> "Redis":
    """A connection of one's own, which gives up after ``PATIENCE``."""
    from redis import Redis

    url = broker_url(settings).replace("redis+socket://", "unix://", 1)
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
    )


def living(settings: Settings) -> tuple[int, set[str]]:
    """How many processes of workers beat, and the queues that they take. Raises ``RedisError``."""
    with redis_of(settings) as redis:
        alive: Any = redis.zrangebyscore(workers_key(settings), time.time(), "+inf")
    return len(alive), {queue for name in alive for queue in name.rpartition(" ")[2].split(",")}


def check_workers(settings: Settings, folder: Path) -> Finding:
    """Whether each queue has a worker that beats, for the launcher of ``folder``."""
    if not settings.workers:
        return Finding("workers", "embedded default", result="a process for each run")
    from redis.exceptions import RedisError

    where = masked(broker_url(settings))
    try:
        refuse_another_launcher(folder, settings)
        processes, taken = living(settings)
    except ConfigError as error:
        return broken("workers", where, error)
    except RedisError:
        return Finding("workers", "broken", where, "Redis gives no answer", "see redis")
    absent = [queue for queue in QUEUES if queue not in taken]
    said = f"{processes} process{'es' * (processes != 1)} beat"
    if absent:
        said = f"{said}; nobody takes {', '.join(absent)}"
        return Finding("workers", "broken", where, said, "start `aurum worker` on a machine")
    return Finding("workers", "ok", where, said)


def main(folder: str) -> None:
    """Write ``dagster.yaml``; say what is wrong with the environment where something is."""
    try:
        write_dagster_yaml(Path(folder), Settings.read())
    except AurumError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main(sys.argv[1])
