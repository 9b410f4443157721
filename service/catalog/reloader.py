"""New checkpoints put in service as they come, without a restart."""

import logging
from contextlib import aclosing, suppress
from time import monotonic

from anyio import CapacityLimiter, sleep, to_thread
from watchfiles import awatch

from models.constraints.constraints import ConstraintError, Constraints
from service.catalog.catalog import Catalog, ServedModel
from service.catalog.repository import CheckpointRepository
from service.catalog.sampler_cache import SamplerCache
from service.errors import OverloadError
from service.telemetry.metrics import Metrics

SECOND = 1.0  # after which to see whether the folder is still the same one
MINUTE = 60.0  # after which to look even if nothing was told, as on some file systems

logger = logging.getLogger("moniker")


class Reloader:
    """Looks at the shelf when its folder changes, and puts in service what is good."""

    def __init__(
        self, repository: CheckpointRepository, sampler_cache: SamplerCache, metrics: Metrics
    ) -> None:
        self._shelf, self._wishes, self._metrics = repository, sampler_cache, metrics
        self._threads = CapacityLimiter(1)  # of its own: nobody waits for it
        self._watches = True
        self._looked = 0.0  # when, by the monotonic clock

    async def begin(self) -> None:
        """Put in service what there is. Raises CatalogError if there is nothing."""
        self._shelf.fill()
        catalog = self._shelf.catalog
        for failure in catalog.failures.values():
            logger.error("not served: %s", failure)
        for model in catalog.models.values():
            logger.info("serving %s, checkpoint %s", model.name, model.version)
        if catalog.default in catalog.models:
            await self._prepare(catalog.models[catalog.default])

    async def go_on(self) -> None:
        """Put in service what comes, until cancelled."""
        while True:
            try:
                await self._watch()
            except Exception as error:
                if self._watches:
                    logger.error("the folder of checkpoints cannot be watched: %s", error)
                self._watches = False
                await self.look()
                await sleep(SECOND)

    async def _watch(self) -> None:
        """Look at once, after each change and every minute, until it is another folder."""
        folder = await self._identity()
        self.look_soon()
        watching = awatch(
            self._shelf.folder,
            watch_filter=None,
            recursive=False,
            rust_timeout=int(SECOND * 1000),
            yield_on_timeout=True,
        )
        async with aclosing(watching):
            async for changes in watching:
                if not self._watches:
                    logger.info("the folder of checkpoints is watched again")
                    self._watches = True
                if changes or monotonic() - self._looked >= MINUTE:
                    self._looked = monotonic()
                    await self.look()
                if await self._identity() != folder:
                    return

    def look_soon(self) -> None:
        """Look within a second, whether or not there was a change."""
        self._looked = -MINUTE

    async def _identity(self) -> object:
        return await to_thread.run_sync(self._shelf.identity, limiter=self._threads)

    async def look(self) -> None:
        """Swap the catalog for one that has what is new, if there is anything."""
        try:
            after = await to_thread.run_sync(self._shelf.look, limiter=self._threads)
            before = self._shelf.catalog
            if (after.files, after.reports) != (before.files, before.reports):
                await self._swap(after)
        except Exception:
            logger.exception("the folder of checkpoints could not be looked at")

    async def _swap(self, after: Catalog) -> None:
        before = self._shelf.catalog
        replaced = [
            (old, after.models[name])
            for name, old in before.models.items()
            if after.models[name] is not old
        ]
        for old, new in replaced:
            await self._wishes.renew(old, new)
        default = after.models.get(after.default)
        if default and default is not before.models.get(after.default):
            await self._prepare(default)
        self._shelf.catalog = after
        for old, _ in replaced:
            self._wishes.forget(old)
        for name, file in after.files.items():
            if before.files.get(name) != file:
                self._tell(name, after)

    def _tell(self, name: str, catalog: Catalog) -> None:
        failure = catalog.failures.get(name)
        self._metrics.reloaded("failed" if failure else "loaded")
        if failure:
            kept = "; the one before stays in service" if name in catalog.models else ""
            logger.error("not served: %s%s", failure, kept)
        else:
            logger.info("serving %s, checkpoint %s", name, catalog.models[name].version)

    async def _prepare(self, default: ServedModel) -> None:
        """Compile what most will ask for, and a pattern, which loads more of numpy."""
        some = default.vocabulary.characters[0]
        with suppress(OverloadError):  # then others have loaded it
            try:
                await self._wishes.sampler(default, Constraints())
            except ConstraintError:
                logger.warning("the blocklist leaves no name of %s", default.name)
            with suppress(ConstraintError):
                await self._wishes.sampler(default, Constraints(pattern=f"*{some}*"))
