# docker run --network host --read-only --tmpfs /run --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW \
#   --security-opt no-new-privileges -v connlimitd-state:/var/lib/connlimitd connlimitd
# The README says what each of these is for. The rules belong to the network namespace, so without the host's network it protects nothing but its own container.

FROM node:24-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY scripts/boot ./scripts/boot
COPY scripts/build.ts scripts/bundle.sh ./scripts/
COPY src ./src
RUN sh scripts/bundle.sh && rm -r node_modules/rolldown node_modules/@rolldown node_modules/swagger-ui-dist/*.map node_modules/swagger-ui-dist/*-es-* node_modules/swagger-ui-dist/swagger-ui.js

# The same pinned Node runs here as in the tests: it is one of the npm packages.
FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends iptables ipset conntrack iproute2 socat \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /app
ENV GLIBC_TUNABLES=glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216
ENV PATH=/app/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=dependencies /app/dist ./dist
RUN node --version
COPY package.json LICENSE ./

VOLUME /var/lib/connlimitd
STOPSIGNAL SIGTERM
# Asks the default listener: with another CONNLIMITD_LISTEN, give another --health-cmd.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:7306/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--max-semi-space-size=4", "dist/main.js"]
