# The worker's image: one static program and the CA certificates, with an unprivileged user and without a shell.
#
#   docker build .    compiles the program in the image `rust`, for the engine's architecture
#   packaging/image   uses the program that packaging/package built, and needs no registry

# Everything but the files. The root file system can be read-only: the program writes no files.
FROM scratch AS base
ENV JVB_WATCHER_LISTEN=127.0.0.1:8081
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/jvb-watcher"]
CMD ["run"]
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["/usr/local/bin/jvb-watcher", "health"]

# packaging/image prepares the context for this stage and builds no other (--target), so it pulls no image.
FROM base AS packaged
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY jvb-watcher /usr/local/bin/jvb-watcher

FROM docker.io/library/rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates python3
WORKDIR /jvb-watcher
COPY . .
RUN packaging/package --arch "$(uname -m)"
RUN cp target/package/jvb-watcher-[0-9]*-"$(uname -m)" /usr/local/bin/jvb-watcher

FROM base
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/jvb-watcher /usr/local/bin/jvb-watcher
