# Two stages: the first builds, the last holds the program and the libraries it is linked to.
# The last has no shell and no package manager, runs as an ordinary user, and needs to write nothing:
# run it with a read-only root.

ARG RUST=1.95
FROM rust:${RUST}-slim-bookworm AS build
WORKDIR /src
# jemalloc is built by make, which this image lacks.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends make \
 && rm -rf /var/lib/apt/lists/*
# Names stay for backtraces; lines would make the program four times as large.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
# Dependencies first, so that a change of ours does not build them again.
COPY Cargo.toml Cargo.lock ./
COPY bench/Cargo.toml bench/Cargo.toml
RUN mkdir -p src bench/src benches \
 && touch src/lib.rs benches/routing.rs \
 && echo 'fn main() {}' > src/main.rs && cp src/main.rs bench/src/main.rs \
 && cargo build --release --locked -p pgfeed \
 && rm -rf src bench/src benches
COPY . .
# The stand-ins are younger than the sources: say that these are to be built.
RUN touch src/main.rs src/lib.rs && cargo build --release --locked -p pgfeed --bin pgfeed

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/pgfeed /usr/local/bin/pgfeed
USER 65532:65532
ENV PGFEED__SERVER__LISTEN=0.0.0.0:8080
EXPOSE 8080
# The drain takes at most server.drain_ms (10 s): give a stop at least as long.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pgfeed"]
CMD ["serve"]
