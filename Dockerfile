# One image for everything: `api` (the default), `worker`, `migrate`, and every other command of
# `seqpulse`. It runs as uid 10001 and writes nothing: the root file system may be read-only.
FROM python:3.13-slim-trixie AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/seqpulse
WORKDIR /src
COPY requirements-image.lock ./
RUN /opt/seqpulse/bin/pip install --no-deps --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY analytics analytics
COPY api api
COPY core core
COPY demo demo
COPY ingest ingest
COPY scheduler scheduler
COPY sql sql
COPY seqpulse_gate.py ./
RUN /opt/seqpulse/bin/pip install --no-deps --no-build-isolation . \
 && /opt/seqpulse/bin/python -m compileall -q /opt/seqpulse/lib

FROM python:3.13-slim-trixie
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin seqpulse
COPY --from=build /opt/seqpulse /opt/seqpulse
ENV PATH=/opt/seqpulse/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    SEQPULSE_LOG_FORMAT=json \
    SEQPULSE_API_HOST=0.0.0.0 \
    SEQPULSE_METRICS_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/livez', timeout=2)"]
ENTRYPOINT ["seqpulse"]
CMD ["api"]
