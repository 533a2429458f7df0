"""Functions carried out on a Ray cluster: longest first, again where a machine is lost, and stopped when the listener stops.

Ray does the scheduling; what is here connects to it, says in sentences what goes wrong, and counts.
"""

import logging
import os
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from impasto import __version__
from impasto.errors import ImpastoError, InputError
from impasto.events import Event, Listener
from impasto.settings import AUTO

RETRIES = 3
"""How often a task is begun again after the machine, or the process, that had it was lost."""

_MODE = "RAY_AUTH_MODE"
_PATIENCE = 8
"""Seconds that an address has to answer in."""


@dataclass(frozen=True)
class Task:
    """One call of a function. weight: how much work it is, against others. memory: bytes that it needs. gpu: whether it wants one."""

    arguments: tuple[Any, ...]
    weight: float = 1.0
    memory: int = 0
    gpu: bool = False


@dataclass(frozen=True)
class Failure:
    """What went wrong in a task: a sentence, and where, with everything that helps to find the cause."""

    error: ImpastoError
    log: str = ""


@dataclass(frozen=True)
class Machines:
    """What a cluster has: nodes, cores, GPUs, and bytes that the tasks on its largest node may take."""

    nodes: int
    cores: int
    gpus: int
    memory: int


class Cluster:
    """A connection to a cluster; see `connected`."""

    def __init__(self, ray: Any):
        self._ray = ray

    @property
    def machines(self) -> Machines:
        """What it has now; an autoscaler may bring more."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        cores, gpus = (int(sum(node.get(name, 0) for node in nodes)) for name in ("CPU", "GPU"))
        return Machines(len(nodes), cores, gpus, int(max((node.get("memory", 0) for node in nodes), default=0)))

    def keep(self, value: Any) -> Any:
        """Put a value where all tasks find it; as an argument of a task it becomes the value again."""
        return self._ray.put(value)

    def run(
        self, function: Callable[..., Any], tasks: Sequence[Task], listener: Listener, *, begun: float = 0.0, total: float | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Call a function for every task, those of the largest weight first; gives numbers of tasks with their results as they come.

        A task whose function raises, or that is lost more often than it is begun again, gives a `Failure`. The listener is told of the
        weight that is done, of `total`, `begun` of it before; what it raises cancels all tasks.
        """
        remote: Any = self._ray.remote(_carried_out)
        kept = self._ray.put(function)
        started = time.monotonic()
        waiting: dict[Any, int] = {}
        done, total = begun, total or begun + sum(task.weight for task in tasks)
        try:
            for number in sorted(range(len(tasks)), key=lambda index: -tasks[index].weight):
                task = tasks[number]
                wants = {"num_cpus": 1, "memory": task.memory or None, "num_gpus": 1 if task.gpu else None}
                ready = remote.options(max_retries=RETRIES, scheduling_strategy="SPREAD", **wants)
                waiting[ready.remote(__version__, kept, *task.arguments)] = number
            while waiting:
                ready, _ = self._ray.wait(list(waiting), timeout=0.3)
                listener(Event(round(done), max(1, round(total)), time.monotonic() - started))
                for reference in ready:
                    number = waiting.pop(reference)
                    done += tasks[number].weight
                    yield number, self._result(reference)
                    listener(Event(round(done), max(1, round(total)), time.monotonic() - started))
        finally:
            for reference in waiting:
                self._ray.cancel(reference, force=True)

    def _result(self, reference: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(reference)
        except errors.RayTaskError as error:  # the function itself never raises: it could not be loaded there
            return Failure(ImpastoError(f"a machine of the cluster cannot run Impasto: {_last_line(error)}"), str(error))
        except errors.OutOfMemoryError as error:
            return Failure(ImpastoError(f"its process was ended {RETRIES + 1} times for want of memory; --memory bounds it"), str(error))
        except errors.RayError as error:
            return Failure(ImpastoError(f"its process was lost {RETRIES + 1} times: {_last_line(error)}"), str(error))


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """A connection to the cluster at an address, HOST:PORT or ray://HOST:PORT; "auto" is the one of this machine, begun if there is none.

    Raises InputError where the address does not answer, and where Ray is not installed.
    """
    try:
        import ray
        import ray.exceptions
    except ModuleNotFoundError:
        raise InputError("a cluster needs one more package: pip install 'impasto[cluster]'") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address != AUTO and _check_address(address):
        os.environ[_MODE] = "token"  # as Ray does by itself for clusters of this machine
        raylet: Any = ray._raylet
        raylet.Config.initialize("")  # it has read its settings when it was imported
    shared = {name: os.environ[name] for name in ("IMPASTO_CACHE", "IMPASTO_OFFLINE") if name in os.environ}
    usual: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "ignore_reinit_error": True,
        "runtime_env": {"env_vars": shared} if shared else None,
    }
    try:
        try:
            ray.init(address=address, **usual)
        except ConnectionError:
            if address != AUTO:
                raise
            ray.init(include_dashboard=False, **usual)
    except Exception as error:  # whatever its connection stumbles over
        if _wants_token(str(error)):
            raise InputError(_token(address)) from None
        raise InputError(f"the cluster at {address} cannot be used: {_last_line(error)}") from None
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


def _check_address(address: str) -> bool:
    """Whether a token of this machine has to be used, which Ray does not do by itself for addresses. Raises InputError.

    Ray itself waits for a minute and more for an address that does not answer.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        raise InputError(f"the address of a cluster is auto, HOST:PORT or ray://HOST:PORT, not {address!r}")
    silent = f"there is no cluster at {address}: nothing answers; ray start --head prints the address of one"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE / 2).close()
    except (OSError, OverflowError):
        raise InputError(silent) from None
    if address.startswith("ray://"):
        return False
    answer = _health(address, {})
    guarded = _wants_token(answer) and _MODE not in os.environ
    if guarded:
        answer = _health(address, {_MODE: "token"})
    if _wants_token(answer):
        raise InputError(_token(address))
    if answer is not None:
        raise InputError(silent)
    return guarded


def _health(address: str, environment: Mapping[str, str]) -> str | None:
    """What is wrong with the cluster at an address, "" where it says nothing; None if it is well."""
    asked = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        subprocess.run(asked, timeout=_PATIENCE, check=True, capture_output=True, text=True, env=os.environ | environment)
    except subprocess.CalledProcessError as error:
        return str(error.stderr)
    except subprocess.TimeoutExpired:
        return ""
    return None


def _wants_token(answer: str | None) -> bool:
    """Whether Ray refuses for want of the right token: it answers with an error, or looks for a token that is not there."""
    return answer is not None and ("AuthenticationError" in answer or "authentication token" in answer.lower())


def _token(address: str) -> str:
    return (
        f"the cluster at {address} answers, but asks for a token that this machine does not have: copy ~/.ray/auth_token of the machine "
        "where it was begun to the same place here, or set RAY_AUTH_TOKEN to what `ray get-auth-token` prints there"
    )


def _carried_out(version: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """A task, on a machine of the cluster: its result, or what went wrong as a Failure with the machine's name."""
    if version != __version__:
        return Failure(InputError(f"{socket.gethostname()} has version {__version__} of Impasto and this machine {version}"))
    try:
        return function(*arguments)
    except ImpastoError as error:
        return Failure(error, _described())
    except Exception as error:
        return Failure(ImpastoError(f"{type(error).__name__}: {_last_line(error)}"), _described())


def _described() -> str:
    return f"on {socket.gethostname()}, process {os.getpid()}\n{traceback.format_exc()}"


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
