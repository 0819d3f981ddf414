# Two images over one environment: `processes` for all that the Procfile names, `sandbox` for the simulated providers.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY bide bide
RUN --mount=type=cache,target=/root/.cache/pip /opt/venv/bin/pip install -c constraints.txt '.[worker]'

FROM python:3.11-slim-bookworm AS runtime
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY --from=build /opt/venv /opt/venv

FROM runtime AS sandbox
COPY sandbox sandbox
RUN python -m compileall -q sandbox
USER 10001:10001
CMD ["python", "-m", "sandbox", "--host", "0.0.0.0", "--port", "8900"]

FROM runtime AS processes
COPY config config
COPY tasks tasks
COPY workers workers
RUN python -m compileall -q config tasks workers
USER 10001:10001
# Shows what the settings come to, or all that is wrong with them; docker-compose.yml says what to run instead.
CMD ["python", "-m", "config.settings"]
