# The image of every service of ours in docker-compose.yml, which says what each one runs.

# Debian's glibc and not musl: the wheels of the lock are built for it.
FROM python:3.11.15-slim-trixie AS base

FROM base AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/passerelle
# Before the sources: made anew only when a lock changes.
COPY requirements.lock requirements-dev.lock ./
RUN /opt/passerelle/bin/pip install --only-binary :all: --require-hashes --requirement requirements.lock
# The tool that makes our wheel, and what it needs, with the hashes of the developers' lock.
RUN awk '/^[^ ]/ { wanted = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } wanted' \
        requirements-dev.lock > requirements-build.lock \
    && pip install --only-binary :all: --require-hashes --requirement requirements-build.lock
# No more than .dockerignore lets through: what the wheel is made of.
COPY . .
RUN pip wheel --no-build-isolation --no-deps --no-index --wheel-dir /wheel . \
    && /opt/passerelle/bin/pip install --no-deps --no-index /wheel/*.whl

FROM base
# The folder is made here so that a volume laid over it belongs to the user, too.
RUN groupadd --gid 10001 passerelle \
    && useradd --uid 10001 --gid passerelle --no-create-home --home-dir /var/lib/passerelle \
        --shell /usr/sbin/nologin passerelle \
    && install --directory --owner passerelle --group passerelle --mode 700 /var/lib/passerelle
# Root's, so that the user who runs the code cannot change it.
COPY --from=build /opt/passerelle /opt/passerelle
# Unbuffered: the last words before a crash are those that are needed.
ENV PATH=/opt/passerelle/bin:$PATH PYTHONUNBUFFERED=1
# A number: an orchestrator can see that it is not root.
USER 10001:10001
# Python looks for modules where it is started: nothing may lie there that could be taken for ours.
WORKDIR /var/lib/passerelle
CMD ["passerelle", "--help"]
