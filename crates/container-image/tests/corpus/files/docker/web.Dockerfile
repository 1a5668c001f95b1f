from node as assets
WORKDIR /app
RUN npm ci && npm run build:prod
RUN psql -c "SELECT id \
FROM users:archive"
FROM --platform=linux/amd64 \
    nginx:1.27-alpine@sha256:4b227777d4dd1fc61c6f884f48641d02b4d121d3fd328cb08b5531fcacdabf8a AS web
COPY --from=assets /app/dist /usr/share/nginx/html
COPY --link --from=busybox:1.36 /bin/busybox /bin/
FROM scratch AS export
COPY --from=web /usr/share/nginx/html /
