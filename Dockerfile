# Two images from one file: --target training is the job, --target service serves its checkpoints.
# The service has no torch in it.

FROM python:3.11-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONUNBUFFERED=1
# A number, so that orchestrators can see that it is not root.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin moniker \
    && install --directory --owner=moniker /checkpoints
WORKDIR /app
COPY pyproject.toml constraints.txt ./
# The base requirements of pyproject.toml alone: they change less often than the code.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > requirements.txt \
    && pip install --constraint constraints.txt --requirement requirements.txt
COPY models models
ENV MONIKER_CHECKPOINTS=/checkpoints

FROM base AS training
# PyTorch's index of builds for the CPU; the ones on the ordinary index bring CUDA along.
# Empty takes whatever pip finds. Nothing but torch itself is looked for there.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['training'], sep='\n')" > training.txt \
    && pip install --constraint constraints.txt --no-deps ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} torch \
    && pip install --constraint constraints.txt --requirement training.txt
COPY training training
COPY data data
RUN python -m compileall -q .
USER 10001
ENTRYPOINT ["python", "-m", "training", "--out", "/checkpoints"]

FROM base AS service
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['telemetry'], sep='\n')" > telemetry.txt \
    && pip install --constraint constraints.txt --requirement telemetry.txt
COPY service service
RUN python -m compileall -q .
USER 10001
ENV MONIKER_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --start-interval=1s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/readyz' % os.environ.get('MONIKER_PORT', 8000), timeout=4)"]
CMD ["python", "-m", "service"]
