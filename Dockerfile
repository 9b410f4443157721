# Two images from one file: --target training is the training job, and the last stage is the
# service, without torch, with models trained on the embedded list.

# One file of requirements for each use. The stages below copy these files, so that they install
# again only when a requirement or a constraint changes, not when the code changes.
FROM python:3.11-slim AS requirements
WORKDIR /requirements
COPY pyproject.toml constraints.txt ./
RUN <<'PYTHON' python
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
uses = {"base": project["dependencies"], **project["optional-dependencies"]}
for use in ("base", "training", "telemetry"):
    Path(f"{use}.txt").write_text("\n".join(uses[use]))
PYTHON

FROM python:3.11-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1
# A numeric id lets orchestrators check that the user is not root.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin moniker \
    && install --directory --owner=moniker /checkpoints
COPY --from=requirements /requirements/base.txt /requirements/constraints.txt /requirements/
RUN pip install --constraint /requirements/constraints.txt --requirement /requirements/base.txt
WORKDIR /app
ENV MONIKER_CHECKPOINTS=/checkpoints

FROM base AS training
# PyTorch's index of CPU builds; the builds on PyPI include CUDA. If TORCH_INDEX is empty,
# pip uses its own index. The index is used for torch alone.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY --from=requirements /requirements/training.txt /requirements/
RUN pip install --constraint /requirements/constraints.txt --no-deps ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch \
    && pip install --constraint /requirements/constraints.txt --requirement /requirements/training.txt
COPY models models
COPY training training
COPY data data
RUN python -m compileall -q .
USER 10001
RUN python -m training --out /checkpoints
# The job stops cleanly on SIGINT; process 1 of a container ignores SIGTERM unless it handles it.
STOPSIGNAL SIGINT
ENTRYPOINT ["python", "-m", "training", "--out", "/checkpoints"]

FROM base AS service
COPY --from=requirements /requirements/telemetry.txt /requirements/
RUN pip install --constraint /requirements/constraints.txt --requirement /requirements/telemetry.txt
COPY models models
COPY service service
RUN python -m compileall -q .
COPY --from=training --chown=10001 /checkpoints /checkpoints
USER 10001
ENV MONIKER_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-m", "service.healthcheck"]
CMD ["python", "-m", "service"]
