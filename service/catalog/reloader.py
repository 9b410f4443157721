"""Reloader: puts new and changed checkpoints in service without a restart."""

import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any, cast

from anyio import CapacityLimiter, sleep, to_thread
from watchfiles import awatch

from models.constraints.constraints import ConstraintError, Constraints
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.constraints_cache import ConstraintsCache
from service.catalog.repository import CheckpointRepository
from service.errors import OverloadError
from service.telemetry.metrics import Metrics

FOLDER_CHECK_SECONDS = 1.0  # between checks whether the folder has been replaced
RESCAN_SECONDS = 60.0  # between scans without a notification: some file systems send none

logger = logging.getLogger("moniker")


class Reloader:
    """Watches the folder of the repository, scans it on changes and swaps the catalog."""

    def __init__(
        self,
        repository: CheckpointRepository,
        constraints_cache: ConstraintsCache,
        metrics: Metrics,
    ) -> None:
        self._repository, self._cache = repository, constraints_cache
        self._metrics = metrics
        self._thread = CapacityLimiter(1)  # its own, so that scans never wait for requests
        self._can_watch = True
        self._scanned_at = 0.0  # monotonic seconds

    @classmethod
    def in_state(cls, state: Mapping[str, Any]) -> "Reloader":
        """Return the reloader in the state of the lifespan."""
        return cast(Reloader, state["reloader"])

    async def start(self) -> None:
        """Load the checkpoints and warm up the default model. Raises CatalogError."""
        self._repository.load()
        catalog = self._repository.catalog
        for failure in catalog.failures.values():
            logger.error("checkpoint not loaded: %s", failure)
        for model in catalog.models.values():
            logger.info("serving %s, checkpoint %s", model.name, model.version)
        if catalog.default in catalog.models:
            await self._warm_up(catalog.models[catalog.default])

    async def run(self) -> None:
        """Reload checkpoints as they change, until cancelled."""
        while True:
            try:
                await self._watch()
            except Exception as error:
                if self._can_watch:
                    logger.error("the checkpoint folder cannot be watched: %s", error)
                self._can_watch = False
                await self._scan()
                await sleep(FOLDER_CHECK_SECONDS)

    async def _watch(self) -> None:
        """Scan now, after each change and every RESCAN_SECONDS, until the folder is replaced."""
        folder_id = await self._folder_id()
        self.scan_soon()
        watching = awatch(
            self._repository.folder,
            watch_filter=None,
            recursive=False,
            rust_timeout=int(FOLDER_CHECK_SECONDS * 1000),
            yield_on_timeout=True,
        )
        async with aclosing(watching):
            async for changes in watching:
                if not self._can_watch:
                    logger.info("the checkpoint folder is watched again")
                    self._can_watch = True
                if changes or monotonic() - self._scanned_at >= RESCAN_SECONDS:
                    self._scanned_at = monotonic()
                    await self._scan()
                if await self._folder_id() != folder_id:
                    return

    def scan_soon(self) -> None:
        """Request a scan within FOLDER_CHECK_SECONDS, whether or not a file has changed."""
        self._scanned_at = -RESCAN_SECONDS

    async def _folder_id(self) -> object:
        return await to_thread.run_sync(self._repository.folder_id, limiter=self._thread)

    async def _scan(self) -> None:
        """Scan the folder in a thread, and swap the catalog if it has changed."""
        try:
            after = await to_thread.run_sync(self._repository.scan, limiter=self._thread)
            before = self._repository.catalog
            if (after.fingerprints, after.reports) != (before.fingerprints, before.reports):
                await self._swap(after)
        except Exception:
            logger.exception("the checkpoint folder could not be scanned")

    async def _swap(self, after: Catalog) -> None:
        before = self._repository.catalog
        replaced = [
            (old, after.models[name])
            for name, old in before.models.items()
            if after.models[name] is not old
        ]
        for old, new in replaced:
            await self._cache.warm_up(old, new)
        default = after.models.get(after.default)
        if default and default is not before.models.get(after.default):
            await self._warm_up(default)
        self._repository.catalog = after
        for old, _ in replaced:
            self._cache.evict(old)
        for name, fingerprint in after.fingerprints.items():
            if before.fingerprints.get(name) != fingerprint:
                self._log(name, after)

    def _log(self, name: str, catalog: Catalog) -> None:
        """Log and count whether a changed file was loaded."""
        failure = catalog.failures.get(name)
        self._metrics.reloaded("failed" if failure else "loaded")
        if failure:
            suffix = "; its last valid version stays in service" if name in catalog.models else ""
            logger.error("checkpoint not loaded: %s%s", failure, suffix)
        else:
            logger.info("serving %s, checkpoint %s", name, catalog.models[name].version)

    async def _warm_up(self, default: ServedModel) -> None:
        """Compile the default constraints, and a pattern, which imports more of numpy."""
        character = default.vocabulary.characters[0]
        with suppress(OverloadError):  # then requests have compiled constraints already
            try:
                await self._cache.get(default, Constraints())
            except ConstraintError:
                logger.warning("the blocklist excludes all names of model %s", default.name)
            with suppress(ConstraintError):
                await self._cache.get(default, Constraints(pattern=f"*{character}*"))
