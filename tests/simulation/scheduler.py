"""Many workers, one at a time: a seeded scheduler over threads that pass a baton.

A worker runs until its next step of I/O; there the scheduler draws who goes on. So any two steps
of different workers can come in any order, and the same seed draws the same order again.
"""

import random
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from functools import partial
from typing import Any

STEP_SECONDS = 0.02
STAY = 0.4
"""How often a worker goes on without others being asked: it halves the cost of a schedule."""


class Killed(BaseException):
    """The process dies here: nothing of it runs on."""


class StuckError(AssertionError):
    """A schedule that does not come to its end."""


@dataclass(eq=False)
class Process:
    """A process: what dies as one, with a clock of its own."""

    number: int
    skew: float = 0.0
    alive: bool = True
    sinks: tuple[str, ...] = ()


@dataclass(eq=False)
class Task:
    """One thread of a process; `parent` started it, `about` is for those who look on."""

    process: Process
    call: Callable[[], None]
    wake: float
    parent: "Task | None" = None
    until: Callable[[], bool] | None = None
    about: dict[Any, Any] = field(default_factory=dict)
    baton: threading.Lock = field(default_factory=threading.Lock)


class _Pool:
    """Threads that wait for tasks: starting one for each would cost more than the task."""

    def __init__(self) -> None:
        self._idle: list[_Thread] = []

    def start(self, scheduler: "Scheduler", task: Task) -> None:
        thread = self._idle.pop() if self._idle else _Thread(self._idle)
        thread.work = (scheduler, task)
        thread.wake.release()


class _Thread:
    def __init__(self, idle: "list[_Thread]") -> None:
        self.work: tuple[Scheduler, Task] | None = None
        self.wake = threading.Lock()
        self.wake.acquire()
        self._idle = idle
        threading.Thread(target=self._run, daemon=True, name="simulated").start()

    def _run(self) -> None:
        while True:
            self.wake.acquire()
            if self.work is not None:
                scheduler, task = self.work
                self.work = None
                scheduler.carry_out(task, lambda: self._idle.append(self))


_POOL = _Pool()


class Scheduler:
    """Draws who takes the next step.

    Attributes:
        now: the time, in seconds since the epoch; steps take a little of it.
        steps: taken so far.
        current: the task that runs.
        errors: what tasks raised that they must not.
        before_step: called at every step of the current task; it may kill or delay.
    """

    def __init__(self, rng: random.Random, now: float) -> None:
        self.now = now
        self.steps = 0
        self.current: Task | None = None
        self.errors: list[BaseException] = []
        self.before_step: Callable[[Task], None] = lambda _: None
        self._rng = rng
        self._tasks: list[Task] = []
        self._finished = threading.Lock()
        self._finished.acquire()
        self._limit = 0

    def spawn(self, process: Process, call: Callable[[], None], after: float = 0.0) -> Task:
        """Let a process begin something, now or later."""
        task = Task(process, call, self.now + after, self.current)
        task.baton.acquire()
        self._tasks.append(task)
        _POOL.start(self, task)
        return task

    def run(self, limit: int = 20_000) -> None:
        """Run until every task has ended.

        Raises:
            StuckError: that takes more steps than the limit.
        """
        self._limit = self.steps + limit
        if self._tasks:
            self._next().baton.release()
            self._finished.acquire()
        if self.errors:
            raise self.errors[0]

    def step(self) -> None:
        """Let anybody go on here, and die here if that is the fate.

        Raises:
            Killed: the process of the current task is dead.
        """
        task = self._running()
        if not task.process.alive:
            raise Killed
        self.before_step(task)
        if not task.process.alive:
            raise Killed
        self.now += STEP_SECONDS
        if self._rng.random() >= STAY:
            self._pass_on(task)

    def sleep(self, seconds: float) -> None:
        """Let others run until the time has passed."""
        task = self._running()
        if not task.process.alive:
            raise Killed
        task.wake = self.now + seconds
        self._pass_on(task)

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Let others run until something holds or the time has passed."""
        task = self._running()
        if not until():
            task.until = until
            self.sleep(seconds)
            task.until = None

    def kill(self, process: Process) -> None:
        """End a process: each of its tasks ends when it would go on."""
        process.alive = False

    def carry_out(self, task: Task, done: Callable[[], None]) -> None:
        """Run a task in the calling thread once it is its turn."""
        task.baton.acquire()
        try:
            task.call()
        except Killed:
            pass
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the test must hear of it
            self.errors.append(exc)
        self._tasks.remove(task)
        done()
        if self._tasks:
            self._next().baton.release()
        else:
            self.current = None
            self._finished.release()

    def _running(self) -> Task:
        if self.current is None:
            raise StuckError("nobody runs")
        return self.current

    def _pass_on(self, task: Task) -> None:
        following = self._next()
        if following is not task:
            following.baton.release()
            task.baton.acquire()
        if not task.process.alive:
            raise Killed

    def _next(self) -> Task:
        self.steps += 1
        if self.steps > self._limit and not self.errors:
            self.errors.append(StuckError("no end in sight"))
            for task in self._tasks:
                task.process.alive = False
        now = self.now
        ready = [
            task
            for task in self._tasks
            if task.wake <= now
            or not task.process.alive
            or (task.until is not None and task.until())
        ]
        if ready:
            task = ready[int(self._rng.random() * len(ready))]
        else:
            task = min(self._tasks, key=lambda each: each.wake)
            self.now = task.wake
        task.wake = 0.0
        self.current = task
        return task


class SimulatedFuture(Future[Any]):
    """A future whose waiting lets others run; `abandoned` when nobody waits for it any more."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.abandoned = False

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As its base has it."""
        self._scheduler.wait(self.done, 10**6 if timeout is None else timeout)
        if not self.done():
            self.abandoned = True
            raise FutureTimeoutError
        return super().exception(0)

    def result(self, timeout: float | None = None) -> Any:
        """As its base has it."""
        self.exception(timeout)
        return super().result(0)


class SimulatedExecutor(Executor):
    """Runs what is submitted as tasks of the caller's process, or at once when that is `inline`.

    No more of them run at once than there are `workers`; what one never ends, others wait for.
    """

    def __init__(
        self, scheduler: Scheduler, inline: Callable[[Any], bool], workers: int = 10**6
    ) -> None:
        self._scheduler = scheduler
        self._inline = inline
        self._free = workers
        self._waiting: list[tuple[Task, Callable[[], None], SimulatedFuture]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> SimulatedFuture:
        """As its base has it."""
        future = SimulatedFuture(self._scheduler)

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except Exception as exc:  # noqa: BLE001 - an executor hands over whatever was raised
                future.set_exception(exc)

        parent = self._scheduler.current
        if parent is None or self._inline(fn):
            call()
        else:
            self._waiting.append((parent, call, future))
            self._start()
        return future

    def _start(self) -> None:
        while self._free and self._waiting:
            parent, call, future = self._waiting.pop(0)
            self._free -= 1
            task = self._scheduler.spawn(parent.process, partial(self._work, call))
            task.parent = parent
            task.about["future"] = future

    def _work(self, call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            self._free += 1
            self._start()
