# Waitroom as one image: `serve` by default, any other command by name.
#   docker build -t waitroom .
#   docker run -p 8080:8080 -v waitroom:/var/lib/waitroom -v ./rooms.toml:/etc/waitroom/rooms.toml:ro waitroom
#   docker exec NAME waitroom doctor

FROM python:3.12.12-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY kernel kernel
COPY waitroom waitroom
COPY admission admission
COPY botguard botguard
COPY checkout checkout
COPY dashboards dashboards
COPY gateway gateway
RUN python -m venv /opt/waitroom \
    && /opt/waitroom/bin/pip install --no-cache-dir --disable-pip-version-check ".[server,postgres,otel]"

FROM python:3.12.12-slim-bookworm
RUN groupadd --system --gid 10001 waitroom \
    && useradd --system --uid 10001 --gid waitroom --home-dir /var/lib/waitroom --shell /usr/sbin/nologin waitroom \
    && install --directory --owner=waitroom --group=waitroom /var/lib/waitroom
COPY --from=build /opt/waitroom /opt/waitroom
ENV PATH=/opt/waitroom/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WAITROOM_HOST=0.0.0.0 \
    WAITROOM_OPERATOR_HOST=0.0.0.0 \
    WAITROOM_DATA=/var/lib/waitroom \
    WAITROOM_ROOMS=/etc/waitroom/rooms.toml
USER 10001:10001
WORKDIR /var/lib/waitroom
VOLUME /var/lib/waitroom
# 8080: fans. 8081: operators and metrics; publish it to your own network only.
EXPOSE 8080 8081
# SIGTERM drains: readiness goes away first, requests in flight finish.
STOPSIGNAL SIGTERM
# Ready, or not: of the gate, or of a shop that runs alone, at whatever port and address its settings say.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["waitroom", "health"]
ENTRYPOINT ["waitroom"]
CMD ["serve"]
